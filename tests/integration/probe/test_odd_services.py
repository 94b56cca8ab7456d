"""Services that are not like the sandbox: a probe ends without an exception and without a finding."""

from __future__ import annotations

import httpx
import pytest

from publitrac_async import PublitracClient, RetryPolicy
from publitrac_async.probe import FindingState, ProbeReport, probe

BODIES = {
    "text": "Invalid request.",
    "page": "<html><head><title>Our shop</title></head><body>Hello</body></html>",
    "json": '{"result": []}',
    "list": "[1, 2]",
    "nothing": "",
    "empty root": "<response/>",
    "text in root": "<response>ok</response>",
    "success": "<response><status>2001</status><message>ok</message></response>",
    "failure": "<response><status>9000</status><message>no</message></response>",
    "leads of text": "<response><leads><lead>x</lead></leads><status>2001</status></response>",
    "odd paging": "<response><leads>x</leads><paging><total>x</total><offset>0</offset></paging>"
    "<status>2001</status></response>",
    "huge total": "<response><leads><lead><id>1</id></lead></leads><paging><total>999999999</total>"
    "<offset>1</offset></paging><status>2001</status></response>",
    "token": '{"token": 7, "ttl": null}',
    "odd token": '{"token": "a b\\n", "status": "success", "code": 200}',
}


async def ask(body: str, status: int) -> ProbeReport:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=body))
    async with PublitracClient(
        api_key="k",
        username="u",
        password="p",
        transport=transport,
        retry=RetryPolicy(attempts=1),
        rate_limit=None,
    ) as client:
        return await probe(
            client, write="probe@example.com", with_wrong_credentials=True, rate_limit=None, sleep=_sleep
        )


async def _sleep(_: float) -> None:
    return None


@pytest.mark.parametrize("status", [200, 302, 400, 404, 500])
@pytest.mark.parametrize("body", BODIES)
async def test_a_service_with_one_body_for_every_response(body: str, status: int) -> None:
    report = await ask(BODIES[body], status)

    assert len(report.findings) == 17
    # If every response is the same, no alternative can be told from another.
    settled = {name for name, each in report.findings.items() if each.state is FindingState.SETTLED}
    assert settled <= {"key", "credentials", "missing", "v2"}, settled
