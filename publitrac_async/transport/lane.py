"""A lane: a rate limiter, and the gate that keeps as many calls in flight as it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from publitrac_async.config import CONCURRENCY, LIMITER_PATIENCE, Rate
from publitrac_async.errors import LimiterUnavailable
from publitrac_async.transport.concurrency import AdaptiveGate, ConcurrencyGate
from publitrac_async.transport.limits import RateLimiter, Unlimited


class Lane:
    """Gives permits to send.

    Args:
        limiter: asked for every permit.
        gate: its slots are held by the calls of this lane.
        sleep: waits for seconds, or until the client closes, and raises then.
        clock: monotonic seconds.
        draw: uniform in [0, 1), for the jitter.
        on_obstacle: told when the limiter cannot be asked any more.
    """

    def __init__(
        self,
        limiter: RateLimiter,
        gate: ConcurrencyGate,
        *,
        sleep: Callable[[float], Awaitable[None]],
        clock: Callable[[], float],
        draw: Callable[[], float],
        on_obstacle: Callable[[LimiterUnavailable], None],
    ) -> None:
        self.limiter = limiter
        self.gate = gate
        #: Why the limiter cannot be asked at present.
        self.obstacle: LimiterUnavailable | None = None
        self._sleep = sleep
        self._clock = clock
        self._draw = draw
        self._on_obstacle = on_obstacle

    async def permit(self) -> None:
        """Wait for a permit, also while a shared limiter cannot be asked.

        Raises:
            LimiterUnavailable: it could not be asked for longer than `LIMITER_PATIENCE`.
        """
        self.gate.ask_limiter()
        try:
            asked = self._clock()
            while True:
                try:
                    await self.limiter.acquire()
                except LimiterUnavailable as error:
                    failure = error.with_traceback(None)
                else:
                    self.obstacle = None
                    return
                # This is no retry of the call: nothing was sent, and the service needs no sparing.
                if self.obstacle is None:
                    self._on_obstacle(failure)
                self.obstacle = failure
                wait = failure.retry_after or 1.0
                if self._clock() + wait - asked > LIMITER_PATIENCE:
                    raise failure
                await self._sleep(wait * (0.5 + self._draw()))
        finally:
            self.gate.leave_limiter()


def gate_for(concurrency: int | None, limiter: RateLimiter, clock: Callable[[], float]) -> ConcurrencyGate:
    """Build the gate of a client.

    Args:
        concurrency: calls in flight at once; ``None`` for as many as the limiter needs.
        limiter: of the client. Without any limit, the number is `CONCURRENCY`.
        clock: monotonic seconds.
    """
    if concurrency is None and isinstance(limiter, Unlimited):
        concurrency = CONCURRENCY
    if concurrency is not None:
        return ConcurrencyGate(concurrency)
    rate = getattr(limiter, "rate", None)
    return AdaptiveGate(rate if isinstance(rate, Rate) else None, clock=clock)
