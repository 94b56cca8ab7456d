"""OpenTelemetry and Sentry record nothing of this client's calls, as the page "Secrets" states."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from publitrac_async.sandbox import Sandbox
from tests.support.snippets import ROOT

PROGRAM = Path(__file__).with_name("instrumented_program.py")


async def test_no_instrumentation_records_a_secret_or_an_address(monkeypatch) -> None:
    secrets = {"api_key": "planted-api-key", "username": "planted-user", "password": "planted-password"}
    async with Sandbox(processing_delay=0, **secrets) as sandbox:
        monkeypatch.setenv("PUBLITRAC_BASE_URL", sandbox.base_url)
        for name, value in secrets.items():
            monkeypatch.setenv(f"PUBLITRAC_{name.upper()}", value)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(PROGRAM),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        output, _ = await process.communicate(b"planted.lead@example.com")
    recorded = output.decode()
    assert process.returncode == 0, recorded

    # The recorders did work: spans and breadcrumbs of other calls, the error, the package's own log.
    assert recorded.count("SPAN ") == 2
    assert "by=aiohttp" in recorded
    assert "LeadNotFound" in recorded
    assert "DEBUG:publitrac_async:getLead: attempt 1 of 4" in recorded

    assert "/api?" not in recorded
    assert "/v2/" not in recorded
    for secret in (*secrets.values(), "planted.lead", "planted%2Elead"):
        assert secret not in recorded
