"""What reached the sandbox: the append-only record that tests judge a client by."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from attrs import asdict, define

CONTROL = "control"


@define
class Arrival:
    """One request, recorded when its head arrived and completed while it was handled.

    Credentials never appear here; `key` is personal data, so keep journals of real leads to yourself.
    """

    sequence: int
    """1 for the first arrival."""
    monotonic_ns: int
    """`time.monotonic_ns()` at arrival."""
    api: str
    """`v1`, `v2`, `control`, or `other` for a path that no API claims."""
    connection: int | None
    """Port of the client: one number for each TCP connection."""
    method: str = ""
    """The vendor's name for the operation, as sent."""
    key: str | None = None
    """Business key: the lead's e-mail, several joined by commas; otherwise the id or name asked for."""
    payload_sha256: str | None = None
    """Hash of what was sent, without credentials. None if the request never came to its end."""
    applied: bool = False
    """Whether the call changed (or queued a change of) what the service holds."""
    status: int | None = None
    """HTTP status of the response, None when the response was withheld (or is not sent yet)."""
    over_limit: bool = False
    """Whether the call was over the rate limit."""
    fault: str | None = None
    """Kind of the injected fault that decided the response."""

    def describe(self, *, method: str, key: str | None, payload: bytes) -> None:
        """Add what is known once the request was read."""
        self.method = method[:64]
        self.key = key
        self.payload_sha256 = hashlib.sha256(payload).hexdigest()


class Journal:
    """All arrivals, in order."""

    def __init__(self) -> None:
        self._arrivals: list[Arrival] = []

    @property
    def arrivals(self) -> Sequence[Arrival]:
        """Every arrival so far, oldest first."""
        return self._arrivals

    def record(self, *, monotonic_ns: int, api: str, connection: int | None) -> Arrival:
        """Append an arrival and return it."""
        arrival = Arrival(
            sequence=len(self._arrivals) + 1,
            monotonic_ns=monotonic_ns,
            api=api,
            connection=connection,
        )
        self._arrivals.append(arrival)
        return arrival

    def count(
        self,
        *,
        api: str | None = None,
        method: str | None = None,
        key: str | None = None,
        applied: bool | None = None,
    ) -> int:
        """Count the arrivals for which every given value holds; control calls count only when asked for."""
        return sum(
            1
            for arrival in self._arrivals
            if (arrival.api != CONTROL if api is None else arrival.api == api)
            and (method is None or arrival.method == method)
            and (key is None or arrival.key == key)
            and (applied is None or arrival.applied is applied)
        )

    def busiest_second(self, api: str | None = None) -> int:
        """Return the exact maximum of arrivals in any sliding second.

        Two arrivals exactly one second apart are not in the same second.

        Args:
            api: Count only this API; otherwise everything but control calls.
        """
        times = sorted(
            arrival.monotonic_ns
            for arrival in self._arrivals
            if (arrival.api != CONTROL if api is None else arrival.api == api)
        )
        busiest = first = 0
        for last, moment in enumerate(times):
            while moment - times[first] >= 1_000_000_000:
                first += 1
            busiest = max(busiest, last - first + 1)
        return busiest

    def as_dicts(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the arrivals behind sequence number `after` as plain dicts."""
        return [asdict(arrival) for arrival in self._arrivals[max(after, 0) :]]

    def clear(self) -> None:
        """Start an empty journal."""
        self._arrivals = []
