"""A server in its own thread, which keeps running while the client's event loop is busy."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Literal, Self

Mode = Literal["plain", "tls", "proxy", "tunnel"]


class ThreadedServer:
    """Responds to every request; what follows a response is up to `after`.

    Args:
        respond: makes the response from the head of the request.
        mode: ``proxy`` takes requests in absolute form, ``tunnel`` takes CONNECT and then TLS.
        tls: for ``tls`` and ``tunnel``.

    Attributes:
        after: called with the connection after each response, once `meanwhile` is called.
        requests: heads, without those of CONNECT.
        connections: accepted so far.
    """

    def __init__(
        self, respond: Callable[[str], bytes], *, mode: Mode = "plain", tls: ssl.SSLContext | None = None
    ) -> None:
        self._respond = respond
        self._mode = mode
        self._tls = tls
        self._go = threading.Semaphore(0)
        self._done = threading.Semaphore(0)
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.after: Callable[[socket.socket], None] | None = None
        self.requests: list[str] = []
        self.connections = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_listening()
        self.close_all()
        self._go.release(len(self._threads) or 1)
        for thread in self._threads:
            thread.join(5)

    def close_all(self) -> None:
        """Close every connection."""
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def stop_listening(self) -> None:
        """Refuse new connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(5)

    def meanwhile(self) -> None:
        """Keep the calling thread, and its event loop, busy until `after` has been called once more."""
        self._go.release()
        assert self._done.acquire(timeout=10)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                thread = threading.Thread(target=self._serve, args=[connection], daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            self._converse(connection)
        except OSError:
            pass
        finally:
            connection.close()

    def _converse(self, connection: socket.socket) -> None:
        if self._mode == "tunnel":
            assert _read_head(connection).startswith("CONNECT ")
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True)
            self._open.append(connection)
        with connection:
            self._respond_to_all(connection)

    def _respond_to_all(self, connection: socket.socket) -> None:
        while head := _read_head(connection):
            self.requests.append(head)
            connection.sendall(self._respond(head))
            if self.after is not None:
                assert self._go.acquire(timeout=10)
                self.after(connection)
                self._done.release()


def _read_head(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return ""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    text = head.decode("latin-1")
    fields = dict(line.lower().split(": ", 1) for line in text.split("\r\n")[1:])
    left = int(fields.get("content-length", "0")) - len(body)
    while left > 0:
        left -= len(connection.recv(left))
    return text


def close(connection: socket.socket) -> None:
    """FIN."""
    connection.shutdown(socket.SHUT_RDWR)


def reset(connection: socket.socket) -> None:
    """RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
