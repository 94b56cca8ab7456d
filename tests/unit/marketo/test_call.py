"""Any path of the API: requests, instruments, retries and paging."""

from __future__ import annotations

import logging
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from publitrac_async import ApiError, AuthenticationError, OutcomeUnknown, UnexpectedContent, ValidationError
from tests.support.clock import virtual
from tests.support.marketo import refused, result, serving


@virtual
async def test_a_call_has_token_and_accept_like_every_other() -> None:
    async with serving(result({"id": 7}, warnings=["w"])) as (marketo, service):
        page = await marketo.call("GET", "/rest/v1/lists.json", query={"name": "News & more"})
    (sent,) = service.sent
    assert (sent.verb, sent.path, sent.query) == ("GET", "/rest/v1/lists.json", [("name", "News & more")])
    assert sent.headers["authorization"] == "Bearer token-1"
    assert sent.headers["accept"] == "application/json"
    assert (page.items, page.warnings[0].message, page.last) == (({"id": 7},), "w", True)


@virtual
async def test_parameters_are_written_as_marketo_takes_them() -> None:
    query = {
        "ids": [1, 2],
        "since": datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001
        "day": date(2026, 1, 2),
        "flag": True,
        "amount": Decimal("1.50"),
        "none": None,
        "empty": [],
        "folder": {"id": 13, "type": "Folder"},
        "text": "",
    }
    async with serving(result()) as (marketo, service):
        await marketo.call("GET", "/rest/asset/v1/x.json", query=query)
        await marketo.call("DELETE", "/rest/v1/lists/1/leads.json", query=[("id", 1), ("id", 2)])
    assert service.sent[0].query == [
        ("ids", "1,2"),
        ("since", "2026-01-02T03:04:05+00:00"),
        ("day", "2026-01-02"),
        ("flag", "true"),
        ("amount", "1.50"),
        ("folder", '{"id":13,"type":"Folder"}'),
        ("text", ""),
    ]
    assert service.sent[1].target == "/rest/v1/lists/1/leads.json?id=1&id=2"


@virtual
async def test_bodies_are_json_or_a_form() -> None:
    async with serving(result()) as (marketo, service):
        content = {"input": [{"id": 1, "amount": Decimal("1.50")}]}
        await marketo.call("POST", "/rest/v1/x.json", json=content, query={"a": 1})
        await marketo.call("DELETE", "/rest/v1/x.json", json=content)
        await marketo.call("POST", "/rest/v1/x.json")
        await marketo.call("POST", "/rest/asset/v1/x.json", form={"name": "a b", "folder": {"id": 1}})
    with_json, deleting, bare, form = service.sent
    assert with_json.body == deleting.body == b'{"input":[{"id":1,"amount":1.50}]}'
    assert with_json.query == [("a", "1")]
    for sent in (with_json, deleting, bare):
        assert sent.headers["content-type"] == "application/json"
    assert form.form == {"name": "a b", "folder": '{"id":1}'}
    assert form.headers["content-type"].startswith("application/x-www-form-urlencoded")


@virtual
async def test_a_long_get_becomes_a_post() -> None:
    async with serving(result()) as (marketo, service):
        await marketo.call("GET", "/rest/v1/x.json", query={"v": "y" * 9000})
    assert service.sent[0].verb == "POST"
    assert service.sent[0].target == "/rest/v1/x.json?_method=GET"
    assert service.sent[0].form == {"v": "y" * 9000}


@virtual
async def test_all_items_of_all_pages_and_the_token_to_continue_from() -> None:
    pages = [
        result({"id": 1}, nextPageToken="B=", moreResult=True),
        result(nextPageToken="C=", moreResult=True),
        result({"id": 2}, nextPageToken="D=", moreResult=False),
    ]
    async with serving(*pages) as (marketo, service):
        pager = marketo.call("GET", "/rest/v1/activities.json", query={"a": 1}, next_page_token="A=")
        found = [page async for page in pager.pages()]
    assert [item["id"] for page in found for item in page.items] == [1, 2]
    assert [dict(sent.query)["nextPageToken"] for sent in service.sent] == ["A=", "B=", "C="]
    assert (found[-1].next_page_token, found[-1].last) == ("D=", True)
    assert not found[0].last


@virtual
async def test_pages_without_more_result_end_without_a_token() -> None:
    async with serving(result({"id": 1}, nextPageToken="A="), result({"id": 2})) as (marketo, _):
        assert [item["id"] async for item in marketo.call("GET", "/rest/v1/x.json")] == [1, 2]


@virtual
async def test_more_without_a_token_is_an_error() -> None:
    async with serving(result(moreResult=True)) as (marketo, _):
        with pytest.raises(UnexpectedContent):
            await marketo.call("GET", "/rest/v1/x.json")


@virtual
async def test_errors_are_those_of_marketo_with_the_token_to_continue_from() -> None:
    async with serving(result(1, nextPageToken="A="), refused("603")) as (marketo, _):
        items = aiter(marketo.call("GET", "/rest/v1/x.json"))
        await anext(items)
        with pytest.raises(ApiError) as caught:
            await anext(items)
    assert (caught.value.code, caught.value.next_page_token) == ("603", "A=")


LOST = httpx.ReadError("x")


@pytest.mark.parametrize(
    ("verb", "idempotent", "sent"),
    [("GET", False, 2), ("DELETE", False, 2), ("POST", False, 1), ("POST", True, 2)],
)
def test_calls_sent_again_after_a_lost_response(verb: Any, idempotent: bool, sent: int) -> None:
    @virtual
    async def main() -> None:
        async with serving(LOST, result()) as (marketo, service):
            if sent == 1:
                with pytest.raises(OutcomeUnknown):
                    await marketo.call(verb, "/rest/v1/x.json", idempotent=idempotent)
            else:
                await marketo.call(verb, "/rest/v1/x.json", idempotent=idempotent)
        assert len(service.sent) == sent

    main()


@virtual
async def test_calls_not_executed_are_repeated_and_a_token_renewed() -> None:
    async with serving(refused("606"), refused("602"), result()) as (marketo, service):
        await marketo.call("POST", "/rest/v1/x.json")
    assert len(service.sent) == 3
    assert len(service.token_requests) == 2
    async with serving(refused("601")) as (marketo, _):
        with pytest.raises(AuthenticationError):
            await marketo.call("GET", "/rest/v1/x.json")


@virtual
async def test_ids_and_names_of_the_account_are_in_no_log(caplog) -> None:
    caplog.set_level(logging.DEBUG, logger="publitrac_async")
    events: list[Any] = []
    async with serving(result(), refused("603"), *[result()] * 3, hooks=[events.append]) as (
        marketo,
        service,
    ):
        await marketo.call("GET", "/rest/v1/lists/31859499131/leads/ismember.json", query={"id": 99131771199})
        with pytest.raises(ApiError) as caught:
            await marketo.call("GET", "/rest/asset/v1/email/canary%40x.com.json")
        for path in ("lead/Canary.json", "customobjects/canary_c/fields.json", "leads/canary"):
            await marketo.call("GET", f"/rest/v1/{path}")
    assert service.sent[1].path == "/rest/asset/v1/email/canary%40x.com.json"
    shown = caplog.text + repr(events) + str(caught.value)
    assert "GET /rest/v1/lists/{id}/leads/ismember.json" in shown
    assert "GET /rest/asset/v1/email/{id}.json" in shown
    assert "GET /rest/v1/customobjects/{id}/fields.json" in shown
    assert not any(secret in shown.lower() for secret in ("31859499131", "99131771199", "canary"))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "verb": ({"verb": "PATCH"}, "verb: must be one of GET, POST, DELETE"),
    "identity": ({"path": "/identity/oauth/token"}, "path: must begin with /rest/ or /bulk/"),
    "no slash": ({"path": "rest/v1/x.json"}, "path: must begin"),
    "url": ({"path": "https://x.com/rest/v1/x.json"}, "path: must begin"),
    "up": ({"path": "/rest/v1/../../x.json"}, "path: must begin"),
    "query in the path": ({"path": "/rest/v1/x.json?canary=1"}, "pass those as query"),
    "comma": ({"query": {"ids": ["a,b"]}}, "ids: has a comma"),
    "bytes": ({"query": {"a": b"x"}}, "a: cannot be written from bytes"),
    "body": ({"json": {"a": b"x"}}, "json: has a value that cannot be written as JSON"),
    "large body": ({"json": {"a": "x" * 1_000_000}}, "json: is larger than"),
    "two bodies": ({"json": {}, "form": {}}, "json: cannot be given with form"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_arguments_refused_before_a_request(options: dict[str, Any], message: str) -> None:
    @virtual
    async def main() -> None:
        async with serving(result()) as (marketo, service):
            with pytest.raises(ValidationError, match=message) as caught:
                await marketo.call(**{"verb": "POST", "path": "/rest/v1/x.json"} | options)
        assert not service.sent
        assert "canary" not in str(caught.value)

    main()
