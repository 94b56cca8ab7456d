"""`worker` and `sync --executor docket` in their own processes, over a real Redis."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from publitrac_async import PublitracClient
from publitrac_async.bulk import NamedSource, PublitracV2Sink, Report, sync_leads
from publitrac_async.bulk.distributed.docket import DocketExecutor
from publitrac_async.cli.doctor import show
from publitrac_async.sandbox import Fault, Sandbox
from tests.support.command_line import CANARIES, environment, secrets
from tests.support.command_line import run as run_alone
from tests.support.commands import Program, start_command
from tests.support.redis_server import Server
from tests.support.redis_state import OwnRedisState

QUICK = ("--rate", 10_000)
CUSTOMER = "M30011"


@pytest.fixture(scope="module")
def durable_server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    server = Server(tmp_path_factory.mktemp("server"), appendonly="yes")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def server(durable_server: Server) -> Server:
    await durable_server.ask("FLUSHALL")
    return durable_server


class Hosts:
    """Starts commands that share an account, and ends all of them after the test."""

    def __init__(self, sandbox: Sandbox, server: Server, folder: Path, stack: AsyncExitStack) -> None:
        self.url = server.url
        settings = sandbox.settings
        self._variables = {
            **secrets(),
            "PUBLITRAC_BASE_URL": sandbox.base_url,
            "PUBLITRAC_REDIS_URL": self.url,
            "MARKETO_BASE_URL": f"{sandbox.base_url}/rest",
            "MARKETO_CLIENT_ID": settings.marketo_client_id,
            "MARKETO_CLIENT_SECRET": settings.marketo_client_secret,
            "VITEC_BASE_URL": sandbox.base_url,
            "VITEC_USERNAME": settings.vitec_username,
            "VITEC_PASSWORD": settings.vitec_passwords[CUSTOMER]["PublicAdvertising"],
            "PYTHONUNBUFFERED": "1",
        }
        self._folder = folder
        self._stack = stack

    async def start(self, *arguments: object) -> Program:
        process = await start_command(*arguments, cwd=self._folder, variables=environment(**self._variables))
        self._stack.push_async_callback(ended, process)
        return process

    async def worker(self, *arguments: object) -> Program:
        process = await self.start("worker", *QUICK, *arguments)
        line = await process.stdout.readline()
        assert line.startswith(b"Worker for state store default: sends to "), await output(process)
        return process

    async def run(self, *arguments: object) -> tuple[int | None, str, str]:
        process = await self.start(*arguments)
        out, err = await output(process)
        return process.returncode, out, err

    async def sync(self, *arguments: object) -> tuple[int | None, dict[str, Any]]:
        process = await self.start("sync", *QUICK, *arguments, "--executor", "docket", "--json")
        out, err = await output(process)
        assert out, err
        return process.returncode, json.loads(out.splitlines()[-1])


async def ended(process: Program) -> None:
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def output(process: Program) -> tuple[str, str]:
    out, err = await process.communicate()
    text = out.decode(), err.decode()
    assert not any(canary in part for canary in CANARIES for part in text)
    return text


async def asked_to_end(process: Program, name: signal.Signals = signal.SIGTERM) -> None:
    process.send_signal(name)
    out, err = await output(process)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.fixture
async def hosts(sandbox: Sandbox, server: Server, tmp_path: Path) -> AsyncIterator[Hosts]:
    async with AsyncExitStack() as stack:
        yield Hosts(sandbox, server, tmp_path, stack)


def write(path: Path, count: int) -> Path:
    rows = (f"lead{number}@example.com,Åsa,Ek\n" for number in range(count))
    path.write_text("email,firstName,lastName\n" + "".join(rows), encoding="utf-8")
    return path


async def test_two_workers_carry_out_a_run(hosts: Hosts, sandbox: Sandbox, tmp_path: Path) -> None:
    path = write(tmp_path / "leads.csv", 1_000)
    with path.open("a") as file:
        file.write("no address,Bo,Ek\nLEAD7@example.com,Eva,Ek\n")
    workers = [await hosts.worker("--concurrency", 1, "--chunks", 1) for _ in range(2)]
    code, report = await hosts.sync(path, "--results", tmp_path / "results", "--verify")
    assert code == 3
    assert (report["rows"], report["accepted"], report["rejected"], report["skipped"]) == (1002, 1000, 1, 1)
    assert report["verification"]["processed"] == 1000
    assert sandbox.lead("lead7@example.com")["firstName"] == "Eva"
    assert sandbox.journal.count(method="delayedSync", applied=True) == 1000
    assert sandbox.journal.count(method="getToken") == 1
    # One call at a time per process: as many connections as workers that took part.
    assert len({each.connection for each in sandbox.journal.arrivals if each.method == "delayedSync"}) == 2
    assert (tmp_path / "results" / "latest" / "rejected.csv").read_text(encoding="utf-8").count("\n") == 2

    code, report = await hosts.sync(path)
    assert (code, report["skipped"]) == (3, 1001)
    assert sandbox.journal.count(method="delayedSync") == 1000
    await asked_to_end(workers[0])
    await asked_to_end(workers[1], signal.SIGINT)


@pytest.mark.slow  # 30 seconds until others take over its chunk
async def test_a_worker_that_leaves_loses_nothing(hosts: Hosts, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.inject(Fault("delay", match="v2.delayedSync", seconds=0.05, times=None))
    path = write(tmp_path / "leads.csv", 1_000)
    leaving, _ = [await hosts.worker("--concurrency", 4) for _ in range(2)]
    running = asyncio.create_task(hosts.sync(path))
    while sandbox.journal.count(method="delayedSync") < 100:
        await asyncio.sleep(0.01)
    await asked_to_end(leaving)
    assert sandbox.journal.count(method="delayedSync") < 1_000
    code, report = await running
    assert (code, report["accepted"]) == (0, 1_000)
    # Its calls ended before it did, so none was repeated.
    assert sandbox.journal.count(method="delayedSync") == 1_000


async def test_an_interrupted_run_is_taken_up_again(hosts: Hosts, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.inject(Fault("delay", match="v2.delayedSync", seconds=0.1, times=None))
    path = write(tmp_path / "leads.csv", 600)
    await hosts.worker("--concurrency", 4)
    process = await hosts.start("sync", path, "--executor", "docket", "--json", *QUICK)
    while sandbox.journal.count(method="delayedSync") < 20:
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, _ = await output(process)
    assert process.returncode == 130
    report = json.loads(out.splitlines()[-1])
    assert (report["stopped"], report["unknown"]) == ("interrupted", 0)
    assert 20 <= report["accepted"] < 600
    sent = sandbox.journal.count(method="delayedSync")
    assert report["accepted"] == sent

    sandbox.clear_faults()
    code, report = await hosts.sync(path)
    assert (code, report["accepted"], report["skipped"]) == (0, 600 - sent, sent)
    assert sandbox.journal.count(method="delayedSync") == 600


async def test_workers_send_rows_to_marketo(hosts: Hosts, sandbox: Sandbox, tmp_path: Path) -> None:
    path = write(tmp_path / "leads.csv", 700)
    marketo = ("--via", "marketo", "--rate", "10000/20")  # Marketo counts in 20 seconds.
    await hosts.worker(*marketo)
    code, report = await hosts.sync(path, *marketo)
    assert (code, report["ok"]) == (0, 700)
    assert len(sandbox.contents("marketo")["leads"]) == 700


async def test_rows_that_may_have_arrived_are_reconciled_by_address(
    hosts: Hosts, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.inject(Fault("drop", match="vitec", apply=True, after=2))
    path = write(tmp_path / "leads.csv", 6)
    way = ("--via", "vitec", "--customer", CUSTOMER)
    await hosts.worker(*way, "--lead-source", "Fair", "--concurrency", 1, "--chunks", 1)
    code, report = await hosts.sync(path, *way, "--lead-source", "Fair")
    assert (code, report["ok"], report["unknown"]) == (3, 5, 1)

    code, out, _ = await hosts.run("reconcile", "default", *way)
    assert code == 3
    assert "1 rows with an unknown outcome." in out
    assert "@" not in out
    code, _, err = await hosts.run("reconcile", "default", "lead3@example.com", "--arrived", *way)
    assert code == 2
    assert "1 of 1 keys have no unknown outcome" in err
    code, out, err = await hosts.run("reconcile", "default", "Lead2@example.com", "--arrived", *way)
    assert (code, out) == (0, "1 reconciled: done.\n"), err
    assert await hosts.run("reconcile", "default", *way) == (0, "0 rows with an unknown outcome.\n", "")
    code, report = await hosts.sync(path, *way, "--lead-source", "Fair")
    assert (code, report["skipped"]) == (0, 6)
    assert len(sandbox.contents("vitec")["leads"]) == 6


async def test_a_program_provides_a_source_by_name(hosts: Hosts, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "sources.py").write_text(
        "def customers():\n"
        "    for number in range(500):\n"
        "        yield {'email': f'lead{number}@example.com'}\n"
    )
    await hosts.worker("--source", "crm=sources:customers")

    def customers() -> Iterator[dict[str, str]]:
        return ({"email": f"lead{number}@example.com"} for number in range(500))

    key = CANARIES[0]
    async with PublitracClient(api_key=key, base_url=sandbox.base_url) as publitrac:

        async def hand_out(destination: str | None) -> Report:
            return await sync_leads(
                NamedSource("crm", customers),
                PublitracV2Sink(publitrac.v2, destination=destination),
                state=OwnRedisState(hosts.url, account=key, name="default"),
                reset=True,
                executor=DocketExecutor(chunk_rows=100),
            )

        report = await hand_out("elsewhere")
        assert report.stopped is not None
        assert "not to v2 elsewhere" in report.stopped
        report = await hand_out(f"of {publitrac!r}")
    assert (report.accepted, report.stopped) == (500, None)
    assert sandbox.journal.count(method="delayedSync") == 500


async def test_a_run_of_one_process_shares_limit_and_token(
    hosts: Hosts, server: Server, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = write(tmp_path / "leads.csv", 5)
    for _ in range(2):
        code, out, err = await hosts.run("sync", path)
        assert (code, "5  accepted" in out) == (0, True), err
    assert sandbox.journal.count(method="delayedSync") == 10
    assert sandbox.journal.count(method="getToken") == 1
    keys = {key.rpartition(":")[2] for key in await server.keys()}
    assert keys == {"token", "rate", "processes"}
    # No other program uses the sandbox of the command.
    hosts._variables["PUBLITRAC_REDIS_URL"] = "redis://127.0.0.1:1"
    code, _, err = await hosts.run("sync", path, "--sandbox")
    assert code == 0, err


async def test_a_source_that_cannot_be_had(hosts: Hosts) -> None:
    code, _, err = await hosts.run("worker", "--source", "crm=nowhere:customers")
    assert code == 2
    assert "nowhere cannot be imported" in err


async def test_redis_that_does_not_respond(hosts: Hosts, tmp_path: Path) -> None:
    path = write(tmp_path / "leads.csv", 2)
    code, out, err = await hosts.run(
        "sync", path, "--executor", "docket", "--redis", f"redis://:{CANARIES[2]}@127.0.0.1:1"
    )
    assert (code, out) == (2, "")
    assert "the state store in Redis does not respond (ConnectionError)" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("worker",), "no Redis URL: set PUBLITRAC_REDIS_URL"),
        (("sync", "few.csv", "--executor", "docket"), "no Redis URL: set PUBLITRAC_REDIS_URL"),
        (("sync", "few.csv", "--executor", "docket", "--sandbox"), "cannot reach a sandbox"),
        (("reconcile", "default", "--via", "v2"), "no Redis URL: set PUBLITRAC_REDIS_URL"),
        (("reconcile", "default"), "no state store default"),
        (("worker", "--redis", "http://127.0.0.1"), "url must be redis://"),
        (("worker", "--redis", "redis://127.0.0.1", "--via", "marketo"), "neither MARKETO_CLIENT_SECRET"),
        (("worker", "--redis", "redis://127.0.0.1", "--via", "vitec"), "neither VITEC_PASSWORD"),
        (("worker", "--source", "crm"), "NAME=MODULE:FUNCTION"),
        (("worker", "--source", "crm=os:nothing"), "os has no function nothing"),
    ],
)
def test_commands_that_cannot_start_end_with_2(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    write(tmp_path / "few.csv", 2)
    done = run_alone(*arguments, cwd=tmp_path, **secrets())
    assert (done.returncode, done.stdout) == (2, "")
    first, *more = done.stderr.splitlines()
    assert words in first
    assert all(line.startswith("Next: ") for line in more)


async def test_doctor_checks_the_server_of_redis(hosts: Hosts, server: Server) -> None:
    code, out, _ = await hosts.run("doctor", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["Redis"]["url"] == "set, by PUBLITRAC_REDIS_URL"
    assert found["Redis"]["server"].startswith("valkey ")
    assert found["Redis"]["append-only file"] == "yes"
    assert found["Redis"]["when its memory is full"] == "noeviction"
    assert found["Marketo"]["client_secret"] == "set, by MARKETO_CLIENT_SECRET"
    assert found["sharing"] == {"location": "not set"}


@pytest.mark.parametrize(
    ("location", "fact", "words"),
    [
        ("", "rights", "enough for limit and token"),
        ("file:/no/such/folder", "kind", "a file of this host"),
        ("redis+cluster://127.0.0.1", "server", "unusable: a Redis Cluster is not supported"),
        ("redis://127.0.0.1:1", "server", "unusable: Redis does not respond (ConnectionError)"),
    ],
)
async def test_doctor_tries_the_shared_limit_and_token(
    server: Server, capsys: pytest.CaptureFixture[str], location: str, fact: str, words: str
) -> None:
    environment = {"PUBLITRAC_API_KEY": "the-key", "PUBLITRAC_SHARED": location or server.url}
    status = await show(as_json=True, environment=environment)
    found = json.loads(capsys.readouterr().out)["sharing"]
    assert found["location"] == "set, by PUBLITRAC_SHARED"
    assert found[fact].startswith(words)
    assert status == (2 if words.startswith("unusable") else 0)


def test_doctor_reports_a_redis_that_does_not_respond() -> None:
    done = run_alone("doctor", PUBLITRAC_REDIS_URL=f"redis://:{CANARIES[2]}@127.0.0.1:1")
    assert done.returncode == 2
    assert "unusable: Redis does not respond (ConnectionError)" in done.stdout


async def test_options_come_from_the_environment(hosts: Hosts, tmp_path: Path) -> None:
    path = write(tmp_path / "leads.csv", 10)
    hosts._variables |= {"PUBLITRAC_SYNC_EXECUTOR": "docket", "PUBLITRAC_WORKER_CONCURRENCY": "3"}
    process = await hosts.start("worker")
    assert b"with 3 calls in flight each" in await process.stdout.readline()
    process_of_run = await hosts.start("sync", path, "--json")
    out, _ = await output(process_of_run)
    assert json.loads(out.splitlines()[-1])["accepted"] == 10
    await asked_to_end(process)


async def test_a_second_run_waits_on_request(hosts: Hosts, server: Server, tmp_path: Path) -> None:
    path = write(tmp_path / "leads.csv", 10)
    first = OwnRedisState(server.url, account=hosts._variables["PUBLITRAC_API_KEY"])
    await first.open("elsewhere", run="another")
    code, _, err = await hosts.run("sync", path, "--executor", "docket")
    assert code == 4
    assert "another process is using the state store" in err
    waiting = await hosts.start("sync", path, "--executor", "docket", "--wait", "--json", "--reset", *QUICK)
    assert b"waiting" in await waiting.stderr.readline()
    await first.aclose()
    worker = await hosts.worker()
    out, _ = await output(waiting)
    assert json.loads(out.splitlines()[-1])["accepted"] == 10
    await asked_to_end(worker)
