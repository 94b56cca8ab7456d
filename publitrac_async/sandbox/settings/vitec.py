"""Settings of the emulated Vitec Express Connect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypedDict

from attrs import field, frozen
from attrs.validators import in_

VitecErrorNames = Literal["camel", "pascal"]

VITEC_PASSWORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "M30011": {"PublicAdvertising": "password-of-M30011", "CRM": "crm-password-of-M30011"},
    "M30012": {"PublicAdvertising": "password-of-M30012"},
}
"""Two customers; the first has a password for another function group as well."""


@frozen(kw_only=True, slots=False)
class VitecSettings:
    """Choices for Vitec.

    Attributes:
        vitec_username: the partner's user name.
        vitec_passwords: the passwords by customer and function group; leads belong to `PublicAdvertising`.
        vitec_marketplace: the text that Vitec puts in front of the name of a new lead source.
        vitec_error_names: `camel` for `message` in JSON errors, `pascal` for `Message`. Undocumented.
    """

    vitec_username: str = field(default="marketplace", repr=False)
    vitec_passwords: Mapping[str, Mapping[str, str]] = field(default=VITEC_PASSWORDS, repr=False)
    vitec_marketplace: str = "Marketplace"
    vitec_error_names: VitecErrorNames = field(default="camel", validator=in_(("camel", "pascal")))


class VitecOptions(TypedDict, total=False):
    """The fields of `VitecSettings`, all optional."""

    vitec_username: str
    vitec_passwords: Mapping[str, Mapping[str, str]]
    vitec_marketplace: str
    vitec_error_names: VitecErrorNames
