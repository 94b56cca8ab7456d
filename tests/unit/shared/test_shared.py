"""Arguments of `SharedRedis`, and secrets that it never shows."""

from __future__ import annotations

import subprocess
import sys
import traceback
from typing import Any

import pytest

from publitrac_async import ConfigurationError, Rate, RateLimiter, Secret, WindowLimiter
from publitrac_async.shared import SharedRedis
from publitrac_async.shared.redis.connection import Connection
from publitrac_async.shared.redis.tokens import RedisTokenStore

UNUSABLE_OPTIONS = [
    *("foo=1", "retry=1", "connection_class=x", "encoding=x", "encoder_class=x", "protocol=9", "db=x"),
    *("socket_timeout=x", "socket_timeout=-1", "socket_timeout=nan", "max_connections=-1", "ssl_foo=1"),
]
URL = "redis://user:pass-word-1@127.0.0.1:6379/3"


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("http://127.0.0.1", {}),
        ("", {}),
        ("redis://user:pass-word-1/2@127.0.0.1:6379", {}),
        ("redis://:pass-word-1@127.0.0.1:no-port", {}),
        *((f"{URL}?{option}", {}) for option in UNUSABLE_OPTIONS),
        ("redis+sentinel://:pass-word-1@127.0.0.1/service?foo=1", {}),
        ("redis://:a?pass-word-1@127.0.0.1", {}),
        ("rediss://:pass-word-1@127.0.0.1?ssl_cert_reqs=x", {}),
        ("rediss://:pass-word-1@127.0.0.1?ssl_ca_certs=/no/such/file", {}),
        (URL, {"account": " "}),
        (URL, {"account": "the-\0key"}),
        (URL, {"rate_limit": 0}),
        (URL, {"guard": -1.0}),
        (URL, {"on_unavailable": "ignore"}),
        (URL, {"on_unavailable": "local"}),
        (URL, {"on_unavailable": "local", "processes": 0}),
    ],
)
def test_unusable_settings_are_refused_without_being_quoted(url: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SharedRedis(url, **{"account": "the-key"} | options)
    told = "".join(traceback.format_exception(caught.value))
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(caught.value.__traceback__)][1:]
    for secret in ("pass-word-1", "the-key"):
        assert secret not in str(caught.value)
        assert secret not in repr(frames)
    assert "ValueError" not in told
    assert caught.value.__context__ is None


def test_neither_password_nor_account_is_shown() -> None:
    shared = SharedRedis(URL, account="the-key")
    shown = repr(shared) + repr(shared.limiter._connection) + str(vars(shared.limiter)) + str(vars(shared))
    assert "pass-word-1" not in shown
    assert "the-key" not in shown


def test_keys_hold_a_hash_of_the_account() -> None:
    key = Connection(URL, "the-key").key("rate")
    assert "the-key" not in key
    assert key == Connection(URL, Secret("the-key")).key("rate")
    assert key != Connection(URL, "the-keY").key("rate")
    assert key.startswith("publitrac:{")
    assert key.endswith("}:rate")


def test_timeouts_of_redis_are_short_unless_the_url_sets_others() -> None:
    settings = Connection(URL, "a")._client.connection_pool.connection_kwargs
    assert (settings["socket_timeout"], settings["socket_connect_timeout"]) == (1.0, 1.0)
    settings = Connection(f"{URL}?socket_timeout=3", "a")._client.connection_pool.connection_kwargs
    assert (settings["socket_timeout"], settings["socket_connect_timeout"]) == (3.0, 1.0)


@pytest.mark.parametrize(
    ("processes", "calls", "per"),
    [(1, 35, 1.0), (4, 8, 1.0), (35, 1, 1.0), (70, 1, 2.0)],
)
def test_a_local_share_is_never_more_than_its_part(processes: int, calls: int, per: float) -> None:
    local = SharedRedis(URL, account="a", on_unavailable="local", processes=processes).limiter._local
    assert isinstance(local, WindowLimiter)
    assert repr(local) == repr(WindowLimiter(Rate(calls, per=per)))
    assert calls / per * processes <= 35


def test_a_client_accepts_them_as_arguments() -> None:
    shared = SharedRedis(URL, account="a")
    assert isinstance(shared.limiter, RateLimiter)
    assert isinstance(shared.tokens, RedisTokenStore)
    assert (shared.limiter, shared.tokens) == (shared.limiter, shared.tokens)


def test_who_shares_nothing_loads_nothing() -> None:
    program = (
        "import sys, publitrac_async; assert not {'redis', 'publitrac_async.shared.redis'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_the_extra_the_error_names_it() -> None:
    program = "import sys; sys.modules['redis'] = None; from publitrac_async.shared import SharedRedis"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "pip install 'publitrac_async[redis]'" in run.stderr.splitlines()[-1]
