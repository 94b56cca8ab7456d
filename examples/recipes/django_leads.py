"""Django with async views: the client is open as long as the ASGI server runs.

uvicorn django_leads:application --workers 2
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from publitrac_async import LeadNotFound, PublitracClient, Timeout

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class WithClient:
    """An application with a client that is open while the server runs. Django has no hook for that."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle the server's lifespan messages, and pass all other messages to Django."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        await receive()
        shared = os.environ.get("PUBLITRAC_SHARED", "file:")
        async with PublitracClient.from_env(shared=shared, timeout=Timeout(queue=2, total=10)) as publitrac:
            scope["state"]["publitrac"] = publitrac
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def score(request: HttpRequest, email: str) -> JsonResponse:
    """Look a lead up."""
    publitrac: PublitracClient = request.scope["state"]["publitrac"]  # type: ignore[attr-defined]
    try:
        lead = await publitrac.v1.get_lead(email)
    except LeadNotFound:
        return JsonResponse({}, status=404)
    return JsonResponse({"score": lead.score or 0})


# In a project: settings.py and urls.py.
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], SECRET_KEY=os.urandom(16).hex())
django.setup()
urlpatterns = [path("leads/<str:email>", score)]

application = WithClient(get_asgi_application())
