"""Reports of calls that a façade refuses before they reach the transport."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final, TypeVar

from publitrac_async.errors import PublitracError

C = TypeVar("C", bound=type[Any])

#: The method of façades that pagers call.
_SEND: Final = "_send"


def tells_refusals(facade: C) -> C:
    """Decorate a façade: calls that it refuses are told to hooks and the log, as those that it sends are.

    It has the transport as ``_transport``. An error that the transport raised has a ``call_id`` and was told.
    """
    for name, method in inspect.getmembers(facade, inspect.isfunction):
        if name == "aclose" or (name.startswith("_") and name != _SEND):
            continue
        if inspect.iscoroutinefunction(method):
            setattr(facade, name, _waiting(method))
        elif "Pager" in str(method.__annotations__.get("return")):
            setattr(facade, name, _at_once(method))
    return facade


def _waiting(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def call(self: Any, *args: Any, **options: Any) -> Any:
        try:
            return await method(self, *args, **options)
        except PublitracError as error:
            _tell(self, method, error)
            raise

    return call


def _at_once(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        try:
            return method(self, *args, **options)
        except PublitracError as error:
            _tell(self, method, error)
            raise

    return call


def _tell(facade: Any, method: Callable[..., Any], error: PublitracError) -> None:
    if error.call_id is None:
        facade._transport.reporter.refused(error, method.__name__)  # noqa: SLF001  (a façade decorates itself)
