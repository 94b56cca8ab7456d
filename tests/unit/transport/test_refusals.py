"""Calls that are refused before a request emit the same events as those that are sent. All façades."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from publitrac_async import CallEnded, CallEvent, CallStarted, Lead, PublitracClient, PublitracError
from publitrac_async.cli.vendors import VENDORS
from tests.support.four_vendors import CLIENTS, marketo, publitrac, vitec_client
from tests.support.vitec import lead as person_lead


def never(request: httpx.Request) -> httpx.Response:
    raise AssertionError("a refused call was sent")


def key_only(url: str, **options: Any) -> PublitracClient:
    return PublitracClient(api_key="key", base_url=url, **options)


REFUSED: dict[str, tuple[Callable[..., Any], Callable[[Any], Any]]] = {
    "v1: no address": (publitrac, lambda client: client.v1.get_lead("")),
    "v1: no credentials": (key_only, lambda client: client.v1.get_lead("ada@example.com")),
    "v1: no credentials, page": (key_only, lambda client: client.v1.get_leads()),
    "v1: page 0": (publitrac, lambda client: client.v1.get_leads(page=0)),
    "v1: raw": (publitrac, lambda client: client.v1.call("no name", {"a": "\ud800"})),
    "v2": (publitrac, lambda client: client.v2.delayed_sync(Lead(first_name="Ada"))),
    "marketo": (marketo, lambda client: client.merge_leads(1, [1])),
    "marketo: action": (
        marketo,
        lambda client: client.sync_leads([{"email": "a@example.com"}], action="guess"),
    ),
    "marketo: page": (marketo, lambda client: client.get_leads_by_filter_type("email", [])),
    "vitec": (vitec_client, lambda client: client.create_person_lead("M1", person_lead(person=None))),
    "vitec: no password": (
        partial(vitec_client, password={"M1": "word"}),
        lambda client: client.create_person_lead("M2", person_lead()),
    ),
}


def test_every_facade_is_here() -> None:
    assert {name.partition(":")[0] for name in REFUSED} == VENDORS.keys()


@pytest.mark.parametrize("refused", REFUSED)
async def test_a_refused_call_begins_and_ends_once(refused: str, caplog: pytest.LogCaptureFixture) -> None:
    build, made = REFUSED[refused]
    events: list[CallEvent] = []
    client = build("https://vendor.test", hooks=[events.append], transport=httpx.MockTransport(never))
    with pytest.raises(PublitracError) as caught, caplog.at_level(logging.WARNING):
        await made(client)
    begin, end = events
    assert isinstance(begin, CallStarted)
    assert isinstance(end, CallEnded)
    assert begin.call_id == end.call_id == caught.value.call_id
    assert end.operation == (caught.value.operation or end.operation) != ""
    assert (end.outcome, end.error, end.attempts) == ("failed", type(caught.value).__name__, 0)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert client.queued == client.in_flight == 0
    await client.aclose()


async def test_preparing_a_lead_is_no_call() -> None:
    events: list[CallEvent] = []
    async with PublitracClient(api_key="key", hooks=[events.append]) as publitrac:
        with pytest.raises(PublitracError):
            publitrac.v2.prepare(Lead())
    assert events == []


def test_clients_add_no_hooks() -> None:
    """A call without hooks creates no event."""
    for build in CLIENTS.values():
        assert build("https://vendor.test")._transport.reporter._hooks == ()
