"""The Dockerfile and the compose file: their structure, and their commands outside of Docker."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from attrs import define, field

from publitrac_async.sandbox import Sandbox
from tests.support.redis_server import Server

ROOT = Path(__file__).parents[2]
INSTRUCTIONS = {
    *("FROM", "RUN", "CMD", "ENTRYPOINT", "COPY", "ENV", "WORKDIR", "USER", "EXPOSE", "HEALTHCHECK"),
}


@define
class Stage:
    name: str
    base: str
    lines: list[tuple[str, str]] = field(factory=list)

    def last(self, instruction: str, stages: dict[str, Stage]) -> str | None:
        """The instruction in force, from this stage or those it is built on."""
        found = [rest for name, rest in self.lines if name == instruction]
        if found:
            return found[-1]
        return stages[self.base].last(instruction, stages) if self.base in stages else None


def read_stages() -> dict[str, Stage]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    stages: dict[str, Stage] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        instruction, _, rest = line.partition(" ")
        assert instruction in INSTRUCTIONS, line
        if instruction == "FROM":
            match = re.fullmatch(r"(\S+) AS (\S+)", rest)
            assert match, f"a stage without a name: {line}"
            stages[match[2]] = Stage(match[2], match[1])
        else:
            list(stages.values())[-1].lines.append((instruction, rest))
    return stages


STAGES = read_stages()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
IMAGES = ["sandbox", "worker"]


class TestDockerfile:
    def test_bases_are_pinned_and_slim(self) -> None:
        for stage in STAGES.values():
            assert stage.base in STAGES or re.fullmatch(r"python:3\.\d+-slim", stage.base)

    def test_stages_are_made_before_they_are_used(self) -> None:
        seen: list[str] = []
        for stage in STAGES.values():
            sources = [match[1] for _, rest in stage.lines if (match := re.match(r"--from=(\S+)", rest))]
            assert set(sources) <= set(seen)
            assert stage.base in seen or ":" in stage.base
            seen.append(stage.name)

    @pytest.mark.parametrize("image", IMAGES)
    def test_images_run_as_an_unprivileged_user(self, image: str) -> None:
        user = STAGES[image].last("USER", STAGES)
        assert user is not None
        assert int(user) >= 10_000

    @pytest.mark.parametrize("image", IMAGES)
    def test_images_hold_the_installed_package_alone(self, image: str) -> None:
        copies = [rest for name, rest in STAGES[image].lines if name == "COPY"]
        assert copies == [f"--from=build-{image} /opt/app /opt/app"]
        assert not [rest for name, rest in STAGES[image].lines if name == "RUN"]

    @pytest.mark.parametrize("image", IMAGES)
    def test_the_program_gets_the_signals(self, image: str) -> None:
        # Without a shell: it would not pass SIGTERM on.
        for instruction in ("ENTRYPOINT", "CMD"):
            assert isinstance(json.loads(STAGES[image].last(instruction, STAGES) or ""), list)

    def test_everything_copied_is_there_and_not_ignored(self) -> None:
        patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        allowed = {line[1:] for line in patterns if line.startswith("!")}
        assert "*" in patterns
        for name, rest in STAGES["build"].lines:
            if name == "COPY":
                *sources, _ = rest.split()
                for source in sources:
                    assert (ROOT / source).exists()
                    assert any(fnmatch.fnmatch(source, pattern) for pattern in allowed)

    @pytest.mark.parametrize("image", IMAGES)
    def test_the_extras_of_an_image_exist(self, image: str) -> None:
        (run,) = [rest for name, rest in STAGES[f"build-{image}"].lines if name == "RUN"]
        extras = re.search(r"\.\[([\w,]+)\]", run)
        project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        assert extras
        assert [
            name for name in extras[1].split(",") if not re.search(rf"^{name} = \[", project, re.MULTILINE)
        ] == []


class TestCompose:
    def test_built_services_are_targets(self) -> None:
        built = {
            name: each["build"]["target"] for name, each in COMPOSE["services"].items() if "build" in each
        }
        assert built == {"sandbox": "sandbox", "worker": "worker"}
        assert all(target in STAGES for target in built.values())

    def test_ports_are_open_to_this_machine_alone(self) -> None:
        ports = [port for each in COMPOSE["services"].values() for port in each.get("ports", ())]
        assert ports
        assert all(port.startswith("127.0.0.1:") for port in ports)

    @pytest.mark.parametrize("name", IMAGES)
    def test_services_may_do_little(self, name: str) -> None:
        service = COMPOSE["services"][name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]

    def test_images_of_others_are_pinned(self) -> None:
        images = [each["image"] for each in COMPOSE["services"].values() if "image" in each]
        assert all(re.search(r":\d", image) for image in images)

    def test_services_that_others_wait_for_have_a_health_check(self) -> None:
        for service in COMPOSE["services"].values():
            for name in service.get("depends_on", ()):
                other = COMPOSE["services"][name]
                image = other.get("build", {}).get("target")
                assert "healthcheck" in other or STAGES[image].last("HEALTHCHECK", STAGES)

    def test_the_worker_finds_the_sandbox(self) -> None:
        environment = COMPOSE["services"]["worker"]["environment"]
        with Sandbox() as sandbox:
            assert environment["PUBLITRAC_API_KEY"] == sandbox.api_key
        port = json.loads(STAGES["sandbox"].last("CMD", STAGES) or "")
        assert environment["PUBLITRAC_BASE_URL"] == f"http://sandbox:{port[port.index('--port') + 1]}"

    def test_the_volumes_of_services_exist(self) -> None:
        used = [each.partition(":")[0] for s in COMPOSE["services"].values() for each in s.get("volumes", ())]
        assert set(used) == set(COMPOSE["volumes"])


def start(image: str, *replaced: tuple[str, str], **variables: str) -> subprocess.Popen[str]:
    """Start the command of an image, with some of its words replaced."""
    program, *words = [
        *json.loads(STAGES[image].last("ENTRYPOINT", STAGES) or ""),
        *json.loads(STAGES[image].last("CMD", STAGES) or ""),
    ]
    assert program == "publitrac-async"
    for old, new in replaced:
        words[words.index(old)] = new
    return subprocess.Popen(
        [sys.executable, "-m", "publitrac_async", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **variables},
    )


def stop(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(60)
    finally:
        process.kill()
        process.communicate()


def is_healthy(image: str, *replaced: tuple[str, str], **variables: str) -> bool:
    """Run the health check of an image, in an environment that names a proxy."""
    check = json.loads((STAGES[image].last("HEALTHCHECK", STAGES) or "").partition("CMD ")[2])
    program = check[-1]
    for old, new in replaced:
        program = program.replace(old, new)
    environment = {**os.environ, "http_proxy": "http://127.0.0.1:9", **variables}
    probe = [sys.executable, *check[1:-1], program]
    return subprocess.run(probe, check=False, stderr=subprocess.DEVNULL, env=environment).returncode == 0


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


def test_the_sandbox_starts_is_healthy_and_stops() -> None:
    port = free_port()
    process = start("sandbox", ("8787", port))
    try:
        assert process.stdout is not None
        assert "Emulated PUBLITRAC" in process.stdout.readline()
        assert is_healthy("sandbox", ("8787", port))
    finally:
        status = stop(process)
    assert status == 0
    assert not is_healthy("sandbox", ("8787", port))


def test_the_worker_starts_is_healthy_and_stops(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start()
    service: dict[str, Any] = COMPOSE["services"]["worker"]["environment"]
    try:
        with Sandbox().serve_in_thread() as sandbox:
            variables = {**service, "PUBLITRAC_REDIS_URL": server.url, "PUBLITRAC_BASE_URL": sandbox.base_url}
            (name, _), *others = [each.split("=") for key, each in STAGES["worker"].lines if key == "ENV"]
            assert not others
            health = {name: free_port()}
            process = start("worker", **variables, **health)
            try:
                assert process.stdout is not None
                assert f":{health[name]}/ready" in process.stdout.readline()
                assert "Worker for state store" in process.stdout.readline()
                assert is_healthy("worker", **health)
                server.stop()
                assert not is_healthy("worker", **health)
            finally:
                status = stop(process)
            assert status == 0
    finally:
        server.stop()
