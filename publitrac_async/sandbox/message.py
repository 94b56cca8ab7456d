"""What passes between the ASGI side and an emulated API: request, call and answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from attrs import field, frozen

from .limit import SlidingWindow

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"


@frozen
class Request:
    """One complete HTTP request."""

    verb: str
    path: str
    query: bytes
    """The query string as it came, still percent-encoded."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = field(repr=False)


@frozen
class Answer:
    """One complete HTTP answer."""

    body: bytes = b""
    status: int = 200
    content_type: str | None = TEXT
    headers: tuple[tuple[str, str], ...] = ()
    applied: bool = False
    """Whether making this answer changed what the service holds."""
    over_limit: bool = False
    """Whether the call was over a limit that its API counts itself."""

    @classmethod
    def json(cls, document: Any, status: int = 200, *, applied: bool = False) -> Answer:
        """Return an answer that carries a JSON document."""
        body = json.dumps(document, ensure_ascii=False).encode()
        return cls(body, status, JSON, applied=applied)


@frozen
class Call:
    """A request that an API has read: what it is, and how to answer it."""

    method: str
    key: str | None
    payload: bytes = field(repr=False)
    """What the journal hashes; holds no credentials."""
    answer: Callable[[], Answer] = field(repr=False)
    """Applies the call and returns the answer; called at most once."""
    slot: AbstractContextManager[None] = field(factory=nullcontext, repr=False)
    """Entered while the call is handled, for APIs that count calls at once."""


class Api(Protocol):
    """An emulated API: one name in the journal, one set of paths."""

    @property
    def name(self) -> str:
        """The API's name in journal and fault rules."""
        ...

    @property
    def window(self) -> SlidingWindow | None:
        """The limit its calls count for; APIs may share one."""
        ...

    def claims(self, path: str) -> bool:
        """Tell whether a path belongs to this API."""
        ...

    def read(self, request: Request) -> Call:
        """Read a request without changing anything. Never fails: what is wrong with it is in the answer."""
        ...


class Vendor(Protocol):
    """An emulated vendor's state, as the control side sees it."""

    def seed(self, document: Mapping[str, Any]) -> None:
        """Add records. Raises ValueError for what it cannot use."""
        ...

    def contents(self) -> dict[str, Any]:
        """Return what the vendor holds now, in the vendor's own names."""
        ...

    def revoke_tokens(self) -> None:
        """Make every token stale that was issued so far."""
        ...

    def process_now(self) -> int:
        """Process everything that was queued and return how much that was."""
        ...

    def reset(self) -> None:
        """Forget everything."""
        ...
