"""The guide to deployment: commands of servers are parsed by the server, those of workers run here."""

from __future__ import annotations

import asyncio
import configparser
import json
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
from uvicorn.main import main as uvicorn_command

from publitrac_async import PublitracClient
from publitrac_async.cli.commands import commands
from publitrac_async.cli.logs import log_lines
from publitrac_async.cli.vendors import for_vendor
from publitrac_async.cli.worker import WorkerOptions, run_worker
from publitrac_async.sandbox import Sandbox
from tests.support.redis_server import Server
from tests.support.snippets import ROOT

PAGE = (ROOT / "docs/guides/deployment.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


SERVICE = next(each for each in map(yaml.safe_load, blocks("yaml")) if "kind" not in each)["spec"]
SERVICE_UNIT = next(each for each in blocks("ini") if "uvicorn" in each)
IMAGE = blocks("dockerfile")[0]
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
        given = context.params | {"health_port": 0}
        for setting in ("profile", "trace", "trace_messages"):  # of the client
            assert not given.pop(setting)
        return WorkerOptions(**for_vendor(given))


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
async def test_the_worker_runs_and_responds_to_probes(
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
    async with (
        running(options, capfd) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as probe,
    ):
        for path in paths:
            response = await probe.get(path)
            assert response.status_code == 200, response.text


def test_probes_use_the_port_of_the_worker() -> None:
    assert {CONTAINER[f"{kind}Probe"]["httpGet"]["port"] for kind in ("liveness", "readiness")} == {8080}
    assert {"--health-port=8080", "--health-host=0.0.0.0"} <= set(CONTAINER["args"])


def test_everything_mounted_is_a_volume() -> None:
    volumes = {each["name"] for each in POD["volumes"]}
    assert {each["name"] for each in CONTAINER["volumeMounts"]} == volumes
    assert MANIFEST["spec"]["selector"]["matchLabels"] == MANIFEST["spec"]["template"]["metadata"]["labels"]


def times_of(text: str, pattern: str) -> list[int]:
    found = [int(seconds) for seconds in re.findall(pattern, text)]
    assert found
    return found


def test_uvicorn_reads_the_commands_of_services() -> None:
    image = json.loads(re.findall(r"^CMD (\[.*\])$", IMAGE, re.MULTILINE)[0])
    started = shlex.split(re.findall(r"^ExecStart=(.*)$", SERVICE_UNIT, re.MULTILINE)[0])
    for program, *arguments in (image, started):
        assert Path(program).name == "uvicorn"
        with uvicorn_command.make_context("uvicorn", arguments) as context:
            assert (context.params["app"], context.params["workers"]) == ("service:app", 2)


def test_the_platform_waits_longer_than_the_server_and_the_server_longer_than_a_call() -> None:
    queue, total = re.findall(r"Timeout\(queue=(\d+), total=(\d+)\)", PAGE)[0]
    server = times_of(PAGE, r"--(?:timeout-graceful-shutdown|graceful-timeout)[ \",]+(\d+)")
    platform = times_of(PAGE, r"(?:terminationGracePeriodSeconds: |TimeoutStopSec=|docker stop -t )(\d+)")
    assert int(queue) + int(total) < min(server) <= max(server) < min(platform)


@pytest.mark.parametrize("place", ["manifest", "unit"])
async def test_the_client_takes_the_variables_of_a_service(place: str, tmp_path: Path) -> None:
    if place == "manifest":
        given = {each["name"]: each["value"] for each in SERVICE["template"]["spec"]["containers"][0]["env"]}
    else:
        given = dict(
            each.split("=", 1) for each in re.findall(r"^Environment=(.*)$", SERVICE_UNIT, re.MULTILINE)
        )
    assert set(given) == {"PUBLITRAC_API_KEY_FILE", "PUBLITRAC_SHARED"}
    key = tmp_path / "api_key"
    key.write_text("key")
    shared = given["PUBLITRAC_SHARED"].replace("/run/leads", str(tmp_path))
    client = PublitracClient.from_env({"PUBLITRAC_API_KEY_FILE": str(key), "PUBLITRAC_SHARED": shared})
    await client.aclose()


def test_everything_that_a_service_mounts_is_a_volume() -> None:
    pod = SERVICE["template"]["spec"]
    (container,) = pod["containers"]
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
    image_port = re.findall(r"--port\D+(\d+)", IMAGE) or ["8000"]
    assert [str(container["readinessProbe"]["httpGet"]["port"])] == image_port
