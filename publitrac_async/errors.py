"""Errors of this package.

::

    PublitracError
    ├── ConfigurationError        a setting or credential is unusable; raised at construction, or for an
    │                             address that has no such API
    ├── ClientStateError          the client is closed, or belongs to another event loop or process
    ├── TransportError            no usable response arrived
    │   ├── NotSent               nothing reached the service: repeating is safe
    │   │   ├── LimiterUnavailable  the shared rate limiter is unavailable
    │   │   └── QueueTimeout        the call waited too long in the client's queue
    │   ├── OutcomeUnknown        bytes may have been sent, the response is lost
    │   └── DeadlineExceeded      the call took longer than its total timeout
    ├── ApiError                  the service (or a check before sending) refused
    │   ├── AuthenticationError   the credentials were rejected
    │   ├── PermissionDenied      the credentials lack the permission
    │   ├── NotFound
    │   │   └── LeadNotFound
    │   ├── ValidationError       fields or values were refused
    │   ├── Conflict              the lead exists already, or several match
    │   ├── RateLimited           too many calls now
    │   ├── QuotaExhausted        too many calls for today
    │   └── ServerError           the service failed
    └── UnexpectedContent         an HTML page, a truncated or malformed response, the wrong format

Each error has ``retryable`` (repeating the same call may help) and ``maybe_applied`` (the call may have taken
effect). No error holds a URL, a header, a credential or a body; all of them can be pickled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs


@attrs.frozen
class Problem:
    """Problem of a request.

    Attributes:
        code: the vendor's code, ``None`` without one or if the check ran before sending.
        field: the vendor's name of the field, ``None`` if the problem names no field.
        value: the refused value. It may be personal data, so it is in no ``repr`` and no message.
        text: the vendor's message, which may quote personal data: in no ``repr`` either.
        reason: description of the problem, without the value.
    """

    reason: str
    code: int | str | None = None
    field: str | None = None
    value: object = attrs.field(default=None, repr=False)
    text: str | None = attrs.field(default=None, repr=False)

    def __str__(self) -> str:
        subject = f"{self.field}: " if self.field else ""
        code = f" (code {self.code})" if self.code is not None else ""
        return f"{subject}{self.reason}{code}"


def _rebuild(kind: type[PublitracError], args: tuple[object, ...]) -> PublitracError:
    error = kind.__new__(kind)
    error.args = args
    return error


class PublitracError(Exception):
    """Root of all errors of this package.

    Attributes:
        operation: the vendor's name of the operation, ``None`` outside a call.
        status: HTTP status of the last response, ``None`` without one.
        code: the vendor's code, ``None`` without one.
        call_id: the id of the call in events and log records, ``None`` outside a call.
        attempts: requests sent for this call, retries included.
        elapsed: seconds from the start of the call to this error.
        retryable: repeating the same call later may succeed.
        maybe_applied: the call may have taken effect at the service.
        retry_after: seconds the service asked to wait, ``None`` if it did not.
        done: results of the records before this error, in input order, if a call was split into several.
        vendor_message: the service's message, in one line of at most 1,000 characters, ``None`` without one.
            It may quote personal data, so it is in no ``str()``, no ``repr()`` and no log of this package; a
            pickle or copy of the error contains it.
        next_page_token: token of the page at which an iteration over pages of Marketo ended with this error;
            ``None`` for the first page, and elsewhere.
    """

    retryable: bool = False
    maybe_applied: bool = False

    def __init__(
        self,
        message: str,
        *,
        operation: str | None = None,
        status: int | None = None,
        code: int | str | None = None,
        retryable: bool | None = None,
        maybe_applied: bool | None = None,
        retry_after: float | None = None,
        vendor_message: str | None = None,
    ) -> None:
        super().__init__(message)
        self.vendor_message = vendor_message
        self.operation = operation
        self.status = status
        self.code = code
        self.call_id: str | None = None
        self.attempts = 0
        self.elapsed: float = 0.0
        self.retry_after = retry_after
        self.done: tuple[Any, ...] = ()
        self.next_page_token: str | None = None
        if retryable is not None:
            self.retryable = retryable
        if maybe_applied is not None:
            self.maybe_applied = maybe_applied

    @property
    def message(self) -> str:
        """Message without the context that ``str()`` adds."""
        return str(self.args[0]) if self.args else type(self).__name__

    def __str__(self) -> str:
        context = [
            f"HTTP {self.status}" if self.status is not None else "",
            f"code {self.code}" if self.code is not None else "",
            f"{self.attempts} attempts" if self.attempts > 1 else "",
            f"{self.elapsed:.2f} s" if self.attempts else "",
            "may have been applied" if self.maybe_applied else "",
        ]
        facts = ", ".join(filter(None, context))
        operation = f"{self.operation}: " if self.operation else ""
        return f"{operation}{self.message}{f' ({facts})' if facts else ''}"

    # The default pickling calls the class with `args`, which keyword-only constructors do not take.
    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args), self.__dict__.copy()


class ConfigurationError(PublitracError):
    """A setting or credential is unusable. Raised at construction, or if the API is not at the address."""


class ClientStateError(PublitracError):
    """The client is closed, or is used in another event loop or process than it was opened in."""


class TransportError(PublitracError):
    """No usable response arrived."""

    retryable = True


class NotSent(TransportError):
    """Nothing reached the service (refused, name not resolved, TLS not trusted): repeating is safe."""


class LimiterUnavailable(NotSent):
    """The shared rate limiter was unavailable, so nothing was sent.

    A call waits for such a limiter within its timeouts, and half a minute at most. ``retry_after`` is the
    number of seconds until the limiter is asked again.
    """


class QueueTimeout(NotSent):
    """The call waited longer than ``Timeout.queue`` in the client's queue, so nothing was sent.

    The service is not the cause: calls are made faster than the rate limit permits.

    Attributes:
        queued: calls in the queue at that moment, this one included.
    """

    def __init__(self, message: str, *, queued: int = 0, **context: Any) -> None:
        super().__init__(message, **context)
        self.queued = queued


class OutcomeUnknown(TransportError):
    """Bytes may have been sent, and the response is lost.

    ``maybe_applied`` is false if the call only reads.
    """

    maybe_applied = True


class DeadlineExceeded(TransportError):
    """The call took longer than ``Timeout.total``, with its token request and all retries."""


class ApiError(PublitracError):
    """The service refused the call, or a check did before anything was sent (``attempts`` is 0 then).

    Attributes:
        problems: problems with field, value and vendor code, as far as they are known.
            In a `LeadNotFound` their values are the addresses of the leads, in a `NotFound` the name of the
            list.
    """

    def __init__(self, message: str, *, problems: Sequence[Problem] = (), **context: Any) -> None:
        super().__init__(message, **context)
        self.problems: tuple[Problem, ...] = tuple(problems)


class AuthenticationError(ApiError):
    """The credentials or the token were rejected."""


class PermissionDenied(ApiError):
    """The credentials are valid, but lack the permission."""


class NotFound(ApiError):
    """The object of the call does not exist."""


class LeadNotFound(NotFound):
    """No lead matches."""


class ValidationError(ApiError):
    """Fields or values were refused; ``problems`` names them."""


class Conflict(ApiError):
    """The lead exists already, or several leads match where one is expected."""


class RateLimited(ApiError):
    """Too many calls now; the call was not executed. ``retry_after`` is the wait the service asked for."""

    retryable = True


class QuotaExhausted(ApiError):
    """The quota of calls is used up until its reset."""


class ServerError(ApiError):
    """The service failed (HTTP 5xx)."""

    retryable = True


class UnexpectedContent(PublitracError):
    """The response is not in the documented form: an HTML page, a truncated or malformed body, a redirect."""
