"""The recipes for task queues and Django, run as their frameworks run them."""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import subprocess
import sys

import aiohttp
import pytest

from publitrac_async import ValidationError
from publitrac_async.sandbox import Fault, Sandbox

from .conftest import EXAMPLES

RECIPES = EXAMPLES / "recipes"


def emails(sandbox: Sandbox) -> list[str]:
    sandbox.process_now()
    return sorted(lead["email"] for lead in sandbox.leads())


async def test_the_taskiq_recipe_repeats_retryable_errors_only(
    monkeypatch: pytest.MonkeyPatch, lifetimes, sandbox: Sandbox
) -> None:
    monkeypatch.syspath_prepend(RECIPES)
    module = importlib.import_module("taskiq_leads")
    await module.broker.startup()
    sandbox.inject(Fault("status", match="delayedSync", status=503, times=5))  # More than one call repeats.
    tasks = [await module.send_lead.kiq(f"lead{number}@example.com", "Ada") for number in range(3)]
    wrong = await module.send_lead.kiq("no address", "Ada")
    results = [await task.wait_result(timeout=30) for task in (*tasks, wrong)]
    await module.broker.shutdown()
    assert [result.is_err for result in results[:3]] == [False] * 3
    assert results[3].is_err
    assert emails(sandbox) == [f"lead{number}@example.com" for number in range(3)]
    assert len(lifetimes.clients) == 1
    assert lifetimes.closed == lifetimes.clients


async def test_the_arq_recipe_sends_leads_with_one_client(example, lifetimes, sandbox: Sandbox) -> None:
    """The functions as arq calls them; arq itself cannot be installed beside the extra `redis`."""
    settings = example("recipes/arq_leads").WorkerSettings
    context = {"job_try": 1}
    await settings.on_startup(context)
    (send_lead,) = settings.functions
    await send_lead(context, "ada@example.com", "Ada")
    with pytest.raises(ValidationError):
        await send_lead(context, "no address", "Ada")
    await settings.on_shutdown(context)
    assert emails(sandbox) == ["ada@example.com"]
    assert lifetimes.closed == lifetimes.clients


CELERY = """
import sys
sys.path.insert(0, {folder!r})
from celery.signals import worker_process_init, worker_process_shutdown
import celery_leads
celery_leads.app.conf.update(task_always_eager=True, task_eager_propagates=True)
worker_process_init.send(None)
first = celery_leads.Worker.publitrac
for number in range(3):
    celery_leads.send_lead.delay(f"lead{{number}}@example.com", "Ada")
assert celery_leads.Worker.publitrac is first
worker_process_shutdown.send(None)
"""


async def test_the_celery_recipe_requests_one_token(sandbox: Sandbox) -> None:
    program = CELERY.format(folder=str(RECIPES))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, env=dict(os.environ)
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert emails(sandbox) == [f"lead{number}@example.com" for number in range(3)]
    assert sandbox.journal.count(method="getToken") == 1


async def test_the_django_recipe_serves_a_view(sandbox: Sandbox) -> None:
    sandbox.seed(leads=[{"email": "ada@example.com", "score": "7"}])
    command = (
        "-m",
        "uvicorn",
        "django_leads:application",
        "--port",
        "0",
        "--app-dir",
        str(RECIPES),
    )
    server = await asyncio.create_subprocess_exec(
        sys.executable, *command, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, env=dict(os.environ)
    )
    assert server.stdout is not None
    output = ""
    while (address := re.search(r"http://127\.0\.0\.1:\d+", output)) is None:
        line = await server.stdout.readline()
        assert line, output
        output += line.decode()
    async with aiohttp.ClientSession(address[0]) as session:
        async with session.get("/leads/ada@example.com") as response:
            assert await response.json() == {"score": 7}
        async with session.get("/leads/nobody@example.com") as response:
            assert response.status == 404
    server.terminate()
    rest, _ = await server.communicate()
    assert "Application shutdown complete" in rest.decode()
