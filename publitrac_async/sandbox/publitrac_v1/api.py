"""The v1 API: one URL, a `method` parameter, credentials with every call (PUBLITRAC API reference)."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from publitrac_async.sandbox.limit import CallLimit
from publitrac_async.sandbox.message import OVER_LIMIT, Call, Request, Response
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
from publitrac_async.sandbox.publitrac_v1.parameters import (
    Parameters,
    content,
    parameters,
    payload,
    text,
)
from publitrac_async.sandbox.publitrac_v1.responses import Envelope, FailedError
from publitrac_async.sandbox.settings import SandboxSettings
from publitrac_async.sandbox.xml import InvalidXmlError, Node, parse

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
    """The v1 API in front of an account."""

    name = "v1"

    def __init__(self, account: PublitracAccount, settings: SandboxSettings) -> None:
        """Create the API.

        Args:
            account: the records.
            settings: credentials, and the choices that the documents leave open.
        """
        self.limit: CallLimit | None = account.v1_limit
        self._account = account
        self._settings = settings
        self._over_limit = _over_limit(settings)

    def claims(self, path: str) -> bool:
        """Return True if a path belongs to v1."""
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
        place = self._settings.credentials_in
        credentials = sent if place == "either" else parameters(request, place)
        return Call(
            method=method,
            key=business_key(sent, document),
            payload=payload(sent),
            content=content(sent),
            respond=lambda: self._respond(method, request.verb, credentials, call).write(
                self._settings.empty_form
            ),
            over_limit=self._over_limit,
        )

    def _respond(self, method: str, verb: str, credentials: Parameters, call: MethodCall) -> Envelope:
        settings = self._settings
        if verb not in ("GET", "POST"):
            return self._refuse_verb("GET, POST", 405)
        if not self._accepts(credentials):
            return self._refuse("Authentication failed.", int(settings.bad_credentials_response))
        if method not in METHODS:
            return self._refuse("Unknown method.", int(settings.unknown_method_response))
        documented_verb, run = METHODS[method]
        allowed = documented_verb or (settings.annex_verb if settings.annex_verb != "either" else verb)
        if settings.wrong_verb_response != "accepted" and verb != allowed:
            return self._refuse_verb(allowed, int(settings.wrong_verb_response))
        self._account.queue.process_due()
        try:
            return run(call)
        except FailedError as failed:
            return failed.envelope(settings.failure_http_status)

    def _accepts(self, credentials: Parameters) -> bool:
        settings = self._settings
        spellings = (
            ("apikey", "apiKey") if settings.api_key_parameter == "either" else (settings.api_key_parameter,)
        )
        return (
            text(credentials, *spellings),
            text(credentials, "username"),
            text(credentials, "password"),
        ) == (settings.api_key, settings.username, settings.password)

    def _refuse(self, message: str, http_status: int) -> Envelope:
        """Refuse a call outside of any method. Instead of HTTP 200, the status of failures is used."""
        refused = FailedError(self._settings.failure_status, message, [message.removesuffix(".")])
        return refused.envelope(self._settings.failure_http_status if http_status == 200 else http_status)

    def _refuse_verb(self, allowed: str, http_status: int) -> Envelope:
        refused = self._refuse("Verb not allowed.", http_status)
        return evolve(refused, headers=(("allow", allowed),))


def _over_limit(settings: SandboxSettings) -> Response:
    if settings.over_limit_response == "200":
        refused = FailedError(settings.failure_status, "Too many calls.", ["Too many calls"])
        return refused.envelope(200).write(settings.empty_form)
    return evolve(OVER_LIMIT, status=int(settings.over_limit_response))
