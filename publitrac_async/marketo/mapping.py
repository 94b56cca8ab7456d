"""A lead of PUBLITRAC as Marketo wants it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from publitrac_async.errors import Problem, ValidationError
from publitrac_async.models import Lead

#: Marketo's REST name by the name of a lead's field here, where both systems mean the same. Company and web
#: site are not among them: Marketo does not update company fields through leads.
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


def to_marketo(
    lead: Lead, mapping: Mapping[str, str] = STANDARD_FIELDS, *, empty: bool = False
) -> dict[str, Any]:
    """The record for `MarketoClient.sync_leads`.

    Args:
        lead: only its fields that are set are taken.
        mapping: Marketo's REST name by the name of the lead's field; custom fields by their own name. What
            is not in it is left out.
        empty: take ``None`` and ``""`` over too, which empties the field in Marketo. A lead that was read
            from PUBLITRAC has ``""`` in every field without a value.

    Raises:
        ValidationError: nothing is left to be sent.
    """
    values = lead.set_fields()
    values |= values.pop("custom_fields", {})
    record = {
        target: _written(name, value)
        for name, target in mapping.items()
        if name in values and ((value := values[name]) not in (None, "") or empty)
    }
    if not record:
        raise ValidationError("no field of the lead is in the mapping", problems=[Problem("is empty")])
    return record


def _written(name: str, value: Any) -> Any:
    # Marketo's field is a date, without a time.
    return value.date() if name == "date_of_birth" and isinstance(value, datetime) else value
