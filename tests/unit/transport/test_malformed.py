"""A response that is not valid HTTP: the error names the fault and quotes nothing."""

from __future__ import annotations

import httpx
import pytest
from aiohttp import http_exceptions as of_aiohttp

from publitrac_async.transport.malformed import malformation

STATUS = "the status line is malformed"
HEADER = "a header field is malformed"
CHUNK = "a chunk is malformed"
TOO_LONG = "a line or header field is too long"


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (of_aiohttp.BadStatusLine("chunk"), STATUS),
        (of_aiohttp.BadStatusLine(error="Bad status line:\n  Invalid status code:\n\n  b'chunk'"), STATUS),
        (of_aiohttp.HttpProcessingError(message="Bad status line 'chunk'"), STATUS),
        (of_aiohttp.InvalidHeader(b"chunk"), HEADER),
        (of_aiohttp.BadHttpMessage("Invalid header value char:\n\n  b'X: chunk'\n  ^"), HEADER),
        (of_aiohttp.BadHttpMessage("Too many headers received"), "too many header fields"),
        (of_aiohttp.TransferEncodingError("Content-Length"), CHUNK),
        (of_aiohttp.BadHttpMessage("Invalid character in chunk size:\n\n  b'zz'\n  ^"), CHUNK),
        (of_aiohttp.LineTooLong(b"x", 8190), TOO_LONG),
        (of_aiohttp.BadHttpMessage("Data after `Connection: close`:\n\n  b'chunk'"), "more data follows it"),
        # The parser of httpcore.
        (httpx.RemoteProtocolError("illegal status line: bytearray(b'chunk')"), STATUS),
        (httpx.RemoteProtocolError("illegal header line: bytearray(b'chunk')"), HEADER),
        (httpx.RemoteProtocolError("illegal chunk header: bytearray(b'header')"), CHUNK),
        (httpx.RemoteProtocolError("Receive buffer too long"), TOO_LONG),
        (
            httpx.RemoteProtocolError("conflicting Content-Length headers"),
            "Content-Length is malformed, repeated, or combined with Transfer-Encoding",
        ),
        (
            httpx.RemoteProtocolError("multiple Transfer-Encoding headers"),
            "Transfer-Encoding is malformed, or combined with Content-Length",
        ),
        (httpx.RemoteProtocolError("Server disconnected without sending a response."), None),
        (httpx.RemoteProtocolError("peer closed connection (incomplete chunked read)"), None),
        (of_aiohttp.BadHttpMessage("of an unknown kind"), None),
    ],
    ids=str,
)
def test_the_fault_is_named(error: Exception, fault: str | None) -> None:
    assert malformation(error) == fault
