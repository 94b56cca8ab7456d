"""The undocumented names of aiohttp that the pool uses."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import aiohttp
import aiohttp.http
import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

import publitrac_async


def parameters(function: object) -> set[str]:
    return set(inspect.signature(function).parameters)  # type: ignore[arg-type]


def test_a_request_describes_a_connection() -> None:
    assert parameters(aiohttp.ClientRequest) >= {
        "method", "url", "proxy", "proxy_headers", "ssl", "loop"
    }  # fmt: skip


async def test_a_connector_opens_connections_with_protocols_of_ours() -> None:
    assert list(inspect.signature(aiohttp.TCPConnector.connect).parameters)[1:] == [
        "req",
        "traces",
        "timeout",
    ]
    connector = aiohttp.TCPConnector(limit=0)
    assert callable(connector._factory)
    await connector.close()
    assert parameters(ResponseHandler) == {"loop"}


@pytest.mark.parametrize("name", ["protocol", "transport", "close", "release"])
def test_a_connection_goes_back(name: str) -> None:
    assert hasattr(Connection, name)


@pytest.mark.parametrize("name", ["read", "is_connected", "close", "data_received"])
def test_a_protocol_has(name: str) -> None:
    assert hasattr(ResponseHandler, name)


async def test_a_protocol_reports_its_state() -> None:
    protocol = ResponseHandler(asyncio.get_running_loop())
    assert protocol.transport is None
    assert protocol._payload is None
    assert protocol._reading_paused is False
    # aiohttp 3.13 has no parameter.
    assert parameters(ResponseHandler.resume_reading) in ({"self", "resume_parser"}, {"self"})
    assert parameters(ResponseHandler.set_exception) == {"self", "exc", "exc_cause"}
    assert parameters(protocol.set_response_params) >= {
        "read_until_eof", "auto_decompress", "read_bufsize", "max_field_size"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["readany", "is_eof", "exception", "set_exception"])
def test_a_body_has(name: str) -> None:
    assert hasattr(aiohttp.StreamReader, name)


@pytest.mark.parametrize("name", ["code", "headers", "raw_headers"])
def test_a_head_has(name: str) -> None:
    assert hasattr(aiohttp.http.RawResponseMessage, name)


def test_the_errors_of_aiohttp_are_exceptions() -> None:
    assert issubclass(aiohttp.http.HttpProcessingError, Exception)
    assert issubclass(aiohttp.EofStream, Exception)


def test_no_other_module_imports_undocumented_names_of_aiohttp() -> None:
    package = Path(publitrac_async.__file__).parent
    importing = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "from aiohttp." in path.read_text(encoding="utf-8")
    }
    assert importing == {"transport/pool.py"}
