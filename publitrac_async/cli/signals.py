"""Signals that ask a command to end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from publitrac_async.bulk import Stop


@asynccontextmanager
async def signals_go_to(stop: Stop) -> AsyncIterator[None]:
    """While this is open, Ctrl-C and a polite kill ask the run to end."""
    loop = asyncio.get_running_loop()
    names = (signal.SIGINT, signal.SIGTERM)
    previous: dict[signal.Signals, Any] = {}
    for name in names:
        try:
            loop.add_signal_handler(name, stop.request)
        except NotImplementedError:  # Windows
            previous[name] = signal.signal(name, lambda *_: loop.call_soon_threadsafe(stop.request))
    try:
        yield
    finally:
        for name in names:
            if name in previous:
                signal.signal(name, previous[name])
            else:
                loop.remove_signal_handler(name)
