"""Operations of every class over `Vendor`, and a check that the pool lost no slot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from publitrac_async import PublitracClient, PublitracError
from tests.support.clients import connector, lead

APPENDED = "<request><lead/></request>"


async def healthy(publitrac: PublitracClient) -> None:
    """20 of 20 requests succeed: no slot of the pool is lost."""
    async with asyncio.timeout(10):
        await asyncio.gather(*(publitrac.v1.get_lead(f"a{number}@example.com") for number in range(20)))


async def send_one(publitrac: PublitracClient, operation: str) -> object:
    match operation:
        case "read":
            return (await publitrac.v1.get_lead("ada@example.com")).email
        case "upsert":
            return await publitrac.v1.sync_lead(lead(), use_token=False)
        case "append":
            return sorted(await publitrac.v1.call("addLead", xml=APPENDED))
        case _:
            return (await publitrac.v2.delayed_sync(lead())).status


async def outcome(sending: Awaitable[object]) -> tuple[object, PublitracError | None]:
    try:
        return await sending, None
    except PublitracError as error:
        return None, error


RESULTS = {
    "read": "ada@example.com",
    "upsert": None,
    "append": ["message", "status"],
    "queue": "success",
}


async def drop_connections(publitrac: PublitracClient) -> None:
    """The next request opens a new connection."""
    for protocols in list(connector(publitrac)._conns.values()):
        for protocol, _ in protocols:
            protocol.close()
