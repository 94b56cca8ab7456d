"""Sink for Vitec Express Connect: each row becomes a person lead, at most once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from attrs import astuple, evolve

from publitrac_async.bulk.mapping import field_name
from publitrac_async.bulk.rows import State
from publitrac_async.bulk.sinks.base import Record, content_hash, queue_length
from publitrac_async.checks import refusal, refuse
from publitrac_async.converters import custom_to_wire, lead_to_wire
from publitrac_async.errors import ConfigurationError, NotFound, Problem, PublitracError, ValidationError
from publitrac_async.models import Lead
from publitrac_async.protocols import VitecApi
from publitrac_async.vitec import LeadSource, PersonLead, Receiver
from publitrac_async.vitec.checks import check_customer_id, check_person_lead
from publitrac_async.vitec.codec import from_json, to_document
from publitrac_async.vitec.operations import NAME

#: Path in Vitec's JSON by native field of a lead. Vitec has no equivalent of other fields. `leadSource` is
#: also omitted: it would create a lead source in the agency's system for every campaign.
_PATHS: Final[Mapping[str, str]] = {
    "email": "person.email.emailAddress",
    "firstName": "person.firstName",
    "lastName": "person.lastName",
    "phone": "person.telephone.home",
    "mobile": "person.telephone.cell",
    "mailingAddress": "person.address.streetAddress",
    "postalCode": "person.address.zipCode",
    "city": "person.address.city",
    "notes": "message",
}
_NAMES: Final = {path: name for name, path in _PATHS.items()}
_FLAG: Final = "person.isForeignSocialSecurityNumber"
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}
_UTM: Final = "utm_"


class VitecSink:
    """``vitec.create_person_lead``: one row per call.

    Rows have the columns of PUBLITRAC: names, e-mail address, ``phone``, ``mobile``, address and ``notes``
    are sent, other fields are omitted. Columns with a dot name fields of Vitec
    (``person.socialSecurityNumber``, ``receiver.office.id``); ``utm_source`` and the like become UTM tags. A
    mapping in the form of Vitec's JSON is sent unchanged.

    Every call creates another lead, so a row with an unknown outcome is never sent again: `reconcile` it.
    Pass `sync_leads` a ``concurrency`` of at most 5, the limit of the client: after a kill the rows of all
    calls in flight are unknown.

    Args:
        vitec: an open client.
        customer_id: customer who receives the leads, such as ``"M30011"``.
        lead_source: lead source of rows that do not name one.
        receiver: receiver of rows that do not name one.
        format: format of the requests.
        destination: name of the account, so that a state store is not used for another account.
    """

    name = "vitec"
    success_state = State.OK
    idempotent = False
    batch_size = 1

    def __init__(
        self,
        vitec: VitecApi,
        customer_id: str,
        *,
        lead_source: LeadSource,
        receiver: Receiver | None = None,
        format: Literal["json", "xml"] = "json",  # noqa: A002  (same name as in the client)
        destination: str | None = None,
    ) -> None:
        check_customer_id(customer_id)
        self.destination: str = f"vitec, customer {customer_id} {destination or ''}".rstrip()
        self._vitec = vitec
        self._customer_id = customer_id
        self._lead_source = lead_source
        self._receiver = receiver
        self._format: Literal["json", "xml"] = format

    def to_record(self, fields: Mapping[str, Any] | Lead) -> Record[PersonLead]:
        """Transform a row into a record; see `Sink.to_record`.

        Raises:
            ValidationError: the row cannot be sent; lists every problem.
        """
        return vitec_record(fields, lead_source=self._lead_source, receiver=self._receiver)

    def queue_length(self) -> int:
        """Return the number of calls in the client's queue."""
        return queue_length(self._vitec)

    async def send(self, contents: Sequence[PersonLead]) -> Sequence[PublitracError | None]:
        """Send one lead; see `Sink.send`."""
        for lead in contents:
            try:
                await self._vitec.create_person_lead(self._customer_id, lead, format=self._format)
            except NotFound as error:
                # It concerns the address or the customer, so every lead.
                raise ConfigurationError(f"Vitec refuses the settings: {error.message}") from None
        return [None] * len(contents)


def vitec_record(
    fields: Mapping[str, Any] | Lead, *, lead_source: LeadSource, receiver: Receiver | None = None
) -> Record[PersonLead]:
    """Transform a row into a record for Vitec, without a client.

    Args:
        fields: the row.
        lead_source: lead source of rows that do not name one.
        receiver: receiver of rows that do not name one.

    Raises:
        ValidationError: the row cannot be sent; lists every problem.
    """
    problems: Sequence[Problem]
    try:
        document = _document(fields)
        document.setdefault("leadSource", {"name": lead_source.name, "leadType": lead_source.lead_type})
        lead = from_json(document)
        if lead.receiver is None:
            lead = evolve(lead, receiver=receiver)
        check_person_lead(lead)
        return Record(_key(lead), content_hash(to_document(lead)), lead)
    except ValidationError as error:
        # The report names columns of the source.
        problems = [evolve(each, field=_NAMES.get(each.field or "", each.field)) for each in error.problems]
    raise refusal(problems)


def _document(fields: Mapping[str, Any] | Lead) -> dict[str, Any]:
    """Build Vitec's JSON from the cells of a row.

    Raises:
        ValidationError: a cell cannot be expressed in JSON, or two columns contradict each other.
    """
    if isinstance(fields, Lead):
        native, custom = lead_to_wire(fields, NAME)
        fields = native | custom
    if isinstance(fields.get("person"), Mapping):
        return dict(fields)
    document: dict[str, Any] = {}
    tags = []
    problems = []
    for column, value in fields.items():
        name = field_name(column)
        path = _PATHS.get(name, name if "." in name else None)
        if value is None or value == "" or not (path or name.startswith(_UTM)):
            continue
        try:
            text = custom_to_wire(value)
            if path is None:
                tags.append({"name": name, "value": text})
            else:
                _put(document, path, _FLAGS.get(str(text).lower(), text) if path == _FLAG else text)
        except (ValueError, TypeError) as error:
            problems.append(Problem(str(error), field=path or name, value=value))
    refuse(problems, None)
    if tags:
        document.setdefault("marketing", {}).setdefault("utmTags", tags)
    return document


def _put(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        document = document.setdefault(parent, {})
        if not isinstance(document, dict):
            raise TypeError(f"{parent} cannot be both a text and an object with fields")
    document[name] = value


def _key(lead: PersonLead) -> str:
    """Return the key of a lead: the e-mail address, or if there is none, names and telephone number."""
    person = lead.person
    email = person.email and (person.email.email_address or person.email.email_address2)
    if email:
        return email.strip().casefold()
    numbers = astuple(person.telephone) if person.telephone else ()
    number = next(filter(None, numbers), "")
    return f"{person.first_name} {person.last_name} {number}".casefold()
