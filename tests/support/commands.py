"""Programs in their own processes that start fast: forked from one that has imported the package.

A Python that starts from nothing computes for a second before it has imported the command line and docket, a
fork for a few hundredths.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest import mock

#: Seconds until a command that does not end fails its test.
PATIENCE = 60
#: A client imports them when it opens, with httpx and all that httpx can use, for a third of a second.
TRANSPORT = ["publitrac_async.transport.http", "publitrac_async.transport.aiohttp_transport"]
#: What nearly every command imports. A test of what is imported when starts a Python of its own.
PRELOADED = [
    "publitrac_async.cli.commands",
    "publitrac_async.cli.sync",
    "publitrac_async.cli.copying",
    "publitrac_async.cli.export",
    "publitrac_async.bulk.distributed.docket",
    "publitrac_async.sandbox",
    "publitrac_async.marketo",
    "publitrac_async.vitec",
    *TRANSPORT,
    "rich.progress",
    "rich.table",
    "fastapi",
    "uvicorn",
]


def fresh_command(
    *arguments: object, cwd: Path, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Do the same as `run_command`, in a new Python."""
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
    """Run ``publitrac-async`` as a user would, and wait until it ends.

    Args:
        *arguments: behind the name of the command.
        cwd: the working directory.
        variables: the environment, whole.
    """
    if sys.platform == "win32":
        return fresh_command(*arguments, cwd=cwd, variables=variables)
    words = [str(argument) for argument in arguments]
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "stdout"), Path(folder, "stderr")
        files = [os.open(path, os.O_WRONLY | os.O_CREAT, 0o600) for path in (output, errors)]
        process = _fork(["-m", "publitrac_async", *words], cwd, variables, files)
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


class Program:
    """A running program, with the part of `asyncio.subprocess.Process` that tests use."""

    def __init__(
        self, process: BaseProcess, stdout: asyncio.StreamReader, stderr: asyncio.StreamReader
    ) -> None:
        self.stdout = stdout
        self.stderr = stderr
        self._process = process
        assert process.pid is not None
        self.pid: int = process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, negative after a signal; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    async def wait(self) -> int:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        status = self.returncode
        assert status is not None
        return status

    async def communicate(self) -> tuple[bytes, bytes]:
        """Wait for the end of the program; return the unread rest of both outputs."""
        out, err, _ = await asyncio.gather(self.stdout.read(), self.stderr.read(), self.wait())
        return out, err


async def start_command(*arguments: object, cwd: Path, variables: Mapping[str, str]) -> Program:
    """Start ``publitrac-async`` as `run_command` does, without waiting for it."""
    return await start_program("-m", "publitrac_async", *arguments, cwd=cwd, variables=variables)


async def start_program(*arguments: object, cwd: Path, variables: Mapping[str, str]) -> Program:
    """Start a Python program.

    Args:
        *arguments: as those of ``python``: a path, or ``-m`` and a module, and what follows it.
        cwd: the working directory.
        variables: the environment, whole.
    """
    words = [str(argument) for argument in arguments]
    if sys.platform == "win32":
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
        return await asyncio.create_subprocess_exec(
            sys.executable, *words, cwd=cwd, env={**variables}, **pipes
        )
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    # In a thread: the first one waits for the imports.
    process = await asyncio.to_thread(_fork, words, cwd, variables, [out_end, err_end])
    return Program(process, await _reader(out), await _reader(err))


async def _reader(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=2**20)
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader


def _fork(words: Sequence[str], cwd: Path, variables: Mapping[str, str], files: Sequence[int]) -> BaseProcess:
    """Start a program whose outputs are `files`, which are closed here."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    # Without the flags of this Python: in development mode programs print to stderr.
    with mock.patch("multiprocessing.util._args_from_interpreter_flags", list):
        forkserver.ensure_running()
    ends = [Connection(file, readable=False) for file in files]
    process = context.Process(target=_be_the_program, args=(words, str(cwd), dict(variables), *ends))
    process.start()
    for end in ends:
        end.close()
    return process


def _be_the_program(words: list[str], cwd: str, variables: dict[str, str], *ends: Connection) -> None:
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(cwd)
    with contextlib.suppress(OSError):
        os.setsid()
    for number, end in enumerate(ends, 1):
        os.dup2(end.fileno(), number)
        end.close()
    sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115  (for the life of the process)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  (likewise)
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  (likewise)
    sys.stdout.reconfigure(line_buffering="PYTHONUNBUFFERED" in variables)
    sys.stderr.reconfigure(line_buffering=True)
    sys.path[:0] = variables.get("PYTHONPATH", "").split(os.pathsep)
    try:
        if words[0] == "-m":
            sys.path.insert(0, cwd)
            sys.argv = words[1:]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, str(Path(words[0]).parent))
            sys.argv = list(words)
            runpy.run_path(words[0], run_name="__main__")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
