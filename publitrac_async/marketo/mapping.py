"""Convert leads of PUBLITRAC to records of Marketo, and keep opt-outs at Marketo."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from publitrac_async.errors import Problem, ValidationError
from publitrac_async.models import Lead

#: Marketo's REST name by attribute of a lead, for fields with the same meaning in both systems. Company and
#: web site are missing: Marketo does not update company fields through leads.
STANDARD_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "email": "email",
        "first_name": "firstName",
        "middle_name": "middleName",
        "last_name": "lastName",
        "phone": "phone",
        "mobile": "mobilePhone",
        "fax": "fax",
        "mailing_address": "address",
        "postal_code": "postalCode",
        "city": "city",
        "state": "state",
        "country": "country",
        "job_title": "title",
        "date_of_birth": "dateOfBirth",
        "do_not_call": "doNotCall",
        "do_not_call_reason": "doNotCallReason",
        "unsubscribed": "unsubscribed",
        "unsubscribe_reason": "unsubscribedReason",
        "email_invalid": "emailInvalid",
        "email_invalid_cause": "emailInvalidCause",
        "lead_source": "leadSource",
    }
)
#: Fields of opt-outs and unreachable persons. By default only a "yes" is sent: a "no" would revoke the
#: person's decision at Marketo.
CONSENT_FIELDS: Final = frozenset(
    {"unsubscribed", "doNotCall", "emailInvalid", "marketingSuspended", "emailSuspended", "blackListed"}
)
#: In lower case: Marketo might accept names in any case.
_CONSENT: Final = frozenset(map(str.casefold, CONSENT_FIELDS))
_NO: Final = frozenset(
    {"", "0", "0.0", "0,0", "false", "f", "no", "n", "off", "non", "faux", "none", "null", "-"}
)


def to_marketo(
    lead: Lead,
    mapping: Mapping[str, str] = STANDARD_FIELDS,
    *,
    empty: bool = False,
    opt_in: Collection[str] = (),
) -> dict[str, Any]:
    """Return the record of a lead for `MarketoClient.sync_leads`.

    The record has an opt-out of the lead, but not its absence: see `CONSENT_FIELDS`.

    Args:
        lead: the lead, of which only set fields are used.
        mapping: Marketo's REST name by attribute of the lead, or by name of the custom field. Other fields
            are omitted.
        empty: also send ``None`` and ``""``, which empty the field in Marketo. A lead read from PUBLITRAC has
            ``""`` in every field without a value.
        opt_in: REST names of consent fields of which a "no" is also sent.

    Raises:
        ValidationError: the record would have no fields.
    """
    values = lead.set_fields()
    values |= values.pop("custom_fields", {})
    record = {
        target: _written(name, value)
        for name, target in mapping.items()
        if name in values and ((value := values[name]) not in (None, "") or empty)
    }
    drop_missing_consent(record, opt_in)
    if not record:
        raise ValidationError("the lead has no field that is in the mapping", problems=[Problem("is empty")])
    return record


def drop_missing_consent(record: dict[str, Any], opt_in: Collection[str] = ()) -> None:
    """Remove consent fields that say "no" from a record.

    Args:
        record: values by REST names.
        opt_in: names of fields to keep.
    """
    for name in [*filter(is_consent, record)]:
        if name not in opt_in and _is_no(record[name]):
            del record[name]


def is_consent(name: str) -> bool:
    """Return True for the REST name of a consent field. The case does not matter."""
    return name.casefold() in _CONSENT


def _is_no(value: Any) -> bool:
    return not value or (isinstance(value, str) and value.strip().casefold() in _NO)


def _written(name: str, value: Any) -> Any:
    # Marketo's field is a date without a time.
    return value.date() if name == "date_of_birth" and isinstance(value, datetime) else value
