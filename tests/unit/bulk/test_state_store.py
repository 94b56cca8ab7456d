from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from publitrac_async import Conflict, Lead, OutcomeUnknown
from publitrac_async.bulk import Resend, SqliteStateStore, StateStoreError, read_leads, sync_leads
from tests.support.runs import run
from tests.support.sinks import RecordingSink, rows


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "run.sqlite"


def known(store: Path) -> dict[str, tuple[Any, ...]]:
    with sqlite3.connect(store) as connection:
        found = connection.execute("SELECT key, state, attempts, code, error FROM leads").fetchall()
    connection.close()
    return {key: tuple(rest) for key, *rest in found}


async def test_unchanged_rows_are_skipped_and_changed_ones_sent(store: Path) -> None:
    await run(rows(10), RecordingSink(), state=store)
    sink = RecordingSink()
    report = await run(rows(10), sink, state=store)
    assert (report.skipped, report.duplicates, sink.calls) == (10, 0, [])
    assert report.exit_code == 0
    changed = rows(10)
    changed[3]["city"] = "Göteborg"
    report = await run(changed, sink, state=store)
    assert (report.ok, report.skipped, sink.emails) == (1, 9, ["lead3@example.com"])
    assert known(store)["lead3@example.com"] == ("ok", 2, None, None)


async def test_the_order_of_columns_and_kinds_of_rows_make_no_change(store: Path) -> None:
    await run(
        [{"email": "a@example.com", "first_name": "Ada", "carColor": "Red"}], RecordingSink(), state=store
    )
    sink = RecordingSink()
    lead = Lead(email="a@example.com", first_name="Ada", custom_fields={"carColor": "Red"})
    row = {"carColor": "Red", "firstName": "Ada", "city": "", "email": "a@example.com"}
    for source in ([lead], [row]):
        assert (await run(source, sink, state=store)).skipped == 1


async def test_duplicates_do_not_make_a_second_run_send_anything(store: Path) -> None:
    source = [{"email": "a@example.com", "city": city} for city in "123"]
    await run(source, RecordingSink(), state=store)
    sink = RecordingSink()
    report = await run(source, sink, state=store)
    assert (sink.calls, report.skipped, report.duplicates) == ([], 3, 2)


async def test_full_sends_everything_again(store: Path) -> None:
    await run(rows(5), RecordingSink(), state=store)
    sink = RecordingSink()
    report = await run(rows(5), sink, state=store, resend=Resend(unchanged=True))
    assert (report.ok, len(sink.arrived)) == (5, 5)


async def test_rejected_rows_stay_rejected_until_they_change_or_are_requested(store: Path) -> None:
    def refuse(lead: Lead) -> Conflict | None:
        return Conflict("several match", code=9018) if lead.email == "lead2@example.com" else None

    await run(rows(5), RecordingSink(refuse), state=store)
    sink = RecordingSink()
    report = await run(rows(5), sink, state=store)
    assert (report.rejected, report.skipped, sink.calls) == (1, 4, [])
    assert (report.rejections[0].code, report.rejections[0].reason) == ("9018", "several match")
    report = await run(rows(5), sink, state=store, resend=Resend(rejected=True))
    assert sink.calls == [["lead2@example.com"]]
    assert report.ok == 1
    await run(rows(5), RecordingSink(refuse), state=store, resend=Resend(unchanged=True))
    changed = rows(5)
    changed[2]["city"] = "Lund"
    report = await run(changed, sink, state=store)
    assert (report.ok, report.skipped) == (1, 4)


async def test_reset_deletes_all_entries(store: Path) -> None:
    await run(rows(5), RecordingSink(), state=store)
    sink = RecordingSink()
    report = await run(rows(3), sink, state=store, reset=True)
    assert report.ok == 3
    assert set(known(store)) == {"lead0@example.com", "lead1@example.com", "lead2@example.com"}


async def test_unknown_outcomes_are_sent_again_for_upserts_and_reported_for_appends(store: Path) -> None:
    def lose(lead: Lead) -> OutcomeUnknown | None:
        return OutcomeUnknown("lost") if lead.email == "lead1@example.com" else None

    appending = RecordingSink(lose, idempotent=False)
    report = await run(rows(3), appending, state=store)
    assert (report.ok, report.unknown) == (2, 1)
    again = RecordingSink(idempotent=False)
    for options in (Resend(), Resend(unchanged=True)):
        report = await run(rows(3), again, state=store, resend=options)
        assert report.unknown == 1
        assert "lead1@example.com" not in again.emails
    upserting = RecordingSink()
    report = await run(rows(3), upserting, state=store)
    assert (report.ok, report.skipped, upserting.emails) == (1, 2, ["lead1@example.com"])


async def test_a_lead_that_may_have_changed_is_sent_even_if_an_old_payload_recurs(store: Path) -> None:
    old, new = [{"email": "a@example.com", "city": "old"}], [{"email": "a@example.com", "city": "new"}]
    await run(old, RecordingSink(), state=store)
    await run(new, RecordingSink(lambda lead: OutcomeUnknown("lost")), state=store)
    sink = RecordingSink()
    report = await run(old, sink, state=store)
    assert (report.ok, report.skipped) == (1, 0)


async def test_a_changed_source_is_noticed(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "leads.csv"
    path.write_text("email\na@example.com\nb@example.com\n")
    assert (await run(read_leads(path), RecordingSink(), state=store)).source_changed is None
    assert (await run(read_leads(path), RecordingSink(), state=store)).source_changed is False
    path.write_text("email\na@example.com\nc@example.com\n")
    report = await run(read_leads(path), RecordingSink(), state=store)
    assert report.source_changed is True
    assert (report.ok, report.skipped) == (1, 1)


async def test_a_state_store_is_for_one_destination(store: Path) -> None:
    await run(rows(1), RecordingSink(), state=store)
    with pytest.raises(StateStoreError, match="belongs to test, not to elsewhere"):
        await run(rows(1), RecordingSink(destination="elsewhere"), state=store)
    report = await run(rows(1), RecordingSink(destination="elsewhere"), state=store, reset=True)
    assert report.ok == 1


async def test_a_state_store_is_readable_by_its_user_only(store: Path) -> None:
    await run(rows(1), RecordingSink(), state=store)
    assert stat.S_IMODE(store.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.with_suffix(".results").stat().st_mode) == 0o700


async def test_a_second_run_on_a_state_store_in_use_is_refused(store: Path) -> None:
    other = (
        "import asyncio, sys; sys.path.insert(0, '.')\n"
        "from publitrac_async.bulk import StateStoreError, sync_leads\n"
        "from tests.support.sinks import RecordingSink, rows\n"
        "try:\n"
        f"    asyncio.run(sync_leads(rows(3), RecordingSink(), state={str(store)!r}))\n"
        "except StateStoreError as error:\n"
        "    print(error.message)\n"
    )
    heard: list[str] = []

    class Asking(RecordingSink):
        async def send(self, records: Any) -> Any:
            if not heard:
                heard.append("")
                root = Path(__file__).parents[3]
                command = [sys.executable, "-c", other]
                done = await asyncio.to_thread(
                    subprocess.run, command, capture_output=True, text=True, cwd=root, check=True
                )
                heard[0] = done.stdout
                with pytest.raises(StateStoreError, match="another process"):
                    await sync_leads(rows(3), RecordingSink(), state=store)
            return await super().send(records)

    report = await run(rows(20), Asking(), state=store)
    assert report.ok == 20
    assert heard == ["another process is using the state store: wait until its run ends\n"]


async def test_a_full_disk_stops_the_run_and_the_next_one_continues(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from publitrac_async.bulk.state.database import Database

    check, room = Database._check, 0

    def limited(self: Database, connection: sqlite3.Connection) -> None:
        check(self, connection)
        if self._path is None:
            return  # Staging.
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + room}")

    source, complaint = wide(300), "the state store cannot be written: the disk is full or failing"
    ends: list[str | None] = []
    for room in (1, 4, 10, 19, 25, 31, 40, 55, 79):  # noqa: B007  (used by `limited`)
        sink, again = RecordingSink(), RecordingSink()
        with monkeypatch.context() as patch:
            patch.setattr(Database, "_check", limited)
            try:
                ends.append((await run(source, sink, state=store, concurrency=4)).stopped)
            except StateStoreError as error:
                ends.append(error.message)
        report = await run(source, again, state=store)
        assert (report.pending, report.unknown) == (0, 0)
        assert set(sink.emails) | set(again.emails) == {row["email"] for row in source}
        assert len(set(sink.emails) & set(again.emails)) <= 4
        store.unlink()
    assert ends[-1] is None
    assert set(ends) == {complaint, f"StateStoreError: {complaint}", None}


def wide(count: int) -> list[dict[str, Any]]:
    """Rows whose keys fill pages quickly."""
    return [{"email": f"lead{number}{'x' * 200}@example.com"} for number in range(count)]


async def test_an_outcome_that_cannot_be_written_is_unknown(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills up between the intent and the outcome."""
    from publitrac_async.bulk.state.database import Database

    commit = Database._commit
    completed = 0

    def failing(self: Database, waiting: Any) -> None:
        nonlocal completed
        names = {writer.__name__ for writer in waiting}
        completed += "_completions" in names
        if completed > 10 and names & {"_completions", "_begins"}:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        commit(self, waiting)

    sink = RecordingSink()
    with monkeypatch.context() as patch:
        patch.setattr(Database, "_commit", failing)
        report = await run(rows(100), sink, state=store, concurrency=1)
    assert report.stopped == "StateStoreError: the state store cannot be written: the disk is full or failing"
    assert (report.ok, report.unknown, report.pending) == (10, 1, 89)
    assert len(sink.arrived) == 11
    again = RecordingSink()
    report = await run(rows(100), again, state=store)
    assert report.ok == 90
    assert set(sink.emails) & set(again.emails) == {"lead10@example.com"}


async def test_a_commit_waits_for_the_disk(store: Path) -> None:
    state = SqliteStateStore(store)
    await state.open(None)
    assert await state._database.read("PRAGMA synchronous") == [(2,)]
    await state.aclose()


async def test_files_that_are_no_state_store_are_refused(store: Path) -> None:
    with sqlite3.connect(store) as connection:
        connection.execute("CREATE TABLE customers (id)")
    connection.close()
    with pytest.raises(StateStoreError, match="not a state store"):
        await run(rows(1), RecordingSink(), state=store)
    store.write_bytes(b"email,firstName\n" * 100)
    with pytest.raises(StateStoreError, match="not a SQLite database"):
        await run(rows(1), RecordingSink(), state=store)
    with pytest.raises(StateStoreError, match="cannot be created"):
        await run(rows(1), RecordingSink(), state=store.parent / "missing" / "run.sqlite")


async def test_a_state_store_of_another_version_is_refused(store: Path) -> None:
    await run(rows(1), RecordingSink(), state=store)
    with sqlite3.connect(store) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StateStoreError, match="another version"):
        await run(rows(1), RecordingSink(), state=store)
