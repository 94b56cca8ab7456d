"""Records of calls in flight."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from attrs import define, field

from publitrac_async.transport.operation import Operation


@define
class Attempt:
    """Progress of one attempt, in seconds of the client's clock.

    Attributes:
        connected_at: the connection is open and the rate limiter is asked.
        sent_at: the request is written; from then on the service may act on it.
        slot: slot of a shared limit on requests in flight.
    """

    number: int
    started: float
    connected_at: float | None = None
    sent_at: float | None = None
    status: int | None = None
    slot: Any = None
    headers: Sequence[tuple[bytes, bytes]] = field(default=(), repr=False)


@define
class Observation:
    """Names and waits of one call, for hooks. The waits are seconds, over all attempts.

    Attributes:
        names: the fields that all events of the call share.
        limited: waits in the queue count as waits for the rate limit.
        asked_at: start of the current wait for credentials.
    """

    names: dict[str, Any]
    limited: bool = False
    queue: float = 0.0
    token: float = 0.0
    connection: float = 0.0
    limiter: float = 0.0
    response: float = 0.0
    retry: float = 0.0
    asked_at: float | None = None

    def queue_left(self, wait: float) -> None:
        """Add a wait in the queue."""
        if self.limited:
            self.limiter += wait
        else:
            self.queue += wait

    def token_arrived(self, now: float) -> float:
        """End a wait for credentials, and return its seconds."""
        wait = 0.0 if self.asked_at is None else now - self.asked_at
        self.asked_at = None
        self.token += wait
        return wait


@define
class CallRecord:
    """Progress of one call.

    Attributes:
        max_attempts: attempts allowed.
        token_request: the call fetches a token for other calls.
        confirm: called before each attempt is sent.
        permitted: the rate limiter gave this call a permit.
        observation: observation for hooks, ``None`` without hooks.
        queued: the call is in the queue.
        attempts: attempts begun.
        maybe_applied: an earlier attempt may have taken effect.
        cost: retry budget used by this call.
        attempt: the current attempt.
        status: HTTP status of the last response.
    """

    number: int
    operation: Operation
    started: float
    max_attempts: int
    token_request: bool
    confirm: Callable[[], Awaitable[None]] | None = None
    observation: Observation | None = None
    queued: bool = True
    permitted: bool = False
    attempts: int = 0
    maybe_applied: bool = False
    cost: int = 0
    attempt: Attempt | None = None
    status: int | None = None
