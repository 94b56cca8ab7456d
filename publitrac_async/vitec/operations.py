"""The operation spoken here, to be held against the vendor's page."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from publitrac_async.transport.operation import Operation, OperationClass

NAME: Final = "PublicAdvertising/{customerId}/Contact/Person/Lead"


def create_person_lead(customer_id: str) -> Operation:
    """The operation for one customer. Only the person is looked for, so every call makes another lead."""
    return Operation(
        name=NAME,
        verb="POST",
        path="/" + NAME.replace("{customerId}", quote(customer_id, safe="")),
        operation_class=OperationClass.APPEND,
    )
