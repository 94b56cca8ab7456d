"""Table of the operations of API v2, for comparison with the vendor's page."""

from __future__ import annotations

from typing import Final

from publitrac_async.transport.budget import SHORT_BODY
from publitrac_async.transport.operation import Operation, OperationClass

GET_TOKEN: Final = Operation(
    name="getToken",
    verb="GET",
    path="/v2/auth/getToken",
    operation_class=OperationClass.READ,
    max_body=SHORT_BODY,
)
DELAYED_SYNC: Final = Operation(
    name="delayedSync",
    verb="POST",
    path="/v2/lead/delayedSync",
    operation_class=OperationClass.UPSERT,
    max_body=SHORT_BODY,
)
