"""Faults: rules that make the sandbox misbehave for chosen calls."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import Attribute, define, field, frozen
from attrs.validators import and_, ge, in_, instance_of, le, optional

KINDS: Final[Mapping[str, frozenset[str]]] = {
    "status": frozenset(),
    "delay": frozenset(),
    "drop": frozenset(),
    "cut": frozenset(),
    "malformed": frozenset(
        {"truncated", "misnested", "bytes", "control", "entity", "ampersand", "bracket"}
        | {"blank", "notice", "notice-after"}
    ),
    "html": frozenset(),
    "empty": frozenset(),
    "redirect": frozenset(),
    "encoding": frozenset({"latin-1", "latin-1-undeclared", "utf-16", "utf-8-bom"}),
    "gzip": frozenset(),
    "revoke_tokens": frozenset(),
}
"""Every kind of fault, with the variants it has."""

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_WITHOUT_CALL = frozenset({"status", "drop", "html", "redirect"})
_ACTIONS = frozenset({"delay", "revoke_tokens"})


def _require_positive_or_none(_instance: object, attribute: Attribute[Any], value: Any) -> None:
    if value is not None and (not isinstance(value, int) or value < 1):
        raise ValueError(f"{attribute.name} must be at least 1, or None")


def _pairs(headers: Iterable[Iterable[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in headers)


@frozen
class Fault:
    """One rule of misbehaviour.

    `kind` names it:

    - `status`: respond with `status` (default 503), `body` and `retry_after`.
    - `delay`: wait `seconds` before the call is handled, then continue (also with other faults).
    - `drop`: close the connection without a response.
    - `cut`: send the head and `cut_after` bytes of the real response's body, then break the connection.
    - `malformed`: damage the real response, HTTP 200. Variants of structure: `truncated`, `misnested`,
      `bracket` (a bare `<` in a text). Variants of characters, in the first text that is no address: `bytes`
      (one of windows-1252), `control` (a vertical tab), `entity` (`&eacute;`), `ampersand`. Variants around
      the document: `blank` (a line before it), `notice` (of PHP, before it), `notice-after`.
    - `html`: send a maintenance page with HTTP 200 (or `status`, `body`).
    - `empty`: send the real response without its body.
    - `redirect`: respond with `status` (default 302) and `location`.
    - `encoding`: send the real response as `latin-1` (declared), `latin-1-undeclared`, `utf-16`, `utf-8-bom`.
    - `gzip`: send the real response with `Content-Encoding: gzip`.
    - `revoke_tokens`: invalidate every v2 token, then continue.

    `drop` and `cut` need a connection: in-process they raise `ConnectionResetError`.

    Attributes:
        kind: the kind of fault.
        match: `v1`, `v2`, a method such as `syncLead`, or both as `v1.syncLead`; None for every call.
        times: the number of calls that the rule affects; None until it is cleared.
        after: the number of matching calls that pass first.
        probability: the probability that a matching call is affected.
        seed: the seed of the random numbers: the same calls in the same order are affected again.
        apply: True to execute the call although its response is changed. Default: False for `status`, `drop`,
            `html` and `redirect`, True for the kinds that need the real response.
        variant: the variant of `malformed` and `encoding`; default `truncated` and `latin-1`.
        status: the HTTP status of `status`, `html` and `redirect`.
        body: the body of `status` and `html`.
        content_type: the Content-Type of `status` and `html`.
        retry_after: the Retry-After of `status`: seconds, a date or any text.
        headers: further headers of `status`, `html` and `redirect`.
        seconds: the seconds that `delay` waits.
        location: the target of `redirect`.
        cut_after: the bytes of the body that `cut` lets through.
        chunked: True if `cut` sends the response chunked instead of with Content-Length.
        reset: True to reset the connection (RST), False to close it (FIN). By default `cut` resets and `drop`
            closes.
    """

    kind: str = field(validator=in_(tuple(KINDS)))
    match: str | None = field(default=None, validator=optional(instance_of(str)), kw_only=True)
    times: int | None = field(default=1, validator=_require_positive_or_none, kw_only=True)
    after: int = field(default=0, validator=and_(instance_of(int), ge(0)), kw_only=True)
    probability: float = field(default=1.0, validator=and_(ge(0), le(1)), kw_only=True)
    seed: int = field(default=0, validator=instance_of(int), kw_only=True)
    apply: bool | None = field(default=None, validator=optional(instance_of(bool)), kw_only=True)
    variant: str | None = field(default=None, kw_only=True)
    status: int | None = field(
        default=None, validator=optional(and_(instance_of(int), ge(200), le(599))), kw_only=True
    )
    body: str | None = field(default=None, validator=optional(instance_of(str)), kw_only=True)
    content_type: str | None = field(default=None, validator=optional(instance_of(str)), kw_only=True)
    retry_after: str | int | float | None = field(default=None, kw_only=True)
    headers: tuple[tuple[str, str], ...] = field(default=(), converter=_pairs, kw_only=True)
    seconds: float = field(default=0.0, validator=ge(0), kw_only=True)
    location: str | None = field(default=None, validator=optional(instance_of(str)), kw_only=True)
    cut_after: int = field(default=0, validator=and_(instance_of(int), ge(0)), kw_only=True)
    chunked: bool = field(default=False, validator=instance_of(bool), kw_only=True)
    reset: bool | None = field(default=None, validator=optional(instance_of(bool)), kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Check rules that depend on more than one value."""
        if self.variant is not None and self.variant not in KINDS[self.kind]:
            raise ValueError(f"the fault {self.kind!r} has no variant {self.variant!r}")
        if self.kind == "redirect" and self.location is None:
            raise ValueError("a redirect needs a location")
        values = [
            self.content_type,
            self.location,
            str(self.retry_after),
            *(value for _, value in self.headers),
        ]
        if not all(_HEADER_VALUE.fullmatch(value or "") for value in values) or not all(
            _HEADER_NAME.fullmatch(name) for name, _ in self.headers
        ):
            raise ValueError("a header has characters that HTTP does not allow")

    @property
    def applies(self) -> bool:
        """True if the service executes a call that this fault affects."""
        return self.kind not in _WITHOUT_CALL if self.apply is None else self.apply

    @property
    def decides_response(self) -> bool:
        """True if this fault changes the response; at most one such fault affects a call."""
        return self.kind not in _ACTIONS

    @property
    def resets(self) -> bool:
        """True if the connection is reset instead of closed."""
        return self.kind == "cut" if self.reset is None else self.reset

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Fault:
        """Create a fault from a JSON object with the names of this class.

        Raises:
            ValueError: a name is unknown or a value does not fit.
        """
        try:
            return cls(**document)
        except (TypeError, ValueError) as error:
            reason = error.args[0] if error.args else "unusable value"
            raise ValueError(f"not a valid fault: {reason}") from error


@define
class _Rule:
    fault: Fault
    random: random.Random
    passed: int = 0
    struck: int = 0

    def strikes(self, api: str, method: str) -> bool:
        fault = self.fault
        if fault.match not in (None, api, method, f"{api}.{method}"):
            return False
        if self.passed < fault.after:
            self.passed += 1
            return False
        return self.random.random() < fault.probability

    @property
    def exhausted(self) -> bool:
        return self.fault.times is not None and self.struck >= self.fault.times


class FaultQueue:
    """The active rules, oldest first."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()

    @property
    def faults(self) -> list[Fault]:
        """The rules that can still affect a call."""
        return [rule.fault for rule in self._rules]

    def inject(self, fault: Fault) -> None:
        """Add a rule after the others."""
        # Reproducible random numbers for tests, not for secrets.
        with self._lock:
            self._rules.append(_Rule(fault, random.Random(fault.seed)))  # noqa: S311

    def clear(self) -> None:
        """Remove every rule."""
        with self._lock:
            self._rules.clear()

    def take(self, api: str, method: str) -> list[Fault]:
        """Return the faults that affect this call, at most one of which decides the response."""
        with self._lock:
            return self._take(api, method)

    def _take(self, api: str, method: str) -> list[Fault]:
        struck: list[Fault] = []
        decided = False
        for rule in list(self._rules):
            if decided and rule.fault.decides_response:
                continue
            if not rule.strikes(api, method):
                continue
            decided = decided or rule.fault.decides_response
            rule.struck += 1
            struck.append(rule.fault)
            if rule.exhausted:
                self._rules.remove(rule)
        return struck
