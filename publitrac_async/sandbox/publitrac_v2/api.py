"""The v2 API: token request and `delayedSync` (PUBLITRAC API V2, Documentation)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NoReturn

from attrs import evolve

from publitrac_async.sandbox.content import Content
from publitrac_async.sandbox.limit import CallLimit
from publitrac_async.sandbox.message import OVER_LIMIT, Call, Request, Response
from publitrac_async.sandbox.publitrac.account import PublitracAccount
from publitrac_async.sandbox.settings import SandboxSettings

PREFIX: Final = "/v2/"
GET_TOKEN: Final = "/v2/auth/getToken"  # noqa: S105 - a path
DELAYED_SYNC: Final = "/v2/lead/delayedSync"

_BAD_KEY: Final = "Invalid API key."
_BAD_TOKEN: Final = "Invalid or expired token."  # noqa: S105 - a message


class PublitracV2:
    """The v2 API in front of an account."""

    name = "v2"

    def __init__(self, account: PublitracAccount, settings: SandboxSettings) -> None:
        """Create the API.

        Args:
            account: the records.
            settings: the API key and the choices the documents leave open.
        """
        self.limit: CallLimit | None = account.v2_limit
        self._account = account
        self._settings = settings
        refusal = OVER_LIMIT
        if settings.over_limit_response == "200":
            refusal = evolve(_failure(429, "Too many calls."), status=200)
        elif settings.over_limit_response != "429":
            refusal = evolve(refusal, status=int(settings.over_limit_response))
        self._over_limit = refusal

    def claims(self, path: str) -> bool:
        """Return True if a path belongs to v2."""
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
            content=Content(request.body),
            respond=lambda: self._respond(request, document),
            secret=request.path == GET_TOKEN,
            over_limit=self._over_limit,
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
        # The bare key, without a scheme.
        if request.headers.get("authorization") != self._settings.api_key:
            return evolve(_failure(401, _BAD_KEY), status=int(self._settings.bad_key_response))
        ttl = f"{self._settings.token_ttl:g}"
        return Response.json({"token": self._account.tokens.issue(), "ttl": ttl})

    def _delayed_sync(self, request: Request, document: Any) -> Response:
        settings = self._settings
        if not self._account.tokens.use(request.headers.get("token", "")):
            refusal = _failure(settings.expired_token_code, _BAD_TOKEN)
            return evolve(refusal, status=int(settings.expired_token_response))
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
        json.dumps(document, ensure_ascii=False).encode()  # a lone surrogate is not text
    except (ValueError, RecursionError):
        return None
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
