"""The v2 API: log-in and `delayedSync` (PUBLITRAC API V2, Documentation)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NoReturn

from attrs import evolve

from publitrac_async.sandbox.limit import SlidingWindow
from publitrac_async.sandbox.message import Call, Request, Response
from publitrac_async.sandbox.publitrac.account import PublitracAccount
from publitrac_async.sandbox.settings import SandboxSettings

PREFIX: Final = "/v2/"
GET_TOKEN: Final = "/v2/auth/getToken"  # noqa: S105 - a path
DELAYED_SYNC: Final = "/v2/lead/delayedSync"

_BAD_KEY: Final = "Invalid API key."
_BAD_TOKEN: Final = "Invalid or expired token."  # noqa: S105 - a message


class PublitracV2:
    """Respond to v2 calls from an account."""

    name = "v2"

    def __init__(
        self, account: PublitracAccount, settings: SandboxSettings, window: SlidingWindow | None
    ) -> None:
        """Create the API.

        Args:
            account: What is read and written.
            settings: The API key and the choices the documents leave open.
            window: The limit, shared with v1; log-ins count too.
        """
        self.window = window
        self._account = account
        self._settings = settings

    def claims(self, path: str) -> bool:
        """Tell whether a path is v2's."""
        return path.startswith(PREFIX)

    def read(self, request: Request) -> Call:
        """Read a call."""
        document = _json(request.body)
        info = document.get("leadInfo") if isinstance(document, dict) else None
        email = (
            next((info[name] for name in ("email", "Email") if name in info), None)
            if isinstance(info, dict)
            else None
        )
        return Call(
            method=request.path.rpartition("/")[2],
            key=email if isinstance(email, str) else None,
            payload=request.body,
            respond=lambda: self._respond(request, document),
        )

    def _respond(self, request: Request, document: Any) -> Response:
        routes: dict[str, tuple[str, Callable[[], Response]]] = {
            GET_TOKEN: ("GET", lambda: self._get_token(request)),
            DELAYED_SYNC: ("POST", lambda: self._delayed_sync(request, document)),
        }
        if request.path not in routes:
            return _failure(404, "Not found.")
        verb, run = routes[request.path]
        if request.verb != verb:
            return evolve(_failure(405, "Method not allowed."), headers=(("allow", verb),))
        return run()

    def _get_token(self, request: Request) -> Response:
        # The bare key: no scheme stands before it.
        if request.headers.get("authorization") != self._settings.api_key:
            return _failure(401, _BAD_KEY)
        ttl = f"{self._settings.token_ttl:g}"
        return Response.json({"token": self._account.tokens.issue(), "ttl": ttl})

    def _delayed_sync(self, request: Request, document: Any) -> Response:
        if not self._account.tokens.use(request.headers.get("token", "")):
            return evolve(_failure(401, _BAD_TOKEN), status=int(self._settings.stale_token_answer))
        if not isinstance(document, dict):
            return _failure(400, "The content is not a JSON object.")
        self._account.queue.process_due()
        self._account.queue.accept(document)
        return Response.json({"status": "success", "code": 200}, applied=True)


def _failure(code: int, message: str) -> Response:
    return Response.json({"status": "error", "code": code, "message": message}, status=code)


def _json(body: bytes) -> Any:
    """Return the document, or None if the body is not strict JSON in UTF-8."""
    try:
        text = body.decode()
        document = json.loads(text, parse_constant=_refuse_constant)
        json.dumps(document, ensure_ascii=False).encode()  # a lone surrogate is no text
    except (ValueError, RecursionError):
        return None
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON.")
