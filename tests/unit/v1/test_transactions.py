"""E-commerce transactions."""

from __future__ import annotations

import json
from decimal import Decimal

import httpx
import pytest

from publitrac_async import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    OutcomeUnknown,
    PublitracClient,
    Secret,
    ServerError,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.v1 import Transaction, TransactionItem
from tests.support.v1 import sample, v1

URL = "https://ecommerce.example/transactions"
EMAIL = "yourleademail@service.com"
OK = httpx.Response(200)
SAMPLE = Transaction(
    id=1000,
    type="buying",
    total=40,
    tax="12",
    shipping="air",
    info="my first transaction",
    currency="EUR",
    items=[
        TransactionItem(id="9991", name="Bunnies", sku="DD23444", category="Animals", price=10, quantity=1),
        TransactionItem(id="9992", name="Ball", sku="CC23444", category="Party Toys", price=10.0, quantity=1),
        TransactionItem(
            id=9993, name="Hammer", sku="BB23444", category="Tools", price=Decimal(10), quantity=1
        ),
        TransactionItem(id="9994", name="Pencils", sku="AA23444", category="Arts", price="10", quantity="1"),
    ],
)


async def add(transaction=SAMPLE, *responses, url=URL, token="accountToken", email=EMAIL, **options):
    async with v1(*(responses or [OK]), **options) as (client, service):
        await client.add_transaction(transaction, url=url, token=token, email=email)
    return service.last


async def test_a_transaction_is_sent_like_the_sample():
    sent = await add()
    assert (sent.verb, sent.host, sent.path, sent.query) == ("POST", "ecommerce.example", "/transactions", {})
    assert set(sent.form) == {"transaction", "token", "email"}
    assert (sent.form["token"], sent.form["email"]) == ("accountToken", EMAIL)
    content = json.loads(sent.form["transaction"])
    assert content == json.loads(sample("v1/transaction.json"))
    assert [*content] == [*json.loads(sample("v1/transaction.json"))]


async def test_no_credential_of_the_client_goes_there():
    sent = await add()
    assert "the-" not in str(sent)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("", ""),
        ("1,5", "1,5"),
        (0, "0"),
        (19.9, "19.9"),
        (1e-7, "0.0000001"),
        (1e20, "100000000000000000000"),
        (Decimal("19.90"), "19.9"),
        (Decimal("1E+3"), "1000"),
    ],
)
async def test_numbers_are_written_as_text(value, text):
    sent = await add(Transaction(id="1", total=value, items=[TransactionItem(price=value)]))
    content = json.loads(sent.form["transaction"])
    assert content == {
        "id": "1",
        "token": "accountToken",
        "email": EMAIL,
        "total": text,
        "items": [{"price": text}],
    }


@pytest.mark.parametrize(
    ("transaction", "fields"),
    [
        (Transaction(id=""), ["id"]),
        (Transaction(id=None), ["id"]),
        (Transaction(id="1", total=float("nan")), ["total"]),
        (Transaction(id="1", total=True), ["total"]),
        (Transaction(id="1", total=[1], tax={}), ["total", "tax"]),
        (Transaction(id="1", items=[TransactionItem(price=float("inf"))]), ["price"]),
        (Transaction(id="1", info="\ud800"), ["info"]),
        (Transaction(id="1", items=[TransactionItem(name="\x00")]), ["name"]),
    ],
)
async def test_arguments_that_cannot_be_sent(transaction, fields):
    async with v1() as (client, service):
        with pytest.raises(ValidationError) as caught:
            await client.add_transaction(transaction, url=URL, token="t", email=EMAIL)
    assert [problem.field for problem in caught.value.problems] == fields
    assert service.sent == []


async def test_the_address_of_the_lead_is_checked():
    with pytest.raises(ValidationError):
        await add(email="plain")


@pytest.mark.parametrize(
    "url",
    [
        "http://ecommerce.example/",
        "ftp://ecommerce.example/",
        "//ecommerce.example/",
        "ecommerce.example",
        "https://",
        "",
        "https://user:word@ecommerce.example/",
        "https://ecommerce.example/?token=x",
        "https://ecommerce.example/#x",
        "file:///etc/passwd",
    ],
)
async def test_urls_that_are_refused(url):
    with pytest.raises(ConfigurationError) as caught:
        await add(url=url)
    assert "word" not in str(caught.value)
    assert str(caught.value).startswith("url")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (URL, "/transactions"),
        (URL + "/", "/transactions/"),
        ("https://ecommerce.example", "/"),
        ("https://ecommerce.example/", "/"),
        ("http://127.0.0.1:8000/a", "/a"),
        ("http://localhost/a", "/a"),
        ("http://[::1]:80/a", "/a"),
    ],
)
async def test_urls_are_used_as_they_are(url, path):
    assert (await add(url=url)).path == path


@pytest.mark.parametrize("token", ["", " ", "a\nb", None, 5])
async def test_tokens_are_checked(token):
    with pytest.raises(ConfigurationError, match="token"):
        await add(token=token)


async def test_a_token_may_be_sealed_and_shows_nowhere():
    async with v1(httpx.Response(500)) as (client, _):
        with pytest.raises(ServerError) as caught:
            await client.add_transaction(SAMPLE, url=URL, token=Secret("hidden-token"), email=EMAIL)
    assert "hidden" not in str(caught.value) + repr(caught.value)
    assert caught.value.operation == "transaction"
    assert EMAIL not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" \r\n", b"OK", b"200 OK", b"HTTP/1.1 200 OK", b"success", b"{}", b'{"status": "success"}'),
        b"<response><status>5002</status><message>ok</message></response>",
    ],
)
async def test_success_is_http_200_and_a_body_without_an_error(body):
    await add(SAMPLE, httpx.Response(200, content=body))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"Invalid token", AuthenticationError),
        (b'{"error": "wrong token"}', AuthenticationError),
        (b'{"status": "error"}', UnexpectedContent),
        (b"the shop is not known", UnexpectedContent),
        (b"<response><status>9000</status></response>", ApiError),
        (b"<response><status>401</status><message>no</message></response>", AuthenticationError),
    ],
)
async def test_a_refusal_with_http_200_is_no_success(body, kind):
    with pytest.raises(kind) as caught:
        await add(SAMPLE, httpx.Response(200, content=body))
    assert "known" not in str(caught.value)


async def test_a_web_page_is_no_success():
    with pytest.raises(UnexpectedContent) as caught:
        await add(SAMPLE, httpx.Response(200, content=b"<!doctype html><html>"))
    assert caught.value.maybe_applied


async def test_it_is_not_retried_after_a_lost_response():
    def lose(_request):
        raise httpx.ReadError("gone")

    with pytest.raises(OutcomeUnknown):
        await add(transport=httpx.MockTransport(lose))


async def test_it_needs_no_user_and_no_password():
    async with PublitracClient(api_key="k", transport=httpx.MockTransport(lambda _: OK)) as publitrac:
        await publitrac.v1.add_transaction(SAMPLE, url=URL, token="t", email=EMAIL)
