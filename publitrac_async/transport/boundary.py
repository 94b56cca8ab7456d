"""Boundary of the package: report calls of public methods, and clear frames of the errors that they raise."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final, TypeVar

from publitrac_async.errors import PublitracError
from publitrac_async.frames import clear_frames

C = TypeVar("C", bound=type[Any])

#: Private methods that pagers and `send_many` call.
_SENDING: Final = frozenset({"_send", "_sync"})


def boundary(facade: C) -> C:
    """Decorate a façade, which has the transport as ``_transport``.

    Calls refused before sending are reported to hooks and the log, like those that are sent; the transport
    has already reported an error with a ``call_id``. Every exception loses the local names of its frames in
    the package.
    """
    for name, method in inspect.getmembers(facade, inspect.isfunction):
        if name == "aclose" or (name.startswith("_") and name not in _SENDING):
            continue
        if inspect.iscoroutinefunction(method):
            setattr(facade, name, _wrap_coroutine(method))
        elif "Pager" in str(method.__annotations__.get("return")):
            # Annotations are strings. Other plain methods, such as `prepare`, make no call.
            setattr(facade, name, _wrap_function(method))
    return facade


def _wrap_coroutine(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def call(self: Any, *args: Any, **options: Any) -> Any:
        running = method(self, *args, **options)
        del args, options
        try:
            return await running
        except BaseException as error:
            _report_and_clear(self, method, error)
            raise

    return call


def _wrap_function(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        try:
            return method(self, *args, **options)
        except BaseException as error:
            del args, options
            _report_and_clear(self, method, error)
            raise

    return call


def _report_and_clear(facade: Any, method: Callable[..., Any], error: BaseException) -> None:
    if isinstance(error, PublitracError) and error.call_id is None:
        facade._transport.reporter.refused(error, method.__name__)  # noqa: SLF001  (a façade decorates itself)
    clear_frames(error)
