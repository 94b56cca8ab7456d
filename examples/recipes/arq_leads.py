"""arq: the client in the context of the worker.

arq arq_leads.WorkerSettings
"""

from __future__ import annotations

import os
from typing import Any, ClassVar

from publitrac_async import Lead, PublitracClient, PublitracError


async def startup(context: dict[str, Any]) -> None:
    """Open one client for the life of this worker."""
    context["publitrac"] = PublitracClient.from_env(shared=os.environ.get("PUBLITRAC_SHARED", "file:"))


async def shutdown(context: dict[str, Any]) -> None:
    """Close the client."""
    await context["publitrac"].aclose()


async def send_lead(context: dict[str, Any], email: str, first_name: str) -> None:
    """Send a lead. delayedSync is an upsert, so running a job twice is harmless."""
    try:
        await context["publitrac"].v2.delayed_sync(Lead(email=email, first_name=first_name))
    except PublitracError as error:
        if not error.retryable:
            raise
        from arq import Retry  # noqa: PLC0415  (arq repeats a job for this error only)

        raise Retry(defer=error.retry_after or 10 * context["job_try"]) from error


class WorkerSettings:
    """The settings that arq reads."""

    functions: ClassVar = [send_lead]
    on_startup = startup
    on_shutdown = shutdown
    max_tries = 5
