"""Places where a limit may be shared, and refused ones."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from publitrac_async import ConfigurationError, PublitracClient, Rate, Secret
from publitrac_async.shared import share
from publitrac_async.shared.file import SharedFile, places, record
from publitrac_async.transport.limits import Unlimited

KEY = "the-very-secret-key"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


def test_a_file_is_for_its_user_and_holds_no_key(tmp_path: Path) -> None:
    for location in (f"file:{tmp_path}/a%20b", f"file://{tmp_path}/c", f"file://localhost{tmp_path}/d"):
        share(location, account=KEY)
    for name in ("a b", "c", "d"):
        path = tmp_path / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert KEY.encode() not in path.read_bytes()


def test_the_default_is_a_folder_of_the_user_with_a_file_for_each_account(temporary: Path) -> None:
    share("file:", account=KEY)
    share(Secret("file:"), account="another")
    share("file:", account=Secret(KEY))
    (folder,) = temporary.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(list(folder.iterdir())) == 2


def test_the_default_folder_must_be_the_users(temporary: Path) -> None:
    folder = temporary / f"publitrac_async-{os.getuid()}"
    folder.mkdir(mode=0o700)
    folder.chmod(0o755)
    with pytest.raises(ConfigurationError, match="0700"):
        share("file:", account=KEY)
    folder.rmdir()
    (temporary / "elsewhere").mkdir()
    folder.symlink_to(temporary / "elsewhere")
    with pytest.raises(ConfigurationError, match="0700"):
        share("file:", account=KEY)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://127.0.0.1", "shared must be file:"),
        ("/tmp/shared", "shared must be file:"),
        ("file://host/tmp/shared", "without host"),
        ("file:/tmp/shared?mode=1", "without host and options"),
        ("file:/there/is/no/such/folder", "folder of the shared file does not exist"),
        ("file:/dev/null", "not a regular file"),
        ("file://[there", "without host and options"),
        ("file:/tmp/a%00b", "without host and options"),
    ],
)
def test_a_place_that_cannot_work_is_refused(location: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(reason)):
        share(location, account=KEY)


def test_a_file_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "leads.csv"
    path.write_text("email\n")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="another program"):
        SharedFile(path, account=KEY)
    assert path.read_text() == "email\n"


def test_a_file_of_another_account_is_refused(tmp_path: Path) -> None:
    SharedFile(tmp_path / "s", account=KEY)
    with pytest.raises(ConfigurationError, match="another account"):
        SharedFile(tmp_path / "s", account="another-key")


def test_a_file_that_all_users_may_read_is_refused(tmp_path: Path) -> None:
    SharedFile(tmp_path / "s", account=KEY)
    (tmp_path / "s").chmod(0o604)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        SharedFile(tmp_path / "s", account=KEY)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "s")
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        SharedFile(tmp_path / "link", account=KEY)


def test_a_process_killed_while_it_laid_the_file_out_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(bytes(16384))
    (tmp_path / "s").chmod(0o600)
    SharedFile(tmp_path / "s", account=KEY)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p"])
def test_network_file_systems_are_recognised_by_the_list_of_mounts(tmp_path: Path, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    there = str(tmp_path.resolve()).replace(" ", r"\040")
    mounts.write_text(
        "22 27 0:21 / / rw,relatime - ext4 /dev/sda rw\n"
        f"23 22 0:99 / {there} rw,relatime shared:1 - {kind} server:/export rw\n"
        "24 22 0:98 / /elsewhere rw - nfs4 server:/export rw\n"
    )
    assert places.network_file_system(tmp_path / "s", os.makedev(0, 99), mounts) == kind
    assert places.network_file_system(Path("/srv/s"), os.makedev(0, 21), mounts) is None
    assert places.network_file_system(tmp_path / "s", 0, tmp_path / "none") is None


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "network_file_system", lambda *_: "nfs4")
    with pytest.raises(ConfigurationError, match="network file system"):
        SharedFile(tmp_path / "s", account=KEY)


def test_a_system_without_such_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "fcntl", None)
    with pytest.raises(ConfigurationError, match="use a Redis URL"):
        SharedFile(tmp_path / "s", account=KEY)


@pytest.mark.parametrize(
    ("rate_limit", "per"), [(0, 1.0), (True, 1.0), (1.5, 1.0), (35, 0.0), (35, float("nan"))]
)
def test_a_rate_without_sense_is_refused(tmp_path: Path, rate_limit: int, per: float) -> None:
    with pytest.raises(ConfigurationError):
        SharedFile(tmp_path / "s", account=KEY, rate_limit=Rate(rate_limit, per=per))


def test_a_client_takes_it_from_its_arguments_or_from_the_environment(tmp_path: Path) -> None:
    by_argument = PublitracClient(api_key=KEY, shared=f"file:{tmp_path}/s", rate_limit=10)
    environment = {"PUBLITRAC_API_KEY": KEY, "PUBLITRAC_SHARED": f"file:{tmp_path}/s"}
    by_environment = PublitracClient.from_env(environment | {"PUBLITRAC_RATE_LIMIT": "10"})
    by_object = PublitracClient(api_key=KEY, shared=share(f"file:{tmp_path}/s", account=KEY, rate_limit=10))
    limiters = {repr(each._transport._limiter) for each in (by_argument, by_environment, by_object)}
    assert len(limiters) == 1
    assert "FileRateLimiter(10 calls in 1.04 s" in limiters.pop()
    rate = Rate(50, per=20)
    slow = PublitracClient(api_key=KEY, shared=f"file:{tmp_path}/slow", rate_limit=rate)
    assert slow._transport._limiter.rate == rate
    unlimited = PublitracClient(api_key=KEY, shared=f"file:{tmp_path}/s", rate_limit=None)
    assert isinstance(unlimited._transport._limiter, Unlimited)


@pytest.mark.parametrize("value", ["0", "-1", "3.5", "many", "10/s"])
def test_a_rate_limit_in_the_environment_is_a_whole_number(value: str) -> None:
    with pytest.raises(ConfigurationError, match="PUBLITRAC_RATE_LIMIT must be calls per second"):
        PublitracClient.from_env({"PUBLITRAC_API_KEY": KEY, "PUBLITRAC_RATE_LIMIT": value})


def test_a_fork_opens_the_file_again(tmp_path: Path) -> None:
    program = f"""
import asyncio, os, sys, time
from publitrac_async.shared.file import SharedFile
from publitrac_async import Rate
shared = SharedFile({str(tmp_path / "s")!r}, account="key", rate_limit=Rate(1, per=0.3), guard=0.0)
asyncio.run(shared.limiter.acquire())
parent = time.monotonic()
child = os.fork()
shared.limiter._lock = asyncio.Lock()
asyncio.run(shared.limiter.acquire())
if child == 0:
    os._exit(0)
_, status = os.waitpid(child, 0)
# Three departures of two processes, the parent's first included.
print(status, shared.limiter._record._process == os.getpid(), time.monotonic() - parent > 0.29)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["0", "True", "True"]


def test_those_who_share_nothing_load_nothing() -> None:
    program = "import sys, publitrac_async; assert not {'publitrac_async.shared.file'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("location", ["file:", "redis://localhost"])
def test_a_rate_is_given_as_clients_take_it(tmp_path: Path, location: str) -> None:
    location += f"{tmp_path}/s" if location == "file:" else ""

    def rate_of(rate_limit: Rate | int) -> Rate:
        limiter = share(location, account=KEY, rate_limit=rate_limit).limiter
        assert not isinstance(limiter, Unlimited)
        return limiter.rate

    assert rate_of(10) == Rate(10)
    assert rate_of(Rate(50, per=20)) == Rate(50, per=20)
    assert isinstance(share(location, account=KEY, rate_limit=None).limiter, Unlimited)
    with pytest.raises(ConfigurationError, match="calls must be a whole number"):
        share(location, account=KEY, rate_limit=1.5)


async def test_an_even_pace_has_no_burst_after_a_quiet_time(tmp_path: Path) -> None:
    quick = SharedFile(tmp_path / "quick", account=KEY, rate_limit=35)
    even = SharedFile(tmp_path / "even", account=KEY, rate_limit=Rate(35, pace="even"))
    assert quick.limiter._catch_up > 0
    assert even.limiter._catch_up == 0


async def test_the_opener_closes_a_shared_file(tmp_path: Path) -> None:
    async with SharedFile(tmp_path / "s", account=KEY) as shared:
        await shared.limiter.acquire()
        async with PublitracClient(api_key=KEY, shared=shared):
            pass
        assert is_open(shared)
    assert not is_open(shared)
    publitrac = PublitracClient(api_key=KEY, shared=f"file:{tmp_path}/s")
    (own,) = (each for each in publitrac._opened if isinstance(each, SharedFile))
    await own.limiter.acquire()
    assert is_open(own)
    await publitrac.aclose()
    assert not is_open(own)


def is_open(shared: SharedFile) -> bool:
    return shared._record._fd >= 0


async def test_an_object_that_is_never_used_has_no_file_open(tmp_path: Path) -> None:
    shared = SharedFile(tmp_path / "s", account=KEY)
    assert not is_open(shared)
    await shared.limiter.acquire()
    await shared.aclose()
    assert not is_open(shared)
