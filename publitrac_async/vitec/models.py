"""A lead for a person, as Vitec's page "PublicAdvertising/{customerId}/Contact/Person/Lead" describes it.

Names are the vendor's in snake_case: ``zipCode`` is ``zip_code``. What is ``None`` or empty is left out of a
request. Lengths are those of Vitec's sibling pages, where older copies have smaller figures; they are
checked by nobody but the service, see `length_notes`.
"""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

#: The only workflow ("arbetsflöde") whose name Vitec publishes, and the number its code samples show for it.
ACCEPT_OBJECT_FLOW: Final = "AcceptObjectFlow"
_ACCEPT_OBJECT_FLOW_NUMBER: Final = "0"


@frozen(kw_only=True)
class Address:
    """Where the person lives. Without a receiver it decides which office gets the lead.

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
    """The person a lead is about ("Kontaktperson som leadet avser").

    Vitec looks for the same person before it adds one. At least one e-mail address or telephone number has
    to be given.

    Attributes:
        first_name: 1 to 40 characters.
        last_name: 1 to 40 characters.
        social_security_number: personal number, at most 20 characters. It shows in no ``repr``.
        is_foreign_social_security_number: the number has another form than the Swedish one.
        address: where the person lives.
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
    """An office.

    Attributes:
        id: the office's id.
        customer_id: the customer the office belongs to, ``"M30011"``.
    """

    id: str | None = None
    customer_id: str | None = None


@frozen(kw_only=True)
class Agent:
    """An estate agent ("handläggare"). Give the id, or the e-mail address when the id is unknown.

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
    """A group of users.

    Attributes:
        id: the group's id.
    """

    id: str


@frozen(kw_only=True)
class Receiver:
    """Who gets the lead: exactly one of agent, user group or office.

    Without a receiver Vitec looks for the office whose focus area covers the person's address; if there is
    none or more than one, it is the office of the customer. There the lead goes to the redistributor
    ("omfördelare") or into the "Sharktank".
    """

    agent: Agent | None = None
    user_group: UserGroup | None = None
    office: Office | None = None


def _lead_type(value: str | int) -> str:
    """The name of a workflow, also where its number was given."""
    text = str(value).strip()
    return ACCEPT_OBJECT_FLOW if text == _ACCEPT_OBJECT_FLOW_NUMBER else text


@frozen(kw_only=True)
class LeadSource:
    """Where the lead comes from.

    A source with the same workflow and name is used again, any other is **created** in the agency's system.
    So keep to a small fixed set of names; a campaign belongs in `Marketing`.

    Attributes:
        name: without the marketplace's name, which Vitec puts in front of it.
        lead_type: the workflow. `ACCEPT_OBJECT_FLOW` is the only one published; its number 0 is taken too.
    """

    name: str
    lead_type: str = field(default=ACCEPT_OBJECT_FLOW, converter=_lead_type)


@frozen(kw_only=True)
class UtmTag:
    """One UTM tag of the link that brought the person: ``UtmTag(name="utm_source", value="google")``."""

    name: str
    value: str


@frozen(kw_only=True)
class Marketing:
    """What is known of the way to the form.

    Attributes:
        referrer: the page on which the form was shown.
        utm_tags: UTM tags, in any order.
    """

    referrer: str | None = None
    utm_tags: tuple[UtmTag, ...] = field(default=(), converter=tuple)


@frozen(kw_only=True)
class PersonLead:
    """A lead for a person ("PublicAdvertisingPersonLead").

    Attributes:
        person: whom it is about.
        lead_source: where it comes from.
        receiver: who gets it; ``None`` leaves that to Vitec.
        marketing: the way to the form.
        message: to the receiver.
    """

    person: Person
    lead_source: LeadSource
    receiver: Receiver | None = None
    marketing: Marketing | None = None
    message: str | None = None
