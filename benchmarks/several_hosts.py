"""Ten million rows and a hundred workers: load of a run on several hosts on Redis, and use of the limit.

    python benchmarks/several_hosts.py [--leads 1000000] [--chunks 50000] [--seconds 300]

The first part measures a real server (Valkey, from the wheel of the tests); the second is a simulation of the
real limiter in virtual time. The guide on several hosts quotes both.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from hashlib import blake2b
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from publitrac_async import PublitracClient
from publitrac_async.bulk import ColumnMapping, ErrorBudget, PublitracV2Sink, RedisStateStore, Shutdown, State
from publitrac_async.bulk.distributed.chunk import Chunk
from publitrac_async.bulk.distributed.docket import _TASK, _docket, serve
from publitrac_async.bulk.distributed.ranges import RowRange
from publitrac_async.bulk.rows import Outcome
from publitrac_async.shared import SharedRedis
from tests.support.clock import run_virtual
from tests.support.many_hosts import Setting, described, simulate
from tests.support.redis_server import Server

KEY = "an-api-key-of-the-usual-length-0123456789"
CHUNK_ROWS = 200


async def fill(server: Server, leads: int) -> None:
    """Fill a state store with leads, as after a run that sent all of them."""
    shared = SharedRedis(server.url, KEY)
    store = RedisStateStore(shared, durable=False)
    await store.open("v2 of PublitracClient(https://app.publitrac.com)", run="a run")
    before = await used_memory(server)
    start = time.perf_counter()
    for first in range(0, leads, 5_000):
        keys = [f"lead{number}@example.com" for number in range(first, min(first + 5_000, leads))]
        await store.plan([(key, blake2b(key.encode(), digest_size=16).digest()) for key in keys])
    planned = time.perf_counter() - start
    start = time.perf_counter()
    job = store.job or ""
    for number, first in enumerate(range(0, leads, CHUNK_ROWS)):
        keys = [f"lead{number}@example.com" for number in range(first, min(first + CHUNK_ROWS, leads))]
        chunk = await store.claim(job, number)
        assert chunk is not None
        async with chunk:
            assert all(await asyncio.gather(*(chunk.begin([key]) for key in keys)))
            await asyncio.gather(*(chunk.complete([(key, Outcome(State.ACCEPTED))]) for key in keys))
            await chunk.end()
    completed = time.perf_counter() - start
    name = next(key for key in await server.keys() if key.endswith(":leads"))
    in_hash = await server.ask("MEMORY", "USAGE", name, "SAMPLES", 1000)
    memory = await used_memory(server) - before
    print(
        f"{leads:,} leads: {in_hash / leads:.0f} bytes each in the state store, {memory / leads:.0f} in total"
    )
    print(f"  planned at {leads / planned:,.0f} per second, completed at {leads / completed:,.0f} per second")
    print(f"  {memory * 10_000_000 / leads / 2**30:.1f} GiB for ten million, at this size")
    on_disk = (await server.ask("INFO", "persistence"))["aof_current_size"]
    print(f"  {on_disk / leads:.0f} bytes each in the append-only file, which Redis rewrites occasionally")
    await store.aclose()
    await shared.aclose()


async def used_memory(server: Server) -> int:
    """Return the memory that Redis uses, in bytes."""
    return int((await server.ask("INFO", "memory"))["used_memory"])


def order(number: int) -> Chunk:
    """As a run over a file gives it."""
    return Chunk(
        job="AbCdEfGh",
        number=number,
        source={
            "kind": "delimited",
            "path": "/srv/leads/customers-2026-11.csv",
            "encoding": "utf-8-sig",
            "delimiter": ",",
        },
        rows=RowRange(
            number=number * CHUNK_ROWS + 1,
            line=number * CHUNK_ROWS + 2,
            position=number * CHUNK_ROWS * 120 + 60,
            count=CHUNK_ROWS,
        ),
        left_out=(number * CHUNK_ROWS + 17,),
        rows_hash="0" * 32,
        destination="v2 of PublitracClient(https://app.publitrac.com)",
        mapping=ColumnMapping(columns={"email": "E-post", "first_name": "Förnamn", "last_name": "Efternamn"}),
        error_budget=ErrorBudget(),
    )


async def submit(server: Server, chunks: int) -> None:
    """All orders of a run, given twice."""
    shared = SharedRedis(server.url, KEY)
    store = RedisStateStore(shared, durable=False)
    before = await used_memory(server)
    async with _docket(store) as docket:
        for turn in ("given", "given again, which adds nothing"):
            start = time.perf_counter()
            for first in range(0, chunks, 500):
                orders = [order(number) for number in range(first, min(first + 500, chunks))]
                await docket.add_many(
                    docket.call(_TASK, key=f"{each.job}:{each.number}")(each.to_json()) for each in orders
                )
            print(f"{chunks:,} orders {turn}: {time.perf_counter() - start:.1f} s")
    memory = await used_memory(server) - before
    print(f"  {memory / chunks:,.0f} bytes each, {memory / 2**20:.0f} MiB in all")
    await shared.aclose()


async def idle(server: Server, seconds: float) -> None:
    """Measure the commands that a worker without work sends to Redis."""
    shutdown = Shutdown()
    async with (
        SharedRedis(server.url, KEY) as shared,
        PublitracClient(
            api_key=KEY,
            base_url="http://127.0.0.1:1",
            shared=shared,
        ) as publitrac,
    ):
        sink = PublitracV2Sink(publitrac.v2)
        serving = asyncio.create_task(serve(sink, RedisStateStore(shared, durable=False), shutdown=shutdown))
        await asyncio.sleep(3.0)
        before = (await server.ask("INFO", "stats"))["total_commands_processed"]
        await asyncio.sleep(seconds)
        after = (await server.ask("INFO", "stats"))["total_commands_processed"]
        shutdown.request()
        await serving
    print(f"a worker without work sends {(after - before) / seconds:.0f} commands per second to Redis")


async def count(leads: int, chunks: int) -> None:
    """Measure a real server."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), appendonly="yes")
        await asyncio.to_thread(server.start)
        try:
            await idle(server, 10.0)
            await submit(server, chunks)
            await server.ask("FLUSHALL", "SYNC")
            await fill(server, leads)
        finally:
            await asyncio.to_thread(server.stop)


def main() -> None:
    """Measure a real server, then simulate the limiter."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--leads", type=int, default=1_000_000)
    parser.add_argument("--chunks", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=300.0)
    options = parser.parse_args()
    asyncio.run(count(options.leads, options.chunks))
    far = (0.0004,) * 8 + (0.03, 0.1, 0.2, 0.3) * 2
    for setting in (
        Setting(to_redis=(0.001,) * 4, seconds=options.seconds),
        Setting(to_redis=(0.3,), seconds=options.seconds),
        Setting(to_redis=far, seconds=options.seconds),
        Setting(to_redis=far, seconds=options.seconds, jitter=0.02, blocked=0.04),
        Setting(to_redis=(0.001,) * 100, seconds=options.seconds),
    ):
        print(*described(run_virtual(simulate(setting))), sep="\n  ")


if __name__ == "__main__":
    main()
