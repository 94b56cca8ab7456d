"""A FastAPI service: accepts leads of a web form, and looks leads up.

Protect it with your own authentication. Install publitrac_async and fastapi, set PUBLITRAC_API_KEY,
PUBLITRAC_USERNAME and PUBLITRAC_PASSWORD, then run

    uvicorn fastapi_service:app --workers 4
    gunicorn fastapi_service:app --workers 4 --worker-class uvicorn_worker.UvicornWorker

All workers share one limit and one token, in a small file of this host. For several hosts,
set PUBLITRAC_SHARED to the URL of a Redis.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response

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


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, PublitracClient]]:
    """Open one client for the life of this worker."""
    async with PublitracClient.from_env(shared=SHARED, timeout=Timeout(queue=2, total=10)) as publitrac:
        yield {"publitrac": publitrac}


def client(request: Request) -> PublitracClient:
    """Return the client, as a dependency."""
    publitrac: PublitracClient = request.state.publitrac
    return publitrac


app = FastAPI(lifespan=lifespan)
Client = Annotated[PublitracClient, Depends(client)]


@app.post("/leads", status_code=202)
async def create_lead(form: dict[str, str], publitrac: Client) -> None:
    """Send a lead. The call continues when the caller disconnects: the form was submitted."""
    await publitrac.v2.delayed_sync(Lead(email=form.get("email"), first_name=form.get("first_name", UNSET)))


@app.get("/leads/{email}")
async def read_lead(email: str, request: Request, publitrac: Client) -> dict[str, Any]:
    """Look a lead up; cancel the call when the caller disconnects."""
    lookup = asyncio.ensure_future(publitrac.v1.get_lead(email))
    await request.body()  # After the body, the next message is the disconnect.
    disconnect = asyncio.ensure_future(request.receive())
    await asyncio.wait((lookup, disconnect), return_when=asyncio.FIRST_COMPLETED)
    disconnect.cancel()
    if not lookup.done():
        lookup.cancel()
        raise HTTPException(499)
    return {"id": lookup.result().id or None, "score": lookup.result().score or 0}


@app.exception_handler(PublitracError)
async def refuse(_: Request, error: PublitracError) -> Response:
    """Translate errors into responses. Error texts contain no personal data."""
    return Response(error.message, STATUS.get(type(error), 503 if error.retryable else 502))
