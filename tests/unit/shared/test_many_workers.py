"""The shared limit with many workers, in virtual time."""

from __future__ import annotations

import pytest

from tests.support.clock import run_virtual, virtual
from tests.support.many_hosts import Outcome, Setting, simulate


def check(outcome: Outcome) -> None:
    assert outcome.busiest_second <= outcome.setting.limit
    assert outcome.used >= 0.95
    assert outcome.least_share >= 0.5


@pytest.mark.parametrize(
    "setting",
    [
        Setting(workers=1, calls=8),
        Setting(workers=10),
        Setting(workers=10, calls=64, jitter=0.001),
        Setting(workers=10, to_redis=(0.0002, 0.012)),
        Setting(workers=10, answer=3.0),
    ],
    ids=["one", "ten", "jitter", "far hosts", "slow answers"],
)
def test_the_limit_is_kept_used_and_divided_evenly(setting: Setting) -> None:
    check(run_virtual(simulate(setting)))


@virtual
async def test_hosts_in_several_places_need_a_wider_guard() -> None:
    ways = {"workers": 10, "to_redis": (0.0, 0.06), "seconds": 60}
    assert (await simulate(Setting(**ways))).busiest_second > 35
    assert (await simulate(Setting(**ways, guard=0.07))).busiest_second <= 35


@pytest.mark.slow
@virtual
async def test_a_hundred_workers() -> None:
    outcome = await simulate(Setting(workers=100, calls=32, seconds=120))
    check(outcome)
    # Each asks for each departure of any of them.
    assert outcome.questions_a_second < 100 * 35 * 1.5
