"""Request, call and response: the values that pass between the ASGI side and an emulated API."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from attrs import field, frozen

from publitrac_async.sandbox.content import Content
from publitrac_async.sandbox.limit import CallLimit

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"


@frozen
class Request:
    """One complete HTTP request.

    Attributes:
        verb: the HTTP method.
        path: the path, percent-decoded.
        query: the query string, still percent-encoded.
        headers: the headers; names in lower case.
        body: the body.
    """

    verb: str
    path: str
    query: bytes
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@frozen
class Response:
    """One complete HTTP response.

    Attributes:
        body: the body.
        status: the HTTP status.
        content_type: the media type; None for none.
        headers: further headers.
        applied: True if making this response changed the records of the service.
        over_limit: True if the call was over a limit that its API counts itself.
    """

    body: bytes = b""
    status: int = 200
    content_type: str | None = TEXT
    headers: tuple[tuple[str, str], ...] = ()
    applied: bool = False
    over_limit: bool = False

    @classmethod
    def json(cls, document: Any, status: int = 200, *, applied: bool = False) -> Response:
        """Return a response that carries a JSON document."""
        body = json.dumps(document, ensure_ascii=False).encode()
        return cls(body, status, JSON, applied=applied)


OVER_LIMIT = Response(b"Too many calls.\n", 429, headers=(("retry-after", "1"),))


@frozen
class Call:
    """A request as an API has read it, and the function that responds to it.

    Attributes:
        method: the vendor's name for the operation, as sent.
        key: the business key, such as the lead's e-mail.
        payload: the content without credentials; the journal hashes it.
        respond: applies the call and returns the response; called at most once.
        slot: entered while the call is handled, for APIs that count concurrent calls.
        content: the content that the journal shows, without credentials.
        secret: True if the response has a credential: the journal does not keep it.
        over_limit: the response to a call over the limit that the API shares with others.
    """

    method: str
    key: str | None
    payload: bytes = field(repr=False)
    respond: Callable[[], Response] = field(repr=False)
    slot: AbstractContextManager[None] = field(factory=nullcontext, repr=False)
    content: Content = field(factory=Content, repr=False)
    secret: bool = False
    over_limit: Response = field(default=OVER_LIMIT, repr=False)


class Api(Protocol):
    """An emulated API: one name in the journal, one set of paths."""

    @property
    def name(self) -> str:
        """Name of the API in journal and fault rules."""
        ...

    @property
    def limit(self) -> CallLimit | None:
        """Limit of its calls; APIs may share one."""
        ...

    def claims(self, path: str) -> bool:
        """Return True if a path belongs to this API."""
        ...

    def read(self, request: Request) -> Call:
        """Read a request without changing records. Never fails: the response reports problems."""
        ...


class Vendor(Protocol):
    """An emulated vendor's state, as the control side sees it.

    Attributes:
        title: the vendor's name for people.
    """

    title: str

    def environment(self, base_url: str) -> dict[str, str]:
        """Return the environment variables with which `from_env` of its client finds a sandbox.

        Args:
            base_url: the URL of the sandbox.
        """
        ...

    def seed(self, document: Mapping[str, Any]) -> None:
        """Add records.

        Raises:
            ValueError: a record cannot be used.
        """
        ...

    def contents(self) -> dict[str, Any]:
        """Return the records of the vendor now, in the vendor's own names."""
        ...

    def revoke_tokens(self) -> None:
        """Invalidate every token that was issued so far."""
        ...

    def process_now(self) -> int:
        """Process the whole queue and return its length."""
        ...

    def reset(self) -> None:
        """Delete all records and tokens."""
        ...
