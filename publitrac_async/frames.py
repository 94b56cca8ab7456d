"""Clear local names from tracebacks.

Error trackers record the local names of every frame of a traceback. Frames of a call hold leads, and those
that write a request hold credentials. So a public method that fails clears the frames below it; files, lines
and names of functions stay.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final, ParamSpec, TypeVar

T = TypeVar("T")
C = TypeVar("C", bound=type[Any])
P = ParamSpec("P")

#: Packages whose frames handle requests or responses. Frames of the program, such as its limiter, keep their
#: names.
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
#: It hands requests, with their credentials, to a transport that the program may have made or wrapped.
_HANDS_OVER: Final = "publitrac_async.transport.http"
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
    found, waiting = set[int](), [(error, False)]
    while waiting:
        one, handed = waiting.pop()
        if id(one) in found:
            continue
        found.add(id(one))
        handed = _clear(one.__traceback__, above, handed=handed)
        others = one.__cause__, one.__context__, *getattr(one, "exceptions", ())
        waiting += [
            (other, handed and not _caught_by_a_caller(other)) for other in others if other is not None
        ]


def _clear(traceback: TracebackType | None, above: tuple[str, ...], *, handed: bool) -> bool:
    """Clear frames, and return True if a request was handed to a transport in one of them.

    Args:
        traceback: its frames.
        above: modules whose frames stay as they are.
        handed: clear the frames of the program, too: a transport has the request.
    """
    caller = ""
    while traceback is not None:
        frame = traceback.tb_frame
        module: str = frame.f_globals.get("__name__") or ""
        package = module.partition(".")[0]
        handed = handed or (caller == _HANDS_OVER and package != "publitrac_async")
        caller = module
        if (handed or package in _PACKAGES) and not module.startswith(above) and not _alive(frame):
            with contextlib.suppress(RuntimeError):  # Not seen; CPython says it of frames that are alive.
                frame.clear()
        traceback = traceback.tb_next
    return handed


def _caught_by_a_caller(error: BaseException) -> bool:
    """Return True if a function handles `error` that has yet to end, such as one that made the call."""
    return error.__traceback__ is not None and _alive(error.__traceback__.tb_frame)


def _alive(frame: FrameType) -> bool:
    """Return True if the frame runs or waits: to clear the frame of a coroutine that waits would end it."""
    # CPython leaves what a frame refers to with the coroutine or the stack, until the function ends.
    return frame.f_code not in gc.get_referents(frame)
