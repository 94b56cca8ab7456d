"""The token, the rate, calls at once, the day's quota: in virtual time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import traceback
from typing import Any

import httpx
import pytest

from publitrac_async import (
    AuthenticationError,
    ConfigurationError,
    DeadlineExceeded,
    QuotaExhausted,
    Rate,
    RateLimited,
    ServerError,
    UnexpectedContent,
)
from publitrac_async.marketo import MarketoClient
from publitrac_async.transport.concurrency import AdaptiveGate
from publitrac_async.transport.events import TokenRenewed
from publitrac_async.transport.limits import Unlimited, WindowLimiter
from tests.support.clock import now, virtual
from tests.support.marketo import HOST, ID, PATIENT, SECRET, Sent, refused, result, serving


@virtual
async def test_the_token_request_is_a_get_with_three_parameters_and_the_token_a_header() -> None:
    async with serving(result()) as (marketo, service):
        await marketo.describe()
        await marketo.describe()
    (token_request,) = service.token_requests
    assert (token_request.verb, token_request.body) == ("GET", b"")
    assert dict(token_request.query) == {
        "grant_type": "client_credentials",
        "client_id": ID,
        "client_secret": SECRET,
    }
    assert "authorization" not in token_request.headers
    assert [sent.headers["authorization"] for sent in service.sent] == ["Bearer token-1"] * 2
    assert all("token" not in sent.target for sent in service.sent)


@virtual
async def test_fifty_calls_share_one_token_request() -> None:
    async with serving(result()) as (marketo, service):
        await asyncio.gather(*(marketo.describe() for _ in range(50)))
    assert len(service.token_requests) == 1


@pytest.mark.parametrize("code", ["600", "601", "602"])
def test_a_refused_token_is_renewed_once_and_the_call_repeated_with_the_new_one(code: str) -> None:
    @virtual
    async def main() -> None:
        events: list[Any] = []

        def reply(sent: Sent) -> Any:
            if sent.headers["authorization"] == "Bearer token-1":
                return refused(code)
            return result({"id": 1, "status": "created"})

        async with serving(reply, hooks=[events.append]) as (marketo, service):
            done = await asyncio.gather(
                *(marketo.push_leads([{"email": "a@x.com"}], program_name="P") for _ in range(20))
            )
        assert all(each[0].ok for each in done)
        assert len(service.token_requests) == 2
        used = [sent.headers["authorization"] for sent in service.sent]
        assert used.count("Bearer token-2") == 20
        assert [event.ttl for event in events if isinstance(event, TokenRenewed)] == [3600] * 2

    main()


@virtual
async def test_a_token_that_is_refused_twice_is_an_error() -> None:
    async with serving(refused("601")) as (marketo, service):
        with pytest.raises(AuthenticationError) as caught:
            await marketo.describe()
    assert (len(service.sent), len(service.token_requests)) == (2, 2)
    assert caught.value.code == "601"


@virtual
async def test_the_token_is_renewed_at_its_end_and_not_before() -> None:
    async with serving(result(), lives=[3600, 3600]) as (marketo, service):
        await marketo.describe()
        await asyncio.sleep(3599)
        await marketo.describe()
        assert len(service.token_requests) == 1
        await asyncio.sleep(2)
        await marketo.describe()
    assert len(service.token_requests) == 2


@virtual
async def test_a_token_with_little_life_left_is_no_loop_of_token_requests() -> None:
    # Identity issues the same token until it expires, with the seconds that are left, even 0.
    async with serving(result(), lives=[2, 0, 3600]) as (marketo, service):
        for _ in range(30):
            await marketo.describe()
            await asyncio.sleep(0.1)
        assert len(service.token_requests) == 2
        await asyncio.sleep(1)
        for _ in range(10):
            await marketo.describe()
            await asyncio.sleep(60)
    assert len(service.token_requests) == 3


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (httpx.Response(401, json={"error": "unauthorized"}), AuthenticationError, "unauthorized"),
        (httpx.Response(401, json={"error": "invalid_client"}), AuthenticationError, "invalid_client"),
        (httpx.Response(200, json={"error": "invalid_client"}), AuthenticationError, "invalid_client"),
        (httpx.Response(401, json={"error": f"bad {SECRET}"}), AuthenticationError, None),
        (httpx.Response(200, json=refused("601", message=SECRET)), AuthenticationError, "601"),
        (httpx.Response(200, json=refused("608")), ServerError, "608"),
        (httpx.Response(401, content=b"<html>"), AuthenticationError, None),
        (httpx.Response(200, content=b"<html>"), UnexpectedContent, None),
        (httpx.Response(200, json={"expires_in": 3600}), UnexpectedContent, None),
        (httpx.Response(200, json={"access_token": "a\nb", "expires_in": 3600}), UnexpectedContent, None),
    ],
)
def test_a_token_request_that_fails(reply: httpx.Response, kind: type[Exception], code: str | None) -> None:
    @virtual
    async def main() -> None:
        async with serving(result(), lives=[reply]) as (marketo, service):
            with pytest.raises(kind) as caught:
                await marketo.describe()
        assert not service.sent
        error = caught.value
        assert error.operation == "Identity"  # type: ignore[attr-defined]
        assert error.code == code  # type: ignore[attr-defined]
        shown = "".join(traceback.format_exception(error)) + repr(error) + str(error)
        assert SECRET not in shown
        assert ID not in shown

    main()


@pytest.mark.parametrize(("life", "token_requests"), [("3600", 1), (None, 2), (-1, 2), (True, 2), ("inf", 2)])
def test_a_life_that_is_no_number_of_seconds_is_one_second(life: Any, token_requests: int) -> None:
    @virtual
    async def main() -> None:
        async with serving(result(), lives=[life]) as (marketo, service):
            for _ in range(5):
                await marketo.describe()
            assert len(service.token_requests) == 1
            await asyncio.sleep(1.1)
            await marketo.describe()
        assert len(service.token_requests) == token_requests

    main()


# Limits.


@virtual
async def test_by_default_no_20_seconds_hold_more_than_50_calls() -> None:
    inside = most = 0

    async def reply(_: Sent) -> Any:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.1)
        inside -= 1
        return result()

    # The default limiter, on the clock of this loop.
    async with serving(reply, limiter=WindowLimiter(Rate(50, per=20), clock=now), timeout=900) as (
        marketo,
        service,
    ):
        await asyncio.gather(*(marketo.describe() for _ in range(200)))
    times = [sent.at for sent in service.sent]
    assert max(sum(1 for at in times if start <= at < start + 20) for start in times) <= 50
    # At this latency more are not needed: after the first 50 the rate allows 2.5 per second.
    assert 1 <= most <= 5
    assert times[-1] - times[0] < 85


def test_the_defaults_follow_the_advice_of_marketo() -> None:
    client = MarketoClient(base_url=HOST, client_id="a", client_secret="b")
    assert repr(client._transport._limiter) == "WindowLimiter(50 calls in 20.05 s)"
    gate = client._transport.gate
    assert isinstance(gate, AdaptiveGate)
    assert (gate.width, gate._max_in_flight) == (3, 10)
    free = MarketoClient(base_url=HOST, client_id="a", client_secret="b", rate_limit=None, concurrency=10)
    assert isinstance(free._transport._limiter, Unlimited)
    assert (
        MarketoClient(base_url=HOST, client_id="a", client_secret="b", rate_limit=None)._transport.gate.width
        == 10
    )
    assert free._transport.gate.width == 10


@virtual
async def test_606_pauses_every_call_of_the_client() -> None:
    responses: list[Any] = [result(), refused("606"), result()]
    async with serving(*responses, retry=PATIENT) as (marketo, service):
        await marketo.describe()
        started = now()
        refusal = asyncio.create_task(marketo.describe())
        await asyncio.sleep(0.001)
        others = [asyncio.create_task(marketo.describe()) for _ in range(4)]
        await asyncio.gather(refusal, *others)
    later = [sent.at - started for sent in service.sent[2:]]
    assert len(later) == 5
    assert min(later) >= 20


@virtual
async def test_606_for_ever_ends_with_an_error() -> None:
    async with serving(refused("606"), retry=PATIENT) as (marketo, service):
        with pytest.raises((RateLimited, DeadlineExceeded)) as caught:
            await marketo.describe()
    assert caught.value.retryable
    assert 2 <= len(service.sent) <= 4


@virtual
async def test_607_is_final_and_says_when_to_come_back() -> None:
    async with serving(refused("607"), retry=PATIENT) as (marketo, service):
        with pytest.raises(QuotaExhausted) as caught:
            await marketo.describe()
    assert len(service.sent) == 1
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 24 * 3600


@virtual
async def test_615_lowers_the_calls_at_once_and_success_raises_them_again() -> None:
    allowed, inside, most = 2, 0, 0

    async def reply(_: Sent) -> Any:
        nonlocal inside, most
        if inside >= allowed:
            return refused("615")
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.1)
        inside -= 1
        return result()

    async with serving(reply, retry=PATIENT, timeout=900, concurrency=5) as (marketo, service):
        widths = []

        async def call() -> None:
            await marketo.describe()
            widths.append(marketo._transport.gate.width)

        await asyncio.gather(*(call() for _ in range(15)))
        assert min(widths) <= 2
        refusals = len(service.sent) - 15
        assert refusals <= 6
        allowed = 10
        for _ in range(90):
            await call()
        assert marketo._transport.gate.width == 5
        most = 0
        await asyncio.gather(*(call() for _ in range(15)))
        assert most == 5


@virtual
async def test_a_token_request_counts_towards_no_limit() -> None:
    class Closed:
        def __init__(self) -> None:
            self.asked = 0

        async def acquire(self) -> None:
            self.asked += 1

        def pause(self, seconds: float) -> None:
            raise AssertionError(seconds)

    limiter = Closed()
    async with serving(refused("601"), result(), limiter=limiter) as (marketo, service):
        await marketo.describe()
    assert len(service.token_requests) == 2
    assert limiter.asked == len(service.sent) == 2


# Construction.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"client_id": ""}, "client_id is empty"),
        ({"client_secret": "a\nb"}, r"client_secret \(3 characters\) has control"),
        ({"base_url": "http://123-abc-456.mktorest.com"}, "must be https"),
        ({"base_url": "123-abc-456.mktorest.com"}, "must be https://host"),
        ({"concurrency": 0}, "at least 1"),
        ({"rate_limit": 0}, "not 0 calls"),
        ({"munchkin_id": "123-ABC-456"}, "either base_url or munchkin_id"),
        ({"base_url": None}, "either base_url or munchkin_id"),
        ({"base_url": None, "munchkin_id": "example.com"}, "must look like 123-ABC-456"),
        ({"base_url": f"{HOST}/v1"}, "a path that is not Marketo's"),
    ],
)
def test_unusable_settings_are_refused_at_construction(options: dict[str, Any], message: str) -> None:
    settings = {"base_url": HOST, "client_id": ID, "client_secret": SECRET}
    with pytest.raises(ConfigurationError, match=message):
        MarketoClient(**settings | options)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/rest",
        "/rest/",
        "/rest/v1",
        "/rest/asset/v1/",
        "/identity",
        "/identity/oauth/token",
        "/bulk/v1",
    ],
)
def test_the_paths_that_marketo_shows_behind_its_host_are_removed(path: str) -> None:
    for host in (HOST, "https://proxy.example.com/marketo"):
        client = MarketoClient(base_url=f" {host}{path}", client_id=ID, client_secret=SECRET)
        assert repr(client) == f"MarketoClient({host})"


def test_a_munchkin_id_makes_the_address() -> None:
    client = MarketoClient(munchkin_id="123-ABC-456", client_id=ID, client_secret=SECRET)
    assert repr(client) == "MarketoClient(https://123-abc-456.mktorest.com)"
    address = "https://123-ABC-456.mktorest.com"
    assert repr(MarketoClient(base_url=address, client_id=ID, client_secret=SECRET)) == repr(client)
    environment = {
        "MARKETO_MUNCHKIN_ID": "123-ABC-456",
        "MARKETO_CLIENT_ID": ID,
        "MARKETO_CLIENT_SECRET": SECRET,
    }
    assert repr(MarketoClient.from_env(environment)) == repr(client)
    other = {"MARKETO_BASE_URL": "https://x.com"}
    assert repr(MarketoClient.from_env(environment | other)) == "MarketoClient(https://x.com)"
    given = MarketoClient.from_env(environment | other, munchkin_id="999-ABC-999")
    assert repr(given) == "MarketoClient(https://999-abc-999.mktorest.com)"
    del environment["MARKETO_MUNCHKIN_ID"]
    with pytest.raises(ConfigurationError, match="neither MARKETO_BASE_URL"):
        MarketoClient.from_env(environment)


def test_credentials_come_from_environment_and_files(tmp_path: Any) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n", encoding="utf-8")
    environment = {
        "MARKETO_BASE_URL": f"{HOST}/rest",
        "MARKETO_CLIENT_ID": ID,
        "MARKETO_CLIENT_SECRET_FILE": str(path),
    }
    assert repr(MarketoClient.from_env(environment)) == f"MarketoClient({HOST})"
    other = MarketoClient.from_env(environment, base_url="https://x.com")
    assert repr(other) == "MarketoClient(https://x.com)"
    del environment["MARKETO_CLIENT_ID"]
    with pytest.raises(ConfigurationError, match="neither MARKETO_CLIENT_ID nor MARKETO_CLIENT_ID_FILE"):
        MarketoClient.from_env(environment)


def test_the_package_does_not_import_it() -> None:
    code = "import sys, publitrac_async; assert 'publitrac_async.marketo' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
