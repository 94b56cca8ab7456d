"""The REST API of the lead database: routes, tokens, limits (Marketo REST API, Leads)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from attrs import evolve

from publitrac_async.sandbox.content import Content
from publitrac_async.sandbox.limit import CallLimit
from publitrac_async.sandbox.marketo.account import MarketoAccount
from publitrac_async.sandbox.marketo.call import MarketoCall
from publitrac_async.sandbox.marketo.envelope import CallRefusedError, failure
from publitrac_async.sandbox.marketo.routes import ROUTES, Route
from publitrac_async.sandbox.message import Call, Request, Response
from publitrac_async.sandbox.settings import SandboxSettings

PREFIX: Final = "/rest/"
_FORM: Final = "application/x-www-form-urlencoded"


class Marketo:
    """REST API in front of an account."""

    name = "marketo"
    limit: CallLimit | None = None
    """None: this class counts calls itself, since the vendor refuses excess calls with HTTP 200."""

    def __init__(self, account: MarketoAccount, settings: SandboxSettings) -> None:
        """Create the API.

        Args:
            account: records.
            settings: limits, and the response to calls over them.
        """
        self._account = account
        self._settings = settings
        self._rate = account.rate_limit
        self._running = 0

    def claims(self, path: str) -> bool:
        """Return True for paths of the REST API."""
        return path.startswith(PREFIX)

    def read(self, request: Request) -> Call:
        """Read a call.

        A POST with `_method=GET`, in its URL or form, is a GET with its query in the form. Live instances
        take `_method=DELETE` likewise.
        """
        pairs = parse_qsl(request.query.decode("latin-1"), keep_blank_values=True)
        verb = request.verb
        if verb == "POST":
            both = pairs + _form(request)
            meant = next((value for name, value in both if name == "_method"), "")
            if meant in ("GET", "DELETE"):
                verb, pairs = meant, [pair for pair in both if pair[0] != "_method"]
        query = dict(pairs)
        path = unquote(request.path)
        matches = [(route, match) for route in ROUTES if (match := route.path.fullmatch(path))]
        route, match = next(((r, m) for r, m in matches if r.verb == verb), (None, None))
        arrived = time.monotonic_ns()
        call = MarketoCall(self._account, request, query, match.groupdict() if match else {}, tuple(pairs))
        crowd: list[int] = []
        return Call(
            method=route.method if route else "",
            key=_key(request, query, call.path),
            payload=request.query + b"\n" + request.body,
            content=_content(request, query),
            respond=lambda: self._respond(call, route, known=bool(matches), arrived=arrived, crowd=crowd),
            slot=self._slot(crowd),
        )

    @contextmanager
    def _slot(self, crowd: list[int]) -> Iterator[None]:
        self._running += 1
        crowd.append(self._running)
        try:
            yield
        finally:
            self._running -= 1

    def _respond(
        self, call: MarketoCall, route: Route | None, *, known: bool, arrived: int, crowd: list[int]
    ) -> Response:
        settings = self._settings
        request = call.request
        if request.verb == "GET" and len(request.path) + len(request.query) > settings.marketo_url_bytes:
            return Response(b"Request-URI Too Long\n", 414)
        if len(request.body) > settings.marketo_body_bytes:
            return Response(b"Request Entity Too Large\n", 413)
        refused = self._refuse_token(request) or self._refuse_quota()
        if refused is not None:
            return refused
        over = self._over_limit(arrived, crowd)
        if over is not None and settings.over_limit == "reject":
            return evolve(over, over_limit=True)
        return evolve(_run(call, route, known=known), over_limit=over is not None)

    def _refuse_token(self, request: Request) -> Response | None:
        # Marketo no longer accepts the parameter `access_token`, only the header.
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return failure("600", "Access token empty")
        code = self._account.tokens.refuse(token)
        if code is None:
            return None
        return failure(code, "Access token expired" if code == "602" else "Access token invalid")

    def _refuse_quota(self) -> Response | None:
        quota = self._settings.marketo_daily_quota
        if quota is not None and self._account.count_call() > quota:
            return failure("607", "Daily quota reached")
        return None

    def _over_limit(self, arrived: int, crowd: list[int]) -> Response | None:
        settings = self._settings
        count_refused = settings.over_limit == "count"
        if self._rate is not None and self._rate.exceeded_by(arrived, count_refused=count_refused):
            return failure(
                "606", f"Max rate limit '{settings.marketo_rate_limit}' exceeded with in '20' secs"
            )
        most = settings.marketo_concurrency
        if most is not None and crowd and crowd[0] > most:
            return failure("615", "Concurrent access limit reached")
        return None


def _run(call: MarketoCall, route: Route | None, *, known: bool) -> Response:
    if route is None:
        if known:
            return failure("605", "HTTP Method not supported")
        return failure("610", "Requested resource not found")
    try:
        call.refuse_repeated(route.repeats)
        return route.run(call)
    except CallRefusedError as refusal:
        return failure(refusal.code, str(refusal))


def _form(request: Request) -> list[tuple[str, str]]:
    """Return the fields of a form in the body."""
    if not request.headers.get("content-type", "").startswith(_FORM):
        return []
    return parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)


def _content(request: Request, query: Mapping[str, str]) -> Content:
    form = request.headers.get("content-type", "").startswith(_FORM)
    shown = {name: value for name, value in query.items() if name != "access_token"}
    return Content(b"" if form else request.body, shown)


def _key(request: Request, query: Mapping[str, str], path: Mapping[str, str]) -> str | None:
    """Return the key of a call: e-mail addresses or ids of records, or the values in path or filter."""
    if path:
        return next(iter(path.values()))
    if "filterValues" in query:
        return query["filterValues"]
    try:
        document = json.loads(request.body)
        records = document["input"]
        keys = [_key_of(record) for record in records]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return ",".join(keys) or None


def _key_of(record: Mapping[str, Any]) -> str:
    fields = record.get("leadFormFields", record)
    return str(fields.get("email", fields.get("id", fields.get("name", ""))))
