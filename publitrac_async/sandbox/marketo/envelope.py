"""Form of every response, and tokens of pages."""

from __future__ import annotations

import base64
import itertools
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from publitrac_async.sandbox.message import JSON, Response

PAGE: Final = 300
_numbers = itertools.count(0x1475B74E276)


class CallRefusedError(Exception):
    """The call as a whole is refused, and was not executed."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RecordRefusedError(Exception):
    """One record is refused."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def reasons(self) -> list[dict[str, str]]:
        """The record's `reasons`."""
        return [{"code": self.code, "message": str(self)}]


def success(result: Sequence[Any] | None = None, *, applied: bool = False, **more: Any) -> Response:
    """Return a successful response, without the member `result` if there is none."""
    document: dict[str, Any] = {"requestId": _request_id()}
    if result is not None:
        document["result"] = list(result)
    document["success"] = True
    return _respond(document | more, applied=applied)


def failure(code: str, message: str) -> Response:
    """Return a refusal, with HTTP 200, like all responses of the application."""
    document = {
        "requestId": _request_id(),
        "success": False,
        "errors": [{"code": code, "message": message}],
    }
    return _respond(document)


def page(items: Sequence[Any], query: Mapping[str, str], *, style: str) -> Response:
    """Return the page that a query requests.

    Args:
        items: all items, in order.
        query: parameters, of which `batchSize` and `nextPageToken` select the page.
        style: `token`: only a token when there is more (lists, programs); `more`: `moreResult` as well
            then (filters); `both`: `moreResult` always.

    Raises:
        CallRefusedError: the size is invalid, or the token belongs to another query.
    """
    size = page_size(query)
    signature = _signature(query)
    start = _position(query["nextPageToken"], signature) if query.get("nextPageToken") else 0
    end = start + size
    more = end < len(items)
    members: dict[str, Any] = {}
    if more:
        members["nextPageToken"] = _token(end, signature)
    if style == "both" or (style == "more" and more):
        members["moreResult"] = more
    return success(items[start:end], **members)


def page_size(query: Mapping[str, str]) -> int:
    """Return the maximum number of items on a page.

    Raises:
        CallRefusedError: `batchSize` is invalid.
    """
    size = query.get("batchSize", str(PAGE))
    if not size.isdecimal() or not 1 <= int(size) <= PAGE:
        raise CallRefusedError("1003", f"batchSize must be between 1 and {PAGE}")
    return int(size)


def _signature(query: Mapping[str, str]) -> int:
    own = sorted((name, value) for name, value in query.items() if name != "nextPageToken")
    return zlib.crc32(json.dumps(own).encode())


def _token(position: int, signature: int) -> str:
    return base64.b32encode(f"{signature:08x}:{position}".encode()).decode()


def _position(token: str, signature: int) -> int:
    try:
        own, _, position = base64.b32decode(token).decode().partition(":")
        if int(own, 16) != signature:
            raise ValueError(own)
        return int(position)
    except ValueError:
        raise CallRefusedError("1003", "Invalid nextPageToken") from None


def _request_id() -> str:
    number = next(_numbers)
    return f"{number & 0xFFFF:x}#{number:x}"


def _respond(document: Mapping[str, Any], *, applied: bool = False) -> Response:
    body = json.dumps(document, ensure_ascii=False).encode()
    return Response(body, 200, f"{JSON};charset=UTF-8", applied=applied)
