"""A wrong address concerns no lead: a run ends at its first calls and rejects none, whichever the vendor."""

from __future__ import annotations

import httpx
import pytest

from publitrac_async import ConfigurationError
from publitrac_async.bulk import sync_leads
from publitrac_async.cli.vendors import VENDORS
from tests.support.four_vendors import SINKS, respond

ROWS = [{"email": f"a{number}@example.com", "firstName": "Ada", "lastName": "Ek"} for number in range(30)]


def test_every_sink_is_here() -> None:
    assert SINKS.keys() == VENDORS.keys()


@pytest.mark.parametrize("kind", SINKS)
@pytest.mark.parametrize("page", [b"<!DOCTYPE html><title>Not Found</title>", b"Not Found"])
async def test_a_wrong_address_ends_the_run_without_a_rejected_row(kind: str, page: bytes) -> None:
    calls = 0

    def handle(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        path = request.url.path
        if path.endswith(("/getToken", "/oauth/token")):
            return httpx.Response(200, content=respond(request.method, path))
        calls += 1
        return httpx.Response(404, content=page)

    build, sink_of = SINKS[kind]
    async with build("https://vendor.test", transport=httpx.MockTransport(handle)) as client:
        report = await sync_leads(ROWS, sink_of(client), concurrency=1)
    assert (report.pending, report.rejected, report.unknown) == (len(ROWS), 0, 0)
    assert ConfigurationError.__name__ in (report.stopped or "")
    assert "base_url" in (report.stopped or "")
    assert calls == 1
