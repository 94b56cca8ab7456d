"""Mutated input for all readers of foreign data. Not part of the suite: `nox -s fuzz -- EXAMPLES`.

Add a test to the suite for each failure that is found. A failure prints the input and how to
replay it (`@reproduce_failure`).
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import random
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from publitrac_async import PublitracError, RetryPolicy, Timeout
from publitrac_async.bulk import ColumnMapping, read_leads, sync_leads
from publitrac_async.errors import UnexpectedContent
from publitrac_async.marketo import responses
from publitrac_async.profile import read_profile
from publitrac_async.transport.body import Body
from publitrac_async.transport.budget import BUDGET
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.steps import run_steps
from publitrac_async.v1.responses import read_reply
from publitrac_async.v2.responses import read_accepted, read_token
from publitrac_async.vitec.responses import read_lead_id
from tests.support.clients import client
from tests.support.mutations import fuzzed, mutated
from tests.support.sinks import RecordingSink
from tests.support.vendor import DONE, LEAD
from tests.support.wire import Peer, RawServer, Seen, http

SAMPLES = [
    LEAD.format(email="ada@example.com").encode(),
    DONE.encode(),
    b'{"status": "success", "code": 201}',
    b'{"token": "t", "ttl": "900"}',
    b'{"requestId": "e42b#1", "result": [{"id": 7, "status": "updated"}], "success": true}',
    b'{"requestId": "e42b#1", "success": false, "errors": [{"code": "601", "message": "No."}]}',
    (
        b'{"requestId": "e42b#1", "success": true, "result": [{"id": 7, "status": "skipped", "reasons": '
        b'[{"code": "1006", "message": "Field x not found"}]}], "warnings": [], "nextPageToken": "a"}'
    ),
    b'{"message": "The request is invalid.", "modelState": {"lead.person.email": ["wrong"]}}',
    (
        b"<response><status>9016</status><message>no</message><errors><error>9006 - Score (x) must be a "
        b"valid integer</error><error>9004 - Lead with email address a@b.c already exists</error></errors>"
        b"</response>"
    ),
    b'"d7e2f5a4-8f0e-4d12-9b53-0e1d3a7c5b61"',
]
READERS: dict[str, Callable[[ServiceResponse], Any]] = {
    "v1": lambda response: run_steps(read_reply(response)),
    "v2": read_accepted,
    "token": read_token,
    "marketo": responses.read,
    "vitec": read_lead_id,
}


@pytest.mark.parametrize("reader", READERS)
@fuzzed()
@given(body=mutated(SAMPLES), status=st.sampled_from([200, 201, 401, 404, 422, 500]), framed=st.booleans())
def test_responses_raise_only_typed_errors(reader: str, body: bytes, status: int, framed: bool) -> None:
    with contextlib.suppress(PublitracError):
        READERS[reader](ServiceResponse(status, body, framed))


@fuzzed()
@given(body=mutated(SAMPLES), coding=st.sampled_from(["", "gzip", "deflate", "br", "gzip, gzip"]))
def test_codings_raise_only_typed_errors(body: bytes, coding: str) -> None:
    with contextlib.suppress(UnexpectedContent):
        parts = Body(coding, BUDGET.body)
        parts.add(body[:100])
        parts.add(body[100:])
        parts.content()


@fuzzed(10)
@given(
    response=mutated([http(sample, chunked=chunked) for sample in SAMPLES[:3] for chunked in (0, 7)]),
    seed=st.integers(0, 99),
)
def test_heads_and_bodies_on_the_wire(response: bytes, seed: int) -> None:
    draw = random.Random(seed)

    async def respond(seen: Seen, peer: Peer) -> None:
        rest = response
        while rest:
            size = draw.randint(1, max(1, len(response) // 2))
            await peer.write(rest[:size])
            rest = rest[size:]
            await asyncio.sleep(0)
        if draw.random() < 0.5:
            peer.close()
        else:
            await asyncio.Event().wait()

    async def run() -> None:
        timeout = Timeout(total=None, connect=5, read=0.05)
        once = RetryPolicy(attempts=1)
        async with (
            RawServer(respond) as server,
            asyncio.timeout(20),
            client(server.url, retry=once, timeout=timeout) as publitrac,
        ):
            with contextlib.suppress(PublitracError):
                await publitrac.v1.get_lead("ada@example.com")

    asyncio.run(run())


@fuzzed()
@given(
    content=mutated(
        [
            b"E-mail,First name\r\nada@example.com,Ada\r\n",
            b'{"email": "a@example.com", "a": [1]}\n',
            b'[{"email": "a@example.com"}]',
        ]
    )
)
def test_sources_raise_only_typed_errors(content: bytes) -> None:
    for suffix in ("csv", "jsonl", "json", "xlsx"):
        read(content, suffix)


def read(content: bytes, suffix: str) -> None:
    """Read a file, and take its rows through all steps before a call."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"leads.{suffix}"
        path.write_bytes(content)
        with contextlib.suppress(PublitracError):
            for _ in read_leads(path):
                pass
        with contextlib.suppress(PublitracError):
            asyncio.run(sync_leads(read_leads(path), RecordingSink()))


def workbook() -> dict[str, bytes]:
    """The parts of a workbook with a row."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        sheet = book.add_worksheet("Leads")
        sheet.write_row(0, 0, ["E-mail", "First name", "Score", "Since"])
        sheet.write_row(1, 0, ["ada@example.com", "Ada", 7])
        sheet.write_formula(1, 3, "=1/0", value="#DIV/0!")
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


WORKBOOK = workbook()


@fuzzed(10)
@given(data=st.data(), part=st.sampled_from(sorted(WORKBOOK)))
def test_workbooks_raise_only_typed_errors(data: st.DataObject, part: str) -> None:
    parts = WORKBOOK | {part: data.draw(mutated([WORKBOOK[part]]))}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    read(file.getvalue(), "xlsx")


TOML = [
    b'[fields]\nemail = "E-mail"\n[custom_fields]\na = "b"\n[options]\nempty = "clear"\n[dates]\na = "%d"\n',
    b'[client]\ncredentials_in = "body"\nrate_limit = 7\n[client.v1_shapes]\nunicity_keys = "text"\n[found]',
    b"a = [[1]]\nb = 1979-05-27T07:32:00-08:00\nc = 0x1\n[d]\n[[e]]\nf = {g = 1}\n",
]


@fuzzed()
@given(content=mutated(TOML))
def test_mappings_and_profiles_raise_only_typed_errors(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.toml"
        path.write_bytes(content)
        for load in (ColumnMapping.load, read_profile):
            with contextlib.suppress(PublitracError):
                load(path)
