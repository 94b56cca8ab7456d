"""What the transport tells about itself: frozen events for hooks. None holds a secret or personal data."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from attrs import frozen


@frozen(kw_only=True)
class RequestSent:
    """A request is about to leave, the rate limiter has let it through.

    Attributes:
        operation: the vendor's name of the operation.
        attempt: number of the request within its call, from 1.
        limiter_wait: seconds it waited for the rate limiter.
    """

    operation: str
    attempt: int
    limiter_wait: float


@frozen(kw_only=True)
class AttemptEnded:
    """An attempt came to its end.

    Attributes:
        operation: the vendor's name of the operation.
        attempt: number of the request within its call, from 1.
        elapsed: seconds from the start of the attempt, waiting for the rate limiter included.
        status: HTTP status, ``None`` when no answer came.
        error: name of the error class, ``None`` for success.
        code: the vendor's code of the error.
    """

    operation: str
    attempt: int
    elapsed: float
    status: int | None
    error: str | None = None
    code: int | str | None = None


@frozen(kw_only=True)
class RetryScheduled:
    """A call will be repeated after `wait` seconds, because of `error`."""

    operation: str
    attempt: int
    wait: float
    error: str


@frozen(kw_only=True)
class TokenRenewed:
    """A log-in brought a new token that lives `ttl` seconds after its last use."""

    ttl: float


Event: TypeAlias = RequestSent | AttemptEnded | RetryScheduled | TokenRenewed


class Hook(Protocol):
    """Called with every event, in the event loop, so it must not block. What it raises is only logged."""

    def __call__(self, event: Event, /) -> None:
        """Take note of `event`."""
