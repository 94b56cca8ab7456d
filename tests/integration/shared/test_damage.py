"""Values in Redis that this package did not write: typed errors or a new start, never an endless wait."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from publitrac_async import ConfigurationError, Secret
from publitrac_async.bulk.errors import StateStoreError
from publitrac_async.shared import SharedRedis
from publitrac_async.shared.redis.connection import Connection, Unavailable
from publitrac_async.transport.auth import SlidingToken, Token
from tests.support.redis_server import Server
from tests.support.redis_stores import ADA, BEN, OK, Stores, job, job_of

DAMAGED = r"the state store in Redis is damaged \(.+\): reset it"
TOKENS = [
    *(b"", b" ", b"abc", b"900", b"900 ", b" tok", b"nan tok", b"inf tok", b"-1 tok", b"1e400 tok"),
    *(
        b"900 t\nok",
        b"\xff\xfe tok",
        b"900 " + b"x" * 5000,
        b"900 t\xc3\xa5",
        b"9" * 5000 + b" t",
        b"5 short",
    ),
]


@pytest.mark.fault("F34")
async def test_a_damaged_token_is_replaced_for_all_processes(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    requests = 0

    async def request() -> Token:
        nonlocal requests
        requests += 1
        return Token(value=Secret(f"token-{requests}"), ttl=900.0, expires_at=time.monotonic() + 900)

    async with SharedRedis(server.url, account="the-key") as one, SharedRedis(server.url, "the-key") as two:
        key = one.tokens._key
        for value in TOKENS:
            await server.ask("SET", key, value, "PX", 100_000)
            values = [
                (await SlidingToken(request, header="Token", store=each.tokens).token()).value.reveal()
                for each in (one, two)
            ]
            assert values == ["token-1"] * 2, value
        await one.tokens.discard(await SlidingToken(request, header="Token", store=one.tokens).token())
        await server.ask("SET", key, "900 without-an-end")
        assert await one.tokens.load() is None
        assert await server.ask("EXISTS", key) == 0
        for command in (("RPUSH", key, "a"), ("SADD", key, "a")):
            await server.ask("DEL", key)
            await server.ask(*command)
            assert await one.tokens.load() is None
            assert await server.ask("EXISTS", key) == 0
        assert one.tokens._connection.outages == 0
    assert {record.message for record in caplog.records} == {
        "the shared token in Redis is damaged: a new one is requested"
    }
    assert "without-an-end" not in caplog.text


async def test_a_limiter_whose_keys_another_program_uses(server: Server) -> None:
    async def check(name: str) -> None:
        async with SharedRedis(server.url, name, on_unavailable="local", processes=2) as shared:
            key = shared.limiter._connection.key(name)
            await server.ask("RPUSH", key, "x")
            with pytest.raises(
                ConfigurationError, match="another program wrote to its keys; delete publitrac:"
            ):
                async with asyncio.timeout(10):
                    await shared.limiter.acquire()
            await server.ask("DEL", key)
            async with asyncio.timeout(10):
                await shared.limiter.acquire()

    await asyncio.gather(check("rate"), check("processes"))


async def test_a_damaged_time_counts_as_a_lost_memory(server: Server) -> None:
    async def check(value: str) -> None:
        async with SharedRedis(server.url, f"the-key{value}") as shared:
            key = shared.limiter._connection.key("rate")
            await server.ask("SET", key, value)
            async with asyncio.timeout(10):
                await shared.limiter.acquire()
            assert abs(int((await server.ask("GET", key)).split()[0]) / 1e6 - time.time()) < 60

    await asyncio.gather(*map(check, ("nan", "-nan", "inf", "abc", "", "9" * 400)))


async def everything(stores: Stores) -> list[BaseException]:
    """Use a state store in all ways; return the errors."""
    store, errors = stores(timeout=0.5), []

    async def attempt(call: Any) -> Any:
        try:
            return await call
        except StateStoreError as error:
            errors.append(error)
        return None

    async with asyncio.timeout(20):
        await attempt(store.open("here", run="one"))
        if store.job is None:
            return errors
        await attempt(store.note_source("a", "b"))
        await attempt(store.lookup([ADA, BEN]))
        await attempt(store.plan([(ADA, b"1"), (BEN, b"2")]))
        # Queued together: a response that fails for one does not leave the others without a result.
        for future in (store.begin([ADA]), store.complete([(ADA, OK)]), store.begin([BEN])):
            await attempt(future)
        claim = await attempt(store.claim(store.job, 0))
        if claim is not None:
            await attempt(claim.lookup([ADA]))
            await attempt(claim.begin([ADA]))
            await attempt(claim.end())
            await attempt(claim.aclose())
        for question in (store.results, store.stop):
            await attempt(question("x" if question == store.stop else 0))  # type: ignore[arg-type]
        for question in (
            store.stopped,
            store.claimed,
            lambda: store.reports.source_errors(store.job or ""),
            store.unknown_rows,
            store.finish,
        ):
            await attempt(question())  # type: ignore[call-arg]
    return errors


@pytest.mark.fault("F30")
@pytest.mark.parametrize(
    "name", ["leads", "unresolved", "job", "lease", "fences", "running", "ended", "facts"]
)
async def test_keys_of_another_kind_are_named(stores: Stores, name: str) -> None:
    await job(stores, ADA)
    await stores.let_lapse()
    await stores.server.ask("DEL", stores.key(name))
    await stores.server.ask("SET", stores.key(name), "x")
    errors = await everything(stores)
    assert errors
    assert any("damaged" in str(error) for error in errors)


@pytest.mark.fault("F30")
@pytest.mark.parametrize("value", [b"", b"\xff", b"\x9a", b"\x90", b"\x93\xa1z\x01\xc3", b"\xc0"])
async def test_damaged_entries_are_named(stores: Stores, value: bytes) -> None:
    store = await job(stores, ADA, BEN)
    await stores.server.ask("HSET", stores.key("leads"), store._connection.hashed(ADA), value)
    with pytest.raises(StateStoreError, match=DAMAGED):
        await store.lookup([ADA, BEN])
    assert store._connection.outages == 0


async def test_damaged_lists_and_reasons_are_named(stores: Stores) -> None:
    store = await job(stores, ADA)
    for value in (b"\xff", b"one", b""):
        await stores.server.ask("DEL", stores.key("ended"))
        await stores.server.ask("RPUSH", stores.key("ended"), value)
        with pytest.raises(StateStoreError, match=DAMAGED):
            await store.results(0)
    await stores.server.ask("HSET", stores.key("job"), "stopped", b"\xff")
    with pytest.raises(StateStoreError, match=DAMAGED):
        await store.stopped()
    await stores.server.ask("HSET", stores.key("facts"), "source_hash", b"\xff")
    with pytest.raises(StateStoreError, match=DAMAGED):
        await store.note_source("a", "b")
    assert job_of(store)


@pytest.mark.parametrize("value", [b"9" * 30, b"9" * 5000, b"-1" + b"0" * 18, b"\xff", b"x"])
async def test_times_of_a_run_that_make_no_sense_are_named(stores: Stores, value: bytes) -> None:
    store = await job(stores, ADA)
    await stores.server.ask("HSET", stores.key("progress"), "begun", value)
    with pytest.raises(StateStoreError, match=DAMAGED):
        await store.progress()


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 100_000,
        b"[[]]",
        b'[["rejected", {}, null, null, []]]',
        b'[["rejected", null, null, null, [[1]]]]',
        b'[["who", null, null, null, []]]',
        b"7",
    ],
    ids=lambda value: value[:40],
)
async def test_failures_that_make_no_sense_are_named(stores: Stores, value: bytes) -> None:
    store = await job(stores, ADA)
    await stores.server.ask("HSET", stores.key("failures"), "0", value)
    with pytest.raises(StateStoreError, match=DAMAGED):
        [each async for each in store.failures()]


async def test_names_that_make_no_sense_are_named(stores: Stores) -> None:
    store = await job(stores, ADA)
    await stores.server.ask("SADD", store._names, b"\xff")
    with pytest.raises(StateStoreError, match=DAMAGED):
        await store.names()


@pytest.mark.parametrize("error", [MemoryError(), KeyError("a"), [1], [], ["?", None, 0]], ids=repr)
async def test_every_change_gets_a_result(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    store = await job(stores, ADA, BEN)

    async def run(*_: Any, **__: Any) -> Any:
        if isinstance(error, BaseException):
            raise error
        return error

    monkeypatch.setattr(store._keys, "run", run)
    changes = [store.begin([ADA]), store.complete([(ADA, OK)]), store.begin([BEN])]
    async with asyncio.timeout(10):
        results = await asyncio.gather(*changes, return_exceptions=True)
    assert all(isinstance(result, bool | StateStoreError) for result in results)
    monkeypatch.undo()


@pytest.mark.parametrize("retryable", [True, False])
async def test_a_failed_change_states_if_it_may_be_repeated(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, retryable: bool
) -> None:
    store = await job(stores, ADA)

    async def run(*_: Any, **__: Any) -> Any:
        raise StateStoreError("away", retryable=retryable)

    monkeypatch.setattr(store._keys, "run", run)
    for change in (store.begin([ADA]), store.complete([(ADA, OK)])):
        with pytest.raises(StateStoreError, match="away") as caught:
            await change
        assert caught.value.retryable is retryable
    monkeypatch.undo()


async def test_fewer_entries_than_requested_are_damage(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await job(stores, ADA, BEN)

    async def run(*_: Any, **__: Any) -> Any:
        return b"[null]"

    monkeypatch.setattr(store._keys, "run", run)
    with pytest.raises(StateStoreError, match=DAMAGED):
        await store.lookup([ADA, BEN])
    monkeypatch.undo()


async def test_a_server_that_is_no_redis_does_not_respond() -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    async with server:
        connection = Connection(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", "the-key")
        with pytest.raises(Unavailable):
            await connection.command("GET", "a")
        await connection.aclose()
