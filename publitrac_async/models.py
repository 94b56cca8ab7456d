"""Records that v1 and v2 share."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final, Literal, TypeAlias

import attrs
from attrs import define, field


def vendor_name(attribute: str) -> str:
    """Return the vendor's name of a field: ``first_name`` is ``firstName``."""
    head, *rest = attribute.split("_")
    return head + "".join(part.capitalize() for part in rest)


class Unset(enum.Enum):
    """Type of `UNSET`."""

    UNSET = "UNSET"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "UNSET"


#: Value of a field that was not given. It is not ``None`` and not ``""``: an unset field is omitted from a
#: request, so the service keeps its value, while ``None`` and ``""`` are sent. In a response it means that
#: the service did not mention the field. Test for it with ``is UNSET``; it is false.
UNSET: Final = Unset.UNSET

Text: TypeAlias = str | Unset | None
Integer: TypeAlias = int | Unset | None
Flag: TypeAlias = bool | Unset | None
Date: TypeAlias = date | Unset | None
DateTime: TypeAlias = datetime | Unset | None


class Nested(dict[str, Any]):
    """Content of a field with XML elements instead of text.

    Attributes:
        inner: the XML between the tags of the field.
    """

    def __init__(self, content: dict[str, Any], inner: str) -> None:
        super().__init__(content)
        self.inner = inner


@define(kw_only=True)
class Lead:
    """Lead, with every native field of PUBLITRAC ("List and description of all lead fields").

    Names are the vendor's in snake_case: ``firstName`` is ``first_name``. Fields default to `UNSET`.
    Lengths are the vendor's. This package does not check them: the service decides.

    Times have no zone in PUBLITRAC's responses, nor here; the documents are consistent with UTC. A time with
    a zone is converted to UTC when sent.

    Attributes:
        email: at most 50 characters; identifies a lead by default.
        crm_lead_id: the id in your system, called "external id" elsewhere.
        first_name: at most 50 characters.
        middle_name: second name, at most 50 characters.
        last_name: at most 50 characters.
        company: at most 75 characters.
        phone: at most 25 characters.
        mobile: mobile phone.
        fax: fax number.
        mailing_address: at most 150 characters.
        postal_code: at most 25 characters.
        city: at most 50 characters.
        state: state or province, at most 50 characters.
        country: ISO 3166-1 alpha-2 by the documents, although their samples have names, too.
        job_title: at most 100 characters.
        date_of_birth: date, or date and time.
        language: ``fr``, ...
        website: address of a web site.
        customer_id: number assigned by your system.
        nbr_employees: integer.
        revenue: integer.
        is_customer: flag.
        is_anonymous: flag of a visitor without a name.
        score: integer, 0 by default.
        status: ``Active``, ``Inactive`` or a value of the account.
        notes: free text.
        lead_source: name of the campaign, at most 200 characters. Sent only, never returned.
        original_source: name of the source, at most 200 characters; set once.
        original_source_type: ``Direct`` by default, at most 200 characters; set once.
        keyword: search keywords, at most 200 characters.
        token: value of the tracking cookie, at most 100 characters.
        do_not_call: flag.
        do_not_call_reason: free text.
        unsubscribed: flag of an opt-out: the service sends no e-mail.
        unsubscribe_cause: way of the opt-out.
        unsubscribe_reason: free text. Sent only, never returned.
        email_invalid: flag.
        email_invalid_cause: free text.
        suspended: flag.
        suspended_reason: free text.
        blacklisted: flag.
        blacklisted_cause: free text.
        id: number in PUBLITRAC. Returned only.
        created_date: returned only.
        last_updated: changes with every action of the lead, visits included. Returned only.
        custom_fields: custom fields by name, which must exist in the account. Text, numbers, flags, dates
            and ``None`` are written as text: plain decimals, 0/1, ``yyyy-mm-dd[ hh:mm:ss]``. A field with
            several values is a list; its form in a request is not documented, so it is sent in the form of
            the response.
        unparsed: fields of a response whose value does not fit their type, unchanged: text, or a list if the
            field is repeated. The field itself is ``None`` then. Never sent.
    """

    email: Text = UNSET
    crm_lead_id: Text = UNSET
    first_name: Text = UNSET
    middle_name: Text = UNSET
    last_name: Text = UNSET
    company: Text = UNSET
    phone: Text = UNSET
    mobile: Text = UNSET
    fax: Text = UNSET
    mailing_address: Text = UNSET
    postal_code: Text = UNSET
    city: Text = UNSET
    state: Text = UNSET
    country: Text = UNSET
    job_title: Text = UNSET
    date_of_birth: Date = UNSET
    language: Text = UNSET
    website: Text = UNSET
    customer_id: Text = UNSET
    nbr_employees: Integer = UNSET
    revenue: Integer = UNSET
    is_customer: Flag = UNSET
    is_anonymous: Flag = UNSET
    score: Integer = UNSET
    status: Text = UNSET
    notes: Text = UNSET
    lead_source: Text = UNSET
    original_source: Text = UNSET
    original_source_type: Text = UNSET
    keyword: Text = UNSET
    token: Text = UNSET
    do_not_call: Flag = UNSET
    do_not_call_reason: Text = UNSET
    unsubscribed: Flag = UNSET
    unsubscribe_cause: Text = UNSET
    unsubscribe_reason: Text = UNSET
    email_invalid: Flag = UNSET
    email_invalid_cause: Text = UNSET
    suspended: Flag = UNSET
    suspended_reason: Text = UNSET
    blacklisted: Flag = UNSET
    blacklisted_cause: Text = UNSET
    id: Integer = UNSET
    created_date: DateTime = UNSET
    last_updated: DateTime = UNSET
    custom_fields: dict[str, Any] = field(factory=dict)
    unparsed: Mapping[str, Any] = field(factory=dict, eq=False)

    def set_fields(self) -> dict[str, Any]:
        """Return the fields with a value, ``None`` and ``""`` included, by attribute name."""
        return {
            name: value
            for name in _NAMES
            if (value := getattr(self, name)) is not UNSET and not (name in _CONTAINERS and not value)
        }

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.set_fields().items())
        return f"Lead({fields})"


_CONTAINERS: Final = frozenset({"custom_fields", "unparsed"})
_NAMES: Final = tuple(attribute.name for attribute in attrs.fields(Lead))


@define
class Accepted:
    """Confirmation that the service queued a lead, which it processes a little later.

    Attributes:
        status: the service's status, ``"success"``.
        code: the service's code, 200.
    """

    status: str
    code: int
