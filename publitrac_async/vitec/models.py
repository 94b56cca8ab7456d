"""Lead for a person; see Vitec's page "PublicAdvertising/{customerId}/Contact/Person/Lead".

Names are the vendor's in snake_case: ``zipCode`` is ``zip_code``. Values that are ``None`` or empty are not
sent. Lengths are from Vitec's pages of sibling calls, whose older copies have smaller figures. Only the
service enforces them; see `length_notes`.
"""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

#: The only workflow ("arbetsflöde") named by Vitec, and its number in the code samples.
ACCEPT_OBJECT_FLOW: Final = "AcceptObjectFlow"
_ACCEPT_OBJECT_FLOW_NUMBER: Final = "0"


@frozen(kw_only=True)
class Address:
    """Address of the person. Without a receiver it decides which office gets the lead.

    Attributes:
        street_address: at most 68 characters.
        zip_code: at most 15 characters.
        city: at most 25 characters.
    """

    street_address: str | None = None
    zip_code: str | None = None
    city: str | None = None


@frozen(kw_only=True)
class Email:
    """E-mail addresses, at most 100 characters each."""

    email_address: str | None = None
    email_address2: str | None = None


@frozen(kw_only=True)
class Telephone:
    """Telephone numbers, at most 17 characters each."""

    home: str | None = None
    work: str | None = None
    cell: str | None = None
    other: str | None = None


@frozen(kw_only=True)
class Person:
    """Contact person of a lead ("Kontaktperson som leadet avser").

    Vitec looks for the same person before it adds one. At least one e-mail address or telephone number is
    mandatory.

    Attributes:
        first_name: 1 to 40 characters.
        last_name: 1 to 40 characters.
        social_security_number: personal number, at most 20 characters. Hidden in ``repr``.
        is_foreign_social_security_number: the number is not in Swedish form.
        address: home address.
        email: e-mail addresses.
        telephone: telephone numbers.
    """

    first_name: str
    last_name: str
    social_security_number: str | None = field(default=None, repr=False)
    is_foreign_social_security_number: bool | None = None
    address: Address | None = None
    email: Email | None = None
    telephone: Telephone | None = None


@frozen(kw_only=True)
class Office:
    """Office.

    Attributes:
        id: the office's id.
        customer_id: the customer the office belongs to, ``"M30011"``.
    """

    id: str | None = None
    customer_id: str | None = None


@frozen(kw_only=True)
class Agent:
    """Estate agent ("handläggare"). Set the id, or the e-mail address if the id is unknown.

    Attributes:
        id: the agent's id.
        email: the agent's e-mail address.
        office: the agent's office.
    """

    id: str | None = None
    email: str | None = None
    office: Office | None = None


@frozen(kw_only=True)
class UserGroup:
    """User group.

    Attributes:
        id: the group's id.
    """

    id: str


@frozen(kw_only=True)
class Receiver:
    """Receiver of the lead: exactly one of agent, user group or office.

    Without a receiver Vitec chooses the office whose focus area covers the person's address, or the
    customer's office if none or several do. There the lead goes to the redistributor ("omfördelare") or into
    the "Sharktank".
    """

    agent: Agent | None = None
    user_group: UserGroup | None = None
    office: Office | None = None


def _lead_type(value: str | int) -> str:
    """Return the name of a workflow, given its name or number."""
    text = str(value).strip()
    return ACCEPT_OBJECT_FLOW if text == _ACCEPT_OBJECT_FLOW_NUMBER else text


@frozen(kw_only=True)
class LeadSource:
    """Source of the lead.

    Vitec reuses a source with the same workflow and name, and **creates** any other in the agency's system.
    So use a small fixed set of names; put campaigns in `Marketing`.

    Attributes:
        name: name without that of the marketplace, which Vitec puts in front.
        lead_type: the workflow. `ACCEPT_OBJECT_FLOW` is the only published one; its number 0 is also
            accepted.
    """

    name: str
    lead_type: str = field(default=ACCEPT_OBJECT_FLOW, converter=_lead_type)


@frozen(kw_only=True)
class UtmTag:
    """UTM tag of the link that the person followed: ``UtmTag(name="utm_source", value="google")``."""

    name: str
    value: str


@frozen(kw_only=True)
class Marketing:
    """Origin of the visit.

    Attributes:
        referrer: page with the form.
        utm_tags: UTM tags, in any order.
    """

    referrer: str | None = None
    utm_tags: tuple[UtmTag, ...] = field(default=(), converter=tuple)


@frozen(kw_only=True)
class PersonLead:
    """Lead for a person ("PublicAdvertisingPersonLead").

    Attributes:
        person: contact person.
        lead_source: source of the lead.
        receiver: receiver of the lead; ``None`` lets Vitec choose.
        marketing: origin of the visit.
        message: message to the receiver.
    """

    person: Person
    lead_source: LeadSource
    receiver: Receiver | None = None
    marketing: Marketing | None = None
    message: str | None = None
