"""The open points, and the findings about them."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field, frozen

#: The open points of the guide "What is unknown", in its order.
POINTS: Final[Mapping[str, str]] = {
    "key": "spelling of the key's parameter",
    "credentials": "credentials of a POST in the body",
    "refusals": "wrong credentials, unknown method",
    "excess": "response to an excess call, scope of the limit",
    "shared_limit": "v2 shares the 35 calls a second",
    "token": "response to a stale v2 token",
    "v2": "v2 at this address",
    "processing": "time until a queued lead is processed",
    "unicity": "customUnicityKeys, place of options",
    "empty": "effect and form of empty elements",
    "operators": "operators of getLeads, several conditions",
    "missing": "response without a lead",
    "past_end": "response after the last page",
    "annex": "methods of the annex: verb, parameters",
    "partial": "addLeadsToList with unknown leads",
    "transactions": "e-commerce transactions",
    "time_zone": "time zone of dates",
}


class FindingState(enum.StrEnum):
    """State of a finding."""

    SETTLED = "settled"
    PARTLY = "in part"  #: some questions of the point are open
    OPEN = "open"  #: tried without success, or not tried


@frozen(kw_only=True)
class Finding:
    """The finding about one open point.

    Attributes:
        point: key in `POINTS`.
        state: settled, in part or open.
        summary: a line without personal data.
        evidence: the calls that show it and their responses, without personal data.
        found: settings of the sandbox that make it behave like the account.
        client: settings of `PublitracClient` and, below ``v1_shapes``, of `V1Shapes`.
    """

    point: str
    state: FindingState
    summary: str
    evidence: tuple[str, ...] = ()
    found: Mapping[str, Any] = field(factory=dict)
    client: Mapping[str, Any] = field(factory=dict)


class HarmError(Exception):
    """Reason why the probe must stop.

    Args:
        reason: a line without personal data.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@define
class ProbeReport:
    """Everything that a probe found.

    Attributes:
        base_url: address of the service.
        findings: by point, in the order in which they were made.
        stopped: reason of an early end.
        left_behind: records of the probe that remain in the account.
        times: seconds from request to response, one for each call.
    """

    base_url: str = ""
    findings: dict[str, Finding] = field(factory=dict)
    stopped: str | None = None
    left_behind: list[str] = field(factory=list)
    times: list[float] = field(factory=list)

    def add(self, finding: Finding) -> None:
        """Add a finding instead of an earlier one about its point."""
        self.findings[finding.point] = finding

    def leave_open(self, point: str, reason: str) -> None:
        """Record a point as open, unless there is a finding."""
        if point not in self.findings:
            self.add(Finding(point=point, state=FindingState.OPEN, summary=reason))

    @property
    def settled(self) -> int:
        """Number of settled points."""
        return sum(finding.state is FindingState.SETTLED for finding in self.findings.values())

    @property
    def found(self) -> dict[str, Any]:
        """Settings of the sandbox that make it behave like the account: ``Sandbox(**report.found)``."""
        return {name: value for each in self.findings.values() for name, value in each.found.items()}

    @property
    def client(self) -> dict[str, Any]:
        """Settings of `PublitracClient`."""
        settings: dict[str, Any] = {}
        shapes: dict[str, Any] = {}
        for finding in self.findings.values():
            settings |= {name: value for name, value in finding.client.items() if name != "v1_shapes"}
            shapes |= finding.client.get("v1_shapes", {})
        return settings | ({"v1_shapes": shapes} if shapes else {})

    def latency(self, quantile: float) -> float:
        """Return the latency in seconds at this quantile, a number from 0 to 1."""
        ordered = sorted(self.times)
        return ordered[max(math.ceil(quantile * len(ordered)) - 1, 0)] if ordered else 0.0
