"""Data that is written through one API is read through the others unchanged."""

from __future__ import annotations

import asyncio
import json
import re
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from publitrac_async.sandbox import Sandbox
from publitrac_async.sandbox.xml import InvalidXmlError, parse

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


async def store_by_v2_and_read_by_v1(notes: str, custom: str) -> tuple[dict[str, str], ET.Element]:
    with Sandbox(rate_limit=None) as sandbox:
        transport = httpx.ASGITransport(app=sandbox.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as http:
            key = {"Authorization": sandbox.api_key}
            token = (await http.get("/v2/auth/getToken", headers=key)).json()["token"]
            document = {
                "leadInfo": {"email": "a@example.com", "notes": notes},
                "leadCustomField": {"c": custom},
            }
            await http.post("/v2/lead/delayedSync", headers={"Token": token}, content=json.dumps(document))
            sandbox.process_now()
            credentials = {
                "apikey": sandbox.api_key,
                "username": sandbox.username,
                "password": sandbox.password,
            }
            query = {"method": "getLead", "email": "a@example.com", **credentials}
            response = await http.get(f"/api?{urlencode(query)}")
        lead = sandbox.lead("a@example.com")
        assert lead is not None
        return lead, ET.fromstring(response.content)


@settings(max_examples=60)
@given(notes=TEXT, custom=TEXT)
def test_text_is_stored_and_read_without_characters_that_xml_forbids(notes, custom):
    stored, response = asyncio.run(store_by_v2_and_read_by_v1(notes, custom))

    assert (stored["notes"], stored["c"]) == (notes, custom)
    assert response.findtext("leads/lead/notes") == NOT_XML.sub("", notes)
    assert response.findtext("leads/lead/c") == NOT_XML.sub("", custom)


@settings(max_examples=300)
@given(document=st.binary(max_size=80) | TEXT.map(lambda text: f"<request>{text}</request>".encode()))
def test_xml_is_read_as_the_standard_library_reads_it(document):
    try:
        expected = ET.fromstring(document)
    except (ET.ParseError, LookupError, ValueError):
        expected = None
    try:
        read = parse(document)
    except InvalidXmlError:
        assert expected is None
    else:
        assert expected is not None
        assert read.name == expected.tag
        assert len(read.children) == len(expected)
        if not len(expected):
            assert read.text == (expected.text or "")
