"""A server in a thread with its own event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from typing import Any


@contextmanager
def entered_in_thread(server: AbstractAsyncContextManager[Any]) -> Iterator[None]:
    """Enter an asynchronous context in a new thread, and leave it there at the end.

    Args:
        server: the context.

    Raises:
        BaseException: the context cannot be entered or left.
    """
    started: Future[Callable[[], object]] = Future()
    ended: Future[None] = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        async with server:
            started.set_result(partial(asyncio.get_running_loop().call_soon_threadsafe, stop.set))
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - raised where the thread was started
            (ended if started.done() else started).set_exception(error)
        else:
            ended.set_result(None)

    # A daemon, so that a sandbox that a test does not close cannot keep the interpreter alive.
    thread = threading.Thread(target=run, name="publitrac-sandbox", daemon=True)
    thread.start()
    stop = started.result()
    try:
        yield
    finally:
        if not ended.done():
            stop()
        thread.join()
        ended.result()
