"""Signals that request the end of a command."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from publitrac_async.bulk import Shutdown


@asynccontextmanager
async def signals_go_to(shutdown: Shutdown) -> AsyncIterator[None]:
    """Let Ctrl-C and SIGTERM request a shutdown while this is open."""
    loop = asyncio.get_running_loop()
    names = (signal.SIGINT, signal.SIGTERM)
    previous: dict[signal.Signals, Any] = {}
    for name in names:
        try:
            loop.add_signal_handler(name, shutdown.request)
        except NotImplementedError:  # Windows
            previous[name] = signal.signal(name, lambda *_: loop.call_soon_threadsafe(shutdown.request))
    try:
        yield
    finally:
        for name in names:
            if name in previous:
                signal.signal(name, previous[name])
            else:
                loop.remove_signal_handler(name)
