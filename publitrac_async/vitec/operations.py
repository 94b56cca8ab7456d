"""Table of the operation, for comparison with the vendor's page."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from publitrac_async.transport.budget import SHORT_BODY
from publitrac_async.transport.operation import Operation, OperationClass

NAME: Final = "PublicAdvertising/{customerId}/Contact/Person/Lead"

#: Vitec looks only for the same person, so every call creates another lead.
CREATE_PERSON_LEAD: Final = Operation(
    name=NAME,
    verb="POST",
    path=f"/{NAME}",
    operation_class=OperationClass.APPEND,
    max_body=SHORT_BODY,
)


def path_for(customer_id: str) -> str:
    """Return the path of the operation for one customer."""
    return CREATE_PERSON_LEAD.path.replace("{customerId}", quote(customer_id, safe=""))
