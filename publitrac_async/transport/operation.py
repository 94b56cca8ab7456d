"""Interface between façade and pipeline: operation, call, response."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from attrs import define, field, frozen

from publitrac_async.config import Timeout
from publitrac_async.transport.budget import BUDGET
from publitrac_async.transport.steps import Steps

if TYPE_CHECKING:
    from publitrac_async.transport.auth import Authenticator

T = TypeVar("T")


class OperationClass(enum.Enum):
    """Effect of repeating an operation."""

    READ = "read"  #: changes nothing
    UPSERT = "upsert"  #: a repeat leaves the same state
    APPEND = "append"  #: a repeat adds another record


@frozen(kw_only=True)
class Operation:
    """One row of a façade's table.

    Attributes:
        name: the vendor's name, as the documents spell it.
        verb: HTTP method.
        path: path below the base URL, visible in logs and spans: without credentials and personal data.
        operation_class: effect of a repeat, which decides on retries.
        base_url: instead of the client's, for operations at another address.
        max_body: limit on the bytes of a response, on the wire and after decompression.
    """

    name: str
    verb: str
    path: str
    operation_class: OperationClass
    base_url: str | None = None
    max_body: int = BUDGET.body


# Objects that every call builds are not frozen: attrs takes three times as long to build frozen ones.
@define
class Departure:
    """Callbacks of a transport, right before it writes the bytes of a request.

    Attributes:
        permit: waits until the request may be sent.
        sent: records that its bytes are being written.
    """

    permit: Callable[[], Awaitable[None]]
    sent: Callable[[], None]


@define
class ServiceResponse:
    """Complete response, decompressed.

    Attributes:
        framed: the length of the body was announced (by header or chunks), so the body is complete.
        retry_after: seconds that the service asks to wait.
        content_type: the header, empty without one.
        repair: allow repair of a complete body with invalid characters.
    """

    status: int
    body: bytes = field(repr=False)
    framed: bool = True
    retry_after: float | None = None
    content_type: str = ""
    repair: bool = True


@define(kw_only=True)
class Call(Generic[T]):
    """One call, complete except for the credentials.

    `query` and `form` may have personal data: they appear in no log, span, error or ``repr``.

    Attributes:
        path: the operation's path with its placeholders filled in, percent-encoded. Like the query it is
            added at the last moment, so spans and logs show the operation's path.
        timeout: instead of the client's, for operations with another time limit at the service.
        query: parameters of the query string.
        form: fields of a form-encoded body, or ``None``.
        content: an encoded body, or ``None``; `content_type` describes it.
        headers: further headers, none of them secret.
        authenticator: adds the credentials at the last moment, or ``None``.
        on_sent: called when a request of this call is sent.
        parse: converts the response into the result, at once or in steps, or raises its typed error. Runs
            inside the retry loop.
    """

    operation: Operation
    parse: Callable[[ServiceResponse], T | Steps[T]] = field(repr=False)
    authenticator: Authenticator | None = field(default=None, repr=False)
    path: str | None = field(default=None, repr=False)
    timeout: Timeout | None = None
    on_sent: Callable[[], None] | None = None
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    form: tuple[tuple[str, str], ...] | None = field(default=None, repr=False)
    content: bytes | None = field(default=None, repr=False)
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
