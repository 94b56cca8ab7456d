"""Cancels a coroutine at its k-th suspension: pending, or with the awaited result already set."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, Literal

Moment = Literal["pending", "late"]


@types.coroutine
def _drive(
    coroutine: Coroutine[Any, Any, Any], at: int, moment: Moment, hit: list[bool]
) -> Generator[Any, Any, Any]:
    task = asyncio.current_task()
    assert task is not None
    suspensions = 0
    failure: BaseException | None = None
    while True:
        try:
            awaited = coroutine.send(None) if failure is None else coroutine.throw(failure)
        except StopIteration as stop:
            return stop.value
        if suspensions == at:
            hit.append(True)
            if awaited is None or (moment == "late" and awaited.done()):
                task.cancel()
            elif moment == "late":
                # Runs before the task's own callback, which is added when the future is yielded.
                awaited.add_done_callback(lambda _: task.cancel())
            else:
                asyncio.get_running_loop().call_soon(task.cancel)
        suspensions += 1
        failure = None
        try:
            yield awaited
        except BaseException as error:  # noqa: BLE001  (whatever comes is handed on)
            failure = error


async def cancel_at(coroutine: Coroutine[Any, Any, Any], at: int, moment: Moment) -> bool:
    """Run `coroutine` in its own task and cancel it at suspension `at`, counted from 0.

    Returns whether there was such a suspension; without one, the coroutine completed.

    Raises:
        AssertionError: the cancellation was swallowed.
    """
    hit: list[bool] = []

    async def run() -> Any:
        return await _drive(coroutine, at, moment, hit)

    task = asyncio.create_task(run())
    await asyncio.wait([task])
    if hit:
        # In the last suspension the result may arrive before the cancellation.
        assert task.cancelled() or task.exception() is None, repr(task.exception())
        return True
    task.result()
    return False
