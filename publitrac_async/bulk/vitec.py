"""The sink of Vitec Express Connect: every row becomes a lead for a person, at most once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from attrs import astuple, evolve

from publitrac_async.bulk.mapping import field_name
from publitrac_async.bulk.rows import State
from publitrac_async.bulk.sinks import Prepared, digest
from publitrac_async.converters import custom_to_wire, lead_to_wire
from publitrac_async.errors import Problem, PublitracError, ValidationError
from publitrac_async.models import Lead
from publitrac_async.vitec import LeadSource, PersonLead, Receiver, VitecClient
from publitrac_async.vitec.checks import check_customer_id, check_person_lead
from publitrac_async.vitec.codec import from_json, to_document
from publitrac_async.vitec.operations import NAME

#: Where the native fields of a lead go. All others have no place at Vitec, `leadSource` included: a name of
#: its own for each campaign would make that many sources in the agency's system.
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


class VitecLeads:
    """``vitec.create_person_lead`` for every row.

    Rows are what they are for PUBLITRAC: names, e-mail address, ``phone``, ``mobile``, address and ``notes``
    are taken over, and other fields are left out. Columns with a dot name Vitec's own fields
    (``person.socialSecurityNumber``, ``receiver.office.id``), ``utm_source`` and the like become UTM tags. A
    mapping in the shape of Vitec's JSON is taken as it is.

    Every call makes another lead, so a row whose outcome is unknown is never sent again: the ledger keeps it
    until `settle` says what became of it. Give `sync_leads` no more ``workers`` than the client has calls at
    once (5): a row is in doubt from the moment a worker has taken it.

    Args:
        vitec: an open client.
        customer_id: the customer who gets the leads, ``"M30011"``.
        lead_source: of every row that names none.
        receiver: of every row that names none.
        format: what is spoken on the wire.
        destination: name of the account, so that a ledger is not used for another by mistake.
    """

    name = "vitec"
    acknowledges = State.OK
    repeatable = False
    batch_size = 1

    def __init__(
        self,
        vitec: VitecClient,
        customer_id: str,
        *,
        lead_source: LeadSource,
        receiver: Receiver | None = None,
        format: Literal["json", "xml"] = "json",  # noqa: A002  (as the client has it)
        destination: str | None = None,
    ) -> None:
        check_customer_id(customer_id)
        self.destination: str = f"vitec, customer {customer_id} {destination or ''}".rstrip()
        self._vitec = vitec
        self._customer_id = customer_id
        self._lead_source = lead_source
        self._receiver = receiver
        self._format: Literal["json", "xml"] = format

    def prepare(self, fields: Mapping[str, Any] | Lead) -> Prepared[PersonLead]:
        """Make a row into a lead for a person, and check what Vitec requires.

        Raises:
            ValidationError: with every problem found.
        """
        return prepare_person_lead(fields, lead_source=self._lead_source, receiver=self._receiver)

    async def send(self, records: Sequence[PersonLead]) -> Sequence[PublitracError | None]:
        """Send one lead."""
        for lead in records:
            await self._vitec.create_person_lead(self._customer_id, lead, format=self._format)
        return [None] * len(records)


def prepare_person_lead(
    fields: Mapping[str, Any] | Lead, *, lead_source: LeadSource, receiver: Receiver | None = None
) -> Prepared[PersonLead]:
    """Make a row into a lead for Vitec, and check what needs no service.

    Args:
        fields: the row.
        lead_source: if the row names none.
        receiver: if the row names none.

    Raises:
        ValidationError: with every problem found.
    """
    problems: Sequence[Problem]
    try:
        document = _document(fields)
        document.setdefault("leadSource", {"name": lead_source.name, "leadType": lead_source.lead_type})
        lead = from_json(document)
        if lead.receiver is None:
            lead = evolve(lead, receiver=receiver)
        check_person_lead(lead)
        return Prepared(_key(lead), digest(to_document(lead)), lead)
    except ValidationError as error:
        # Whoever reads the report looks for the column.
        problems = [evolve(each, field=_NAMES.get(each.field or "", each.field)) for each in error.problems]
    raise ValidationError("; ".join(map(str, problems)), problems=problems)


def _document(fields: Mapping[str, Any] | Lead) -> dict[str, Any]:
    """Vitec's JSON from the cells of a row.

    Raises:
        ValidationError: a cell cannot be written, or two columns contradict each other.
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
    if problems:
        raise ValidationError("; ".join(map(str, problems)), problems=problems)
    if tags:
        document.setdefault("marketing", {}).setdefault("utmTags", tags)
    return document


def _put(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        document = document.setdefault(parent, {})
        if not isinstance(document, dict):
            raise TypeError(f"{parent} cannot have parts and be a text itself")
    document[name] = value


def _key(lead: PersonLead) -> str:
    """What makes two rows the same lead: the e-mail address, else names and telephone number."""
    person = lead.person
    email = person.email and (person.email.email_address or person.email.email_address2)
    if email:
        return email.strip().casefold()
    numbers = astuple(person.telephone) if person.telephone else ()
    number = next(filter(None, numbers), "")
    return f"{person.first_name} {person.last_name} {number}".casefold()
