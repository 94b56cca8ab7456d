"""Types of a person lead, with their members in the order of DataContractSerializer.

Members of base classes precede those of the type, each group sorted by name. So `Other` precedes `Cell` in
the vendor's sample: it belongs to the base class of the telephone type. JSON has the same names with a
lower-case initial.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from attrs import frozen

Scalar: TypeAlias = Literal["text", "flag", "lead type"]

LEAD_TYPES: Final = ("AcceptObjectFlow",)
"""Known workflows; the position is the number that JSON may have instead of the name."""

_BASE: Final = "http://schemas.datacontract.org/2004/07/"
_LEAD: Final = _BASE + "Express.Connect.Api.Models.PublicAdvertisement.PublicAdvertisementLead"
_MARKETING: Final = _BASE + "Express.Connect.Api.Services.Advertising"
_TELEPHONE: Final = _BASE + "Express.Connect.Api.Models"
_EMAIL: Final = _BASE + "Vitec.Housing.Connect.Api.Models"


@frozen
class ListOf:
    """List, whose elements have their own name in XML."""

    element: str
    item: Type


@frozen
class Member:
    """A member of a type."""

    name: str
    type: Scalar | Type | ListOf = "text"

    @property
    def json_name(self) -> str:
        """The name in JSON."""
        return self.name[:1].lower() + self.name[1:]


@frozen
class Type:
    """A type: the namespace of its members' elements, and the members in reading order."""

    namespace: str
    members: tuple[Member, ...]


_ADDRESS: Final = Type(_LEAD, (Member("City"), Member("StreetAddress"), Member("ZipCode")))
_OFFICE: Final = Type(_LEAD, (Member("CustomerId"), Member("Id")))
_PERSON: Final = Type(
    _LEAD,
    (
        Member("Address", _ADDRESS),
        Member("Email", Type(_EMAIL, (Member("EmailAddress"), Member("EmailAddress2")))),
        Member("FirstName"),
        Member("IsForeignSocialSecurityNumber", "flag"),
        Member("LastName"),
        Member("SocialSecurityNumber"),
        Member(
            "Telephone",
            Type(_TELEPHONE, (Member("Other"), Member("Cell"), Member("Home"), Member("Work"))),
        ),
    ),
)
_RECEIVER: Final = Type(
    _LEAD,
    (
        Member("Agent", Type(_LEAD, (Member("Email"), Member("Id"), Member("Office", _OFFICE)))),
        Member("Office", _OFFICE),
        Member("UserGroup", Type(_LEAD, (Member("Id"),))),
    ),
)
_UTM_TAG: Final = Type(_MARKETING, (Member("Name"), Member("Value")))
ROOT_NAME: Final = "PublicAdvertisingPersonLead"
ROOT: Final = Type(
    _LEAD,
    (
        Member("LeadSource", Type(_LEAD, (Member("LeadType", "lead type"), Member("Name")))),
        Member(
            "Marketing",
            Type(
                _MARKETING, (Member("Referrer"), Member("UtmTags", ListOf("FormMarketingUtmTags", _UTM_TAG)))
            ),
        ),
        Member("Message"),
        Member("Person", _PERSON),
        Member("Receiver", _RECEIVER),
    ),
)
