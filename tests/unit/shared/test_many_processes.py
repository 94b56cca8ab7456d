"""The limit in Redis, in virtual time: far hosts, blocked loops, kills, restarts, clocks that are set."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.support.clock import run_virtual, virtual
from tests.support.many_hosts import Outcome, Setting, simulate

#: Round trips in seconds: eight processes beside Redis, eight up to 300 ms away.
SIXTEEN = (0.0004,) * 8 + (0.03, 0.1, 0.2, 0.3) * 2
BUSY = {"jitter": 0.02, "blocked": 0.04}


def check(outcome: Outcome, used: float = 0.93, share: float = 0.8) -> None:
    assert outcome.busiest_second <= outcome.setting.limit
    assert outcome.used >= used
    assert min(outcome.shares) >= share


@pytest.mark.parametrize(
    "setting",
    [
        pytest.param({"to_redis": (0.0004,)}, id="alone, near"),
        pytest.param({"to_redis": (0.1,)}, id="alone, 100 ms away"),
        pytest.param({"to_redis": (0.3,), **BUSY}, id="alone, 300 ms away, busy"),
        pytest.param({"to_redis": (0.0004,), **BUSY}, id="alone, near, busy"),
        pytest.param({"to_redis": (0.0004, 0.03)}, id="two"),
        pytest.param({"to_redis": (0.0, 0.0, 0.0, 0.005, 0.03, 0.1, 0.3), "jitter": 0.02}, id="seven"),
        pytest.param({"to_redis": SIXTEEN}, id="sixteen"),
        pytest.param({"to_redis": SIXTEEN, **BUSY}, id="sixteen, busy"),
        pytest.param({"to_redis": SIXTEEN, **BUSY, "seed": 2}, id="sixteen, busy, again"),
        pytest.param({"to_redis": (0.001,) * 8, "response": 3.0, "callers": 64}, id="slow responses"),
    ],
)
def test_the_limit_is_kept_used_and_divided_evenly(setting: dict[str, Any]) -> None:
    check(run_virtual(simulate(Setting(seconds=30, **setting))), share=0.94)


@virtual
async def test_processes_that_join_one_after_the_other_get_their_shares() -> None:
    joins = dict(enumerate((0.0, 0.5, 1.0, 1.5, 2.0, 2.0)))
    setting = Setting(to_redis=(0.0004,) * 4 + (0.1, 0.3), jitter=0.02, joins=joins)
    check(await simulate(setting), share=0.9)


@pytest.mark.parametrize("few", [(1, 0.08), (1, 0.5), (4, 0.2), (4, 0.5)])
def test_a_process_that_calls_now_and_then_reserves_little_that_it_does_not_use(
    few: tuple[int, float],
) -> None:
    outcome = run_virtual(simulate(Setting(to_redis=(0.0004, 0.0004), few={1: few}, seconds=20)))
    assert outcome.busiest_second <= 35
    assert outcome.used >= 0.9


@virtual
async def test_killed_processes_lose_little() -> None:
    kills = ((0, 10.0), (1, 15.0), (4, 20.0), (5, 30.0))
    setting = Setting(to_redis=(0.0004,) * 4 + (0.1, 0.3), kills=kills, **BUSY)
    check(await simulate(setting))


@pytest.mark.parametrize(
    ("duration", "lost"), [(0.01, 0.5), (0.1, 2.0), (0.1, math.inf), (3.0, 0.0), (3.0, math.inf)]
)
def test_a_restart_of_redis_breaks_nothing(duration: float, lost: float) -> None:
    # A process without commands meanwhile does not notice; a new primary may lack the last writes.
    restarts = ((5.0, duration, lost), (15.0, duration, lost))
    outcome = run_virtual(simulate(Setting(to_redis=SIXTEEN, restarts=restarts, seconds=25, **BUSY)))
    assert outcome.busiest_second <= 35
    # Each restart costs its duration and two or three seconds in which nothing leaves.
    check(outcome, used=0.93 * (25 - 2 * duration - 2 * 4.0) / 25, share=0.6)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("by", [2.0, -2.0, -3600.0])
def test_a_clock_that_is_set_breaks_nothing(by: float, seed: int) -> None:
    setting = Setting(to_redis=SIXTEEN, steps=((5.0, by),), seconds=15, jitter=0.02, seed=seed)
    check(run_virtual(simulate(setting)), used=0.6, share=0.8)


@virtual
async def test_hosts_far_from_the_service_need_a_wider_guard() -> None:
    far = {"to_redis": (0.0004,) * 4, "to_service": (0.0, 0.2), "seconds": 30}
    assert (await simulate(Setting(**far))).busiest_second > 35
    assert (await simulate(Setting(**far, guard=0.25))).busiest_second <= 35


@virtual
async def test_a_hundred_processes() -> None:
    outcome = await simulate(Setting(to_redis=(0.001,) * 100, seconds=60))
    check(outcome)
    assert outcome.redis_calls_per_second < 50
