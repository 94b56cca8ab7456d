"""Limit on the requests in flight of all processes of a host."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from pathlib import Path
from typing import Any, Final, cast

from publitrac_async.errors import LimiterUnavailable

try:
    import fcntl
except ImportError:  # Windows; `AccountFile` refuses it.
    fcntl = cast("Any", None)

#: Mean seconds between two attempts to lock a slot. They vary, or one process would always be the first.
_POLL: Final = 0.05


class FileSlots:
    """Slots for requests in flight: one locked file for each, so a killed process keeps none.

    Args:
        path: path of the shared file; the files of the slots have its name and a number.
        count: requests in flight at once, of all processes together.
    """

    def __init__(self, path: Path, count: int) -> None:
        self._paths = [path.with_name(f"{path.name}.slot{number}") for number in range(count)]
        self._lock = asyncio.Lock()

    async def take(self) -> int:
        """Wait for a slot; callers of this process are served in order.

        Raises:
            LimiterUnavailable: a file cannot be locked.
        """
        async with self._lock:
            while (slot := self._lock_one()) is None:
                await asyncio.sleep(2 * _POLL * random.random())  # noqa: S311  (spread over time, not secrecy)
            return slot

    def give(self, slot: int) -> None:
        """Release a slot."""
        with contextlib.suppress(OSError):
            # Explicitly, because a forked process may still have the file open.
            fcntl.flock(slot, fcntl.LOCK_UN)
        os.close(slot)

    def _lock_one(self) -> int | None:
        reason = None
        for path in self._paths:
            try:
                slot = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
                try:
                    fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BaseException:
                    os.close(slot)
                    raise
            except BlockingIOError:
                continue
            except OSError as error:
                reason = error.strerror
                break
            return slot
        if reason is not None:
            raise LimiterUnavailable(
                f"the files of the shared slots cannot be locked ({reason})", retry_after=1.0
            )
        return None
