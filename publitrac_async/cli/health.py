"""Health of a worker, and an HTTP port for probes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from publitrac_async.bulk import Shutdown
from publitrac_async.cli.exits import CommandError
from publitrac_async.errors import AuthenticationError
from publitrac_async.transport.events import AnyRunEvent, CallEnded, ChunkEnded, ChunkStarted, Event

#: Seconds without an event during a chunk after which a worker counts as stuck. A call of a bulk run takes
#: at most 300 s.
STUCK: Final = 900.0
#: Timeout of Redis during a probe, in seconds.
_REDIS_TIMEOUT: Final = 2.0
#: Seconds for a request and its response.
_REQUEST_TIMEOUT: Final = 5.0
_MAX_CONNECTIONS: Final = 16
_MAX_HEAD: Final = 8192

_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}
_REFUSED: Final = AuthenticationError.__name__


class WorkerHealth:
    """Hook of the client and of `serve` that collects the health of a worker.

    It holds no credentials or personal data.

    Args:
        ask_redis: returns ``None`` if Redis responds, otherwise the reason why it does not.
        shutdown: request to end the worker.
        clock: monotonic seconds.

    Attributes:
        started: true once the worker asks for chunks.
    """

    def __init__(
        self,
        ask_redis: Callable[[], Awaitable[str | None]],
        shutdown: Shutdown,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask_redis = ask_redis
        self._shutdown = shutdown
        self._clock = clock
        self._claimed: set[str] = set()
        self._last_sign = clock()
        self._credentials = "not used yet"
        self._last_chunk: dict[str, Any] | None = None
        self._chunk_ended_at = 0.0
        self.started: bool = False

    def __call__(self, event: Event | AnyRunEvent) -> None:
        """Record an event."""
        match event:
            case CallEnded():
                self._last_sign = self._clock()
                if event.error == _REFUSED:
                    self._credentials = "rejected"
                elif event.error is None:
                    self._credentials = "accepted"
            case ChunkStarted():
                self._last_sign = self._clock()
                self._claimed.add(event.run_id)
            case ChunkEnded():
                self._last_sign = self._chunk_ended_at = self._clock()
                self._claimed.discard(event.run_id)
                self._last_chunk = {
                    "run": event.job,
                    "chunk": event.chunk,
                    "rows": dict(event.outcomes),
                    "stopped": event.stopped,
                    "error": event.error,
                }

    def live(self) -> tuple[bool, dict[str, Any]]:
        """Return False if the process should be restarted, with the facts."""
        silence = self._clock() - self._last_sign
        live = not self._claimed or silence < STUCK
        return live, {"live": live, "claimed_chunks": len(self._claimed), "silent_for": round(silence, 1)}

    async def ready(self) -> tuple[bool, dict[str, Any]]:
        """Return True if the worker can send rows, with the facts."""
        try:
            async with asyncio.timeout(_REDIS_TIMEOUT):
                failure = await self._ask_redis()
        except TimeoutError:
            failure = "TimeoutError"
        state = "ending" if self._shutdown.requested else "working" if self.started else "starting"
        ready = state == "working" and failure is None and self._credentials != "rejected"
        last = self._last_chunk
        return ready, {
            "ready": ready,
            "state": state,
            "redis": "responds" if failure is None else f"does not respond ({failure})",
            "credentials": self._credentials,
            "claimed_chunks": len(self._claimed),
            "last_chunk": None
            if last is None
            else last | {"ended_ago": round(self._clock() - self._chunk_ended_at, 1)},
        }


@asynccontextmanager
async def health_port(health: WorkerHealth, host: str, port: int) -> AsyncIterator[int]:
    """Serve ``/live`` and ``/ready`` while this is open; yield the TCP port.

    Raises:
        CommandError: the port cannot be used.
    """
    probes = _Port(health)
    try:
        server = await asyncio.start_server(probes.serve, host, port, limit=_MAX_HEAD)
    except OSError as error:
        failure = error.strerror or type(error).__name__
    else:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            probes.abort()
        return
    raise CommandError(f"--health-port: port {port} of {host} cannot be used ({failure}): choose another")


class _Port:
    """Responds to one request per connection. A slow or malformed request costs at most a few seconds."""

    def __init__(self, health: WorkerHealth) -> None:
        self._health = health
        self._open: set[asyncio.StreamWriter] = set()

    def abort(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= _MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            # A peer that disconnects, or sends its request too slowly, gets no response.
            with contextlib.suppress(TimeoutError, OSError, asyncio.IncompleteReadError):
                async with asyncio.timeout(_REQUEST_TIMEOUT):
                    writer.write(await self._response(reader))
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _response(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _message(400)
        method, _, rest = head.partition(b"\r\n")[0].partition(b" ")
        target, _, version = rest.partition(b" ")
        if not version.startswith(b"HTTP/1."):
            return _message(400)
        if method not in (b"GET", b"HEAD"):
            return _message(405)
        match target.partition(b"?")[0]:
            case b"/live":
                good, facts = self._health.live()
            case b"/ready":
                good, facts = await self._health.ready()
            case _:
                return _message(404)
        return _message(200 if good else 503, facts, body=method == b"GET")


def _message(status: int, facts: dict[str, Any] | None = None, *, body: bool = True) -> bytes:
    content = json.dumps({"error": _REASONS[status]} if facts is None else facts).encode() + b"\n"
    head = [
        f"HTTP/1.1 {status} {_REASONS[status]}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        "Cache-Control: no-store",
        *(["Allow: GET, HEAD"] if status == 405 else []),
        "Connection: close",
    ]
    return "\r\n".join([*head, "", ""]).encode() + (content if body else b"")
