"""A service that responds step by step, its responses and errors, and an authenticator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

from publitrac_async import AuthenticationError, CallEvent
from publitrac_async.transport.auth import Authorization
from publitrac_async.transport.pipeline import Transport
from publitrac_async.transport.secret import Secret
from tests.support.clients import transport
from tests.support.clock import now

Step = httpx.Response | Exception | float


class Script:
    """Responds step by step: a response, an error to raise, seconds to pass first. The last step repeats."""

    def __init__(self, *steps: Step | list[Step]) -> None:
        self.steps = list(steps)
        self.seen: list[httpx.Request] = []
        self.times: list[float] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        self.times.append(now())
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        for part in step if isinstance(step, list) else [step]:
            if isinstance(part, Exception):
                raise part
            if isinstance(part, httpx.Response):
                # A stream is read once, so each response gets its own.
                return httpx.Response(part.status_code, headers=part.headers, content=part.content)
            await asyncio.sleep(part)
        raise AssertionError("the step ends without a response")


def ok() -> httpx.Response:
    return httpx.Response(200, content=b"fine")


def status(code: int, **headers: str) -> httpx.Response:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(code, headers=fields, content=b"ada@example.com said so")


REFUSED = httpx.ConnectError("x")
LOST = httpx.ReadError("x")
SILENT = httpx.ReadTimeout("x")


class Always:
    """An authenticator that always has other credentials."""

    reauthenticate_on = (AuthenticationError,)

    def __init__(self) -> None:
        self.issued = 0
        self.accepted_at: list[float] = []

    async def authorize(self) -> Authorization:
        self.issued += 1
        return Authorization(headers=(("Token", Secret(f"t{self.issued}")),))

    async def accepted(self, authorization: Authorization, sent_at: float) -> None:
        self.accepted_at.append(sent_at)

    async def rejected(self, authorization: Authorization) -> None: ...


def pipeline(*steps: Any, **options: Any) -> tuple[Transport, list[CallEvent]]:
    events: list[CallEvent] = []
    return transport(Script(*steps), hooks=[events.append], **options), events


# Every end


def raises(error: Exception) -> Callable[[object], None]:
    def parse(_: object) -> None:
        raise error

    return parse
