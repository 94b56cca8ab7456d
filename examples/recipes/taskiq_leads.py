"""taskiq: one client for each worker process.

taskiq worker taskiq_leads:broker --workers 2
"""

from __future__ import annotations

import os
from typing import Annotated

from taskiq import Context, InMemoryBroker, SimpleRetryMiddleware, TaskiqDepends, TaskiqEvents, TaskiqState

from publitrac_async import Lead, PublitracClient, RateLimited, ServerError, TransportError

#: Errors after which the same task may succeed later.
RETRYABLE = (TransportError, RateLimited, ServerError)

# In production use a broker of taskiq-redis, taskiq-nats or taskiq-aio-pika.
broker = InMemoryBroker().with_middlewares(
    SimpleRetryMiddleware(default_retry_count=3, types_of_exceptions=RETRYABLE)
)


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def open_client(state: TaskiqState) -> None:
    """Open one client for the life of this worker."""
    state.publitrac = PublitracClient.from_env(shared=os.environ.get("PUBLITRAC_SHARED", "file:"))


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def close_client(state: TaskiqState) -> None:
    """Close the client."""
    await state.publitrac.aclose()


@broker.task(retry_on_error=True)
async def send_lead(email: str, first_name: str, context: Annotated[Context, TaskiqDepends()]) -> None:
    """Send a lead. delayedSync is an upsert, so sending it twice is harmless."""
    await context.state.publitrac.v2.delayed_sync(Lead(email=email, first_name=first_name))
