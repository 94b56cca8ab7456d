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
#: Callers of the client: they may hold an error while they wait for another call.
_ABOVE: Final = ("publitrac_async.bulk", "publitrac_async.cli", "publitrac_async.frames")
#: Callers of a whole run, whose frames hold rows. All tasks of the run have ended.
_ABOVE_RUNS: Final = ("publitrac_async.cli", "publitrac_async.frames")
#: Module that passes requests, with their credentials, to a transport; the program may have made or wrapped
#: it.
_TRANSPORT_CALLER: Final = "publitrac_async.transport.http"
_SPECIAL: Final = frozenset({"__anext__"})


def clears_frames(cls: C) -> C:
    """Make every public method of a class a boundary: errors leave it with cleared frames only."""
    for name, method in list(vars(cls).items()):
        if (name in _SPECIAL or not name.startswith("_")) and inspect.isfunction(method):
            setattr(cls, name, clears_frames_of(method))
    return cls


def clears_frames_of_run(function: Callable[P, T]) -> Callable[P, T]:
    """Wrap `function`, which makes a bulk run, as a boundary."""
    return clears_frames_of(function, above=_ABOVE_RUNS)


def clears_frames_of(function: Callable[P, T], *, above: tuple[str, ...] = _ABOVE) -> Callable[P, T]:
    """Wrap `function`, a coroutine function or a plain one, as a boundary: its errors have cleared frames.

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
    visited, pending = set[int](), [(error, False)]
    while pending:
        current, in_transport = pending.pop()
        if id(current) in visited:
            continue
        visited.add(id(current))
        in_transport = _clear(current.__traceback__, above, in_transport=in_transport)
        related = current.__cause__, current.__context__, *getattr(current, "exceptions", ())
        pending += [
            (other, in_transport and not _caught_by_a_caller(other)) for other in related if other is not None
        ]


def _clear(traceback: TracebackType | None, above: tuple[str, ...], *, in_transport: bool) -> bool:
    """Clear frames, and return True if one of them passed a request to a transport.

    Args:
        traceback: the frames.
        above: modules whose frames stay as they are.
        in_transport: also clear frames of the program: a transport has the request.
    """
    caller = ""
    while traceback is not None:
        frame = traceback.tb_frame
        module: str = frame.f_globals.get("__name__") or ""
        package = module.partition(".")[0]
        in_transport = in_transport or (caller == _TRANSPORT_CALLER and package != "publitrac_async")
        caller = module
        if (in_transport or package in _PACKAGES) and not module.startswith(above) and not _alive(frame):
            with contextlib.suppress(RuntimeError):  # CPython raises it for a frame that runs.
                frame.clear()
        traceback = traceback.tb_next
    return in_transport


def _caught_by_a_caller(error: BaseException) -> bool:
    """Return True if a function that still runs handles `error`, such as a caller of the failed call."""
    return error.__traceback__ is not None and _alive(error.__traceback__.tb_frame)


def _alive(frame: FrameType) -> bool:
    """Return True if the frame runs or is suspended: clearing a suspended coroutine would end it."""
    # Until the function ends, CPython keeps the references of a frame with the coroutine or the stack.
    return frame.f_code not in gc.get_referents(frame)
