"""What every engine does, whichever state store it writes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from typing import Any

import pytest

from publitrac_async import Lead, NotSent, OutcomeUnknown, PublitracError, ServerError, ValidationError
from publitrac_async.bulk import (
    ErrorBudget,
    Monitor,
    Phase,
    Progress,
    PublitracV1Sink,
    PublitracV2Sink,
    Resend,
    Shutdown,
    Verify,
)
from publitrac_async.sandbox import Fault
from tests.support.executor_setups import Setup, sent
from tests.support.sinks import RecordingSink, rows

LEADS = 55


def with_repeated(count: int = LEADS) -> list[dict[str, Any]]:
    """Every lead, then every fifth once more, in other letters and another city."""
    again = [row | {"email": row["email"].upper(), "city": "last"} for row in rows(count)[::5]]
    return rows(count, city="first") + again


def failing(error: PublitracError, *numbers: int) -> Callable[[Lead], PublitracError | None]:
    emails = {f"lead{number}@example.com" for number in numbers}
    return lambda lead: error if lead.email in emails else None


async def test_every_lead_arrives_once_with_the_values_of_its_last_row(setup: Setup) -> None:
    report = await setup.sync(setup.table(with_repeated()))
    assert (report.accepted, report.skipped, report.duplicates) == (LEADS, 11, 11)
    assert report.stopped is None
    assert report.exit_code == 0
    wanted = {row["email"].casefold(): row for row in with_repeated()}
    async with setup.client() as publitrac:
        found = [
            ((each.key or "").casefold(), each.payload_sha256)
            for each in setup.sandbox.journal.arrivals
            if each.method == "delayedSync"
        ]
        assert sorted(found) == sorted((key, sent(publitrac, row)) for key, row in wanted.items())


@pytest.mark.fault("F09")
async def test_a_lead_is_never_in_two_calls_at_once(setup: Setup) -> None:
    sink = RecordingSink(turns=3)  # It fails by itself when a key comes twice.
    report = await setup.sync(setup.table(with_repeated() + with_repeated(20)), sink)
    assert report.ok == LEADS
    assert 1 < sink.most_in_flight <= setup.in_flight


async def test_rejected_rows_are_reported_with_reason_and_code(setup: Setup) -> None:
    source = rows(30, carColor="Red")
    source[3]["email"] = "no address"
    del source[17]["carColor"]
    source[17]["car_colour"] = "Blue"  # A custom field that the account does not have.
    async with setup.client() as publitrac:
        report = await setup.sync(setup.table(source), PublitracV1Sink(publitrac.v1))
    assert (report.ok, report.rejected) == (28, 2)
    first, second = report.rejections
    assert (first.line, first.code, first.reason) == (
        5,
        "9002",
        "email: not an e-mail address: it holds a blank (code 9002)",
    )
    assert (second.line, second.code) == (19, "9008")
    assert second.reason
    assert report.errors == {"ValidationError": 2}
    assert report.exit_code == 3
    with (setup.results / "rejected.csv").open(newline="") as file:
        found = [
            (row["publitrac_line"], row["publitrac_status"], row["publitrac_code"], row["publitrac_reason"])
            for row in csv.DictReader(file)
        ]
    assert found == [
        ("5", "rejected", "9002", first.reason),
        ("19", "rejected", "9008", second.reason),
    ]


async def test_the_next_run_sends_changed_rows(setup: Setup) -> None:
    source = rows(30, city="Lund")
    await setup.sync(setup.table(source))
    source[7]["city"] = source[21]["city"] = "Kiruna"
    report = await setup.sync(setup.table(source))
    assert (report.accepted, report.skipped, report.source_changed) == (2, 28, True), report
    assert sorted(setup.arrivals()[30:]) == ["lead21@example.com", "lead7@example.com"]
    report = await setup.sync(setup.table(source), resend=Resend(unchanged=True))
    assert (report.accepted, report.skipped, report.source_changed) == (30, 0, False)


async def test_rejected_rows_are_sent_again_on_request(setup: Setup) -> None:
    error = ValidationError("no such country", code=610)
    source = setup.table(rows(25))
    await setup.sync(source, RecordingSink(failing(error, 3, 14)))
    sink = RecordingSink()
    report = await setup.sync(source, sink)
    assert (report.skipped, report.rejected, report.errors) == (23, 2, {"rejected earlier": 2})
    assert (report.rejections[1].reason, report.rejections[1].code) == ("no such country", "610")
    assert sink.calls == []
    report = await setup.sync(source, sink, resend=Resend(rejected=True))
    assert (report.skipped, report.ok) == (23, 2)
    assert sorted(sink.emails) == ["lead14@example.com", "lead3@example.com"]


async def test_a_spent_error_budget_ends_the_run(setup: Setup) -> None:
    sink = RecordingSink(lambda lead: ValidationError("no"))
    budget = ErrorBudget(failures=4, share=0.5)
    report = await setup.sync(setup.table(rows(200)), sink, error_budget=budget)
    assert report.stopped is not None
    assert "the error budget is exceeded" in report.stopped
    assert 5 <= report.rejected == len(sink.calls) <= 5 * setup.in_flight
    assert report.pending == 200 - report.rejected
    assert report.exit_code == 1


async def test_a_dead_service_ends_the_run(setup: Setup) -> None:
    sink = RecordingSink(lambda lead: ServerError("broken"))
    report = await setup.sync(setup.table(rows(60)), sink, error_budget=ErrorBudget(in_a_row=8))
    assert report.stopped is not None
    assert "the service appears to be down" in report.stopped
    assert (report.pending, report.ok) == (60, 0)
    # Rows that are pending because a call failed say so.
    assert report.errors == {"ServerError": len(sink.calls)}
    sink = RecordingSink()
    assert (await setup.sync(setup.table(rows(60)), sink)).ok == 60


async def test_rejected_credentials_end_the_run(setup: Setup) -> None:
    source = setup.table(rows(60))
    async with setup.client(api_key="not-the-key") as publitrac:
        report = await setup.sync(source, PublitracV2Sink(publitrac.v2))
    assert report.stopped is not None
    assert report.stopped.startswith("AuthenticationError: ")
    assert report.pending == 60
    assert len(setup.sandbox.journal.arrivals) <= setup.in_flight
    assert (await setup.sync(source)).accepted == 60


async def test_the_first_request_to_end_lets_calls_end(setup: Setup) -> None:
    shutdown = Shutdown()

    class Sink(RecordingSink):
        async def send(self, records: Any) -> Any:
            if len(self.arrived) >= 20 and not shutdown.requested:
                shutdown.request()
            return await super().send(records)

    sink = Sink(turns=5)
    source = setup.table(rows(100))
    report = await setup.sync(source, sink, shutdown=shutdown)
    assert report.stopped == "interrupted"
    assert report.exit_code == 130
    assert (report.ok, report.unknown, report.pending) == (len(sink.arrived), 0, 100 - len(sink.arrived))
    assert 20 <= report.ok < 100
    taken = report.ok
    sink = RecordingSink()
    report = await setup.sync(source, sink)
    assert (report.skipped, report.ok, len(sink.arrived)) == (taken, 100 - taken, 100 - taken)


async def test_rows_that_may_have_arrived_are_reported_and_not_sent_again(setup: Setup) -> None:
    error = OutcomeUnknown("the response was lost")
    source = setup.table(rows(25))
    first = RecordingSink(failing(error, 3, 14), idempotent=False)
    report = await setup.sync(source, first)
    assert (report.ok, report.unknown, report.errors) == (23, 2, {"OutcomeUnknown": 2})
    for again in (Resend(), Resend(rejected=True)):
        sink = RecordingSink(idempotent=False)
        report = await setup.sync(source, sink, resend=again)
        assert (report.skipped, report.unknown, sink.calls) == (23, 2, [])
    report = await setup.sync(source, sink, resend=Resend(unchanged=True))
    assert (report.ok, report.unknown) == (23, 2)
    assert not {"lead3@example.com", "lead14@example.com"} & set(sink.emails)


async def test_rows_that_may_have_arrived_are_sent_again_if_that_is_harmless(setup: Setup) -> None:
    error = OutcomeUnknown("the response was lost")
    source = setup.table(rows(25))
    await setup.sync(source, RecordingSink(failing(error, 3, 14)))
    sink = RecordingSink()
    assert (await setup.sync(source, sink)).ok == 2
    assert sorted(sink.emails) == ["lead14@example.com", "lead3@example.com"]


async def test_rows_that_were_not_executed_are_pending(setup: Setup) -> None:
    source = setup.table(rows(25))
    report = await setup.sync(source, RecordingSink(failing(NotSent("refused"), 3, 14)))
    assert (report.ok, report.pending, report.stopped) == (23, 2, None)
    assert report.errors == {"NotSent": 2}
    assert report.exit_code == 1
    text = (setup.results / "unprocessed.csv").read_text("utf-8-sig")
    assert text.splitlines()[1:] == [
        "lead3@example.com,5,pending,,refused,,",
        "lead14@example.com,16,pending,,refused,,",
    ]
    sink = RecordingSink()
    assert (await setup.sync(source, sink)).ok == 2


async def test_report_and_result_files_are_the_same_everywhere(setup: Setup) -> None:
    source = [
        {"email": "a@example.com", "city": "Lund"},
        {"email": "no address", "city": "Lund"},
        {"email": "b@example.com", "city": "Lund"},
        {"email": "A@example.com", "city": "Kiruna"},
        {"email": "c@example.com", "city": "Lund"},
    ]
    error = OutcomeUnknown("the response was lost", vendor_message="c@example.com: wait")
    sink = RecordingSink(lambda lead: error if lead.email == "c@example.com" else None)
    await setup.sync(setup.table(source), sink)
    summary = json.loads((setup.results / "summary.json").read_text())
    assert summary.pop("seconds") > 0
    assert summary.pop("started_at")
    assert summary.pop("results_dir") == str(setup.results.resolve())
    reasons = {
        each["reason"]: (each["state"], each["count"], each["lines"]) for each in summary.pop("reasons")
    }
    assert reasons == {
        "email: not an e-mail address: it holds a blank (code 9002)": ("rejected", 1, [3]),
        "the response was lost": ("unknown", 1, [6]),
    }
    assert summary == {
        "pending_reasons": {},
        "warnings": [],
        "withheld": {},
        "source": "leads.csv",
        "sink": "recording",
        "rows": 5,
        "ok": 2,
        "accepted": 0,
        "rejected": 1,
        "skipped": 1,
        "unknown": 1,
        "pending": 0,
        "duplicates": 1,
        "stopped": None,
        "source_changed": None,
        "errors": {"OutcomeUnknown": 1, "ValidationError": 1},
        "rejections": [
            {
                "line": 3,
                "reason": "email: not an e-mail address: it holds a blank (code 9002)",
                "code": "9002",
            }
        ],
        "superseded": [{"line": 2, "superseded_by": 5}],
        "verification": None,
        "rate_limit": None,
        "exit_code": 3,
    }
    head = "email,city,publitrac_line,publitrac_status,publitrac_code,publitrac_reason,publitrac_message,"
    head += "publitrac_text\n"
    assert {path.name: path.read_text("utf-8-sig") for path in setup.results.glob("*.csv")} == {
        "done.csv": head
        + "a@example.com,Lund,2,skipped,,superseded by line 5,,\n"
        + "b@example.com,Lund,4,ok,,,,\n"
        + "A@example.com,Kiruna,5,ok,,,,\n",
        "rejected.csv": head
        + "no address,Lund,3,rejected,9002,email: not an e-mail address: it holds a blank (code 9002),,\n",
        "unprocessed.csv": head
        + "c@example.com,Lund,6,unknown,,the response was lost,c@example.com: wait,\n",
    }
    assert "<html" in (setup.results / "report.html").read_text()


async def test_sent_rows_are_confirmed(setup: Setup) -> None:
    setup.sandbox.inject(Fault("status", match="v2.delayedSync", status=400, times=2))
    async with setup.client() as publitrac:
        verify = Verify(v1=publitrac.v1, rate_limit=1000, timeout=0)
        report = await setup.sync(setup.table(with_repeated()), verify=verify)
    assert report.verification is not None
    done = report.accepted
    assert done == LEADS - 2
    assert (report.verification.checked, report.verification.processed) == (done, done)


async def test_progress_is_reported(setup: Setup) -> None:
    told: list[Progress] = []
    await setup.sync(
        setup.table(with_repeated()), RecordingSink(), monitor=Monitor(told.append, interval=0.02)
    )
    assert list(dict.fromkeys(each.phase for each in told)) == [
        Phase.READING,
        Phase.SENDING,
        Phase.FINISHED,
    ]
    sending = [each for each in told if each.phase is Phase.SENDING]
    assert (sending[0].done, sending[-1].done) == (0, LEADS)
    assert {each.total for each in sending} == {LEADS}
    assert [each.done for each in sending] == sorted(each.done for each in sending)
    assert sum(told[-1].counts.values()) == told[-1].done == LEADS + 11
