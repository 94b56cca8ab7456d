"""What an import loads, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from publitrac_async.redis import shared
assert "publitrac_async.bulk" not in sys.modules
from publitrac_async.redis import Chunk, EndedChunk, RedisLedger
from publitrac_async.redis import *
assert RedisLedger.__module__ == "publitrac_async.redis.ledger", Chunk.__module__
try:
    from publitrac_async.redis import RedisLedgers
except ImportError as error:
    print(error.name)
"""


def test_who_shares_a_limit_does_not_load_what_ledgers_need() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "publitrac_async.redis\n"
