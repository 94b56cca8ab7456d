"""Bulk runs that are killed: no lead is lost, and nothing is sent twice but what was under way."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .kill_runner import WORKERS, source

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL"),
]

LEADS = 20_000
#: Kills at each point, in each of two campaigns.
REPEATS = 4
ROOT = Path(__file__).parents[3]
#: Points that every run passes, and how often at least.
ON_THE_WAY = {
    "open": 1,
    "stage: before commit": 30,
    "stage: after commit": 30,
    "plan: before commit": 1,
    "plan: after commit": 1,
    "intent: before commit": 40,
    "intent: after commit": 40,
    "send: before arrival": 80,
    "send: after arrival": 80,
    "outcome: before commit": 40,
    "outcome: after commit": 40,
}
AT_THE_END = {"results": 15_000, "close": 1}


class Runner:
    """Speaks with the process that runs and kills."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.bulk.kill_runner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def run(self, **options: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(options) + "\n")
        self._process.stdin.flush()
        ended: dict[str, Any] = json.loads(self._process.stdout.readline())
        return ended

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.close()


class Campaign:
    """One ledger, run after run, against one journal of arrivals."""

    def __init__(
        self, runner: Runner, folder: Path, *, repeatable: bool, batch: int = 1, pause: float = 0.0
    ) -> None:
        self.ledger = folder / "run.sqlite"
        self.journal = folder / "journal"
        self.journal.touch()
        self.repeatable = repeatable
        self.in_flight = WORKERS * batch
        self.kills = 0
        self._runner = runner
        self._options = {
            "ledger": str(self.ledger),
            "journal": str(self.journal),
            "count": LEADS,
            "repeatable": repeatable,
            "batch": batch,
            "pause": pause,
        }
        self._number = 0
        #: Leads that were under way when a run was killed, by its number.
        self._under_way: dict[int, set[str]] = {}

    def run(self, **kill: Any) -> dict[str, Any]:
        self._number += 1
        ended = self._runner.run(**{"number": self._number} | self._options | kill)
        assert ended["killed"] or ended["status"] == 0
        self.kills += ended["killed"]
        self._under_way[self._number] = self._look()
        assert len(self._under_way[self._number]) <= self.in_flight
        return ended

    def _look(self) -> set[str]:
        """What the ledger says is under way. Looks at a copy, so that the next run finds what was left."""
        folder = self.ledger.parent / "copy"
        folder.mkdir(exist_ok=True)
        for path in self.ledger.parent.glob("run.sqlite*"):
            shutil.copy(path, folder / path.name)
        with sqlite3.connect(folder / "run.sqlite") as connection:
            tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'leads'").fetchone()[
                0
            ]
            rows = connection.execute("SELECT key FROM leads WHERE state = 'sending'") if tables else ()
            found = {key for (key,) in rows}
        connection.close()
        shutil.rmtree(folder)
        return found

    def check(self, final: dict[str, int]) -> None:
        """Hold the journal against the input and the last account."""
        arrivals = [line.split() for line in self.journal.read_text().splitlines()]
        wanted = {row["email"]: row["city"] for row in source(LEADS)}
        counted = Counter(email for _, email, _ in arrivals)
        assert final["rows"] == len(source(LEADS))
        assert sum(final.values()) == 2 * final["rows"]
        assert {city for _, email, city in arrivals if wanted[email] == "last"} == {"last"}
        repeated = sum(counted.values()) - len(counted)
        if self.repeatable:
            assert set(counted) == set(wanted)
            assert (final["unknown"], final["pending"]) == (0, 0)
            # Some kills hit calls under way, or this would prove nothing.
            assert 0 < repeated <= sum(map(len, self._under_way.values()))
            self._check_repeated(arrivals)
        else:
            assert repeated == 0
            assert final["pending"] == 0
            missing = set(wanted) - set(counted)
            assert len(missing) <= final["unknown"] == len(set().union(*self._under_way.values()))
            assert missing <= set().union(*self._under_way.values())
            assert final["unknown"] > 0

    def _check_repeated(self, arrivals: list[list[str]]) -> None:
        last: dict[str, int] = {}
        for number, email, _ in arrivals:
            run = int(number)
            if email in last:
                assert email in self._under_way[last[email]], "sent twice although its outcome was known"
            last[email] = run


@pytest.mark.parametrize(("repeatable", "kills"), [(True, 120), (False, 80)], ids=["upserts", "appends"])
def test_random_kills(runner: Runner, tmp_path: Path, repeatable: bool, kills: int) -> None:
    seed = 20261121 + kills
    chance = random.Random(seed)
    campaign = Campaign(runner, tmp_path, repeatable=repeatable, pause=0.02)
    while campaign.kills < kills:
        campaign.run(after=chance.uniform(0, 0.8))
        assert campaign._number < kills * 2, f"seed {seed}: runs end before they are killed"
    final = campaign.run(pause=0)
    campaign.check(final["counts"])


@pytest.mark.parametrize(("repeatable", "batch"), [(True, 1), (False, 7)], ids=["upserts", "appends"])
def test_kills_at_every_point(runner: Runner, tmp_path: Path, repeatable: bool, batch: int) -> None:
    chance = random.Random(20261122 + batch)
    campaign = Campaign(runner, tmp_path, repeatable=repeatable, batch=batch)
    for _ in range(REPEATS):
        for point, times in ON_THE_WAY.items():
            least = 1 + (times - 1) // batch
            ended = campaign.run(point=point, times=chance.randint(1, least))
            assert ended["killed"], point
    for point, times in AT_THE_END.items():
        for _ in range(REPEATS):
            ended = campaign.run(point=point, times=chance.randint(1, times))
            assert ended["killed"], point
    assert campaign.kills == REPEATS * (len(ON_THE_WAY) + len(AT_THE_END))
    final = campaign.run()
    campaign.check(final["counts"])
