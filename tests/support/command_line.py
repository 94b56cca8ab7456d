"""The commands as users run them, with credentials that no output may show."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from publitrac_async.sandbox import Sandbox
from tests.support.commands import fresh_command, run_command

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "leads.csv"
CANARIES = ("canary-key-73", "canary-user-73", "canary-word-73")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "publitrac_async", *map(str, arguments)]


def environment(**variables: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **variables}


def run(*arguments: object, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    started = fresh_command if any(name.startswith("PYTHON") for name in variables) else run_command
    done = started(*arguments, cwd=cwd, variables=environment(**variables))
    for canary in CANARIES:
        assert canary not in done.stdout + done.stderr
    return done


def secrets() -> dict[str, str]:
    names = ("PUBLITRAC_API_KEY", "PUBLITRAC_USERNAME", "PUBLITRAC_PASSWORD")
    return dict(zip(names, CANARIES, strict=True))


async def run_beside(sandbox: Sandbox, *arguments: object) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(run, *arguments, **secrets(), PUBLITRAC_BASE_URL=sandbox.base_url)
