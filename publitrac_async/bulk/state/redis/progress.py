"""Progress and failed rows of a run, read from Redis."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any, Final

from publitrac_async.bulk.rows import State
from publitrac_async.bulk.state.progress import Failure, RunProgress, failures_from_json
from publitrac_async.bulk.state.redis import scripts
from publitrac_async.bulk.state.redis.entries import BATCH, LETTERS
from publitrac_async.bulk.state.redis.keys import StateKeys, reading

#: Seconds of a slice; see `scripts`.
_SLICE: Final = 10
_CALLED: Final = (State.OK, State.ACCEPTED, State.REJECTED, State.UNKNOWN, State.RETRY)


async def read_progress(keys: StateKeys, name: str) -> RunProgress | None:
    """Return the progress of the current or last run, ``None`` if there was none.

    Raises:
        StateStoreError: Redis does not respond, or the progress is damaged.
    """
    response = await keys.run(scripts.PROGRESS)
    with reading():
        return _progress(name, response)


def _progress(name: str, response: Any) -> RunProgress | None:
    now, destination, alive, running, pairs = response
    found = {pairs[i].decode(): pairs[i + 1].decode() for i in range(0, len(pairs), 2)}
    if "id" not in found:
        return None
    counts = {state: int(found.get(f"state:{LETTERS[state]}", 0)) for state in _CALLED}
    rows = None if "rows" not in found else int(found["rows"])
    counts = {state: count for state, count in counts.items() if count}
    return RunProgress(
        state_store=name,
        run=found["id"],
        destination=None if destination is None else destination.decode(),
        phase=_phase(found, alive=bool(alive), busy=bool(running), sending=rows is not None or bool(counts)),
        begun=_time(found["begun"]),
        ended=_time(found["ended"]) if "ended" in found else None,
        stopped=found.get("stopped"),
        starter_alive=bool(alive),
        rows=rows,
        refused=int(found.get("refused", 0)),
        in_flight=max(0, int(found.get("state:s", 0))),
        counts=counts,
        claimed_chunks=running,
        rate=_rate(found, now / 1000),
    )


async def read_failures(keys: StateKeys) -> AsyncIterator[Failure]:
    """Iterate over the failures of the current or last run.

    Raises:
        StateStoreError: Redis does not respond.
    """
    seen: set[bytes] = set()
    cursor: Any = 0
    while True:
        response = await keys.read("HSCAN", "failures", cursor, "COUNT", BATCH)
        with reading():
            cursor, pairs = response
            texts = pairs if isinstance(pairs, dict) else dict(zip(pairs[::2], pairs[1::2], strict=True))
            # HSCAN may return a field twice.
            new = [text for chunk, text in texts.items() if chunk not in seen]
            seen.update(texts)
            failures = [each for text in new for each in failures_from_json(text)]
        for each in failures:
            yield each
        if not cursor:
            return


def _phase(found: dict[str, str], *, alive: bool, busy: bool, sending: bool) -> str:
    if "stopped" in found:
        return "stopped"
    if "ended" in found:
        return "ended"
    if not alive and not busy:
        return "abandoned"
    return "sending" if sending else "reading"


def _rate(found: dict[str, str], now: float) -> float:
    """Return rows per second over the last slices of ten seconds."""
    slice_now, rest = divmod(now, _SLICE)
    last, rows = int(found.get("slice", 0)), int(found.get("slice_rows", 0))
    if last == slice_now:
        rows += int(found.get("rows_before", 0))
    elif last != slice_now - 1:
        return 0.0
    since = int(found.get("sending_since", found["begun"]))
    return rows / max(1.0, min(_SLICE + rest, now - since))


def _time(seconds: str) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC)
