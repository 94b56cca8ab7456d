"""Traces of whole calls: their content, and that they contain no secret."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from publitrac_async import (
    ApiError,
    ConfigurationError,
    LeadNotFound,
    PublitracError,
    RetryPolicy,
    Trace,
    UnexpectedContent,
)
from tests.support.canaries import find
from tests.support.clients import client, lead, opened
from tests.support.four_vendors import CANARIES, CLIENTS, OPTIONS, SENDS, publitrac, serving
from tests.support.wire import Peer, RawServer, Seen, http

EVERYTHING = [*CANARIES.credentials, *CANARIES.personal]


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the exchanges of a trace."""
    head, *lines = map(json.loads, path.read_text(encoding="ascii").splitlines())
    assert head["trace"] == 1
    return lines


def check(path: Path) -> list[dict[str, Any]]:
    """Return the exchanges of a trace in which no secret of the tests is."""
    find(EVERYTHING, [path.read_text(encoding="ascii")])
    return lines_of(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trace.jsonl"


@pytest.mark.parametrize("send", SENDS)
async def test_calls_of_every_vendor_show_neither_credentials_nor_persons(send: str, path: Path) -> None:
    async with serving() as server:
        await SENDS[send](server.url, trace=path, **OPTIONS)

    lines = check(path)
    assert len(lines) == len(server.seen)
    for line, seen in zip(lines, server.seen, strict=True):
        assert (line["request"]["verb"], line["response"]["status"]) == (seen.method, 200)
        assert line["error"] is None
        assert line["seconds"]["until_sent"] <= line["seconds"]["total"]
    name = send.partition("_")[0]
    vendor = "publitrac" if name in ("v1", "v2") else name
    assert {line["vendor"] for line in lines} == {vendor}


@pytest.mark.parametrize("messages", [False, True])
@pytest.mark.parametrize("send", SENDS)
@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "401 Unauthorized", "500 Server Error"])
async def test_services_that_echo_everything(send: str, status: str, messages: bool, path: Path) -> None:
    async def echo(seen: Seen, _: Peer) -> bytes:
        said = f"{seen.method} {seen.target} {seen.headers} {seen.body.decode('latin-1')}"
        bodies = (
            f"<html><title>{said}</title><p class='{said}'>{said}</p></html>",
            json.dumps({"message": said, said: said, "errors": [{"code": said, "message": said}]}),
            f"<response><status>401</status><message>{said}</message><a b='{said}'/></response>",
            said,
        )
        return http(bodies[len(server.seen) % 4].encode(), status, headers=f"X-Said: {seen.target}\r\n")

    async with RawServer(echo) as server:
        with Trace(path, messages=messages) as trace:
            for _ in range(2):
                with pytest.raises(PublitracError):
                    await SENDS[send](server.url, trace=trace, **OPTIONS)

    text = path.read_text(encoding="ascii")
    # On request messages are kept; in them only credentials are certain to be masked.
    find(CANARIES.credentials if messages else EVERYTHING, [text])
    assert len(lines_of(path)) == len(server.seen)


async def test_retries_token_requests_and_failed_attempts_are_exchanges(path: Path) -> None:
    async def respond(seen: Seen, peer: Peer) -> bytes | None:
        match len(server.seen):
            case 1:
                return http(b'{"token": "the-token", "ttl": "900"}')
            case 2:
                return http(b"busy", "503 Service Unavailable", "text/plain")
            case 3:
                peer.close()
                return None
        return http(b'{"status": "success", "code": 201}')

    async with RawServer(respond) as server, opened(server.url, trace=path) as publitrac:
        await publitrac.v2.delayed_sync(lead())

    token, busy, lost, done = lines_of(path)
    assert [line["operation"] for line in (token, busy)] == ["getToken", "delayedSync"]
    assert token["call"] != busy["call"] == lost["call"] == done["call"]
    assert [busy["attempt"], lost["attempt"], done["attempt"]] == [1, 2, 3]
    assert busy["error"]["type"] == "ServerError"
    assert busy["response"]["body"] == "xxxx"
    assert (lost["error"]["type"], lost["error"]["sent"], lost["response"]) == ("OutcomeUnknown", True, None)
    assert done["response"]["body"] == '{"status": "success", "code": 201}'
    assert token["request"]["headers"][-1] == ["Authorization", "********** (7 characters)"]
    assert json.loads(done["request"]["body"])["leadInfo"]["email"] == "xxxx0@xxxxxxx.xxx"


async def test_a_failed_connection_and_a_timeout_are_exchanges(path: Path) -> None:
    async with RawServer(lambda *_: _silence()) as server:
        url = server.url
        async with opened(url, trace=path, timeout=0.2) as publitrac:
            with pytest.raises(PublitracError):
                await publitrac.v1.get_lead("ada@example.com")
    async with opened(url, trace=path, retry=RetryPolicy(attempts=1)) as publitrac:
        with pytest.raises(PublitracError):
            await publitrac.v1.get_lead("ada@example.com")

    timeout, refused = (json.loads(line) for line in path.read_text().splitlines() if '"call"' in line)
    assert timeout["error"] == {"type": "CancelledError"}
    assert (refused["error"]["type"], refused["error"]["sent"]) == ("NotSent", False)
    assert refused["seconds"]["until_connected"] is None


async def _silence() -> None:
    return None


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"<response><status>2002</status><n>Lo\xefc", {"not_utf_8": 1, "bytes": 38}),
        ("<response>Loïc</response>".encode("utf-16"), {"encoding": "UTF-16"}),
        ("<response>Лев</response>".encode("utf-16-le"), {"body": None, "not_shown": "has zero bytes"}),
        (b"", {"body": "", "bytes": 0}),
        (b"<a>" * 100_000, {"shown_characters": 200_000, "bytes": 300_000}),
        (b"\xef\xbb\xbf<response>Ada</response>", {"body": "\ufeff<response>Xxx</response>"}),
    ],
)
async def test_odd_bodies_of_responses_are_traced(body: bytes, shown: dict[str, Any], path: Path) -> None:
    async def respond(_: Seen, __: Peer) -> bytes:
        return http(body)

    async with RawServer(respond) as server, opened(server.url, trace=path) as publitrac:
        with pytest.raises((UnexpectedContent, ApiError)):
            await publitrac.v1.get_lead("ada@example.com")

    response = lines_of(path)[0]["response"]
    assert {name: response.get(name) for name in shown} == shown


async def test_a_refusal_keeps_its_code_and_on_request_its_message(tmp_path: Path) -> None:
    refusal = (
        b"<response><status>9015</status><message>Get lead failed.</message>"
        b"<errors><error>9005 - Lead (ada@example.com) does not exist.</error></errors></response>"
    )

    async def respond(_: Seen, __: Peer) -> bytes:
        return http(refusal)

    async with RawServer(respond) as server:
        for messages in (False, True):
            with Trace(tmp_path / str(messages), messages=messages) as trace:
                async with opened(server.url, trace=trace) as publitrac:
                    with pytest.raises(LeadNotFound):
                        await publitrac.v1.get_lead("ada@example.com")

    masked, kept = lines_of(tmp_path / "False")[0], lines_of(tmp_path / "True")[0]
    assert masked["error"]["code"] == kept["error"]["code"] == 9005
    assert "<error>9005 - Xxxx (xxx@xxxxxxx.xxx) xxxx xxx xxxxx.</error>" in masked["response"]["body"]
    assert "<error>9005 - Lead (xxx@xxxxxxx.xxx) does not exist.</error>" in kept["response"]["body"]
    assert "<message>Get lead failed.</message>" in kept["response"]["body"]
    assert masked["request"]["query"][-1] == ["email", "xxx@xxxxxxx.xxx"]
    assert ["password", "********** (12 characters)"] in masked["request"]["query"]


async def test_only_the_owner_can_read_the_file_and_lines_are_appended(path: Path) -> None:
    path.write_text("earlier\n")
    path.chmod(0o644)
    async with serving() as server:
        await SENDS["v1_query"](server.url, trace=path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith('earlier\n{"trace": 1')


class Broken:
    """Writes `lines` lines, then raises."""

    def __init__(self, error: BaseException, lines: int) -> None:
        self.error = error
        self.lines = lines
        self.written: list[str] = []

    def write(self, text: str) -> None:
        if len(self.written) == self.lines:
            raise self.error
        self.written.append(text)


@pytest.mark.parametrize("lines", [0, 1, 2])
@pytest.mark.parametrize("error", [OSError(28, "No space"), ValueError("closed"), RecursionError()])
async def test_a_writer_that_fails_harms_no_call(
    error: Exception, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as server:
        writer = Broken(error, lines)
        async with publitrac(server.url, trace=Trace(writer)) as client:
            for _ in range(3):
                await client.v1.get_lead(CANARIES.email)

    assert len(writer.written) == lines
    assert [record.getMessage() for record in caplog.records if "trace" in record.getMessage()] == [
        f"the trace ends here: writing to it failed ({type(error).__name__})"
    ]


async def test_a_full_disk_harms_no_call(caplog: pytest.LogCaptureFixture) -> None:
    if not os.path.exists("/dev/full"):  # noqa: PTH110  (no device of this kind elsewhere)
        pytest.skip("no /dev/full")
    async with serving() as server:
        await SENDS["v1_query"](server.url, trace="/dev/full")
    assert "the trace ends here: writing to it failed (OSError)" in caplog.text


@pytest.mark.parametrize("trace", [7, object(), "/nowhere/at/all.jsonl"])
def test_a_trace_that_cannot_be_written_is_refused_at_once(trace: Any) -> None:
    with pytest.raises(ConfigurationError, match="trace"):
        client("http://127.0.0.1:1", trace=trace)


@pytest.mark.parametrize("build", CLIENTS.values())
async def test_who_opens_a_trace_closes_it(build: Callable[..., Any], path: Path) -> None:
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208  (no files, descriptors)
    with Trace(path) as shared:
        await build("http://127.0.0.1:1", trace=shared).aclose()
        shared._write({"still": "open"})
        assert '"still"' in path.read_text()
    await build("http://127.0.0.1:1", trace=path).aclose()
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208  (likewise)


async def test_a_view_of_a_client_writes_to_its_trace(path: Path) -> None:
    async with serving() as server, publitrac(server.url, trace=path) as client:
        await client.with_options(timeout=5).v1.get_lead(CANARIES.email)
    assert len(check(path)) == 1
