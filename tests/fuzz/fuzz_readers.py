"""Mutated input for whatever reads what others write. Not part of the suite: `nox -s fuzz -- SECONDS`.

What is found becomes a test of the suite, with the input beside it. A failure prints the input and how to
replay it (`@reproduce_failure`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from publitrac_async import PublitracError, RetryPolicy, Timeout
from publitrac_async.bulk import ColumnMapping, read_leads
from publitrac_async.errors import UnexpectedContent
from publitrac_async.marketo import responses
from publitrac_async.transport.body import Body
from publitrac_async.transport.budget import BUDGET
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.v1.responses import read_reply
from publitrac_async.v2.codec import read_accepted, read_token
from publitrac_async.vitec.responses import read_lead_id
from tests.support.clients import client
from tests.support.vendor import DONE, LEAD
from tests.support.wire import Peer, RawServer, Seen, http

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2000"))
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)

SAMPLES = [
    LEAD.format(email="ada@example.com").encode(),
    DONE.encode(),
    b'{"status": "success", "code": 201}',
    b'{"token": "t", "ttl": "900"}',
    b'{"requestId": "e42b#1", "result": [{"id": 7, "status": "updated"}], "success": true}',
    b'{"requestId": "e42b#1", "success": false, "errors": [{"code": "601", "message": "No."}]}',
    b'"d7e2f5a4-8f0e-4d12-9b53-0e1d3a7c5b61"',
]
#: What parsers stumble over.
PIECES = [
    *(b"\0", b"\xff", b"\xfe\xff", b"\\ud800", b'"', b",", b"\n", b"\r\n\r\n"),
    *(b"<", b">", b"&", b"&#0;", b"]]>", b"<![CDATA[", b"<!DOCTYPE x [", b"<?xml", b"<a>" * 70),
    *(b"[" * 2000, b"{" * 2000, b"9" * 5000, b"1e999", b"NaN"),
    *(b"0\r\n", b"zz\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"),
    b"HTTP/1.1 100 X\r\n\r\n",
]


@st.composite
def mutated(draw: st.DrawFn, samples: list[bytes] = SAMPLES) -> bytes:
    """A sample in which pieces are cut, doubled, swapped or put in."""
    data = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(1, 6))):
        start, end = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        put = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=8), st.just(data[start:end] * 2)))
        data = data[:start] + put + data[draw(st.sampled_from([start, end])) :]
    return data[:200_000]


READERS: dict[str, Callable[[ServiceResponse], Any]] = {
    "v1": read_reply,
    "v2": read_accepted,
    "token": read_token,
    "marketo": responses.read,
    "vitec": read_lead_id,
}


@pytest.mark.parametrize("reader", READERS)
@fuzzed
@given(body=mutated(), status=st.sampled_from([200, 201, 401, 404, 422, 500]), framed=st.booleans())
def test_responses_raise_only_typed_errors(reader: str, body: bytes, status: int, framed: bool) -> None:
    with contextlib.suppress(PublitracError):
        READERS[reader](ServiceResponse(status, body, framed))


@fuzzed
@given(body=mutated(), coding=st.sampled_from(["", "gzip", "deflate", "br", "gzip, gzip"]))
def test_codings_raise_only_typed_errors(body: bytes, coding: str) -> None:
    with contextlib.suppress(UnexpectedContent):
        parts = Body(coding, BUDGET.body)
        parts.add(body[:100])
        parts.add(body[100:])
        parts.content()


@settings(fuzzed, max_examples=max(10, EXAMPLES // 10))
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


@fuzzed
@given(content=mutated([b"E-mail,First name\r\nada@example.com,Ada\r\n", b'{"email": "a@example.com"}\n']))
def test_sources_raise_only_typed_errors(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("csv", "jsonl", "xlsx"):
            path = Path(folder) / f"leads.{suffix}"
            path.write_bytes(content)
            with contextlib.suppress(PublitracError):
                for _ in read_leads(path):
                    pass


@fuzzed
@given(content=mutated([b'[fields]\nemail = "E-mail"\n[custom_fields]\na = "b"\n']))
def test_mappings_raise_only_typed_errors(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mapping.toml"
        path.write_bytes(content)
        with contextlib.suppress(PublitracError):
            ColumnMapping.load(path)
