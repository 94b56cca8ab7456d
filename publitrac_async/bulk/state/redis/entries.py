"""Entries of leads in Redis, as the owner of the run or a worker reads and writes them."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final

from attrs import frozen

from publitrac_async.bulk.errors import StateStoreError
from publitrac_async.bulk.rows import Outcome, State
from publitrac_async.bulk.state.base import Entry
from publitrac_async.bulk.state.redis.keys import StateKeys, reading
from publitrac_async.shared.redis.connection import Argument

#: Maximum number of leads per script. This many block Redis for some milliseconds.
BATCH: Final = 500

LOST: Final = (
    "this process has lost the state store: another one opened it while this one did not respond, or Redis "
    "lost its data; run it again"
)
_ENDED: Final = "the run was ended"

#: Letters of the states in Redis.
LETTERS: Final = {
    State.PENDING: "p",
    State.SENDING: "s",
    State.OK: "o",
    State.ACCEPTED: "a",
    State.REJECTED: "r",
    State.RETRY: "t",
    State.UNKNOWN: "u",
}
_STATES: Final = {letter: state for state, letter in LETTERS.items()}


@frozen(eq=False)
class _Change:
    """A begin or complete in the queue."""

    arguments: Sequence[Argument]
    leads: int
    future: asyncio.Future[Any]
    is_begin: bool


class Entries:
    """Reads and writes entries for one holder of the state store or of a chunk.

    Changes are written in the order of the calls. Changes that arrive during a write go together into the
    next one.

    Args:
        keys: keys of the state store.
        lookup: script that reads.
        write: script that writes; it returns nil if the caller has lost its lease.
        holder: first arguments of both scripts, which identify the holder.
        not_recorded: error text for outcomes that were not recorded.
        durable: wait until changes are on the disk of the server.
    """

    def __init__(
        self,
        keys: StateKeys,
        *,
        lookup: str,
        write: str,
        holder: Sequence[Argument],
        not_recorded: str,
        durable: bool,
    ) -> None:
        self._keys = keys
        self._hashed = keys.connection.hashed
        self._lookup_script = lookup
        self._write_script = write
        self._holder = holder
        self._not_recorded = not_recorded
        self._durable = durable
        self._queue: list[_Change] = []
        self._writer: asyncio.Task[None] | None = None

    async def lookup(self, keys: Sequence[str]) -> list[Entry | None]:
        """Return the entries of leads."""
        hashes = list(map(self._hashed, keys))
        found = [found async for _, found in self.lookup_hashes(hashes)]
        with reading():
            return [_entry(each) if each else None for each in found]

    async def lookup_hashes(self, hashes: Sequence[bytes]) -> AsyncIterator[tuple[bytes, Any]]:
        """Iterate over hashes and the raw entries of their leads, with each byte decoded as a character."""
        for batch in batches(hashes):
            response = await self._keys.run(self._lookup_script, *self._holder, *batch)
            with reading():
                pairs = list(zip(batch, json.loads(response.decode("latin-1")), strict=True))
            for pair in pairs:
                yield pair

    def begin(self, keys: Sequence[str]) -> asyncio.Future[bool]:
        """Record that a call is about to start; see `StateWriter.begin`."""
        return self._change(["b", len(keys), *map(self._hashed, keys)], len(keys), is_begin=True)

    def complete(self, leads: Sequence[tuple[str, Outcome]]) -> asyncio.Future[None]:
        """Record the outcomes of a call; see `StateWriter.complete`."""
        arguments: list[Argument] = ["c", len(leads)]
        for key, outcome in leads:
            arguments += (self._hashed(key), LETTERS[outcome.state])
            arguments += (outcome.kind or "", outcome.code or "", outcome.reason or "")
        return self._change(arguments, len(leads), is_begin=False)

    async def drain(self) -> None:
        """Wait until the queue is empty."""
        while self._writer is not None:
            await asyncio.wait([self._writer])

    def _change(self, arguments: Sequence[Argument], leads: int, *, is_begin: bool) -> asyncio.Future[Any]:
        change = _Change(arguments, leads, asyncio.get_running_loop().create_future(), is_begin)
        self._queue.append(change)
        if self._writer is None:
            # In a separate task, so the change is written even if the caller is cancelled.
            self._writer = asyncio.create_task(self._write_queue(), name="publitrac_async state store")
        return change.future

    async def _write_queue(self) -> None:
        try:
            while self._queue:
                await self._write(self._next_batch())
        finally:
            self._writer = None
            # The queue is empty unless the event loop is closing.
            for change in self._queue:
                self._resolve(change, None, StateStoreError(_ENDED))

    def _next_batch(self) -> list[_Change]:
        leads = count = 0
        for change in self._queue:
            leads += change.leads
            if count and leads > BATCH:
                break
            count += 1
        changes, self._queue = self._queue[:count], self._queue[count:]
        return changes

    async def _write(self, changes: Sequence[_Change]) -> None:
        arguments = [argument for change in changes for argument in change.arguments]
        failure = StateStoreError(_ENDED)
        results: Sequence[int | None] = [None] * len(changes)
        try:
            response = await self._keys.run(
                self._write_script, *self._holder, *arguments, on_disk=self._durable
            )
            with reading():
                results = [*map(int, response or ()), *results]
            failure = StateStoreError(LOST if response is None else self._not_recorded)
        except StateStoreError as error:
            failure = error
        except Exception as error:  # noqa: BLE001  (callers wait for their futures, whatever the error)
            failure = StateStoreError(
                f"the state store in Redis failed ({type(error).__name__}): run it again"
            )
        finally:
            for change, result in zip(changes, results, strict=False):
                self._resolve(change, result, failure)

    def _resolve(self, change: _Change, result: int | None, failure: StateStoreError) -> None:
        future = change.future
        if future.done():
            return
        if result is not None and change.is_begin:
            future.set_result(bool(result))
        elif result == 0:
            future.set_result(None)
        else:
            future.set_exception(StateStoreError(failure.message, retryable=failure.retryable))
            future.exception()  # A caller that does not await it gets the error from its next change.


def batches(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """Split `items` into batches, one for each run of a script."""
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))


def state_and_reason(found: Any) -> tuple[State, str | None, str]:
    """Return state, reason and time (UTC) of a raw entry."""
    since = dt.datetime.fromtimestamp(found[6] or 0, dt.UTC)
    return _STATES[found[0]], _text(found[4]), since.isoformat(sep=" ", timespec="seconds")


def _entry(found: Any) -> Entry:
    state, content_hash, acked, kind, reason, code, _ = found
    outcome = Outcome(_STATES[state], _text(kind), _text(reason), _text(code))
    return Entry(outcome, content_hash.encode("latin-1"), acked.encode("latin-1") if acked else None)


def _text(value: str) -> str | None:
    return value.encode("latin-1").decode() if value else None
