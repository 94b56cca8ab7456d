"""Calls that fail as a whole are halved, so that one bad record fails alone."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publitrac_async import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    DeadlineExceeded,
    NotSent,
    OutcomeUnknown,
    PermissionDenied,
    PublitracError,
    QuotaExhausted,
    RateLimited,
    ServerError,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.bulk.outcomes import outcome_of
from publitrac_async.bulk.rows import State
from publitrac_async.bulk.sinks.halving import Halver, Responds

Fails = Callable[[Sequence[int]], PublitracError | None]


def timeout() -> PublitracError:
    return ServerError("the request took too long", code="604")


async def responding() -> bool:
    return True


def deliver(
    fails: Fails,
    count: int = 300,
    *,
    idempotent: bool = True,
    calls: Sequence[tuple[int, int]] | None = None,
    responds: Responds | None = None,
    successes: int = 0,
) -> tuple[list[PublitracError | None], list[list[int]]]:
    """The outcomes of records, and the calls that were made."""
    made: list[list[int]] = []

    async def call(records: Sequence[int]) -> Sequence[PublitracError | None]:
        made.append(list(records))
        error = fails(records)
        if error is not None:
            raise error
        return [None] * len(records)

    halver = Halver(call, idempotent=idempotent, responds=responds)
    halver.successes = successes
    return asyncio.run(halver.send(range(count), calls or [(0, count)])), made


def states(outcomes: Sequence[PublitracError | None]) -> list[State]:
    return [State.OK if each is None else outcome_of(each).state for each in outcomes]


ERRORS: dict[str, Callable[[], PublitracError]] = {
    "604": timeout,
    "code 502": lambda: ServerError("bad gateway", code="502", maybe_applied=True),
    "http 502": lambda: ServerError("bad gateway", status=502, maybe_applied=True),
    "611": lambda: ServerError("system error", code="611"),
    "read timeout": lambda: OutcomeUnknown("no response"),
    "deadline": lambda: DeadlineExceeded("too long", maybe_applied=True),
    "web page": lambda: UnexpectedContent("a web page"),
    "refused": lambda: ValidationError("invalid data", code="1003"),
    "http 400": lambda: ValidationError("bad request", status=400),
}


@pytest.mark.parametrize("make", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("bad", [0, 1, 150, 298, 299])
def test_a_record_that_always_fails_is_rejected_alone(make: Callable[[], PublitracError], bad: int) -> None:
    outcomes, made = deliver(lambda records: make() if bad in records else None)
    assert [place for place, state in enumerate(states(outcomes)) if state is not State.OK] == [bad]
    assert states(outcomes)[bad] is State.REJECTED
    assert len(made) <= 2 * math.ceil(math.log2(300)) + 1


def test_a_server_that_takes_fewer_records_gets_fewer() -> None:
    outcomes, made = deliver(lambda records: timeout() if len(records) > 100 else None)
    assert outcomes == [None] * 300
    assert sorted(number for call in made if len(call) <= 100 for number in call) == list(range(300))


@given(st.sets(st.integers(0, 299), max_size=6), st.sampled_from(list(ERRORS)))
def test_any_few_bad_records_cost_themselves(bad: set[int], kind: str) -> None:
    outcomes, made = deliver(lambda records: ERRORS[kind]() if bad & set(records) else None)
    assert {place for place, each in enumerate(outcomes) if each is not None} == bad
    assert all(states(outcomes)[place] is State.REJECTED for place in bad)
    # No record is sent again after the call that took it.
    taken = [number for call in made if not bad & set(call) for number in call]
    assert sorted(taken) == sorted(set(range(300)) - bad)


@pytest.mark.parametrize("kind", ["604", "refused"])
@pytest.mark.parametrize("block", [range(20), range(100, 120), range(280, 300)])
def test_no_record_waits_behind_many_bad_neighbours(kind: str, block: range) -> None:
    outcomes, _ = deliver(lambda records: ERRORS[kind]() if set(block) & set(records) else None)
    found = states(outcomes)
    assert [place for place, state in enumerate(found) if state is not State.OK] == list(block)
    assert {found[place] for place in block} <= {State.REJECTED, State.RETRY}


@pytest.mark.parametrize("kind", ["604", "refused"])
@given(
    st.one_of(
        st.sets(st.integers(0, 299), min_size=1, max_size=299),
        st.lists(st.tuples(st.integers(0, 299), st.integers(1, 200)), min_size=1, max_size=4).map(
            lambda blocks: {place for first, size in blocks for place in range(first, min(first + size, 300))}
        ),
        st.sets(st.integers(0, 299), min_size=1, max_size=2).map(lambda good: {*range(300)} - good),
    )
)
def test_every_record_that_the_service_takes_is_accepted(kind: str, bad: set[int]) -> None:
    outcomes, made = deliver(
        lambda records: ERRORS[kind]() if bad & set(records) else None, responds=responding, successes=1
    )
    found = states(outcomes)
    assert {place for place, state in enumerate(found) if state is State.OK} == {*range(300)} - bad
    assert {found[place] for place in bad} <= {State.REJECTED, State.RETRY}
    if kind == "refused" and len(bad) < 300:
        assert State.RETRY not in found
    assert len(made) <= 2 * 300 - 1


def test_many_records_that_only_time_out_stay_pending() -> None:
    outcomes, _ = deliver(lambda records: timeout() if max(records) >= 200 else None, responds=responding)
    assert states(outcomes) == [State.OK] * 200 + [State.RETRY] * 100


@pytest.mark.parametrize("good", [range(10), range(143, 153), range(290, 300)])
def test_the_first_call_that_passes_is_found_among_many_bad_records(good: range) -> None:
    outcomes, _ = deliver(
        lambda records: ERRORS["refused"]() if set(records) - set(good) else None, responds=responding
    )
    assert [place for place, state in enumerate(states(outcomes)) if state is State.OK] == [*good]


def test_a_service_that_refuses_everything_gets_many_calls_for_one_batch_only() -> None:
    made = asked = 0

    async def call(records: Sequence[int]) -> Sequence[PublitracError | None]:
        nonlocal made
        made += 1
        await asyncio.sleep(0)
        raise ValidationError("invalid data", code="1003")

    async def responds() -> bool:
        nonlocal asked
        asked += 1
        return True

    async def run() -> list[list[PublitracError | None]]:
        halver = Halver(call, idempotent=True, responds=responds)
        return await asyncio.gather(*(halver.send(range(300), [(0, 300)]) for _ in range(5)))

    batches = asyncio.run(run())
    assert {type(each) for batch in batches for each in batch} == {ConfigurationError}
    assert made == 161 + 4 * 21
    assert asked == 7


def test_batches_that_wait_for_their_turn_continue_when_calls_pass() -> None:
    async def call(records: Sequence[int]) -> Sequence[PublitracError | None]:
        await asyncio.sleep(0)
        if len(records) > 1:
            raise ValidationError("invalid data", code="1003")
        return [None]

    async def run() -> list[list[PublitracError | None]]:
        halver = Halver(call, idempotent=True, responds=responding)
        batches = await asyncio.gather(*(halver.send(range(300), [(0, 300)]) for _ in range(3)))
        assert not halver.lock.locked()
        return batches

    assert asyncio.run(run()) == [[None] * 300] * 3


@pytest.mark.parametrize("make", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("rest", [6, 200])
def test_an_outage_after_calls_that_passed_rejects_no_row(
    make: Callable[[], PublitracError], rest: int
) -> None:
    error = make()
    calls = [(0, 100), (100, 100 + rest)]
    outcomes, _ = deliver(lambda records: make() if 0 not in records else None, 100 + rest, calls=calls)
    found = states(outcomes)
    assert found[:100] == [State.OK] * 100
    # A few refusals in the vendor's words are evidence that the service is up.
    if rest > 20 or error.code != "1003":
        assert State.REJECTED not in found


@pytest.mark.parametrize("make", ERRORS.values(), ids=ERRORS)
def test_a_service_that_is_down_rejects_no_row(make: Callable[[], PublitracError]) -> None:
    outcomes, made = deliver(lambda _: make())
    assert len(made) <= 21
    assert State.REJECTED not in states(outcomes)
    assert State.OK not in states(outcomes)


@pytest.mark.parametrize("count", [2, 300])
def test_calls_that_are_all_refused_are_the_fault_of_the_settings(count: int) -> None:
    refusal = ValidationError("invalid data", code="1003", vendor_message="Unknown option 'x'")
    outcomes, _ = deliver(lambda _: refusal, count)
    assert all(isinstance(each, ConfigurationError) for each in outcomes)
    assert {each.vendor_message for each in outcomes if each} == {"Unknown option 'x'"}


def test_one_record_that_is_refused_is_rejected_without_further_evidence() -> None:
    outcomes, _ = deliver(lambda _: ValidationError("invalid data", code="1003"), 1)
    assert states(outcomes) == [State.REJECTED]


def test_one_record_that_took_too_long_waits_until_other_calls_pass() -> None:
    outcomes, _ = deliver(lambda _: timeout(), 1)
    assert states(outcomes) == [State.RETRY]


async def test_calls_of_other_tasks_are_evidence_too() -> None:
    passed = asyncio.Event()

    async def call(records: Sequence[int]) -> Sequence[PublitracError | None]:
        if 7 in records:
            await passed.wait()
            raise timeout()
        passed.set()
        return [None] * len(records)

    halver = Halver(call, idempotent=True)
    one, other = await asyncio.gather(halver.send([7], [(0, 1)]), halver.send([1, 2], [(0, 2)]))
    assert (states(one), states(other)) == ([State.REJECTED], [State.OK, State.OK])


@pytest.mark.parametrize(
    "make", [ERRORS[kind] for kind in ("code 502", "http 502", "read timeout", "deadline")]
)
def test_appends_that_may_have_been_applied_are_never_sent_again(make: Callable[[], PublitracError]) -> None:
    outcomes, made = deliver(lambda _: make(), idempotent=False)
    assert len(made) == 1
    assert set(states(outcomes)) == {State.UNKNOWN}


def test_appends_that_were_not_executed_are_halved() -> None:
    outcomes, _ = deliver(lambda records: timeout() if 3 in records else None, idempotent=False)
    assert states(outcomes).count(State.OK) == 299


FINAL: dict[str, Callable[[], PublitracError]] = {
    "credentials": lambda: AuthenticationError("no"),
    "permission": lambda: PermissionDenied("no"),
    "quota": lambda: QuotaExhausted("no"),
    "rate": lambda: RateLimited("no"),
    "not sent": lambda: NotSent("no"),
    "away": lambda: ServerError("no", code="608"),
    "unavailable": lambda: ServerError("no", status=503),
    "queue": lambda: DeadlineExceeded("before anything was sent"),
}


@pytest.mark.parametrize("make", FINAL.values(), ids=FINAL)
def test_a_failure_that_is_not_due_to_records_is_not_halved(make: Callable[[], PublitracError]) -> None:
    outcomes, made = deliver(lambda _: make())
    assert len(made) == 1
    assert set(states(outcomes)) <= {State.RETRY, State.UNKNOWN}


@pytest.mark.parametrize("kind", ["quota", "away", "not sent"])
def test_calls_behind_one_that_was_not_executed_are_pending(kind: str) -> None:
    calls = [(0, 100), (100, 200), (200, 300)]
    outcomes, made = deliver(lambda records: FINAL[kind]() if 150 in records else None, calls=calls)
    assert [len(call) for call in made] == [100, 100]
    assert states(outcomes) == [State.OK] * 100 + [State.RETRY] * 200


def test_calls_behind_a_lost_append_keep_their_own_fate() -> None:
    calls = [(0, 100), (100, 200), (200, 300)]
    lost = ERRORS["read timeout"]
    outcomes, made = deliver(
        lambda records: lost() if 150 in records else None, calls=calls, idempotent=False
    )
    assert len(made) == 3
    assert states(outcomes) == [State.OK] * 100 + [State.UNKNOWN] * 100 + [State.OK] * 100


def test_a_rejection_has_its_reason() -> None:
    outcomes, _ = deliver(lambda records: ERRORS["code 502"]() if 1 in records else None)
    error = outcomes[1]
    assert type(error) is ApiError
    assert error.code == "502"
    assert "fails alone in a call" in str(error)
    assert "it may have been applied" in str(error)


def test_a_rejection_has_the_words_of_the_service() -> None:
    words = "the upstream failed"
    error = ServerError("bad gateway", code="502", maybe_applied=True, vendor_message=words)
    outcomes, _ = deliver(lambda records: error if 1 in records else None)
    assert outcomes[1] is not None
    assert outcomes[1].vendor_message == words


class Journal:
    """The calls of a batch, in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.ended: list[PublitracError | None] = []

    async def begin(self, indexes: Sequence[int]) -> None:
        self.seen.append("begin")

    def end(self, indexes: Sequence[int], outcomes: Sequence[PublitracError | None]) -> None:
        self.seen.append("end")
        self.ended += outcomes

    def flush(self) -> None:
        self.seen.append("flush")


async def test_outcomes_are_written_before_a_batch_waits_for_its_turn() -> None:
    async def call(records: Sequence[int]) -> Sequence[PublitracError | None]:
        raise timeout()

    halver, journal = Halver(call, idempotent=True, responds=responding), Journal()
    await halver.lock.acquire()
    sending = asyncio.create_task(halver.send(range(300), [(0, 300)], journal=journal))
    for _ in range(10_000):
        await asyncio.sleep(0)
    assert journal.seen[-1:] == ["flush"]
    sending.cancel()
    await asyncio.wait([sending])


@pytest.mark.parametrize(("kind", "left"), [("read timeout", State.UNKNOWN), ("refused", State.RETRY)])
async def test_a_kill_while_a_call_is_halved_leaves_its_records_unknown_if_it_may_have_been_applied(
    kind: str, left: State
) -> None:
    async def call(records: Sequence[int]) -> Sequence[PublitracError | None]:
        raise error

    error = ERRORS[kind]()
    journal = Journal()
    await Halver(call, idempotent=True).send(range(2), [(0, 2)], journal=journal)
    assert {*states(journal.ended)} == {left}
