"""The samples of the v2 page. None of them is valid JSON."""

from __future__ import annotations

import json

import orjson
import pytest

from publitrac_async import Accepted, Lead, UnexpectedContent
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.v2 import codec, responses
from tests.support.v1 import sample


def test_the_token_is_read_past_the_missing_comma():
    token, ttl = responses.read_token(ServiceResponse(200, sample("v2/get_token_response.txt")))
    assert token.reveal() == "djs4fdn4dJTer489!"
    assert ttl == 900.0


def test_the_response_is_read_past_the_single_quotes():
    response = ServiceResponse(200, sample("v2/delayed_sync_response.txt"))
    assert responses.read_accepted(response) == Accepted(status="success", code=200)


def test_the_request_is_written_as_shown_but_for_the_missing_comma():
    shown = sample("v2/delayed_sync_request.txt").decode()
    expected = json.loads(shown.replace('.com"', '.com",'))
    lead = Lead(
        email="john.doe@provider.com",
        crm_lead_id="12387",
        job_title="Awesome Programmer",
        first_name="John",
        last_name="Doe",
        custom_fields={"customField1": "Value", "customField2": "Value2"},
    )
    # The sample has the id as a number, the only known client sends it as text.
    expected["leadInfo"]["crmLeadId"] = "12387"
    assert orjson.loads(codec.lead_body(lead)) == expected


@pytest.mark.parametrize("ttl", ['"900"', "900", '"900.5"', '" 900 "'])
def test_the_life_of_a_token_is_a_number_or_its_text(ttl):
    _, seconds = responses.read_token(ServiceResponse(200, f'{{"token": "t", "ttl": {ttl}}}'.encode()))
    assert seconds == float(ttl.strip('" '))


@pytest.mark.parametrize("ttl", ['""', "null", '"soon"', "0", "-5", '"nan"', '"inf"', "[]", "{}", "true"])
def test_a_life_that_is_no_number_is_the_documented_one(ttl):
    _, seconds = responses.read_token(ServiceResponse(200, f'{{"token": "t", "ttl": {ttl}}}'.encode()))
    assert seconds == 900.0


@pytest.mark.parametrize(
    "body",
    [
        b"{'status' : 'success', 'code' : __import__('os').getpid()}",
        b"{'status' : 'success', 'code' : 200, 'more' : {}}",
        b"{'status' : 'it\\'s', 'code' : 200}",
        b"{'status' : 'success' 'code' : 200}",
        b"{'status' : 'success', 'code' : 0200}",
        '{"status": "success", "code": "²"}'.encode(),
        b'{"status": "success", "code": "' + b"2" * 5_000 + b'"}',
        b"{'status': 'success', 'code': 200",
        b"",
        b"[]",
        b"null",
        b'"success"',
        b"\xff\xfe",
        b"{" * 100_000,
        b"{'a': 1, " * 100_000,
        b'{"a" ' * 100_000,
    ],
)
def test_nothing_else_is_repaired(body):
    with pytest.raises(UnexpectedContent):
        responses.read_accepted(ServiceResponse(200, body))
