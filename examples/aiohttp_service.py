"""An aiohttp service: accepts leads of a web form, and looks leads up.

Protect it with your own authentication.
Install publitrac_async, set PUBLITRAC_API_KEY, PUBLITRAC_USERNAME and PUBLITRAC_PASSWORD, then run
`python aiohttp_service.py`, or

    gunicorn aiohttp_service:app --workers 4 --worker-class aiohttp.GunicornWebWorker

All workers share one limit and one token, in a small file of this host. For several hosts,
set PUBLITRAC_SHARED to the URL of a Redis.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.typedefs import Handler

from publitrac_async import (
    UNSET,
    Lead,
    LeadNotFound,
    PublitracClient,
    PublitracError,
    Timeout,
    ValidationError,
)

SHARED = os.environ.get("PUBLITRAC_SHARED", "file:")
STATUS = {LeadNotFound: 404, ValidationError: 422}
LOOKUP_TIMEOUT = 2.0  # seconds
CLIENT = web.AppKey("client", PublitracClient)


async def publitrac(app: web.Application) -> AsyncIterator[None]:
    """Open one client for the life of this worker."""
    async with PublitracClient.from_env(shared=SHARED, timeout=Timeout(queue=2, total=10)) as app[CLIENT]:
        yield


async def create_lead(request: web.Request) -> web.Response:
    """Send a lead. When the caller disconnects, aiohttp lets the handler finish."""
    form = await request.json()
    lead = Lead(email=form.get("email"), first_name=form.get("first_name", UNSET))
    await request.app[CLIENT].v2.delayed_sync(lead)
    return web.Response(status=202)


async def read_lead(request: web.Request) -> web.Response:
    """Look a lead up; cancel the call if it takes too long."""
    async with asyncio.timeout(LOOKUP_TIMEOUT):
        lead = await request.app[CLIENT].v1.get_lead(request.match_info["email"])
    return web.json_response({"id": lead.id or None, "score": lead.score or 0})


@web.middleware
async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Translate errors into responses. Error texts contain no personal data."""
    try:
        return await handler(request)
    except PublitracError as error:
        status = STATUS.get(type(error), 503 if error.retryable else 502)
        return web.Response(text=error.message, status=status)
    except TimeoutError:
        return web.Response(status=504)


app = web.Application(middlewares=[refuse])
app.cleanup_ctx.append(publitrac)
app.add_routes([web.post("/leads", create_lead), web.get("/leads/{email}", read_lead)])

if __name__ == "__main__":
    web.run_app(app)
