"""The entries of leads in Redis, as those see and write them who hold the ledger, or a part of it."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final, TypeAlias

from attrs import frozen

from publitrac_async.bulk.errors import LedgerError
from publitrac_async.bulk.ledger import Entry, Outcome
from publitrac_async.bulk.rows import State
from publitrac_async.redis.scripts import Store

#: Leads in one script: some milliseconds in which Redis serves nobody else.
AT_ONCE: Final = 500

LOST: Final = (
    "this process does not hold the ledger any more: another one took it while this one did not answer, or "
    "Redis lost its data; run it again"
)
_ENDED: Final = "the run was ended"

_LETTERS: Final = {
    State.PENDING: "p",
    State.SENDING: "s",
    State.OK: "o",
    State.ACCEPTED: "a",
    State.REJECTED: "r",
    State.RETRY: "t",
    State.UNKNOWN: "u",
}
_STATES: Final = {letter: state for state, letter in _LETTERS.items()}

Argument: TypeAlias = "str | bytes | float"


@frozen(eq=False)
class _Note:
    """An intent or a settlement that waits for its turn."""

    words: Sequence[Argument]
    leads: int
    future: asyncio.Future[Any]
    intent: bool


class Entries:
    """Recall and notes of one holder.

    Notes that come while others are under way are written together, and all in the order in which they came.

    Args:
        store: the ledger.
        recall: the script.
        write: the script; it returns nothing if the holder is none any more.
        holder: the scripts' first arguments.
        refused: what is wrong when outcomes were not noted.
        durable: an intent is on the disk before its call begins.
    """

    def __init__(
        self,
        store: Store,
        *,
        recall: str,
        write: str,
        holder: Sequence[Argument],
        refused: str,
        durable: bool,
    ) -> None:
        self._hashed = store.connection.hashed
        self._recall = store.script(recall)
        self._write = store.script(write)
        self._write_intents = store.script(write, durable=durable)
        self._holder = holder
        self._refused = refused
        self._waiting: list[_Note] = []
        self._writer: asyncio.Task[None] | None = None

    async def recall(self, keys: Sequence[str]) -> list[Entry | None]:
        """What is known of leads."""
        found: list[Entry | None] = []
        async for _, answer in self.look_up(map(self._hashed, keys)):
            found.append(_entry(answer) if answer else None)
        return found

    async def look_up(self, hashes: Iterable[bytes]) -> AsyncIterator[tuple[bytes, Any]]:
        """What the script says of leads; bytes are there as characters."""
        for some in portions(list(hashes)):
            answers = json.loads((await self._recall(*self._holder, *some)).decode("latin-1"))
            for each, answer in zip(some, answers, strict=True):
                yield each, answer

    def intend(self, keys: Sequence[str]) -> asyncio.Future[bool]:
        """Note that a call is about to begin."""
        return self._note(["i", len(keys), *map(self._hashed, keys)], len(keys), intent=True)

    def settle(self, leads: Sequence[tuple[str, Outcome]]) -> asyncio.Future[None]:
        """Note how a call ended."""
        words: list[Argument] = ["s", len(leads)]
        for key, each in leads:
            words += (self._hashed(key), _LETTERS[each.state])
            words += (each.kind or "", each.code or "", each.reason or "")
        return self._note(words, len(leads), intent=False)

    async def drain(self) -> None:
        """Wait until all is written, or given up."""
        while self._writer is not None:
            await asyncio.wait([self._writer])

    def _note(self, words: Sequence[Argument], leads: int, *, intent: bool) -> asyncio.Future[Any]:
        note = _Note(words, leads, asyncio.get_running_loop().create_future(), intent)
        self._waiting.append(note)
        if self._writer is None:
            # A task of its own: whoever waits for the note may be cancelled, the note is written.
            self._writer = asyncio.create_task(self._write_waiting(), name="publitrac_async ledger")
        return note.future

    async def _write_waiting(self) -> None:
        try:
            while self._waiting:
                await self._write_some(self._next())
        finally:
            self._writer = None
            # None are left unless the loop is being closed.
            for note in self._waiting:
                self._resolve(note, None, LedgerError(_ENDED))

    def _next(self) -> list[_Note]:
        leads = count = 0
        for note in self._waiting:
            leads += note.leads
            if count and leads > AT_ONCE:
                break
            count += 1
        notes, self._waiting = self._waiting[:count], self._waiting[count:]
        return notes

    async def _write_some(self, notes: Sequence[_Note]) -> None:
        write = self._write_intents if any(note.intent for note in notes) else self._write
        failure = LedgerError(_ENDED)
        answers: Sequence[int] | None = None
        try:
            answers = await write(*self._holder, *(word for note in notes for word in note.words))
            failure = LedgerError(LOST if answers is None else self._refused)
        except LedgerError as error:
            failure = error
        finally:
            for index, note in enumerate(notes):
                self._resolve(note, answers[index] if answers is not None else None, failure)

    def _resolve(self, note: _Note, answer: int | None, failure: LedgerError) -> None:
        if note.future.done():
            return
        if answer is not None and note.intent:
            note.future.set_result(bool(answer))
        elif answer == 0:
            note.future.set_result(None)
        else:
            note.future.set_exception(LedgerError(failure.message, retryable=failure.retryable))
            note.future.exception()  # Whoever does not wait for it learns of it from the next one.


def portions(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """`items` in pieces for one script each."""
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))


def state_and_reason(answer: Any) -> tuple[State, str | None, str]:
    """Of an answer of the script: state, reason, and since when (UTC)."""
    since = dt.datetime.fromtimestamp(answer[6] or 0, dt.UTC)
    return _STATES[answer[0]], _text(answer[4]), since.isoformat(sep=" ", timespec="seconds")


def _entry(answer: Any) -> Entry:
    state, payload, acknowledged, kind, reason, code, _ = answer
    outcome = Outcome(_STATES[state], _text(kind), _text(reason), _text(code))
    return Entry(outcome, payload.encode("latin-1"), acknowledged.encode("latin-1") if acknowledged else None)


def _text(value: str) -> str | None:
    return value.encode("latin-1").decode() if value else None
