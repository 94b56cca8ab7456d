"""One limit for many processes over real sockets: if it is kept, used, and divided evenly.

    python benchmarks/shared_limit.py [--seconds 60] [--only "file, 4"]

Every process makes calls as fast as the limit allows; a proxy delays its connection to Redis, and its event
loop may be blocked. A server records when requests arrive. The program prints the table of the guide on
several processes. It needs an idle machine: `server late` is the delay of the counting server itself.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from rate import RATE, busiest_second, counting

from tests.support.redis_server import Server

HERE = Path(__file__).parent
KEY = "an-api-key-of-the-usual-length-0123456789"


@dataclass
class Scenario:
    """Processes that share a limit.

    Attributes:
        to_redis: round trip of each process in milliseconds; ``None`` for processes that share a file.
        processes: number of processes that share a file.
        jitter: mean additional delay of each direction, in milliseconds.
        blocked: milliseconds for which the event loop of each process is blocked, every 50 ms.
    """

    to_redis: Sequence[float] | None = None
    processes: int = 0
    jitter: float = 0.0
    blocked: float = 0.0


FAR = (0.0,) * 8 + (30.0, 100.0, 200.0, 300.0) * 2
SCENARIOS = {
    "file, 1": Scenario(processes=1),
    "file, 4": Scenario(processes=4),
    "file, 8": Scenario(processes=8),
    "file, 4, busy": Scenario(processes=4, blocked=40),
    "redis, 1": Scenario((0.0,)),
    "redis, 1 at 100 ms": Scenario((100.0,)),
    "redis, 1 at 300 ms": Scenario((300.0,)),
    "redis, 4": Scenario((0.0,) * 4),
    "redis, 8": Scenario((0.0,) * 8),
    "redis, 0 and 100 ms": Scenario((0.0, 100.0)),
    "redis, 4 busy": Scenario((0.0,) * 4, blocked=40),
    "redis, 16 at 0 to 300 ms": Scenario(FAR),
    "redis, 16 at 0 to 300 ms, jitter 20 ms, busy": Scenario(FAR, jitter=20, blocked=40),
}


async def call(location: str, port: int, name: str, seconds: float, blocked: float) -> None:
    """Make calls for `seconds`, as one process."""
    from publitrac_async import Lead, PublitracClient, PublitracError

    async def one(publitrac: PublitracClient) -> None:
        while True:
            with contextlib.suppress(PublitracError):
                # The name is in the lead, so the server knows which process made the call.
                await publitrac.v2.delayed_sync(Lead(email=f"{name}@example.com"))

    async def block() -> None:
        while blocked:
            time.sleep(blocked)  # noqa: ASYNC251  (that is the point)
            await asyncio.sleep(0.05)

    print("ready", flush=True)
    sys.stdin.readline()
    base_url = f"http://127.0.0.1:{port}"
    async with PublitracClient(api_key=KEY, base_url=base_url, shared=location, timeout=120.0) as publitrac:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                group.create_task(block())
                for _ in range(32):
                    group.create_task(one(publitrac))


@contextlib.contextmanager
def delays(port: int, scenario: Scenario) -> Iterator[list[int]]:
    """Run a proxy to Redis with a delay for each process; yield its ports."""
    one_way = [f"{round_trip / 2}:{scenario.jitter}" for round_trip in scenario.to_redis or ()]
    proxy = subprocess.Popen(
        [sys.executable, HERE / "delays.py", str(port), *one_way],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert proxy.stdout is not None
    try:
        yield list(map(int, proxy.stdout.readline().split()))
    finally:
        proxy.kill()
        proxy.communicate()


@contextlib.contextmanager
def locations(scenario: Scenario) -> Iterator[list[str]]:
    """Yield the location of the shared limit for each process."""
    with tempfile.TemporaryDirectory() as folder:
        if scenario.to_redis is None:
            yield [f"file:{folder}/limit"] * scenario.processes
            return
        redis = Server(Path(folder))
        redis.start()
        try:
            with delays(redis.port, scenario) as ports:
                yield [f"redis://127.0.0.1:{port}" for port in ports]
        finally:
            redis.stop()


def measure(scenario: Scenario, seconds: float) -> str:
    """Run a scenario; return a row of the table."""
    with locations(scenario) as places, counting({"respond_after": (0.05, 0.1)}) as (port, server):
        programs = [
            subprocess.Popen(
                [sys.executable, __file__, "--process", place, str(port), f"p{number}"]  # noqa: RUF005
                + [str(seconds), str(scenario.blocked / 1000)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number, place in enumerate(places)
        ]
        for program in programs:
            assert program.stdout is not None
            program.stdout.readline()
        for program in programs:
            assert program.stdin is not None
            program.stdin.write("go\n")
            program.stdin.flush()
        for program in programs:
            program.wait()
        seen = json.loads(server.communicate("", timeout=30)[0])
    arrivals = sorted(seen["arrivals"])
    begun = arrivals[0]
    # A process far from Redis starts late, so the time ends with its last call.
    ended = arrivals[-1] - 1
    steady = [at for at in arrivals if begun + 2 < at < ended]
    names = collections.Counter(seen["names"])
    fair = sum(names.values()) / len(places)
    return (
        f"{busiest_second(arrivals)} | {len(steady) / (ended - begun - 2) / RATE:.1%} |"
        f" {min(names[f'p{number}'] for number in range(len(places))) / fair:.2f} to"
        f" {max(names.values()) / fair:.2f} | {seen['token_requests']} | {seen['late'] * 1e3:.0f} ms"
    )


def main() -> None:
    """Measure one scenario after the other."""
    if sys.argv[1:2] == ["--process"]:
        place, port, name, seconds, blocked = sys.argv[2:]
        asyncio.run(call(place, int(port), name, float(seconds), float(blocked)))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--only", nargs="*", default=list(SCENARIOS))
    options = parser.parse_args()
    print(
        "| processes | busiest second | used | shares | token requests | server late |\n" + 6 * "|---" + "|"
    )
    for name in options.only:
        print(f"| {name} | {measure(SCENARIOS[name], options.seconds)} |", flush=True)


if __name__ == "__main__":
    main()
