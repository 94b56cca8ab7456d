"""The estimate of a server's clock: bounds, drift, and clocks that are set."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from publitrac_async.shared.redis.server_clock import ServerClock

OFFSET = 1_700_000_000.0


def respond(clock: ServerClock, sent: float, there: float, back: float, offset: float = OFFSET) -> bool:
    return clock.sample(sent, sent + there + offset, sent + there + back)


@given(ways=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_the_error_is_half_the_difference_of_the_shortest_ways(ways: list[tuple[float, float]]) -> None:
    clock = ServerClock()
    for number, (there, back) in enumerate(ways):
        assert respond(clock, float(number), there, back)
    shortest = min(there for there, _ in ways), min(back for _, back in ways)
    assert abs(clock.offset - OFFSET) <= abs(shortest[0] - shortest[1]) / 2 + 0.001
    assert abs(clock.one_way - sum(shortest) / 2) <= 0.002


def test_a_near_server_is_known_after_one_response_and_a_far_one_after_five() -> None:
    near, far = ServerClock(), ServerClock()
    assert not near.settled
    respond(near, 0.0, 0.001, 0.001)
    assert near.settled
    for number in range(5):
        assert not far.settled
        respond(far, float(number), 0.1, 0.1)
    assert far.settled


def test_five_responses_with_jitter_are_good_to_some_milliseconds() -> None:
    luck, errors = random.Random(1), list[float]()
    for _ in range(1000):
        clock = ServerClock()
        for number in range(5):
            respond(clock, number, 0.1 + luck.expovariate(50), 0.1 + luck.expovariate(50))
        errors.append(abs(clock.offset - OFFSET))
    errors.sort()
    assert errors[500] < 0.003
    assert errors[990] < 0.013


def test_clocks_may_run_apart_slowly() -> None:
    clock = ServerClock()
    for second in range(0, 100_000, 100):
        assert respond(clock, float(second), 0.01, 0.01, OFFSET + second * 40e-6)
        assert abs(clock.offset - OFFSET - second * 40e-6) < 0.01


def test_a_clock_that_was_set_is_noticed_and_the_estimate_begins_again() -> None:
    for by in (5.0, -5.0, 0.5, -0.5):
        clock = ServerClock()
        for number in range(10):
            respond(clock, float(number), 0.1, 0.1)
        assert not respond(clock, 20.0, 0.1, 0.1, OFFSET + by)
        assert not clock.settled
        assert abs(clock.offset - OFFSET - by) < 0.1
