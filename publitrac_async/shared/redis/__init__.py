"""Sharing through Redis or Valkey (extra ``redis``), for several hosts."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("redis") is None:
    raise ModuleNotFoundError(
        "sharing through Redis needs an extra: pip install 'publitrac_async[redis]'", name="redis"
    )
