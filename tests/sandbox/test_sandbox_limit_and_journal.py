"""The rate limit and the journal, with which tests check a client."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter

import httpx
import pytest

from publitrac_async.sandbox import Journal, Sandbox
from publitrac_async.sandbox.limit import CallLimit

SECOND = 1_000_000_000


def slow_count(times: list[int]) -> int:
    return max((sum(1 for other in times if 0 <= other - time < SECOND) for time in times), default=0)


def recorded(times: list[int], api: str = "v1") -> Journal:
    journal = Journal()
    for time in times:
        journal.record(monotonic_ns=time, api=api, connection=1)
    return journal


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([], 0),
        ([5], 1),
        ([0, SECOND], 1),
        ([0, SECOND - 1], 2),
        ([0, SECOND // 2, SECOND, SECOND * 3 // 2 - 1], 2 + 1),
        ([0, 0, 0, SECOND * 5], 3),
        ([SECOND * 5, 0, 1, 2, SECOND + 1], 3),
    ],
)
def test_the_busiest_second_equals_a_slow_count(times, expected):
    assert recorded(times).busiest_second() == expected == slow_count(times)


def test_busiest_second_by_api():
    journal = recorded([0, 1, 2])
    journal.record(monotonic_ns=3, api="v2", connection=1)
    for _ in range(10):
        journal.record(monotonic_ns=4, api="vitec", connection=1)

    assert journal.busiest_second() == 14
    assert journal.busiest_second("v2") == 1
    assert journal.busiest_second("vitec") == 10
    assert journal.count() == 14
    assert journal.count(api="vitec") == 10


class TestCallLimit:
    def test_no_window_holds_more_than_allowed(self):
        window = CallLimit(35)
        admitted = [
            time
            for time in range(0, 5 * SECOND, 7_000_000)
            if not window.exceeded_by(time, count_refused=False)
        ]

        assert slow_count(admitted) == 35
        assert len(admitted) == 5 * 35

    def test_refused_calls_fill_the_window_if_set(self):
        window = CallLimit(2)

        exceeded = [window.exceeded_by(time, count_refused=True) for time in (0, 1, 2, SECOND, SECOND + 1)]

        assert exceeded == [False, False, True, True, True]

    def test_a_second_later_there_is_room(self):
        window = CallLimit(1)
        assert not window.exceeded_by(0, count_refused=False)
        assert window.exceeded_by(SECOND - 1, count_refused=False)
        assert not window.exceeded_by(SECOND, count_refused=False)


async def test_36_calls_at_once(v1):
    async with (
        Sandbox() as sandbox,
        httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False, verify=False) as http,
    ):
        headers = {"Authorization": sandbox.api_key}
        credentials = {"apikey": sandbox.api_key, "username": sandbox.username, "password": sandbox.password}
        calls = [
            http.get("/v2/auth/getToken", headers=headers)
            if number % 2
            else http.get("/api", params={"method": "getLead", **credentials})
            for number in range(50)
        ]
        responses = await asyncio.gather(*calls)

        statuses = Counter(response.status_code for response in responses)
        journal = sandbox.journal
        over = [arrival for arrival in journal.arrivals if arrival.over_limit]
        assert statuses[429] == len(over) == 50 - statuses[200]
        # The window is exact; more than 35 pass only if the machine took more than a second.
        times = [arrival.monotonic_ns for arrival in journal.arrivals if arrival.status != 429]
        assert slow_count(times) <= 35
        assert journal.busiest_second() == slow_count([arrival.monotonic_ns for arrival in journal.arrivals])
        assert all(
            response.headers["retry-after"] == "1" for response in responses if response.status_code == 429
        )


async def test_count_instead_of_reject(in_process):
    with Sandbox(rate_limit=3, over_limit="count") as sandbox:
        v1 = in_process(sandbox)
        for _ in range(5):
            assert (await v1.send("getLead")).status_code == 200

        assert [arrival.over_limit for arrival in sandbox.journal.arrivals] == [False] * 3 + [True] * 2


async def test_refused_calls_change_nothing(in_process):
    with Sandbox(rate_limit=1) as sandbox:
        v1 = in_process(sandbox)
        await v1.send("getLead")
        lead = "<request><lead><email>a@example.com</email></lead></request>"
        response = await v1.send("syncLead", lead)

        assert response.status_code == 429
        assert sandbox.leads() == []
        assert sandbox.journal.arrivals[-1].key == "a@example.com"


async def test_the_clock_does_not_move_the_limit(in_process):
    with Sandbox(rate_limit=1) as sandbox:
        v1 = in_process(sandbox)
        await v1.send("getLead")
        sandbox.advance(10)

        assert (await v1.send("getLead")).status_code == 429


async def test_control_calls_are_not_limited(in_process):
    with Sandbox(rate_limit=1) as sandbox:
        v1 = in_process(sandbox)
        for _ in range(3):
            assert (await v1.http.get("/_sandbox/clock")).status_code == 200
        assert (await v1.send("getLead")).status_code == 200


async def test_contents_of_the_journal(sandbox, v1, v2, http):
    xml = "<request><lead><email>a@example.com</email></lead></request>"
    await v1("syncLead", xml)
    await v1("getLead", email="b@example.com")
    token = await v2.token()
    document = {"leadInfo": {"email": "c@example.com"}}
    await v2.sync(token, document)
    await http.get("/_sandbox/clock")

    arrivals = sandbox.journal.arrivals
    assert [arrival.sequence for arrival in arrivals] == [1, 2, 3, 4]
    assert [(arrival.api, arrival.method, arrival.key, arrival.applied) for arrival in arrivals] == [
        ("v1", "syncLead", "a@example.com", True),
        ("v1", "getLead", "b@example.com", False),
        ("v2", "getToken", None, False),
        ("v2", "delayedSync", "c@example.com", True),
    ]
    assert [arrival.status for arrival in arrivals] == [200] * 4
    assert arrivals[0].payload_sha256 == hashlib.sha256(xml.encode()).hexdigest()
    assert arrivals[1].payload_sha256 == hashlib.sha256(b"email=b@example.com").hexdigest()
    sent = json.dumps(document, separators=(",", ":")).encode()
    assert arrivals[3].payload_sha256 == hashlib.sha256(sent).hexdigest()
    times = [arrival.monotonic_ns for arrival in arrivals]
    assert times == sorted(times)
    (port,) = {arrival.connection for arrival in arrivals}
    assert port > 0
    assert sandbox.journal.count(method="syncLead", key="a@example.com", applied=True) == 1


async def test_no_credentials_in_the_journal(sandbox, v1, v2, http):
    await v1("getLead", email="a@example.com")
    await v1.send("syncLead", "<nonsense")
    await http.get("/api", params={"method": "getLeads", "apikey": "wrong-key-1", "password": "wrong-pass-1"})
    token = await v2.token()
    await v2.sync(token, {"leadInfo": {}})

    kept = [
        (arrival.content.body, arrival.content.parameters, arrival.response)
        for arrival in sandbox.journal.arrivals
    ]
    text = json.dumps(sandbox.journal.as_dicts()) + repr(sandbox.journal.arrivals) + repr(kept)
    secrets = (sandbox.api_key, sandbox.username, sandbox.password, token, "wrong-key-1", "wrong-pass-1")
    assert [secret for secret in secrets if secret in text] == []


async def test_settings_do_not_show_credentials():
    with Sandbox(
        api_key="secret-1", username="secret-2", password="secret-3", account_token="secret-4"
    ) as sandbox:
        assert "secret-" not in repr(sandbox.settings)


async def test_a_request_that_never_ends_is_an_arrival_too(sandbox):
    host, port = sandbox.base_url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v2/lead/delayedSync HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    while not sandbox.journal.arrivals:
        await asyncio.sleep(0.001)
    writer.close()
    await writer.wait_closed()

    (arrival,) = sandbox.journal.arrivals
    assert (arrival.api, arrival.payload_sha256, arrival.status, arrival.applied) == ("v2", None, None, False)
