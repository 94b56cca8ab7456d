"""Every public coroutine can be cancelled wherever it waits: no slot, task or connection is lost."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from publitrac_async import Lead, PublitracError
from publitrac_async.marketo import LeadFieldUpdate, MarketoClient, NewLeadField
from publitrac_async.transport.base import BaseClient
from publitrac_async.v1 import V1
from publitrac_async.v2 import V2
from publitrac_async.vitec import VitecClient
from tests.support.cancel import Moment, cancel_at
from tests.support.clients import EAGER, connector
from tests.support.four_vendors import FACADES, marketo, person_lead, publitrac, serving, vitec_client
from tests.support.v1 import CALLS, EMAIL, LEAD

#: Two of them with the same address.
LEADS = [LEAD, Lead(email="ben@example.com"), LEAD]
FIELD = NewLeadField(display_name="n", name="n", data_type="string")

Use = Callable[[Any], Awaitable[Any]]


async def drained(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


V1_METHODS: dict[str, Use] = {
    **CALLS,
    "call": lambda v1: v1.call("getLead", {"email": EMAIL}),
    "get_campaigns": lambda v1: anext(aiter(v1.get_campaigns())),
    "get_leads": lambda v1: anext(aiter(v1.get_leads())),
    "get_list": lambda v1: anext(aiter(v1.get_list("l").pages())),
    "get_opportunities": lambda v1: anext(aiter(v1.get_opportunities())),
    "sync_lead_many": lambda v1: drained(v1.sync_lead_many(LEADS)),
}
V2_METHODS: dict[str, Use] = {
    "delayed_sync": lambda v2: v2.delayed_sync(LEAD),
    "delayed_sync_many": lambda v2: drained(v2.delayed_sync_many(LEADS)),
    "get_token": lambda v2: v2.get_token(),
}
MARKETO_METHODS: dict[str, Use] = {
    "associate_lead": lambda m: m.associate_lead(7, "c"),
    "call": lambda m: anext(aiter(m.call("GET", "/rest/v1/x.json"))),
    "create_lead_fields": lambda m: m.create_lead_fields([FIELD]),
    "delete_leads": lambda m: m.delete_leads([7]),
    "describe": lambda m: m.describe(),
    "describe2": lambda m: m.describe2(),
    "get_lead_by_id": lambda m: m.get_lead_by_id(7),
    "get_lead_field_by_name": lambda m: m.get_lead_field_by_name("n"),
    "get_lead_fields": lambda m: anext(aiter(m.get_lead_fields())),
    "get_leads_by_filter_type": lambda m: anext(aiter(m.get_leads_by_filter_type("email", [EMAIL]))),
    "get_leads_by_list_id": lambda m: anext(aiter(m.get_leads_by_list_id(7))),
    "get_leads_by_program_id": lambda m: anext(aiter(m.get_leads_by_program_id(7).pages())),
    "get_lists_by_lead_id": lambda m: anext(aiter(m.get_lists_by_lead_id(7))),
    "get_programs_by_lead_id": lambda m: anext(aiter(m.get_programs_by_lead_id(7))),
    "get_smart_campaigns_by_lead_id": lambda m: anext(aiter(m.get_smart_campaigns_by_lead_id(7))),
    "merge_leads": lambda m: m.merge_leads(7, [8]),
    "push_leads": lambda m: m.push_leads([{"email": EMAIL}], program_name="p"),
    "submit_form": lambda m: m.submit_form(form_id=7, lead_form_fields={"email": EMAIL}),
    "sync_leads": lambda m: m.sync_leads([{"email": EMAIL}]),
    "update_lead_field": lambda m: m.update_lead_field("n", LeadFieldUpdate(display_name="d")),
    "update_lead_partition": lambda m: m.update_lead_partition({7: "p"}),
}
VITEC_METHODS: dict[str, Use] = {
    "create_person_lead": lambda vitec: vitec.create_person_lead("M30011", person_lead()),
}
#: Methods that send no request, and those with tests elsewhere.
NOT_CALLS = {"prepare", "with_options", "aclose"}
#: Sent to another host.
ELSEWHERE = {"add_transaction"}

METHODS_OF: dict[type, dict[str, Use]] = {
    V1: V1_METHODS,
    V2: V2_METHODS,
    MarketoClient: MARKETO_METHODS,
    VitecClient: VITEC_METHODS,
}
METHODS: dict[str, tuple[Callable[..., BaseClient], Use]] = {
    **{f"v1.{name}": (publitrac, lambda c, use=use: use(c.v1)) for name, use in V1_METHODS.items()},
    **{f"v2.{name}": (publitrac, lambda c, use=use: use(c.v2)) for name, use in V2_METHODS.items()},
    **{f"marketo.{name}": (marketo, use) for name, use in MARKETO_METHODS.items()},
    **{f"vitec.{name}": (vitec_client, use) for name, use in VITEC_METHODS.items()},
}


@pytest.mark.parametrize("facade", FACADES.values())
def test_all_of_them_are_here(facade: type[Any]) -> None:
    methods = METHODS_OF[facade]
    public = {name for name, _ in inspect.getmembers(facade, inspect.isfunction) if not name.startswith("_")}
    assert public - NOT_CALLS - ELSEWHERE == set(methods)


@pytest.mark.parametrize("moment", ["pending", "late"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.fault("F31")
async def test_cancelled_at_every_suspension(method: str, moment: Moment) -> None:
    build, use = METHODS[method]

    async def run(client: BaseClient) -> None:
        # Not every response fits; all of them are waited for.
        with contextlib.suppress(PublitracError, StopAsyncIteration):
            await use(client)

    async with serving() as server:
        tasks = asyncio.all_tasks()
        at = 0
        hit = True
        while hit:
            async with build(server.url, concurrency=2, retry=EAGER) as client:
                hit = await cancel_at(run(client), at, moment)
                assert client.in_flight == client.queued == 0
                # As many further calls as there are slots: no slot was lost.
                async with asyncio.timeout(10):
                    await asyncio.gather(*(run(client) for _ in range(3)))
                assert not connector(client)._acquired  # type: ignore[arg-type]
            at += 1
        await asyncio.sleep(0)
        ours = {task for task in asyncio.all_tasks() - tasks if "serve" not in repr(task)}
        assert not ours
    assert at > 3 or method == "v2.get_token"
