"""The v1 API: one URL, a `method` parameter, credentials with every call (PUBLITRAC API reference)."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from publitrac_async.sandbox.limit import SlidingWindow
from publitrac_async.sandbox.message import Call, Request, Response
from publitrac_async.sandbox.publitrac.account import PublitracAccount
from publitrac_async.sandbox.publitrac_v1 import (
    campaigns,
    history,
    leads,
    lists,
    opportunities,
    sync,
    transactions,
)
from publitrac_async.sandbox.publitrac_v1.call import MethodCall, Methods
from publitrac_async.sandbox.publitrac_v1.keys import business_key
from publitrac_async.sandbox.publitrac_v1.parameters import Parameters, parameters, payload, text
from publitrac_async.sandbox.publitrac_v1.responses import FailedError, envelope
from publitrac_async.sandbox.publitrac_v1.xml import InvalidXmlError, Node, parse
from publitrac_async.sandbox.settings import SandboxSettings

PATH: Final = "/api"
METHODS: Final[Methods] = {
    **leads.METHODS,
    **sync.METHODS,
    **lists.METHODS,
    **history.METHODS,
    **opportunities.METHODS,
    **campaigns.METHODS,
}
"""Every method of v1."""


class PublitracV1:
    """Respond to v1 calls from an account."""

    name = "v1"

    def __init__(
        self, account: PublitracAccount, settings: SandboxSettings, window: SlidingWindow | None
    ) -> None:
        """Create the API.

        Args:
            account: What is read and written.
            settings: Credentials and the choices the documents leave open.
            window: The limit, shared with v2.
        """
        self.window = window
        self._account = account
        self._settings = settings

    def claims(self, path: str) -> bool:
        """Tell whether a path is v1's."""
        return path in (PATH, PATH + "/", self._settings.transaction_path)

    def read(self, request: Request) -> Call:
        """Read a call: parameters from query string and form, the document from `query`."""
        sent = parameters(request)
        if request.path == self._settings.transaction_path:
            return transactions.read(request.verb, sent, self._account, self._settings)
        document: Node | None = None
        if "query" in sent:
            try:
                document = parse(sent["query"])
            except InvalidXmlError:
                document = None
        method = text(sent, "method")
        call = MethodCall(self._account, self._settings, sent, document)
        return Call(
            method=method,
            key=business_key(sent, document),
            payload=payload(sent),
            respond=lambda: self._respond(method, request.verb, call),
        )

    def _respond(self, method: str, verb: str, call: MethodCall) -> Response:
        if verb not in ("GET", "POST"):
            return self._refuse_verb("GET, POST")
        if not self._authenticated(call.parameters):
            return self._refuse_credentials()
        if method not in METHODS:
            unknown = FailedError(self._settings.failure_status, "Unknown method.", ["Unknown method"])
            return unknown.response(self._settings.failure_http_status)
        documented_verb, run = METHODS[method]
        if self._settings.strict_verbs and documented_verb not in ("", verb):
            return self._refuse_verb(documented_verb)
        self._account.queue.process_due()
        try:
            return run(call)
        except FailedError as failed:
            return failed.response(self._settings.failure_http_status)

    def _authenticated(self, sent: Parameters) -> bool:
        settings = self._settings
        return (text(sent, "apikey", "apiKey"), text(sent, "username"), text(sent, "password")) == (
            settings.api_key,
            settings.username,
            settings.password,
        )

    def _refuse_credentials(self) -> Response:
        refused = FailedError(
            self._settings.failure_status, "Authentication failed.", ["Authentication failed"]
        )
        return refused.response(int(self._settings.bad_credentials_answer))

    def _refuse_verb(self, allowed: str) -> Response:
        response = envelope(self._settings.failure_status, "Verb not allowed.")
        return evolve(response, status=405, headers=(("allow", allowed),))
