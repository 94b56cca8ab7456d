"""`doctor --online` over sockets: against the sandbox, and against services that refuse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from publitrac_async.cli import doctor
from publitrac_async.sandbox import Sandbox
from tests.support.canaries import Canaries, find
from tests.support.wire import Peer, RawServer, Seen, http

SECRETS = Canaries()


def variables(url: str, **others: str) -> dict[str, str]:
    return {
        "PUBLITRAC_BASE_URL": url,
        "PUBLITRAC_API_KEY": SECRETS.api_key,
        "PUBLITRAC_USERNAME": SECRETS.username,
        "PUBLITRAC_PASSWORD": SECRETS.password,
        **others,
    }


async def examine(capsys: Any, environment: Mapping[str, str]) -> tuple[int, dict[str, str]]:
    """Return the exit status, and the lines about the service."""
    status = await doctor.show(as_json=True, online=True, environment=environment)
    output = capsys.readouterr().out
    find(SECRETS.credentials, [output])
    return status, json.loads(output)["service"]


async def test_one_call_of_each_api_that_works(capsys: Any) -> None:
    key, user, password = SECRETS.api_key, SECRETS.username, SECRETS.password
    async with Sandbox(api_key=key, username=user, password=password) as sandbox:
        status, service = await examine(capsys, variables(sandbox.base_url))

        assert status == 0
        assert service["v1"].startswith("works: getCampaigns took ")
        assert service["v2"].startswith("works: getToken took ")
        assert [arrival.method for arrival in sandbox.journal.received()] == ["getCampaigns", "getToken"]


@pytest.mark.parametrize("response", ["401", "403", "200"])
async def test_wrong_credentials_however_the_sandbox_refuses_them(capsys: Any, response: Any) -> None:
    async with Sandbox(bad_credentials_response=response, bad_key_response=response) as sandbox:
        status, service = await examine(capsys, variables(sandbox.base_url))

        assert status == 1
        assert service["v1"].startswith("fails: ")
        assert 'the service says: "Authentication failed.; Authentication failed"' in service["v1"]
        assert service["v1"].endswith("check PUBLITRAC_API_KEY, PUBLITRAC_USERNAME and PUBLITRAC_PASSWORD")
        assert 'the service says: "Invalid API key."; check PUBLITRAC_API_KEY' in service["v2"]
        assert len(sandbox.journal.received()) == 2


async def test_a_service_that_quotes_credentials_in_its_message(capsys: Any) -> None:
    async def refuse(seen: Seen, _: Peer) -> bytes:
        if seen.path.endswith("getToken"):
            body = json.dumps({"error": f"The key {SECRETS.api_key} is blocked for this address"})
            return http(body.encode(), "403 Forbidden")
        return http(f"Bad password {SECRETS.password} for {SECRETS.username}.".encode(), "401 Unauthorized")

    async with RawServer(refuse) as server:
        status, service = await examine(capsys, variables(server.url))

        assert status == 1
        assert 'the service says: "Bad password ********** for **********."' in service["v1"]
        assert 'the service says: "The key ********** is blocked for this address"' in service["v2"]
        assert len(server.seen) == 2


async def test_a_web_page_at_a_wrong_address(capsys: Any) -> None:
    async def respond(_: Seen, __: Peer) -> bytes:
        return http(b"<html><head><title>Our shop</title></head></html>", "404 Not Found", "text/html")

    async with RawServer(respond) as server:
        status, service = await examine(capsys, variables(server.url))

        assert status == 1
        assert "check base_url" in service["v1"]
        assert "check base_url" in service["v2"]
        assert 'the service says: "Our shop"' in service["v1"]


async def test_a_service_that_is_not_there(capsys: Any) -> None:
    async with RawServer(lambda *_: None) as server:  # type: ignore[arg-type, return-value]
        url = server.url

    status, service = await examine(capsys, variables(url))

    assert status == 1
    assert service["v1"].startswith("fails: NotSent: ")


async def test_v1_is_not_tried_without_a_user(capsys: Any) -> None:
    async with Sandbox(api_key=SECRETS.api_key) as sandbox:
        environment = variables(sandbox.base_url)
        del environment["PUBLITRAC_USERNAME"], environment["PUBLITRAC_PASSWORD"]
        status, service = await examine(capsys, environment)

        assert status == 0
        assert service["v1"] == "not tried: v1 needs PUBLITRAC_USERNAME and PUBLITRAC_PASSWORD"
        assert service["v2"].startswith("works")


async def test_nothing_is_tried_with_a_setting_that_is_unusable(capsys: Any) -> None:
    status, service = await examine(capsys, variables("http://example.com"))

    assert status == 2
    assert all(line.startswith("not tried: ") for line in service.values())


async def test_nothing_is_sent_without_the_option(capsys: Any) -> None:
    async with Sandbox() as sandbox:
        await doctor.show(as_json=True, environment=variables(sandbox.base_url))

        assert "service" not in json.loads(capsys.readouterr().out)
        assert not sandbox.journal.received()
