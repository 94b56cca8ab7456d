"""Modules that an import loads, in a separate process."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from publitrac_async.shared import SharedRedis
assert "publitrac_async.bulk" not in sys.modules
from publitrac_async.shared import *
shared = SharedRedis("redis://127.0.0.1", "key")
shared.limiter, shared.tokens
assert "publitrac_async.bulk" not in sys.modules
from publitrac_async.bulk import RedisStateStore
RedisStateStore(shared)
assert "docket" not in sys.modules
"""


def test_sharing_a_limit_does_not_load_bulk() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True, timeout=60)
