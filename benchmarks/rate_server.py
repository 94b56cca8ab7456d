"""Minimal PUBLITRAC that records when each request arrived, with configurable misbehaviour.

``python rate_server.py OPTIONS`` (JSON, see `Behaviour`) prints its port, serves until its standard input is
closed, and then prints its records.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import re
import sys
import time
from dataclasses import dataclass, field

DONE = (
    b'<?xml version="1.0" encoding="utf-8"?>\n<response><status>2006</status>'
    b"<message>Leads synchronization successfull.</message></response>"
)


#: Leads on a page of getLeads, and number of pages.
LEADS, PAGES = 100, 1000
PAGE = (
    b"<response><leads>%b</leads><paging><page>%d</page><items>%d</items><offset>%d</offset><total>%d</total>"
    b"</paging><status>2001</status><message>Get leads success.</message></response>"
)


def page(number: int) -> bytes:
    """Return a page of leads with few fields."""
    first = (number - 1) * LEADS
    leads = b"".join(
        b"<lead><id>%d</id><email>lead%d@example.com</email></lead>" % (each, each)
        for each in range(first, first + LEADS)
    )
    return PAGE % (leads, number, LEADS, LEADS, LEADS * PAGES)


@dataclass
class Behaviour:
    """Behaviour of the service and of the network to it.

    Attributes:
        jitter: maximum delay of a request in seconds before it arrives.
        respond_after: minimum and maximum seconds that a response takes.
        hold: between these seconds after the first request no response is sent.
        error_every: each request of this number gets a 503; 0 for none.
        silent_every: each request of this number gets no response; 0 for none.
        token_life: seconds after which tokens are refused.
    """

    jitter: float = 0.0
    respond_after: tuple[float, float] = (0.0, 0.0)
    hold: tuple[float, float] = (0.0, 0.0)
    error_every: int = 0
    silent_every: int = 0
    token_life: float = 900.0
    arrivals: list[float] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    token_requests: int = 0
    errors: int = 0
    connections: int = 0
    late: float = 0.0

    def __post_init__(self) -> None:
        self._chance = random.Random(35)
        self._numbers = itertools.count(1)
        self._issued: dict[bytes, float] = {}

    async def respond(self, head: bytes) -> bytes | None:
        """Record a request, and return its response; ``None`` for no response."""
        if self.jitter:
            await asyncio.sleep(self._chance.uniform(0, self.jitter))
        now, number = time.monotonic(), next(self._numbers)
        self.arrivals.append(now)
        after, (opens, closes) = now - self.arrivals[0], self.hold
        if opens <= after < closes:
            await asyncio.sleep(closes - after)
        await asyncio.sleep(self._chance.uniform(*self.respond_after))
        if b"/auth/" in head:
            self.token_requests += 1
            token = b"token-%d" % number
            self._issued[token] = now
            return _response(b'{"token": "%s", "ttl": "900"}' % token)
        if self.silent_every and number % self.silent_every == 0:
            return None
        if self.error_every and number % self.error_every == 0:
            self.errors += 1
            return _response(b"busy", b"503 Service Unavailable")
        if b"getLeads" in head:
            asked = re.search(rb"[?&]page=(\d+)", head)
            return _response(page(int(asked[1]) if asked else 1), kind=b"text/xml")
        if b"/v2/" not in head:
            return _response(DONE, kind=b"text/xml")
        token = head.lower().partition(b"\r\ntoken:")[2].partition(b"\r\n")[0].strip()
        if now - self._issued.get(token, 0.0) > self.token_life:
            return _response(b'{"status": "error", "code": 401}', b"401 Unauthorized")
        return _response(b'{"status": "success", "code": 201}')

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
                body = await reader.readexactly(int(length or 0))
                if name := re.search(rb"([\w.]+)@", body):
                    self.names.append(name[1].decode())
                if (response := await self.respond(head)) is not None:
                    writer.write(response)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            pass  # The server is closing; asyncio's streams would report a cancelled handler.
        finally:
            writer.close()


def _response(body: bytes, status: bytes = b"200 OK", kind: bytes = b"application/json") -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
    return head % (status, kind, len(body)) + body


def set_real_time_priority() -> None:
    """Run before other programs if the system permits it: a late count is a wrong count."""
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


async def watch(behaviour: Behaviour) -> None:
    """Record continuously how late this program itself is."""
    while True:
        due = time.monotonic() + 0.005
        await asyncio.sleep(0.005)
        behaviour.late = max(behaviour.late, time.monotonic() - due)


async def main() -> None:
    set_real_time_priority()
    behaviour = Behaviour(**json.loads(sys.argv[1]))
    server = await asyncio.start_server(behaviour.serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    watching = asyncio.create_task(watch(behaviour))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    watching.cancel()
    seen = ("arrivals", "names", "token_requests", "errors", "connections", "late")
    print(json.dumps({name: getattr(behaviour, name) for name in seen}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
