"""The operation spoken here, to be held against the vendor's page."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from attrs import evolve

from publitrac_async.transport.operation import Operation, OperationClass

NAME: Final = "PublicAdvertising/{customerId}/Contact/Person/Lead"

#: Only the person is looked for, so every call makes another lead.
CREATE_PERSON_LEAD: Final = Operation(
    name=NAME, verb="POST", path=f"/{NAME}", operation_class=OperationClass.APPEND
)


def for_customer(operation: Operation, customer_id: str) -> Operation:
    """The operation at the address of one customer."""
    return evolve(operation, path=operation.path.replace("{customerId}", quote(customer_id, safe="")))
