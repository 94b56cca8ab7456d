"""Credentials, verbs, parameter places and hostile documents."""

from __future__ import annotations

import asyncio
import contextlib
from xml.etree import ElementTree as ET

import httpx
import pytest

from publitrac_async.sandbox import Sandbox

LEAD = "<request><lead><email>a@example.com</email></lead></request>"


@pytest.mark.parametrize("spelling", ["apikey", "apiKey"])
@pytest.mark.parametrize("verb", ["GET", "POST"])
@pytest.mark.parametrize("place", ["params", "data"])
async def test_parameters_count_in_query_string_and_form(sandbox, http, spelling, verb, place):
    credentials = {spelling: sandbox.api_key, "username": sandbox.username, "password": sandbox.password}
    parameters = {"method": "syncLead", "query": LEAD, **credentials}

    response = await http.request(verb, "/api", **{place: parameters})

    assert ET.fromstring(response.content).findtext("status") == "2006"


async def test_the_form_wins_over_the_query_string(sandbox, v1, http):
    response = await http.post(
        "/api",
        params={"method": "getLead", "email": "other@example.com", **v1.credentials},
        data={"method": "syncLead", "query": LEAD},
    )

    assert ET.fromstring(response.content).findtext("status") == "2006"
    assert sandbox.journal.arrivals[-1].method == "syncLead"


@pytest.mark.parametrize("wrong", ["apikey", "username", "password"])
@pytest.mark.parametrize("value", ["wrong", ""])
async def test_wrong_credentials_are_refused_with_401(http, v1, wrong, value):
    response = await http.get("/api", params={"method": "getLeads", **v1.credentials, wrong: value})

    assert response.status_code == 401
    assert ET.fromstring(response.content).findtext("status") == "9000"


@pytest.mark.parametrize(("setting", "status"), [("401", 401), ("403", 403), ("200", 200)])
async def test_response_to_wrong_credentials(setting, status):
    with Sandbox(bad_credentials_response=setting) as sandbox:
        transport = httpx.ASGITransport(app=sandbox.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as http:
            response = await http.get("/api", params={"method": "getLeads"})

            assert response.status_code == status
            assert ET.fromstring(response.content).find("errors/error") is not None


async def test_unknown_methods_are_refused(v1, errors):
    response = await v1("getlead", email="a@example.com")

    assert response.findtext("status") == "9000"
    assert errors(response) == ["Unknown method"]


async def test_the_status_of_failures_is_a_setting(in_process):
    with Sandbox(failure_http_status=422, failure_status=9999) as sandbox:
        response = await in_process(sandbox).send("noSuchMethod")

        assert response.status_code == 422
        assert ET.fromstring(response.content).findtext("status") == "9999"


async def test_other_verbs_get_405(http, v1):
    response = await http.put("/api", params={"method": "getLeads", **v1.credentials})

    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"


async def test_strict_verbs_refuse_get_for_writing(in_process):
    with Sandbox(wrong_verb_response="405") as sandbox:
        v1 = in_process(sandbox)
        query = {"query": LEAD}
        refused = await v1.http.get("/api", params={"method": "syncLead", **v1.credentials, **query})
        accepted = await v1.send("syncLead", LEAD)

        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        assert accepted.status_code == 200


BILLION_LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    + "".join(f'<!ENTITY lol{n} "{f"&lol{n - 1 or str()};" * 10}">' for n in range(1, 10))
    + "]><request><lead><email>&lol9;</email></lead></request>"
)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b" ",
        b"nonsense",
        b"<request>",
        b"<request></request",
        b"<request><lead></request></lead>",
        b"<request/><request/>",
        b"<other><lead><email>a@example.com</email></lead></other>",
        b"<request><lead><email>a&b@example.com</email></lead></request>",
        b"<request><lead><email>a&undefined;b@example.com</email></lead></request>",
        b"<request><lead><notes>\xff\xfe</notes></lead></request>",
        b"<request><lead><notes>\x00</notes></lead></request>",
        b"<request><lead><notes>\x0b</notes></lead></request>",
        b"<request><lead><notes>&#0;</notes></lead></request>",
        b'<?xml version="1.0" encoding="no-such-encoding"?><request/>',
        b'<?xml version="1.0" encoding="UTF-16"?><request/>',
        b"<!DOCTYPE request><request><lead><email>a@example.com</email></lead></request>",
        b'<!DOCTYPE request SYSTEM "file:///etc/passwd"><request/>',
        BILLION_LAUGHS.encode(),
        b"<request>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</request>",
        b"<request><lead>" + b"<a/>" * 200_000 + b"</lead></request>",
    ],
    ids=lambda document: document[:40].decode("latin-1"),
)
async def test_hostile_and_broken_xml_is_refused(sandbox, v1, errors, document):
    response = await v1("syncLead", document)

    assert (response.findtext("status"), errors(response)) == ("9011", ["9011 - Invalid XML."])
    assert sandbox.leads() == []


async def test_a_search_needs_queries(v1):
    response = await v1("getLeads", "<request/>")

    assert response.findtext("status") == "9011"


async def test_missing_xml_is_refused(v1):
    for method in ("syncLead", "getLeads"):
        response = await v1(method)
        assert response.findtext("status") == "9011"


async def test_the_declared_encoding_counts(sandbox, v1):
    document = '<?xml version="1.0" encoding="ISO-8859-1"?>' + LEAD.replace(
        "</lead>", "<firstName>Zoé</firstName></lead>"
    )

    await v1("syncLead", document.encode("latin-1"))

    assert sandbox.lead("a@example.com")["firstName"] == "Zoé"


async def test_utf_8_percent_encoding_and_plus(sandbox, http, v1):
    lead = (
        "%3Crequest%3E%3Clead%3E%3Cemail%3Ea@example.com%3C/email%3E"
        "%3CfirstName%3EZo%C3%A9+%2B+1%3C/firstName%3E%3C/lead%3E%3C/request%3E"
    )

    await http.post(
        "/api",
        params={"method": "syncLead", **v1.credentials},
        content=f"query={lead}",
        headers={"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
    )

    assert sandbox.lead("a@example.com")["firstName"] == "Zoé + 1"


async def test_a_body_that_is_no_form_is_not_read(http, v1):
    response = await http.post(
        "/api",
        params={"method": "syncLead", **v1.credentials},
        content=LEAD,
        headers={"content-type": "text/xml"},
    )

    assert ET.fromstring(response.content).findtext("status") == "9011"


async def test_too_large_requests_are_refused(in_process):
    with Sandbox(max_request_bytes=1000) as sandbox:
        response = await in_process(sandbox).send("syncLead", LEAD + " " * 1000)

        assert response.status_code == 413
        assert sandbox.leads() == []
        assert sandbox.journal.arrivals[0].status == 413


async def test_the_connection_survives_a_too_large_request():
    async with Sandbox(max_request_bytes=1000, rate_limit=None) as sandbox:
        async with httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False, verify=False) as http:
            for _ in range(2):
                response = await http.post("/v2/lead/delayedSync", content=b"x" * 5_000_000)
                assert response.status_code == 413
        ports = {arrival.connection for arrival in sandbox.journal.arrivals}
        assert len(sandbox.journal.arrivals) == 2
        assert len(ports) in (1, 2)


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /api HTTP/1.1\r\n\r\n",
        b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nContent-Length: 11\r\n\r\n",
        b"GET /api?" + b"x" * 300_000,
        b"GET /api HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ],
    ids=["tls", "version", "no host", "two lengths", "huge head", "websocket"],
)
async def test_input_that_is_not_http_is_harmless(sandbox, v1, bytes_sent, capfd):
    host, port = sandbox.base_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(bytes_sent)
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(reader.read(100), 5)
    writer.close()

    sandbox.seed(leads=[{"email": "a@example.com"}])
    assert (await v1("getLead", email="a@example.com")).findtext("status") == "2002"
    assert capfd.readouterr().err == ""


async def test_other_paths_get_404_and_are_recorded(http, sandbox):
    response = await http.get("/elsewhere")

    assert response.status_code == 404
    assert sandbox.journal.arrivals[-1].api == "other"
