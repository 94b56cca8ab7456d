"""The guide to deployment: the manifest and the unit of workers, whose commands run here."""

from __future__ import annotations

import asyncio
import configparser
import os
import re
import shlex
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
import yaml

from publitrac_async.cli.commands import commands
from publitrac_async.cli.logs import log_lines
from publitrac_async.cli.vendors import for_vendor
from publitrac_async.cli.worker import WorkerOptions, run_worker
from publitrac_async.sandbox import Sandbox
from tests.integration.shared.server import Server

from .snippets import ROOT

PAGE = (ROOT / "docs/guides/deployment.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


MANIFEST = next(each for each in map(yaml.safe_load, blocks("yaml")) if each.get("kind") == "Deployment")
POD = MANIFEST["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]


def unit() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(next(each for each in blocks("ini") if "publitrac-async" in each))
    return parser


def options_of(arguments: Sequence[str]) -> WorkerOptions:
    """The options of a command line, on a free port."""
    name, *rest = arguments
    assert name == "worker"
    command = commands.commands[name]
    with command.make_context(name, [*rest], parent=click.Context(commands)) as context:
        assert context.params["health_port"]
        return WorkerOptions(**for_vendor(context.params | {"health_port": 0}))


@asynccontextmanager
async def running(options: WorkerOptions, output: Any) -> AsyncIterator[str]:
    """Run a worker in this process; yield the URL of its probes."""
    with log_lines(level=options.log_level, as_json=options.log_format == "json"):
        worker = asyncio.create_task(run_worker(options))
        text = ""
        async with asyncio.timeout(30):
            while "Worker for state store" not in text:
                assert not worker.done(), worker.exception()
                await asyncio.sleep(0.01)
                text += "".join(output.readouterr())
        (port,) = re.findall(r"Health: http://[\d.]+:(\d+)/ready", text)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            assert await worker == 0


@pytest.fixture
async def secrets(tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """The files that manifest and unit mount."""
    server = Server(tmp_path)
    server.start()
    (tmp_path / "api_key").write_text(sandbox.api_key)
    (tmp_path / "redis_url").write_text(server.url)
    monkeypatch.delenv("PUBLITRAC_API_KEY")
    yield tmp_path
    server.stop()


def set_variables(variables: Mapping[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        assert name.endswith("_FILE")
        monkeypatch.setenv(name, str(folder / Path(value).name))


@pytest.mark.parametrize("place", ["manifest", "unit"])
async def test_the_worker_runs_and_answers_its_probes(
    place: str, secrets: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if place == "manifest":
        arguments, given = CONTAINER["args"], {each["name"]: each["value"] for each in CONTAINER["env"]}
        paths = [CONTAINER[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness")]
    else:
        text = next(each for each in blocks("ini") if "publitrac-async" in each)
        given = dict(each.split("=", 1) for each in re.findall(r"^Environment=(.*)$", text, re.MULTILINE))
        program, *arguments = shlex.split(unit()["Service"]["ExecStart"])
        assert Path(program).name == "publitrac-async"
        paths = ["/live", "/ready"]
    set_variables(given, secrets, monkeypatch)
    options = options_of(arguments)
    async with running(options, capfd) as url, httpx.AsyncClient(base_url=url, trust_env=False) as probe:
        for path in paths:
            response = await probe.get(path)
            assert response.status_code == 200, response.text


def test_probes_ask_the_port_of_the_worker() -> None:
    assert {CONTAINER[f"{kind}Probe"]["httpGet"]["port"] for kind in ("liveness", "readiness")} == {8080}
    assert {"--health-port=8080", "--health-host=0.0.0.0"} <= set(CONTAINER["args"])


def test_everything_mounted_is_a_volume() -> None:
    volumes = {each["name"] for each in POD["volumes"]}
    assert {each["name"] for each in CONTAINER["volumeMounts"]} == volumes
    assert MANIFEST["spec"]["selector"]["matchLabels"] == MANIFEST["spec"]["template"]["metadata"]["labels"]
