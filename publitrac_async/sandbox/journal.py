"""Journal of the requests that reached the sandbox: an append-only record for tests."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, overload

from attrs import define, field

from publitrac_async.sandbox.content import Content

LONGEST_RESPONSE = 64 * 1024
"""Bytes of a response that the journal keeps."""


@define
class Arrival:
    """One request, recorded when its head arrived, and completed while it was handled.

    It never contains credentials. `key` and `document` are personal data: do not share journals of real
    leads.

    Attributes:
        sequence: 1 for the first arrival.
        monotonic_ns: `time.monotonic_ns()` at arrival.
        at: seconds since 1970-01-01 UTC at arrival, by the sandbox's clock.
        api: the name of the API, such as `v1`, or `other` for a path that no API claims.
        verb: the HTTP method.
        path: the path, without the query string.
        connection: the port of the client: one number for each TCP connection.
        method: the vendor's name for the operation, as sent.
        key: the business key: the lead's e-mail, several joined by commas; otherwise the requested id or
            name.
        payload_sha256: a hash of the content without credentials; None if the request was incomplete.
        applied: True if the call changed (or queued a change of) the records of the service.
        status: the HTTP status of the response; None if it was withheld or is not sent yet.
        over_limit: True if the call was over the rate limit.
        fault: the kind of the injected fault that decided the response.
        duration: seconds from arrival to response; None if there was no response.
        done: True once the call has ended.
        content: the content without credentials; None for older arrivals and incomplete requests.
        response: the body of the response, at most 64 KiB; None if it has a credential, was withheld or is no
            longer kept.
    """

    sequence: int
    monotonic_ns: int
    api: str
    connection: int | None
    at: float = 0.0
    verb: str = ""
    path: str = ""
    method: str = ""
    key: str | None = None
    payload_sha256: str | None = None
    applied: bool = False
    status: int | None = None
    over_limit: bool = False
    fault: str | None = None
    duration: float | None = None
    done: bool = False
    content: Content | None = field(default=None, repr=False)
    response: bytes | None = field(default=None, repr=False)

    @property
    def document(self) -> Any:
        """The document of the call as Python values; see `Content.document`. None if it is not kept."""
        return None if self.content is None else self.content.document()

    def describe(self, *, method: str, key: str | None, payload: bytes) -> None:
        """Add the facts that are known once the request is read."""
        self.method = method[:64]
        self.key = key
        self.payload_sha256 = hashlib.sha256(payload).hexdigest()

    def line(self) -> str:
        """Return the arrival as one readable line."""
        remarks = [
            "applied" if self.applied else "",
            "over the limit" if self.over_limit else "",
            f"fault: {self.fault}" if self.fault else "",
        ]
        status = "no response" if self.status is None else f"HTTP {self.status}"
        words = [f"{self.sequence:>4}", self.api, self.method or f"{self.verb} {self.path}", self.key or ""]
        return ", ".join(filter(None, [" ".join(filter(None, words)), status, *remarks]))

    def facts(self) -> dict[str, Any]:
        """Return all attributes except content and response, as values for JSON."""
        return {name: getattr(self, name) for name in _FACTS}


_FACTS = tuple(name for name in Arrival.__annotations__ if name not in ("content", "response"))


class Received(Sequence[Arrival]):
    """Selected arrivals, oldest first.

    The `repr` of an empty selection lists the other arrivals, so that a failed `assert` explains itself.
    """

    def __init__(self, wanted: str, arrivals: Iterable[Arrival], every: Iterable[Arrival]) -> None:
        """Create the selection.

        Args:
            wanted: description of the selection.
            arrivals: the selected arrivals.
            every: all arrivals.
        """
        self._wanted = wanted
        self._arrivals = tuple(arrivals)
        self._every = tuple(every)

    @overload
    def __getitem__(self, index: int) -> Arrival: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Arrival]: ...
    def __getitem__(self, index: int | slice) -> Arrival | Sequence[Arrival]:
        return self._arrivals[index]

    def __len__(self) -> int:
        return len(self._arrivals)

    def __repr__(self) -> str:
        if self._arrivals:
            return f"<{len(self)} x {self._wanted}>"
        return f"<no {self._wanted}; {_summary(self._every)}>"


def _summary(arrivals: Sequence[Arrival]) -> str:
    if not arrivals:
        return "nothing arrived"
    counted = Counter(
        " ".join(filter(None, (arrival.method or arrival.path, arrival.key))) for arrival in arrivals
    )
    shown = [name if count == 1 else f"{name} ({count} times)" for name, count in counted.most_common(10)]
    return f"arrived: {', '.join(shown)}{', ...' if len(counted) > len(shown) else ''}"


class Journal:
    """All arrivals, in order."""

    def __init__(self, keep_contents: int = 10_000) -> None:
        """Create an empty journal.

        Args:
            keep_contents: the number of arrivals, from the latest, that keep content and response.
        """
        self._arrivals: list[Arrival] = []
        self._keep_contents = keep_contents
        self.generation: int = 0
        """The number of times that the journal was cleared."""

    @property
    def arrivals(self) -> Sequence[Arrival]:
        """Every arrival so far, oldest first."""
        return self._arrivals

    def record(self, *, monotonic_ns: int, api: str, connection: int | None, **facts: Any) -> Arrival:
        """Append an arrival and return it.

        Args:
            monotonic_ns: the time of the arrival.
            api: the API that was called.
            connection: the port of the client.
            facts: further attributes of `Arrival`.
        """
        arrivals = self._arrivals
        arrival = Arrival(len(arrivals) + 1, monotonic_ns, api, connection, **facts)
        arrivals.append(arrival)
        if len(arrivals) > self._keep_contents:
            old = arrivals[-1 - self._keep_contents]
            old.content = old.response = None
        return arrival

    def received(
        self, method: str | None = None, key: str | None = None, *, api: str | None = None
    ) -> Received:
        """Select arrivals.

        Args:
            method: the vendor's name for the operation, such as `delayedSync`.
            key: the business key, such as an e-mail.
            api: the name of an API, such as `v1`.

        Returns:
            The arrivals that match every given value, oldest first. The `document` of each is its content.
        """
        every = tuple(self._arrivals)
        selected = [
            arrival
            for arrival in every
            if (api is None or arrival.api == api)
            and (method is None or arrival.method == method)
            and (key is None or arrival.key == key)
        ]
        wanted = " ".join(filter(None, (api, method or "call", key and f"of {key}")))
        return Received(wanted, selected, every)

    def count(
        self,
        *,
        api: str | None = None,
        method: str | None = None,
        key: str | None = None,
        applied: bool | None = None,
    ) -> int:
        """Count the arrivals that match every given value."""
        return sum(
            1
            for arrival in self.received(method, key, api=api)
            if applied is None or arrival.applied is applied
        )

    def busiest_second(self, api: str | None = None) -> int:
        """Return the exact maximum of arrivals in any sliding second.

        Two arrivals exactly one second apart are not in the same second.

        Args:
            api: count this API only.
        """
        times = sorted(arrival.monotonic_ns for arrival in self.received(api=api))
        busiest = first = 0
        for last, moment in enumerate(times):
            while moment - times[first] >= 1_000_000_000:
                first += 1
            busiest = max(busiest, last - first + 1)
        return busiest

    def as_dicts(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the facts of the arrivals after sequence number `after`."""
        return [arrival.facts() for arrival in self._arrivals[max(after, 0) :]]

    def text(self, most: int = 50) -> str:
        """Return the latest arrivals, as one readable line each.

        Args:
            most: the maximum number of lines.
        """
        arrivals = tuple(self._arrivals)
        return "\n".join(arrival.line() for arrival in arrivals[-most:]) or "nothing arrived"

    def clear(self) -> None:
        """Start an empty journal."""
        self._arrivals = []
        self.generation += 1
