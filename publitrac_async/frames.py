"""Clear local names from tracebacks.

Error trackers record the local names of every frame of a traceback. Frames of a call hold leads, and those
that write a request hold credentials. So a public method that fails clears the frames below it; files, lines
and names of functions stay.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, ParamSpec, TypeVar

T = TypeVar("T")
C = TypeVar("C", bound=type[Any])
P = ParamSpec("P")

#: Packages whose frames handle requests or responses. Frames of the program, such as its limiter or the
#: handler of a mock, keep their names.
_PACKAGES: Final = frozenset(
    (
        *("publitrac_async", "aiohttp", "aiohappyeyeballs", "aiolimiter", "redis"),
        *("httpx", "httpcore", "h11", "h2", "anyio", "respx", "starlette", "fastapi"),
        *("asyncio", "json", "ssl", "urllib", "xml"),
        *("attr", "attrs", "cattr", "cattrs", "xmltodict"),
    )
)
#: Their frames are above a call, and may wait for another call while they hold an error.
_ABOVE: Final = ("publitrac_async.bulk", "publitrac_async.cli", "publitrac_async.frames")
#: The same for a whole run, whose frames hold rows. All of its tasks have ended.
_ABOVE_RUNS: Final = ("publitrac_async.cli", "publitrac_async.frames")
_SPECIAL: Final = frozenset({"__anext__"})


def clears_frames(cls: C) -> C:
    """Make every public method of a class a boundary: errors leave it with cleared frames only."""
    for name, method in list(vars(cls).items()):
        if (name in _SPECIAL or not name.startswith("_")) and inspect.isfunction(method):
            setattr(cls, name, clears_frames_of(method))
    return cls


def clears_frames_of_run(function: Callable[P, T]) -> Callable[P, T]:
    """Return `function`, which makes a run of bulk, as a boundary."""
    return clears_frames_of(function, above=_ABOVE_RUNS)


def clears_frames_of(function: Callable[P, T], *, above: tuple[str, ...] = _ABOVE) -> Callable[P, T]:
    """Return `function`, a coroutine function or a plain one, as a boundary.

    Args:
        function: the function.
        above: modules whose frames stay as they are.
    """
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wait(*args: P.args, **kwargs: P.kwargs) -> Any:
            running = function(*args, **kwargs)
            del args, kwargs
            try:
                return await running
            except BaseException as error:
                clear_frames(error, above=above)
                raise

        return wait  # type: ignore[return-value]  # T is a coroutine here

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            del args, kwargs
            clear_frames(error, above=above)
            raise

    return call


def clear_frames(error: BaseException, *, above: tuple[str, ...] = _ABOVE) -> None:
    """Clear the local names in the tracebacks of `error`, its causes and its contexts.

    Args:
        error: the exception being handled; running frames stay as they are.
        above: modules whose frames stay as they are.
    """
    found, waiting = set[int](), [error]
    while waiting:
        one = waiting.pop()
        if id(one) in found:
            continue
        found.add(id(one))
        _clear(one.__traceback__, above)
        waiting += [other for other in (one.__cause__, one.__context__) if other is not None]
        waiting += getattr(one, "exceptions", ())


def _clear(traceback: TracebackType | None, above: tuple[str, ...]) -> None:
    while traceback is not None:
        frame = traceback.tb_frame
        module: str = frame.f_globals.get("__name__") or ""
        if module.partition(".")[0] in _PACKAGES and not module.startswith(above):
            with contextlib.suppress(RuntimeError):  # The frame is running.
                frame.clear()
        traceback = traceback.tb_next
