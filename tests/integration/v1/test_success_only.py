"""A refusal with HTTP 200 is never recorded as a success, by bulk runs or the command line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from publitrac_async import PublitracClient, RetryPolicy
from publitrac_async.bulk import Report, sync_leads
from tests.support.command_line import run, secrets
from tests.support.wire import Peer, RawServer, Seen, http

DONE = "<response><status>2006</status><message>Leads synchronization successfull.</message></response>"
REFUSED = "<response><status>{status}</status><message>{message}</message></response>"

Respond = Callable[[Seen, Peer], Awaitable[bytes]]


def responding(*bodies: str) -> tuple[Respond, list[str]]:
    """Respond with the first body until the list `bodies` is shortened; record each request."""
    left = list(bodies)

    async def respond(_seen: Seen, _peer: Peer) -> bytes:
        return http(left[0].encode(), content_type="text/xml")

    return respond, left


async def sync(url: str, state: Path) -> Report:
    async with PublitracClient(
        api_key="k-1",
        username="u",
        password="p",
        base_url=url,
        rate_limit=None,
        retry=RetryPolicy(attempts=1),
    ) as client:
        return await sync_leads(
            [{"email": f"u{number}@example.com"} for number in range(20)],
            client.v1,
            state=state,
        )


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("401", "Invalid username or password"),
        ("0", "Invalid API key"),
        ("0", "Something else"),
        ("429", "Slow down"),
        ("503", "Later"),
        ("8001", "Something else"),
        ("10001", ""),
        ("error", "Something else"),
        ("9000", "Account suspended"),
    ],
)
async def test_a_bulk_run_sends_failed_rows_again(tmp_path: Path, status: str, message: str) -> None:
    respond, left = responding(REFUSED.format(status=status, message=message), DONE)
    async with RawServer(respond) as server:
        first = await sync(server.url, tmp_path / "state")
        assert first.ok == 0
        assert first.exit_code != 0
        del left[0]
        second = await sync(server.url, tmp_path / "state")
    assert second.ok == 20
    assert second.exit_code == 0


async def test_the_command_line_reports_it_and_sends_again(tmp_path: Path) -> None:
    path = tmp_path / "leads.csv"
    path.write_text("email\n" + "".join(f"u{number}@example.com\n" for number in range(20)))
    respond, left = responding(REFUSED.format(status=401, message="Invalid username or password"), DONE)
    async with RawServer(respond) as server:

        async def command(*arguments: object) -> tuple[int, str]:
            done = await asyncio.to_thread(run, *arguments, **secrets(), PUBLITRAC_BASE_URL=server.url)
            return done.returncode, done.stdout + done.stderr

        sync_command = ("sync", path, "--via", "v1", "--state", tmp_path / "state")
        status, output = await command(*sync_command)
        assert status == 1
        assert "AuthenticationError" in output
        assert "Invalid username or password" in output
        status, output = await command("get", "ada@example.com")
        assert status == 1
        assert 'The service says: "Invalid username or password"' in output
        del left[0]
        status, output = await command(*sync_command)
        assert (status, "20" in output) == (0, True)


async def test_an_export_steps_over_a_page_that_cannot_be_read(tmp_path: Path) -> None:
    async def respond(seen: Seen, _peer: Peer) -> bytes:
        number = int(seen.target.partition("&page=")[2].partition("&")[0] or 1)
        notes = {2: "R&D", 3: "a < b"}.get(number, "fine")
        leads = "".join(
            f"<lead><id>{number}{i}</id><email>u{number}{i}@example.com</email><notes>{notes}</notes></lead>"
            for i in range(2)
        )
        paging = f"<paging><page>{number}</page><items>2</items><offset>2</offset><total>8</total></paging>"
        body = f"<response><leads>{leads}</leads>{paging}<status>2001</status></response>"
        return http(body.encode(), content_type="text/xml")

    async with RawServer(respond) as server:

        async def export(name: str, *options: str) -> tuple[int, str]:
            done = await asyncio.to_thread(
                run, "export", tmp_path / name, *options, **secrets(), PUBLITRAC_BASE_URL=server.url
            )
            return done.returncode, done.stderr

        status, output = await export("first.jsonl")
        assert status == 1
        assert "Page 3 cannot be read: pass --skip-unreadable to skip it." in output
        assert "a < b" not in output
        assert sum(b"page=3" in seen.target.encode() for seen in server.seen) == 1
        status, output = await export("second.jsonl", "--skip-unreadable")
    assert status == 3
    assert "Skipped because they cannot be read: pages 3." in output
    assert "Repaired because of invalid characters: pages 2." in output
    assert (tmp_path / "second.jsonl").read_text().count("example.com") == 6
