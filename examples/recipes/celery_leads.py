"""Celery: one event loop and one client for each worker process (pool "prefork" or "solo").

celery -A celery_leads worker --concurrency 4
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown

from publitrac_async import Lead, PublitracClient, PublitracError

app = Celery("leads", broker=os.environ.get("CELERY_BROKER_URL", "memory://"))


class Worker:
    """The event loop of this process, and the client that belongs to it."""

    runner: asyncio.Runner
    publitrac: PublitracClient


@worker_process_init.connect
def start(**_: Any) -> None:
    """Open the client after the fork: a client belongs to one process."""
    Worker.runner = asyncio.Runner()
    Worker.publitrac = PublitracClient.from_env(shared=os.environ.get("PUBLITRAC_SHARED", "file:"))


@worker_process_shutdown.connect
def stop(**_: Any) -> None:
    """Close the client in its loop, then the loop."""
    Worker.runner.run(Worker.publitrac.aclose())
    Worker.runner.close()


@app.task(bind=True, acks_late=True, max_retries=5)
def send_lead(self: Any, email: str, first_name: str) -> None:
    """Send a lead. delayedSync is an upsert, so running a task twice is harmless."""
    try:
        Worker.runner.run(Worker.publitrac.v2.delayed_sync(Lead(email=email, first_name=first_name)))
    except PublitracError as error:
        if not error.retryable:
            raise
        raise self.retry(exc=error, countdown=error.retry_after or 10 * 2**self.request.retries) from error
