"""Options that contradict each other are refused before anything is sent, with advice in the error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from publitrac_async import ConfigurationError, PublitracClient, Rate, ValidationError, WindowLimiter
from publitrac_async.marketo import MarketoClient
from publitrac_async.shared import Shared, SharedFile, SharedRedis
from publitrac_async.transport.auth import MemoryTokenStore
from publitrac_async.vitec import VitecClient

Open = Callable[..., Any]


def publitrac(**options: Any) -> PublitracClient:
    return PublitracClient(**{"api_key": "k", **options})


def marketo(**options: Any) -> MarketoClient:
    return MarketoClient(**{"munchkin_id": "123-ABC-456", "client_id": "i", "client_secret": "s", **options})


def vitec(**options: Any) -> VitecClient:
    return VitecClient(**{"username": "u", "password": "p", **options})


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    return SharedFile(tmp_path / "shared", account="k")


EVERY = pytest.mark.parametrize("client", [publitrac, marketo, vitec])
WITH_TOKENS = pytest.mark.parametrize("client", [publitrac, marketo])


@EVERY
@pytest.mark.parametrize("rate_limit", [35, None, Rate(50, per=20)])
def test_a_rate_with_a_limiter(client: Open, rate_limit: Any) -> None:
    with pytest.raises(ConfigurationError, match="leave out limiter or rate_limit"):
        client(limiter=WindowLimiter(35), rate_limit=rate_limit)


@EVERY
@pytest.mark.parametrize("rate_limit", [35, None, Rate(50, per=20)])
def test_a_rate_with_a_shared_object(client: Open, shared: Shared, rate_limit: Any) -> None:
    with pytest.raises(ConfigurationError, match="the shared object has its own rate_limit"):
        client(shared=shared, rate_limit=rate_limit)


@EVERY
def test_a_limiter_with_a_shared_object(client: Open, shared: Shared) -> None:
    with pytest.raises(ConfigurationError, match="leave out shared or limiter"):
        client(shared=shared, limiter=shared.limiter)


@WITH_TOKENS
def test_a_token_store_with_a_shared_object(client: Open, shared: Shared) -> None:
    with pytest.raises(ConfigurationError, match="leave out shared or token_store"):
        client(shared=shared, token_store=shared.tokens)


@pytest.mark.parametrize("name", ["limiter", "token_store"])
def test_parts_of_its_own_with_a_shared_place(tmp_path: Path, name: str) -> None:
    own = {"limiter": WindowLimiter(35), "token_store": MemoryTokenStore()}
    with pytest.raises(ConfigurationError, match=f"leave out shared or {name}"):
        publitrac(shared=f"file:{tmp_path}/s", **{name: own[name]})


def test_the_environment_counts_as_the_program_does(tmp_path: Path, shared: Shared) -> None:
    environment = {"PUBLITRAC_API_KEY": "k"}
    limited = environment | {"PUBLITRAC_RATE_LIMIT": "20"}
    with pytest.raises(ConfigurationError, match="leave out limiter or rate_limit"):
        PublitracClient.from_env(limited, limiter=WindowLimiter(35))
    with pytest.raises(ConfigurationError, match="the shared object has its own rate_limit"):
        PublitracClient.from_env(limited, shared=shared)
    with pytest.raises(ConfigurationError, match="leave out shared or limiter"):
        PublitracClient.from_env(
            environment | {"PUBLITRAC_SHARED": f"file:{tmp_path}/s"}, limiter=WindowLimiter(35)
        )


@EVERY
def test_settings_of_the_default_transport_with_another_one(client: Open) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(500))
    with pytest.raises(ConfigurationError, match="trust_env is for the default transport: leave it out"):
        client(transport=transport, trust_env=True)


@EVERY
@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"shared": 5}, "shared must be a SharedRedis or SharedFile"),
        ({"shared": WindowLimiter(35)}, "shared must be a SharedRedis or SharedFile"),
        ({"limiter": 35}, r"limiter must have acquire\(\) and pause\(\)"),
    ],
)
def test_objects_in_the_wrong_place(client: Open, options: dict[str, Any], advice: str) -> None:
    with pytest.raises(ConfigurationError, match=advice):
        client(**options)


@WITH_TOKENS
def test_a_shared_object_is_no_token_store(client: Open, shared: Shared) -> None:
    with pytest.raises(ConfigurationError, match=r"such as shared\.tokens"):
        client(token_store=shared)


@EVERY
def test_a_shared_object_gives_its_parts(client: Open, shared: Shared) -> None:
    opened = client(shared=shared)
    assert opened._transport._limiter is shared.limiter
    if client is not vitec:
        token = opened._token if client is marketo else opened.v2._token
        assert token._store is shared.tokens


@pytest.mark.parametrize("processes", [1, 4])
def test_processes_are_for_local_shares(processes: int) -> None:
    with pytest.raises(ConfigurationError, match="leave it out"):
        SharedRedis("redis://localhost", account="k", processes=processes)


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Everything that was opened is closed."""
    before = set(Path("/proc/self/fd").iterdir())
    yield
    assert set(Path("/proc/self/fd").iterdir()) <= before


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs the list of open files")
@pytest.mark.usefixtures("descriptors")
@pytest.mark.parametrize(
    ("client", "options"),
    [
        (publitrac, {"base_url": "http://example.com"}),
        (publitrac, {"v2_rate_limit": 1.5}),
        (publitrac, {"hooks": print}),
        (publitrac, {"hooks": print, "shared": "file:{}/shared"}),
        (publitrac, {"concurrency": 0, "shared": "file:{}/shared"}),
        (publitrac, {"limiter": WindowLimiter(35), "shared": "file:{}/shared"}),
        (marketo, {"hooks": print}),
        (vitec, {"hooks": print}),
        (vitec, {"password": "p" * 100_000}),
    ],
)
def test_a_constructor_that_fails_leaves_no_file_open(
    client: Open, options: dict[str, Any], tmp_path: Path
) -> None:
    given = {name: value.format(tmp_path) if name == "shared" else value for name, value in options.items()}
    with pytest.raises(ConfigurationError):
        client(**given, trace=tmp_path / "trace.jsonl")


async def test_a_query_with_xml() -> None:
    async with publitrac(username="u", password="p") as client:
        with pytest.raises(ValidationError, match="leave out one of them"):
            await client.v1.call("getLeads", {"query": "<a/>"}, "<b/>")
        with pytest.raises(ValidationError, match="must be GET or POST"):
            await client.v1.call("getLeads", verb="PUT")  # type: ignore[call-overload]


async def test_two_bodies_and_a_body_in_a_get() -> None:
    async with marketo() as client:
        with pytest.raises(ValidationError, match="leave out one of them"):
            client.call("POST", "/rest/v1/lists.json", json={}, form={})
        for body in ({"json": {}}, {"form": {}}):
            with pytest.raises(ValidationError, match="a GET has no body: pass query"):
                client.call("GET", "/rest/v1/lists.json", **body)
