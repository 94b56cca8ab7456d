"""Frozen settings, and the default numbers of the package with their sources."""

from __future__ import annotations

import math
from typing import Final, Literal

import attrs
from attrs import field, frozen

from publitrac_async.errors import ConfigurationError

#: "General" and "Canadian" environments of the PUBLITRAC API reference, section URL.
BASE_URL: Final = "https://app.publitrac.com"
CANADIAN_BASE_URL: Final = "https://appca.publitrac.com"

#: "Les appels à l'API doivent être limités à 35 par seconde" (PUBLITRAC API reference, Limitation).
CALLS_PER_SECOND: Final = 35
#: Seconds added to the period: calls sent 1.000 s apart may arrive closer together.
RATE_GUARD: Final = 0.05
#: Seconds added to the interval of an even pace, for the same reason.
EVEN_GUARD: Final = 0.003

#: Calls in flight at once without a rate limit. With one, rate x latency, within bounds. The connection pool
#: has the same size, so that calls never wait for it.
CONCURRENCY: Final = 32
CONCURRENCY_FLOOR: Final = 3
CONCURRENCY_CEILING: Final = 256

#: Limit on the pages that a pager holds or fetches, besides the one in use: enough for 35 pages per second
#: from a service that takes almost three seconds for each.
READ_AHEAD: Final = 100

#: Seconds that a call waits for an unavailable shared limiter.
LIMITER_TIMEOUT: Final = 30.0

#: Seconds that `aclose` of a client waits for calls in flight.
CLOSE_GRACE: Final = 0.5

#: Limit on a v1 URL in bytes, credentials included. Servers refuse more than 8 KiB of a request line by
#: default (nginx large_client_header_buffers, Apache LimitRequestLine).
MAX_URL: Final = 8_000

#: Lifetime of a v2 token in seconds after its last use (API V2 documentation, "By default will be 900").
TOKEN_TTL: Final = 900.0
#: A token this close to its expiry (seconds, or this fraction of a shorter lifetime) is renewed before use.
TOKEN_MARGIN: Final = 60.0
TOKEN_MARGIN_PART: Final = 0.1

#: A `Retry-After` above this many seconds ends the call with an error that holds the value.
MAX_RETRY_AFTER: Final = 60.0


def is_number(value: object, *, least: float = -math.inf) -> bool:
    """Return True for a number of at least `least`, but not for ``True``, ``False`` and NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= least


def is_integer(value: object) -> bool:
    """Return True for an ``int``, but not for ``True`` and ``False``."""
    return isinstance(value, int) and not isinstance(value, bool)


@frozen
class Rate:
    """Rate of calls: ``Rate(50, per=20)`` allows 50 calls in any 20 seconds.

    Attributes:
        calls: calls allowed.
        per: period in seconds.
        pace: ``"quick"`` allows a burst of a seventh of the calls after a pause and spaces the rest.
            ``"even"`` spaces all calls, a little wider than `per` divided by `calls`, for a service that
            refuses calls that arrive too close together.

    Raises:
        ConfigurationError: the calls are not a whole number, or a figure is not positive.
    """

    calls: int
    per: float = field(default=1.0, kw_only=True)
    pace: Literal["quick", "even"] = field(default="quick", kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not is_integer(self.calls):
            raise ConfigurationError(
                f"calls must be a whole number, not {self.calls!r}: use Rate(3, per=2) for 1.5 per second"
            )
        if self.calls < 1 or not 0 < self.per < math.inf:
            raise ConfigurationError(
                f"a rate needs at least 1 call and a period above 0 s, not {self.calls} calls in {self.per} s"
            )
        if self.pace not in ("quick", "even"):
            raise ConfigurationError('pace must be "quick" or "even"')

    @property
    def interval(self) -> float:
        """Seconds between calls spaced evenly."""
        return self.per / self.calls

    @property
    def per_second(self) -> float:
        """Calls per second."""
        return self.calls / self.per

    def __str__(self) -> str:
        return f"{self.calls} calls in {self.per:g} s"


#: The limit of PUBLITRAC, for a client without another one.
PUBLITRAC_RATE: Final = Rate(CALLS_PER_SECOND)


def as_rate(value: Rate | int) -> Rate:
    """Return the rate of a setting; a number means calls per second.

    Raises:
        ConfigurationError: the setting is neither a rate nor a whole number.
    """
    return value if isinstance(value, Rate) else Rate(value)


def parse_rate(text: str, name: str) -> Rate:
    """Read a rate from text: ``"35"`` means calls per second, ``"50/20"`` 50 calls in 20 seconds.

    Args:
        text: the rate.
        name: name of the setting in errors.

    Raises:
        ConfigurationError: the text is not a rate.
    """
    calls, slash, per = text.partition("/")
    try:
        return Rate(int(calls), per=float(per) if slash else 1.0)
    except (ValueError, ConfigurationError):
        raise ConfigurationError(
            f"{name} must be calls per second, such as 35, or calls/seconds, such as 50/20"
        ) from None


@frozen(kw_only=True)
class Timeout:
    """Limits on the time of a call, in seconds. ``None`` means no limit, for each of them.

    Attributes:
        queue: time in the client's queue, waiting for a slot among the calls in flight and for the first
            permit of the rate limit. A call that waits longer ends with `QueueTimeout`; nothing was sent.
        total: time after the queue: token request, connecting, every attempt, and the waits between attempts.
            A call that takes longer ends with `DeadlineExceeded`.
        connect: time to open one connection, TLS included.
        read: time without data, while the client waits for a response or reads it.

    Raises:
        ConfigurationError: a limit is not a number above 0.
    """

    queue: float | None = None
    total: float | None = 30.0
    connect: float | None = 10.0
    read: float | None = 20.0

    def __attrs_post_init__(self) -> None:
        for name, seconds in attrs.asdict(self).items():
            if seconds is not None and not (is_number(seconds) and seconds > 0):
                raise ConfigurationError(
                    f"timeout: {name} must be more than 0 seconds, or None for no limit, not {seconds!r}"
                )


#: Defaults for calls without a timeout.
TIMEOUT: Final = Timeout()


@frozen(kw_only=True)
class RetryPolicy:
    """Policy for retries of failed calls.

    Reads and upserts are repeated; an operation that appends is repeated only if nothing was sent or the
    service confirms that it did not execute it.

    Attributes:
        attempts: maximum number of requests for one call, the first included. 1 turns retries off.
        base: backoff in seconds: the first wait is random between 0 and this ("full jitter"); the bound then
            doubles with each attempt.
        throttle_base: `base` after throttling (too many calls).
        cap: upper bound of the wait, in seconds.
        max_retry_after: longest ``Retry-After`` that a call waits for, in seconds.
        budget: retry budget shared by all calls of a client. A retry takes ``cost`` from it
            (``throttle_cost`` after throttling) and returns it on success; a call that succeeds at once
            returns 1. With an empty budget errors are raised at once, so that retries do not multiply the
            load of an outage.
        cost: cost of a retry.
        throttle_cost: cost of a retry after throttling.
        throttled: further HTTP statuses besides 429 known to mean "too many calls, not executed": ``(503,)``,
            the default of nginx's ``limit_req``. Such a call is retried as after 429, even if it appends.

    Raises:
        ConfigurationError: a figure is out of its range.
    """

    attempts: int = 4
    base: float = 0.25
    throttle_base: float = 1.0
    cap: float = 8.0
    max_retry_after: float = MAX_RETRY_AFTER
    budget: int = 500
    cost: int = 14
    throttle_cost: int = 5
    throttled: tuple[int, ...] = attrs.field(default=(), converter=tuple)

    def __attrs_post_init__(self) -> None:
        if not all(is_integer(status) and 400 <= status <= 599 for status in self.throttled):
            raise ConfigurationError("retry: throttled takes HTTP statuses from 400 to 599")
        for name, value in attrs.asdict(self, filter=attrs.filters.exclude("throttled")).items():
            whole = name not in ("base", "throttle_base", "cap", "max_retry_after")
            if not is_number(value, least=1 if name == "attempts" else 0) or (
                whole and not is_integer(value)
            ):
                raise ConfigurationError(f"retry: {name} cannot be {value!r}")


#: Timeout for unattended runs: five minutes for a call.
BULK_TIMEOUT: Final = Timeout(total=300.0)
#: Retries for unattended runs: longer waits, the same budget.
BULK_RETRY: Final = RetryPolicy(attempts=8, cap=20.0, max_retry_after=300.0)

#: Vitec Express Connect: the host of the vendor's page, and the test host in public client code (Vitec's
#: pages do not mention it).
VITEC_BASE_URL: Final = "https://connect.maklare.vitec.net"
VITEC_TEST_BASE_URL: Final = "https://connect-qa.maklare.vitec.net"
#: Vitec states no limit; a public client uses this rate.
VITEC_RATE: Final = Rate(10)
VITEC_CONCURRENCY: Final = 5

#: Marketo Engage allows an instance, with all its integrations, 100 calls in 20 seconds and 10 at once, and
#: advises an integration to use 50 and to begin with 5 (Adobe, "Marketo Integration Best Practices"). More
#: are in flight only where the rate needs them at Marketo's latency.
MARKETO_PERIOD: Final = 20.0
MARKETO_RATE: Final = Rate(50, per=MARKETO_PERIOD)
MARKETO_CONCURRENCY: Final = 10
#: Consecutive successes until one more call is allowed in flight again.
MARKETO_RECOVERY: Final = 20
#: Records in a call, on a page, and values of a filter (Marketo REST API, Leads).
MARKETO_RECORDS: Final = 300
#: Limits on a body and a URL in bytes: "1MB" and "8KB", in the smaller interpretation.
MARKETO_BODY: Final = 1_000_000
MARKETO_URL: Final = 8_000
#: Limits per call: leads merged into one (code 1080 since 2026-03-31), fields created.
MARKETO_MERGED: Final = 25
MARKETO_NEW_FIELDS: Final = 100
#: Seconds by which the client's read timeout exceeds Marketo's own timeout.
MARKETO_READ_MARGIN: Final = 5.0
#: Shortest lifetime of a token in seconds. Identity reports whole seconds, so it may report 0.
MARKETO_TOKEN_LIFE: Final = 1.0
