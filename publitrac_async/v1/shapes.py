"""Choices where the documents of v1 are incomplete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from attrs import frozen

from publitrac_async.errors import ConfigurationError


def repeated_keys(names: Sequence[str]) -> object:
    """Return ``<customUnicityKeys><key>crmLeadId</key><key>firstName</key></customUnicityKeys>``."""
    return {"key": list(names)}


def comma_separated_keys(names: Sequence[str]) -> object:
    """Return ``<customUnicityKeys>crmLeadId,firstName</customUnicityKeys>``."""
    return ",".join(names)


def empty_elements(names: Sequence[str]) -> object:
    """Return ``<customUnicityKeys><crmLeadId></crmLeadId>...</customUnicityKeys>``."""
    return dict.fromkeys(names, "")


@frozen(kw_only=True)
class V1Shapes:
    """Names and shapes missing from PUBLITRAC's documents.

    The defaults are not verified with the service. If your account needs other ones, pass them to the client
    (``PublitracClient(v1_shapes=V1Shapes(...))``); ``v1.call`` sends any other form.

    Attributes:
        token_id_parameter: parameter of getLeadByTokenId. The annex has its errors only ("Tok Id is
            required").
        email_parameter: the lead's address in addLeadToList, removeLeadFromList and deleteLead; the annex
            shows no request of them.
        list_name_parameter: the list's name in addLeadToList and removeLeadFromList.
        unicity_keys: the content of syncLead's ``<customUnicityKeys>`` from the names of fields: a text,
            or a mapping of element names to texts or lists of texts. The documents describe the option only
            in prose. `publitrac_async.v1` has `repeated_keys`, `comma_separated_keys` and
            `empty_elements`.
        options_place: the place of syncLead's options: ``"before"``, ``"inside"`` or ``"after"`` ``<lead>``.

    Raises:
        ConfigurationError: `options_place` has another value.
    """

    token_id_parameter: str = "tokenId"  # noqa: S105  (a parameter's name)
    email_parameter: str = "email"
    list_name_parameter: str = "listName"
    unicity_keys: Callable[[Sequence[str]], object] = repeated_keys
    options_place: Literal["before", "inside", "after"] = "before"

    def __attrs_post_init__(self) -> None:
        if self.options_place not in ("before", "inside", "after"):
            raise ConfigurationError('options_place must be "before", "inside" or "after"')
