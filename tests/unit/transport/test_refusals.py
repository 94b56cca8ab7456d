"""Calls that are refused before the wire are told like those that are sent. All façades."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from publitrac_async import CallEnded, CallEvent, CallStarted, Lead, PublitracClient, PublitracError
from publitrac_async.cli.vendors import VENDORS
from publitrac_async.marketo import MarketoClient
from publitrac_async.vitec import VitecClient
from tests.unit.vitec.leads import lead as person_lead


def never(request: httpx.Request) -> httpx.Response:
    raise AssertionError("a refused call was sent")


def clients(**options: Any) -> tuple[PublitracClient, PublitracClient, MarketoClient, VitecClient]:
    return (
        PublitracClient(api_key="key", username="user", password="word", **options),
        PublitracClient(api_key="key", **options),
        MarketoClient(
            base_url="https://123-abc-456.mktorest.com", client_id="id", client_secret="secret", **options
        ),
        VitecClient(username="user", password={"M1": "word"}, **options),
    )


REFUSED: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "v1: no address": lambda p, k, m, v: p.v1.get_lead(""),
    "v1: no credentials": lambda p, k, m, v: k.v1.get_lead("ada@example.com"),
    "v1: no credentials, page": lambda p, k, m, v: k.v1.get_leads(),
    "v1: page 0": lambda p, k, m, v: p.v1.get_leads(page=0),
    "v1: raw": lambda p, k, m, v: p.v1.call("no name", {"a": "\ud800"}),
    "v2": lambda p, k, m, v: p.v2.delayed_sync(Lead(first_name="Ada")),
    "marketo": lambda p, k, m, v: m.merge_leads(1, [1]),
    "marketo: action": lambda p, k, m, v: m.sync_leads([{"email": "a@example.com"}], action="guess"),
    "marketo: page": lambda p, k, m, v: m.get_leads_by_filter_type("email", []),
    "vitec": lambda p, k, m, v: v.create_person_lead("M1", person_lead(person=None)),
    "vitec: no password": lambda p, k, m, v: v.create_person_lead("M2", person_lead()),
}


def test_every_facade_is_here() -> None:
    assert {name.partition(":")[0] for name in REFUSED} == VENDORS.keys()


@pytest.mark.parametrize("made", REFUSED.values(), ids=REFUSED.keys())
async def test_a_refused_call_begins_and_ends_once(
    made: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    events: list[CallEvent] = []
    four = clients(hooks=[events.append], transport=httpx.MockTransport(never))
    with pytest.raises(PublitracError) as caught, caplog.at_level(logging.WARNING):
        await made(*four)
    begin, end = events
    assert isinstance(begin, CallStarted)
    assert isinstance(end, CallEnded)
    assert begin.call_id == end.call_id == caught.value.call_id
    assert end.operation == (caught.value.operation or end.operation) != ""
    assert (end.outcome, end.error, end.attempts) == ("failed", type(caught.value).__name__, 0)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert all(client.queued == client.in_flight == 0 for client in four)
    for client in four:
        await client.aclose()


async def test_preparing_a_lead_is_no_call() -> None:
    events: list[CallEvent] = []
    async with PublitracClient(api_key="key", hooks=[events.append]) as publitrac:
        with pytest.raises(PublitracError):
            publitrac.v2.prepare(Lead())
    assert events == []


def test_clients_add_no_hooks() -> None:
    """A call without hooks pays for no event."""
    for client in clients():
        assert client._transport.reporter._hooks == ()
