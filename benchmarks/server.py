"""Server with minimal CPU: it responds to every request with fixed bytes.

Run as a separate process, it prints its port and serves until its standard input is closed. After ``GET
/hold/N`` it holds all responses until N requests wait, which proves that N were in flight at once.
"""

from __future__ import annotations

import asyncio
import json
import sys

PAGE_OF_MARKETO = 300
LEAD = {
    "email": "john.doe@provider.com",
    "firstName": "John",
    "lastName": "Doe",
    "company": "Example & Sons",
    "phone": "+1 555 555 2149",
    "title": "Awesome Programmer",
    "city": "Montréal",
    "country": "Canada",
    "leadScore": 12,
    "unsubscribed": False,
    "createdAt": "2015-08-23T01:35:13Z",
    "updatedAt": "2015-10-25T02:20:06Z",
}


def response(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def from_marketo(result: list[dict[str, object]]) -> bytes:

    return response(json.dumps({"requestId": "a9ae#148add1e53d", "success": True, "result": result}).encode())


SUCCESS = response(b'{"status": "success", "code": 200}')
TOKEN_RESPONSE = response(b'{"token": "djs4fdn4dJTer489!", "ttl": "900"}')
MARKETO_TOKEN = response(
    b'{"access_token": "cdf01657-110d-4155-99a7-f986b2ff13a0:int", "token_type": "bearer", '
    b'"expires_in": 3599, "scope": "api@example.com"}'
)
NUMBERS = range(1, PAGE_OF_MARKETO + 1)
RESULTS = [{"id": number, "status": "updated"} for number in NUMBERS]
#: Responses by number of records; a bulk run ends with a smaller batch.
SYNCED = {PAGE_OF_MARKETO: from_marketo(RESULTS)}
PAGE = from_marketo([{"id": number, **LEAD} for number in NUMBERS])


def response_to(head: bytes, body: bytes) -> bytes:
    """Return the response to a request, by the first line of its head in lower case."""
    if b"/lead/" in head[:64]:
        return SUCCESS
    if b"gettoken" in head[:64]:
        return TOKEN_RESPONSE
    if b"/oauth/" in head[:64]:
        return MARKETO_TOKEN
    # The released client reads by POST, with the real method in the form.
    if head.startswith(b"get") or b"_method=GET" in body:
        return PAGE
    records = body.count(b'"email":')
    if records not in SYNCED:
        SYNCED[records] = from_marketo(RESULTS[:records])
    return SYNCED[records]


class Connection(asyncio.Protocol):
    """Keep-alive connection. It splits requests by their Content-Length."""

    hold = 0
    held: list[tuple[Connection, bytes]] = []  # noqa: RUF012  (shared by all connections, as `hold` is)

    def __init__(self) -> None:
        self.buffer = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a TCP server's transports can write

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            length = 0
            if (at := head.find(b"content-length:")) >= 0:
                length = int(head[at + 15 :].split(b"\r\n", 1)[0])
            if len(self.buffer) < end + 4 + length:
                return
            body = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            if head.startswith(b"get /hold/"):
                Connection.hold = int(head[10:].split(b" ", 1)[0])
                self.transport.write(SUCCESS)
            elif Connection.hold:
                self.hold_back(response_to(head, body))
            else:
                self.transport.write(response_to(head, body))

    def hold_back(self, data: bytes) -> None:
        self.held.append((self, data))
        if len(self.held) >= Connection.hold:
            Connection.hold = 0
            for connection, waiting in self.held:
                connection.transport.write(waiting)
            self.held.clear()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio's signature)
        self.held[:] = [pair for pair in self.held if pair[0] is not self]


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
