"""Rate limit over real sockets: the number of requests that reach the server in its busiest second.

Each scenario has its own program and its own server, in another process; the server records when requests
arrive. The program makes all calls of a scenario at once. The scenarios run in parallel: 35 calls per second
take little CPU.

``python rate.py SCENARIO SECONDS LIMITER`` runs one such program, which starts when it reads a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from limiters import LIMITERS, OWN, present
from machine import HERE

RATE = 35


@dataclass
class Scenario:
    """Behaviour of a program and its service.

    Attributes:
        server: behaviour of the service, see `rate_server.Behaviour`.
        concurrency: maximum calls in flight, and connections.
        read: read timeout in seconds.
        stall: seconds of every second in which the program blocks its event loop.
        idle: seconds without calls, in the middle.
        v2: share of the calls that go to v2 and need a token; the others go to v1.
    """

    server: dict[str, Any] = field(default_factory=dict)
    concurrency: int = 32
    read: float = 20.0
    stall: float = 0.0
    idle: float = 0.0
    v2: float = 0.5


SCENARIOS = {
    "burst": Scenario(),
    "after idle": Scenario(idle=2.0),
    "jitter of 0 to 50 ms": Scenario({"jitter": 0.05}),
    "stalls of 200 ms": Scenario(stall=0.2),
    "pool of 4": Scenario({"respond_after": (0.02, 0.06), "hold": (3.0, 4.0)}, concurrency=4),
    "retries and token requests": Scenario(
        {"error_every": 7, "silent_every": 50, "token_life": 1.0}, read=0.5
    ),
    "slow responses": Scenario({"respond_after": (0.5, 1.5)}, concurrency=64),
    "everything at once": Scenario(
        {
            "jitter": 0.05,
            "respond_after": (0.0, 1.0),
            "error_every": 7,
            "silent_every": 50,
            "token_life": 1.0,
        },
        read=2.0,
        stall=0.2,
        concurrency=64,
    ),
}


def busiest_second(arrivals: Sequence[float]) -> int:
    """Return the maximum number of arrivals in any sliding second, whose end is exclusive."""
    moments = sorted(arrivals)
    first = busiest = 0
    for position, moment in enumerate(moments):
        while moment - moments[first] >= 1.0:
            first += 1
        busiest = max(busiest, position - first + 1)
    return busiest


async def stalling(seconds: float) -> None:
    """Block the event loop for `seconds` of every second."""
    while True:
        await asyncio.sleep(1.0 - seconds)
        time.sleep(seconds)  # noqa: ASYNC251  (that is the point)


async def calls(scenario: Scenario, seconds: float, limiter: str, port: int) -> None:
    """Make all calls at once that the limit allows in `seconds`, and stop after this time."""
    from publitrac_async import Lead, PublitracClient, PublitracError, RetryPolicy, Timeout

    async with contextlib.AsyncExitStack() as stack:
        publitrac = await stack.enter_async_context(
            PublitracClient(
                api_key="key",
                username="user",
                password="password",
                base_url=f"http://127.0.0.1:{port}",
                limiter=LIMITERS[limiter][0](RATE),
                concurrency=scenario.concurrency,
                timeout=Timeout(total=None, read=scenario.read),
                retry=RetryPolicy(budget=100_000),
            )
        )

        async def call(number: int) -> None:
            lead = Lead(email=f"lead{number}@example.com")
            facade = publitrac.v2.delayed_sync if number % 10 < scenario.v2 * 10 else publitrac.v1.sync_lead
            # Tests check the results of calls.
            with contextlib.suppress(PublitracError):
                await facade(lead)  # type: ignore[operator]  # two methods that take a lead

        async def burst(count: int) -> None:
            async with asyncio.TaskGroup() as group:
                for number in range(count):
                    group.create_task(call(number))

        stalls = asyncio.create_task(stalling(scenario.stall)) if scenario.stall else None
        # The server counts from the first arrival, which may be more than a second later on a busy machine.
        end = asyncio.get_running_loop().time() + seconds + 2
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                if scenario.idle:
                    await burst(int(RATE * (seconds - scenario.idle) / 2))
                    await asyncio.sleep(scenario.idle)
                await burst(int(RATE * seconds))
        if stalls:
            stalls.cancel()


@contextlib.contextmanager
def counting(behaviour: dict[str, Any]) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Run a counting server; yield its port and its process."""
    server = subprocess.Popen(
        [sys.executable, HERE / "rate_server.py", json.dumps(behaviour)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield int(_pipe(server.stdout).readline()), server
    finally:
        if server.poll() is None:
            server.kill()
        server.communicate()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def one(name: str, seconds: float, limiter: str) -> dict[str, Any]:
    """Run a scenario, once the parent process sends a line."""
    scenario = SCENARIOS[name]
    with counting(scenario.server) as (port, server):
        import publitrac_async.v1  # noqa: F401  (not while the clock is running)

        print("ready", flush=True)
        sys.stdin.readline()
        cpu = time.process_time()
        asyncio.run(calls(scenario, seconds, limiter, port))
        cpu = time.process_time() - cpu
        seen = json.loads(server.communicate("", timeout=30)[0])
    arrivals = seen["arrivals"]
    counted = [moment for moment in arrivals if moment < arrivals[0] + seconds]
    return {
        "scenario": name,
        "limiter": limiter,
        "busiest_second": busiest_second(arrivals),
        "used": len(counted) / (RATE * (seconds - scenario.idle)),
        "requests": len(arrivals),
        "token_requests": seen["token_requests"],
        "errors": seen["errors"],
        "server_late_ms": seen["late"] * 1e3,
        "cpu_ms_per_s": cpu / seconds * 1e3,
    }


def side_by_side(jobs: Sequence[tuple[str, str]], seconds: float) -> list[dict[str, Any]]:
    """Start programs, release them together, and return their results."""
    programs = [
        subprocess.Popen(
            [sys.executable, __file__, scenario, str(seconds), limiter],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for scenario, limiter in jobs
    ]
    try:
        for program in programs:
            assert _pipe(program.stdout).readline() == "ready\n"
        for program in programs:
            _pipe(program.stdin).write("go\n")
            _pipe(program.stdin).flush()
        return [json.loads(program.communicate(timeout=seconds + 60)[0]) for program in programs]
    finally:
        for program in programs:
            if program.poll() is None:
                program.kill()
                program.communicate()


def run(*, seconds: float, scenarios: Sequence[str] = tuple(SCENARIOS), peers: bool = True) -> dict[str, Any]:
    """Run every scenario with the limiter of this package, the burst and the jitter also with its peers."""
    rows = side_by_side([(name, OWN) for name in scenarios], seconds)
    others = [name for name in present() if name != OWN] if peers else []
    for scenario in ("burst", "jitter of 0 to 50 ms"):
        rows += side_by_side([(scenario, name) for name in others], seconds)
    return {"seconds": seconds, "allowed": RATE, "rows": rows}


if __name__ == "__main__":
    print(json.dumps(one(sys.argv[1], float(sys.argv[2]), sys.argv[3])))
