"""Choices where the documents of v1 are incomplete."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen


def repeated_keys(names: Sequence[str]) -> object:
    """Return ``<customUnicityKeys><key>crmLeadId</key><key>firstName</key></customUnicityKeys>``."""
    return {"key": list(names)}


@frozen(kw_only=True)
class V1Shapes:
    """Names and shapes missing from PUBLITRAC's documents.

    No default has been verified with the service. Pass another choice to the client
    (``PublitracClient(v1_shapes=V1Shapes(...))``) once you know better; ``v1.call`` sends any other form.

    Attributes:
        token_id_parameter: parameter of getLeadByTokenId. The annex has its errors only ("Tok Id is
            required").
        email_parameter: the lead's address in addLeadToList, removeLeadFromList and deleteLead; the annex
            shows no request of them.
        list_name_parameter: the list's name in addLeadToList and removeLeadFromList.
        unicity_keys: the content of syncLead's ``<customUnicityKeys>`` from the names of fields: a text,
            or a mapping of element names to texts or lists of texts. The documents describe the option only
            in prose.
    """

    token_id_parameter: str = "tokenId"  # noqa: S105  (a parameter's name)
    email_parameter: str = "email"
    list_name_parameter: str = "listName"
    unicity_keys: Callable[[Sequence[str]], object] = repeated_keys
