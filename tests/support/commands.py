"""The command line in a process of its own that starts at once: forked from one that has imported it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

#: Seconds until a command that does not end fails its test.
PATIENCE = 60
#: What nearly every command imports. A test of what is imported when starts a Python of its own.
PRELOADED = [
    "publitrac_async.cli.commands",
    "publitrac_async.cli.sync",
    "publitrac_async.cli.copying",
    "publitrac_async.cli.export",
    "publitrac_async.sandbox",
    "publitrac_async.marketo",
    "publitrac_async.vitec",
    "rich.progress",
    "rich.table",
    "uvicorn",
]


def fresh_command(
    *arguments: object, cwd: Path, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Do as `run_command` does, in a Python that starts from nothing."""
    return subprocess.run(
        [sys.executable, "-m", "publitrac_async", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        env={**variables},
        cwd=cwd,
        timeout=PATIENCE,
        check=False,
    )


def run_command(
    *arguments: object, cwd: Path, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run ``publitrac-async`` as a user would, and wait for its end.

    Args:
        *arguments: behind the name of the command.
        cwd: the working directory.
        variables: the environment, whole.
    """
    if sys.platform == "win32":
        return fresh_command(*arguments, cwd=cwd, variables=variables)
    words = [str(argument) for argument in arguments]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "stdout"), Path(folder, "stderr")
        process = context.Process(
            target=_be_the_command, args=(words, str(cwd), dict(variables), str(output), str(errors))
        )
        process.start()
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, PATIENCE, output.read_text(), errors.read_text())
        status = process.exitcode
        process.close()
        return subprocess.CompletedProcess(
            words, status, output.read_text("utf-8"), errors.read_text("utf-8")
        )


def _be_the_command(words: list[str], cwd: str, variables: dict[str, str], *files: str) -> None:
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(cwd)
    with contextlib.suppress(OSError):
        os.setsid()
    for number, path in enumerate(files, 1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115  (for the life of the process)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  (likewise)
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  (likewise)
    sys.argv = ["publitrac-async", *words]
    from publitrac_async.__main__ import main

    try:
        main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
