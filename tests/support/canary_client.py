"""A client with canaries for credentials, and a service that quotes them back."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from typing import Any

from publitrac_async import Lead, PublitracClient, PublitracError, RetryPolicy, Timeout
from tests.support.canaries import Canaries, Transcript
from tests.support.vendor import Vendor
from tests.support.wire import Peer, Seen, http

CANARIES = Canaries()


class CanaryVendor(Vendor):
    """Issues the canary token, then quotes the request back in every failure."""

    def new_token(self) -> str:
        super().new_token()
        self.valid = {CANARIES.token}
        return CANARIES.token


def canary_client(url: str, **options: Any) -> PublitracClient:
    settings = {
        "api_key": CANARIES.api_key,
        "username": CANARIES.username,
        "password": CANARIES.password,
        "base_url": url,
        "rate_limit": None,
        "retry": RetryPolicy(attempts=2, base=0, throttle_base=0, cost=0),
        "timeout": Timeout(total=20, connect=5, read=5),
    }
    return PublitracClient(**settings | options)


def canary_lead() -> Lead:
    return Lead(email=CANARIES.email, first_name=CANARIES.first_name)


CALLS: dict[str, Callable[[PublitracClient], Any]] = {
    "v1 read": lambda publitrac: publitrac.v1.get_lead(CANARIES.email),
    "v1 write": lambda publitrac: publitrac.v1.sync_lead(canary_lead()),
    "v1 raw": lambda publitrac: publitrac.v1.call("addLead", xml=html.escape(CANARIES.first_name)),
    "v2": lambda publitrac: publitrac.v2.delayed_sync(canary_lead()),
}


async def use(publitrac: PublitracClient, transcript: Transcript) -> list[PublitracError]:
    """Make every call, and record everything that a program could see of it."""
    errors = []
    for send in CALLS.values():
        try:
            await send(publitrac)
        except PublitracError as error:
            errors.append(error)
            transcript.add_error(error)
    transcript.add(publitrac, publitrac.v1, publitrac.v2, publitrac._transport)
    return errors


# Each is a fault of the connection, or a response that quotes everything that was sent.


def quoting(seen: Seen) -> bytes:
    return json.dumps([seen.target, seen.headers, seen.body.decode("utf-8", "replace")]).encode()


def responding(status: str, *, headers: str = "", content_type: str = "text/html") -> Callable[..., Any]:
    async def respond(seen: Seen, peer: Peer) -> bytes:
        return http(quoting(seen), status, content_type, headers)

    return respond
