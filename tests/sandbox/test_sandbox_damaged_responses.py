"""Responses, damaged as by PHP and old databases."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from publitrac_async.sandbox import Fault

INSERTED = {
    "bytes": b"\xe9",
    "control": b"\x0b",
    "entity": b"&eacute;",
    "ampersand": b" & ",
    "bracket": b" < ",
}
AROUND = ("blank", "notice", "notice-after")


@pytest.mark.parametrize("variant", [*INSERTED, *AROUND])
async def test_xml_is_damaged_in_one_place(sandbox, v1, variant):
    sandbox.seed(leads=[{"email": "a@example.com", "firstName": "Ada", "company": "X"}])
    whole = (await v1.send("getLead", email="a@example.com")).content
    sandbox.inject(Fault("malformed", variant=variant))

    damaged = (await v1.send("getLead", email="a@example.com")).content

    with pytest.raises(ET.ParseError):
        ET.fromstring(damaged)
    if variant in INSERTED:
        assert damaged == whole.replace(b">Ada<", b">A" + INSERTED[variant] + b"da<")
    else:
        assert whole in damaged
        assert damaged.endswith(whole) is (variant != "notice-after")
        assert b"<b>Notice</b>" in damaged or variant == "blank"


@pytest.mark.parametrize("variant", ["bytes", "control", "notice"])
async def test_json_is_damaged_too(sandbox, v2, variant):
    token = await v2.token()
    sandbox.inject(Fault("malformed", variant=variant))

    response = await v2.sync("wrong" + token, {"leadInfo": {"email": "a@example.com"}})

    with pytest.raises(ValueError, match=r".*"):
        json.loads(response.content)


async def test_the_call_was_executed(sandbox, v1):
    sandbox.inject(Fault("malformed", variant="control"))

    await v1.send("syncLead", "<request><lead><email>a@example.com</email></lead></request>")

    assert sandbox.lead("a@example.com") is not None
