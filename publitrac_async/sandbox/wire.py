"""Access to the connection of a request, below ASGI.

The h11 protocol of uvicorn passes `send` to an application as a bound method of its request cycle. The cycle
has the transport of the connection, which `drop` and `cut` abort.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Protocol, cast

if sys.platform == "linux":
    import fcntl
    import termios

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with a timeout of zero: closing sends RST instead of FIN."""

_DELIVERY_TIMEOUT: Final = 5000
"""Milliseconds in which a peer must receive the beginning of a cut response."""


class _Cycle(Protocol):
    transport: asyncio.Transport
    disconnected: bool


async def drop(send: Send, *, reset: bool) -> None:
    """Close the connection without a response.

    Args:
        send: the function that the server passed to the application.
        reset: True to send RST instead of FIN.

    Raises:
        ConnectionResetError: there is no connection, because the application runs in-process.
    """
    await _break(_cycle(send), reset=reset)


async def cut(
    send: Send, *, status: int, headers: list[tuple[bytes, bytes]], body: bytes, reset: bool
) -> None:
    """Send a head and the beginning of a body, then break the connection.

    Args:
        send: the function that the server passed to the application.
        status: HTTP status of the head.
        headers: headers of the head; without `content-length` the body is sent chunked.
        body: the beginning of the body.
        reset: True to send RST instead of FIN.

    Raises:
        ConnectionResetError: there is no connection, because the application runs in-process.
    """
    cycle = _cycle(send)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if body:
        await send({"type": "http.response.body", "body": body, "more_body": True})
    # A reset discards data that the peer has not received yet, so wait until it has received this part.
    for _ in range(_DELIVERY_TIMEOUT):
        if cycle.disconnected or not _unsent(cycle.transport):
            break
        await asyncio.sleep(0.001)
    await _break(cycle, reset=reset)


def _unsent(transport: asyncio.Transport) -> int:
    """Return the number of bytes that are still on this side, in the transport or in the kernel."""
    waiting = transport.get_write_buffer_size()
    connection = transport.get_extra_info("socket")
    if sys.platform == "linux" and not waiting and connection is not None:
        in_kernel = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
        return int.from_bytes(in_kernel, sys.byteorder)
    return waiting


def _cycle(send: Send) -> _Cycle:
    cycle = getattr(send, "__self__", None)
    if not hasattr(cycle, "transport") or not hasattr(cycle, "disconnected"):
        raise ConnectionResetError("the sandbox broke the connection")
    return cast("_Cycle", cycle)


async def _break(cycle: _Cycle, *, reset: bool) -> None:
    connection = cycle.transport.get_extra_info("socket")
    if reset and connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    cycle.transport.abort()
    # Otherwise the server treats the missing response as a bug of the application and sends HTTP 500.
    cycle.disconnected = True
    await asyncio.sleep(0)
