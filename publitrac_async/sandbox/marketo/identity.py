"""Identity: token request with client credentials (Marketo REST API, Authentication)."""

from __future__ import annotations

import hmac
from typing import Final
from urllib.parse import parse_qsl

from publitrac_async.sandbox.limit import CallLimit
from publitrac_async.sandbox.marketo.account import MarketoAccount
from publitrac_async.sandbox.message import Call, Request, Response
from publitrac_async.sandbox.settings import SandboxSettings

PATH: Final = "/identity/oauth/token"


class MarketoIdentity:
    """Issues the token. Its calls do not count towards a limit."""

    name = "marketo-identity"
    limit: CallLimit | None = None

    def __init__(self, account: MarketoAccount, settings: SandboxSettings) -> None:
        """Create the API.

        Args:
            account: account with the token.
            settings: the accepted credentials.
        """
        self._account = account
        self._settings = settings

    def claims(self, path: str) -> bool:
        """Return True for paths of Identity."""
        return path.startswith("/identity/")

    def read(self, request: Request) -> Call:
        """Read a call."""
        return Call("getToken", None, b"", lambda: self._respond(request), secret=True)

    def _respond(self, request: Request) -> Response:
        if request.path != PATH or request.verb not in ("GET", "POST"):
            return Response.json({"error": "not_found"}, 404)
        sent = dict(parse_qsl(request.query.decode("latin-1")))
        if request.verb == "POST":
            sent |= dict(parse_qsl(request.body.decode("utf-8", "replace")))
        if sent.get("grant_type") != "client_credentials":
            document = {"error": "unsupported_grant_type", "error_description": "Unsupported grant type"}
            return Response.json(document, 400)
        expected = {
            "client_id": self._settings.marketo_client_id,
            "client_secret": self._settings.marketo_client_secret,
        }
        if not all(
            hmac.compare_digest(sent.get(name, "").encode(), value.encode())
            for name, value in expected.items()
        ):
            document = {"error": "unauthorized", "error_description": "No client with requested id"}
            return Response.json(document, 401)
        token, life = self._account.tokens.issue()
        return Response.json(
            {"access_token": token, "token_type": "bearer", "expires_in": life, "scope": "api@example.com"}
        )
