"""No web page of another host reaches a listening sandbox."""

from __future__ import annotations

import httpx
import pytest

from publitrac_async.sandbox import Sandbox

CONTROL = ["/_sandbox/leads", "/_sandbox/contents", "/_sandbox/journal"]


@pytest.mark.parametrize("path", CONTROL)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "localhost.evil.example",
        "",
        "[",
    ],
)
async def test_foreign_hosts_are_refused(http, path, host):
    response = await http.get(path, headers={"Host": host})

    assert response.status_code == 403
    assert "allowed_hosts" in response.text


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:1", "localhost.", "shop.localhost", "127.0.0.1", "127.9.9.9:80", "[::1]:80"],
)
async def test_loopback_names_are_accepted(http, host):
    assert (await http.get("/_sandbox/leads", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("path", ["/_sandbox/reset", "/v2/lead/delayedSync", "/api"])
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://127.0.0.1.evil.example", "null", "file://", "x"]
)
async def test_foreign_origins_are_refused(http, sandbox, path, origin):
    sandbox.seed(leads=[{"email": "a@example.com"}])
    response = await http.post(path, headers={"Origin": origin})

    assert response.status_code == 403
    assert len(sandbox.leads()) == 1
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("origin", ["http://127.0.0.1:1", "http://localhost:3000", "https://[::1]"])
async def test_pages_of_this_machine_are_accepted(http, origin):
    assert (await http.post("/_sandbox/reset", headers={"Origin": origin})).status_code == 200


@pytest.mark.parametrize("path", ["/api?method=deleteLead", "/_sandbox/leads"])
async def test_pictures_on_foreign_pages_call_nothing(http, path):
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}

    assert (await http.get(path, headers=headers)).status_code == 403


async def test_clients_may_use_an_alias(http):
    response = await http.get("/api", headers={"Host": "publitrac.test"})

    assert response.status_code == 401


async def test_further_host_names_can_be_allowed():
    async with (
        Sandbox(allowed_hosts={"Sandbox"}) as sandbox,
        httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False, verify=False) as http,
    ):
        statuses = [
            (await http.get("/_sandbox/leads", headers={"Host": host})).status_code
            for host in ("sandbox:8787", "localhost", "other")
        ]
        assert statuses == [200, 200, 403]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_an_open_address_needs_names(host):
    with pytest.raises(ValueError, match="allowed_hosts"):
        Sandbox(host=host)
    Sandbox(host=host, allowed_hosts={"sandbox"}).close()
