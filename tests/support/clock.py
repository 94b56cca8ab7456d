"""An event loop whose time jumps ahead when every task waits, so that no test sleeps."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

#: Time passes a little with every turn of the loop, as it does in reality; without that, a timer that
#: rounding puts at the present moment would be set again forever.
_TURN = 1e-9


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("every task waits for something that will never happen")
        self.now += _TURN if ready else max(timeout or 0.0, _TURN)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time` is virtual: it moves only when every task waits, and then straight to the next timer."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def jump(self, seconds: float) -> None:
        """Let the clock jump, as after the machine was suspended."""
        self._jumping.now += seconds


def now() -> float:
    """The time of the running loop: the clock to inject."""
    return asyncio.get_running_loop().time()


def jump(seconds: float) -> None:
    """Let the virtual clock of the running loop jump."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.jump(seconds)


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` in a virtual loop, and check that it leaves no task behind."""

    async def checked() -> T:
        result = await main
        for _ in range(5):
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks left behind: {left}"
        return result

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(checked())


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in virtual time."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        run_virtual(test(*args, **kwargs))

    return run
