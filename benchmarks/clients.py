"""Clients that post one lead. Each gives a coroutine function `post()`.

``python clients.py LOOP PORT CONCURRENCY REQUESTS ROUNDS NAME...`` runs one process in which the clients take
turns; it prints one line of JSON with wall and CPU seconds and latencies of every round.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from machine import pin

Post = Callable[[], Awaitable[object]]
BODY = (
    b'{"leadInfo":{"email":"john.doe@provider.com","firstName":"John","lastName":"Doe",'
    b'"jobTitle":"Awesome Programmer","crmLeadId":"12387","phone":"555-555-2149"},'
    b'"leadCustomField":{"carColor":"Red"}}'
)
HEADERS = {"Token": "djs4fdn4dJTer489!", "Accept": "application/json", "Content-Type": "application/json"}
PATH = "/v2/lead/delayedSync"


@contextlib.asynccontextmanager
async def sdk(base: str, concurrency: int) -> AsyncIterator[Post]:
    """Post by this package: a typed lead, a typed outcome; with deadline, limits and classification."""
    from publitrac_async import Lead, PublitracClient

    async with PublitracClient(
        api_key="key", base_url=base, rate_limit=None, concurrency=concurrency
    ) as publitrac:

        async def post() -> object:
            lead = Lead(
                email="john.doe@provider.com",
                first_name="John",
                last_name="Doe",
                job_title="Awesome Programmer",
                crm_lead_id="12387",
                phone="555-555-2149",
                custom_fields={"carColor": "Red"},
            )
            return await publitrac.v2.delayed_sync(lead)

        yield post


@contextlib.asynccontextmanager
async def bare_aiohttp(base: str, concurrency: int) -> AsyncIterator[Post]:
    """Post ready bytes by aiohttp."""
    import aiohttp
    import yarl

    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        url = yarl.URL(base + PATH)

        async def post() -> object:
            async with session.post(url, data=BODY, headers=HEADERS, allow_redirects=False) as response:
                return await response.read()

        yield post


@contextlib.asynccontextmanager
async def httpx_default(base: str, concurrency: int) -> AsyncIterator[Post]:
    """Post ready bytes by httpx.AsyncClient with its defaults."""
    import httpx

    async with httpx.AsyncClient(timeout=60) as client:

        async def post() -> object:
            return (await client.post(base + PATH, content=BODY, headers=HEADERS)).content

        yield post


@contextlib.asynccontextmanager
async def httpx_aiohttp(base: str, concurrency: int) -> AsyncIterator[Post]:
    """Post ready bytes by httpx.AsyncClient on the transport of the package httpx-aiohttp."""
    import httpx
    from httpx_aiohttp import AiohttpTransport

    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx.AsyncClient(transport=AiohttpTransport(limits=limits), timeout=60) as client:

        async def post() -> object:
            return (await client.post(base + PATH, content=BODY, headers=HEADERS)).content

        yield post


@contextlib.asynccontextmanager
async def floor(base: str, concurrency: int) -> AsyncIterator[Post]:
    """Post ready bytes by a bare keep-alive protocol: the cost of Python itself."""
    host, port = base.removeprefix("http://").split(":")
    head = f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(BODY)}\r\n"
    request = (head + "".join(f"{k}: {v}\r\n" for k, v in HEADERS.items()) + "\r\n").encode() + BODY

    class Connection(asyncio.Protocol):
        transport: asyncio.Transport
        waiter: asyncio.Future[bytes]

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport  # type: ignore[assignment]  # a TCP connection can write

        def data_received(self, data: bytes) -> None:
            self.waiter.set_result(data)

    loop = asyncio.get_running_loop()
    idle = []
    for _ in range(concurrency):
        _, connection = await loop.create_connection(Connection, host, int(port))
        idle.append(connection)

    async def post() -> object:
        connection = idle.pop()
        connection.waiter = loop.create_future()
        connection.transport.write(request)
        try:
            return await connection.waiter
        finally:
            idle.append(connection)

    yield post
    for connection in idle:
        connection.transport.close()


Client = Callable[[str, int], contextlib.AbstractAsyncContextManager[Post]]
CLIENTS: dict[str, Client] = {
    "floor": floor,
    "bare aiohttp": bare_aiohttp,
    "publitrac_async": sdk,
    "httpx + httpx-aiohttp": httpx_aiohttp,
    "httpx": httpx_default,
}
#: Minimum requests of httpx, which slows down so much with concurrency that it gets fewer requests.
FEW = 400
#: Module that a client needs besides this package.
NEEDS = {"httpx + httpx-aiohttp": "httpx_aiohttp"}


async def one_round(post: Post, concurrency: int, requests: int) -> dict[str, float]:
    """Post `requests` leads with `concurrency` calls in flight."""
    latencies: list[float] = []
    todo = iter(range(requests))

    async def work() -> None:
        for _ in todo:
            started = time.perf_counter()
            await post()
            latencies.append(time.perf_counter() - started)

    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    latencies.sort()
    return {
        "wall": wall,
        "cpu": cpu,
        "requests": requests,
        "p50": statistics.median(latencies),
        "p99": latencies[int(len(latencies) * 0.99)],
    }


async def measure(
    names: list[str], port: int, concurrency: int, requests: int, rounds: int
) -> dict[str, list[dict[str, float]]]:
    """Measure all clients in turns, round after round, after one warm-up round."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    async with contextlib.AsyncExitStack() as stack:
        posts = {
            name: await stack.enter_async_context(CLIENTS[name](f"http://127.0.0.1:{port}", concurrency))
            for name in names
        }
        for number in range(rounds + 1):
            # Every round starts with another client.
            first = number % len(names)
            for name in names[first:] + names[:first]:
                few = name == "httpx" and concurrency > 1
                count = max(requests // 10, min(requests, FEW)) if few else requests
                result = await one_round(posts[name], concurrency, count)
                if number:
                    results[name].append(result)
    return results


def main() -> None:
    loop, port, concurrency, requests, rounds, *names = sys.argv[1:]
    pin(0)
    run = asyncio.run
    if loop == "uvloop":
        import uvloop

        run = uvloop.run
    print(json.dumps(run(measure(names, int(port), int(concurrency), int(requests), int(rounds)))))


if __name__ == "__main__":
    main()
