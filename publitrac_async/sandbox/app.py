"""The ASGI application: receives a request, records it, calls the API, sends the response."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from email.utils import formatdate
from typing import Any, Final

from publitrac_async.sandbox import wire
from publitrac_async.sandbox.control import Control
from publitrac_async.sandbox.core import SandboxCore
from publitrac_async.sandbox.faults import Fault
from publitrac_async.sandbox.journal import LONGEST_RESPONSE, Arrival
from publitrac_async.sandbox.message import Api, Call, Request, Response
from publitrac_async.sandbox.spoil import replacement, spoiled

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_logger = logging.getLogger(__name__)

_NO_API: Final = Response(b"Nothing is served at this path.\n", 404)
_TOO_LARGE: Final = Response(b"The request is too large.\n", 413)
_BUG: Final = Response(b"The sandbox failed; see its log.\n", 500)


class SandboxApp:
    """ASGI application in front of the emulated APIs."""

    def __init__(self, core: SandboxCore, apis: Sequence[Api], control: Control) -> None:
        """Create the application.

        Args:
            core: the accounts, journal, faults and settings.
            apis: the emulated APIs; the first one that claims a path gets the request.
            control: the control side, whose requests are not in the journal.
        """
        self._core = core
        self._apis = apis
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: wire.Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] != "http":
            raise ValueError(f"the sandbox only serves HTTP, not {scope['type']}")
        elif self._control.claims(scope["path"], scope["headers"]):
            await self._handle_control(scope, receive, send)
        else:
            await self._handle(scope, receive, send)

    async def _handle_control(self, scope: Scope, receive: Receive, send: wire.Send) -> None:
        try:
            body = await self._body(receive)
        except _RequestTooLargeError:
            await self._send(send, _TOO_LARGE)
            return
        if body is None:
            return
        try:
            response = self._control.respond(_request(scope, body))
        except Exception:
            _logger.exception("The sandbox failed to respond to %s.", scope["path"])
            response = _BUG
        await self._send(send, response)

    async def _handle(self, scope: Scope, receive: Receive, send: wire.Send) -> None:
        arrived = time.monotonic_ns()
        core = self._core
        api = next((api for api in self._apis if api.claims(scope["path"])), None)
        client = scope.get("client")
        arrival = core.journal.record(
            monotonic_ns=arrived,
            api=api.name if api else "other",
            connection=client[1] if client else None,
            at=core.clock.timestamp(),
            verb=scope["method"],
            path=scope["path"][:256],
        )
        if api and api.limit:
            count_refused = core.settings.over_limit == "count"
            address = client[0] if client else ""
            with core.database.lock:
                arrival.over_limit = api.limit.exceeded_by(arrived, address, count_refused=count_refused)
        try:
            await self._receive(scope, receive, send, arrival, api)
        finally:
            arrival.done = True

    async def _receive(
        self, scope: Scope, receive: Receive, send: wire.Send, arrival: Arrival, api: Api | None
    ) -> None:
        core = self._core
        try:
            body = await self._body(receive)
        except _RequestTooLargeError:
            await self._send(send, _TOO_LARGE, arrival)
            return
        if body is None:
            return  # the client disconnected before its request was complete
        call = api.read(_request(scope, body)) if api else Call("", None, body, lambda: _NO_API)
        arrival.describe(method=call.method, key=call.key, payload=call.payload)
        arrival.content = call.content
        if core.settings.latency:
            await asyncio.sleep(core.settings.latency)
        if arrival.over_limit and core.settings.over_limit == "reject":
            await self._send(send, call.over_limit, arrival)
            return
        faults = core.faults.take(arrival.api, call.method) if api else []
        with call.slot:
            await self._respond(call, arrival, faults, send)

    async def _respond(self, call: Call, arrival: Arrival, faults: list[Fault], send: wire.Send) -> None:
        decisive: Fault | None = None
        for fault in faults:
            if fault.decides_response:
                decisive = fault
            elif fault.kind == "delay":
                arrival.fault = fault.kind
                await asyncio.sleep(fault.seconds)
            else:
                arrival.fault = fault.kind
                self._core.revoke_tokens()
        shown = None if call.secret else arrival
        if decisive is None:
            await self._send(send, self._apply(call, arrival), arrival, shown)
            return
        arrival.fault = decisive.kind
        response = self._apply(call, arrival) if decisive.applies else Response()
        if decisive.kind == "drop":
            await wire.drop(send, reset=decisive.resets)
        elif decisive.kind == "cut":
            arrival.status = response.status
            await wire.cut(
                send,
                status=response.status,
                headers=self._headers(response, chunked=decisive.chunked),
                body=response.body[: decisive.cut_after],
                reset=decisive.resets,
            )
        else:
            await self._send(send, replacement(decisive) or spoiled(response, decisive), arrival, shown)

    def _apply(self, call: Call, arrival: Arrival) -> Response:
        try:
            with self._core.database.transaction():
                response = call.respond()
        except Exception:
            _logger.exception("The sandbox failed to respond to %s %s.", arrival.api, arrival.method)
            return _BUG
        arrival.applied = response.applied
        arrival.over_limit |= response.over_limit
        return response

    async def _send(
        self,
        send: wire.Send,
        response: Response,
        arrival: Arrival | None = None,
        shown: Arrival | None = None,
    ) -> None:
        # Set before sending: a client that has read the response finds it in the journal.
        if arrival is not None:
            arrival.status = response.status
            arrival.duration = (time.monotonic_ns() - arrival.monotonic_ns) / 1_000_000_000
        if shown is not None:
            shown.response = response.body[:LONGEST_RESPONSE]
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": self._headers(response, chunked=False),
            }
        )
        await send({"type": "http.response.body", "body": response.body})

    def _headers(self, response: Response, *, chunked: bool) -> list[tuple[bytes, bytes]]:
        headers = [
            ("date", formatdate(self._core.clock.timestamp(), usegmt=True)),
            ("server", "publitrac-sandbox"),
            *response.headers,
        ]
        if response.content_type is not None:
            headers.append(("content-type", response.content_type))
        if not chunked:
            headers.append(("content-length", str(len(response.body))))
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]

    async def _body(self, receive: Receive) -> bytes | None:
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._core.settings.max_request_bytes:
                raise _RequestTooLargeError
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)


class _RequestTooLargeError(Exception):
    """The body is larger than the settings allow."""


def _request(scope: Scope, body: bytes) -> Request:
    return Request(
        verb=scope["method"],
        path=scope["path"],
        query=scope["query_string"],
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        body=body,
    )


async def _lifespan(receive: Receive, send: wire.Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
