"""Token requests of many processes while their Redis fails, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from attrs import define, field

from publitrac_async import Secret
from publitrac_async.shared.redis import tokens
from publitrac_async.shared.redis.connection import RETRY_AFTER, Connection, Unavailable
from publitrac_async.shared.redis.tokens import RedisTokenStore
from publitrac_async.transport.auth import SlidingToken, Token
from tests.support.clock import now, virtual


@define
class Redis:
    """The keys of a server, and the scripts of the token store in Python."""

    up: bool = True
    keys: dict[str, tuple[bytes, float]] = field(factory=dict)

    def get(self, key: str) -> bytes | None:
        value, end = self.keys.get(key, (b"", 0.0))
        return value if now() < end else None

    def put(self, key: str, value: Any, milliseconds: int) -> None:
        self.keys[key] = (_bytes(value), now() + milliseconds / 1000)

    def run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        stored = self.get(keys[0])
        given = _bytes(arguments[0])
        if script is tokens._LOAD:
            rejected = stored is not None and stored.startswith(b"rejected ")
            if given and (stored is None or (rejected and stored != b"rejected " + given)):
                self.put(keys[0], given, arguments[1])
            return self.get(keys[0]), round((self.keys.get(keys[0], (b"", 0.0))[1] - now()) * 1000)
        if script is tokens._REJECT:
            if stored in (None, given):
                self.put(keys[0], b"rejected " + given, arguments[1])
        elif script is tokens._LOCK:
            if stored is None:
                self.put(keys[0], given, arguments[1])
            return self.get(keys[0]), self.get(keys[1]) or b""
        elif script is tokens._CONFIRM:
            token = self.get(keys[1])
            if token is not None and token != _bytes(arguments[2]) and not token.startswith(b"rejected "):
                return 0
            if stored is not None and stored.endswith(b" sent") and stored != given + b" sent":
                return 0
            self.put(keys[0], given + b" sent", arguments[1])
            return 1
        elif script is tokens._RELEASE and stored in (given, given + b" sent"):
            del self.keys[keys[0]]
        elif script is tokens._TOUCH and stored == given:
            self.put(keys[0], given, arguments[1])
        return None


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


class Host(Connection):
    """The connection of one process to `Redis`."""

    def __init__(self, redis: Redis) -> None:
        super().__init__("redis://localhost", "the-key", clock=now)
        self._redis = redis

    async def run(self, script: str, keys: Sequence[str], *arguments: Any, on_disk: bool = False) -> Any:
        return await self._attempt(lambda: self._ask(lambda: self._redis.run(script, keys, arguments)))

    async def command(self, command: str, key: str, *arguments: Any) -> Any:
        assert command == "SET"
        value, _, life = arguments
        return await self._attempt(lambda: self._ask(lambda: self._redis.put(key, value, life)))

    async def _ask(self, response: Callable[[], Any]) -> Any:
        await asyncio.sleep(random.uniform(0.001, 0.03))
        if not self._redis.up:
            raise ConnectionError
        found = response()
        await asyncio.sleep(random.uniform(0.001, 0.03))
        return found


@define
class Account:
    """An account: its token requests, and calls of its processes.

    Attributes:
        requests: times of the token requests.
        life: seconds that a token lives.
        permit: waits for the rate limiter.
        response: seconds for a response to a token request.
    """

    redis: Redis = field(factory=Redis)
    requests: list[float] = field(factory=list)
    life: float = 900.0
    response: float = 0.1
    permit: Callable[[], Awaitable[None]] | None = None
    valid: set[str] = field(factory=set)
    tasks: list[asyncio.Task[None]] = field(factory=list)

    def start(self, *, calls: float = 0.5) -> asyncio.Task[None]:
        """Start a process that uses the token every `calls` seconds; cancel the task to kill it."""
        store = RedisTokenStore(Host(self.redis), clock=now)

        async def request() -> Token:
            await (self.permit or self._limiter)()
            await token.confirm_request()
            self.requests.append(now())
            value = f"token-{len(self.requests)}"
            self.valid.add(value)
            await asyncio.sleep(self.response)
            return Token(value=Secret(value), ttl=self.life, expires_at=now() + self.life)

        token = SlidingToken(request, header="Token", store=store, clock=now)

        async def run() -> None:
            try:
                while True:
                    sent = now()
                    authorization = await token.authorize()
                    assert authorization.token is not None
                    if authorization.token.value.reveal() in self.valid:
                        await token.accepted(authorization, sent)
                    else:
                        await token.rejected(authorization)
                    await asyncio.sleep(random.uniform(0.5, 1.5) * calls)
            finally:
                await token.aclose()

        self.tasks.append(asyncio.create_task(run()))
        return self.tasks[-1]

    async def _limiter(self) -> None:
        """Wait as the limiter in Redis does: nothing leaves during an outage."""
        while not self.redis.up:
            await asyncio.sleep(random.uniform(0.5, 1.0) * RETRY_AFTER)
        await asyncio.sleep(random.uniform(0.0, 1.3))

    async def outage(self, seconds: float, *, lost: bool = True) -> None:
        self.redis.up = False
        await asyncio.sleep(seconds)
        if lost:
            self.redis.keys.clear()
        self.redis.up = True

    async def end(self) -> None:
        for task in self.tasks:
            assert not task.done() or task.cancelled()
            task.cancel()
        await asyncio.wait(self.tasks)


@virtual
async def test_redis_that_lost_the_token_gets_it_back_without_a_token_request() -> None:
    account = Account(life=100.0)
    for _ in range(8):
        account.start(calls=2.0)
    for away in (0.0, 0.3, 3.0, 20.0):
        await asyncio.sleep(10)
        await account.outage(away)
    await asyncio.sleep(200)
    await account.end()
    assert len(account.requests) == 1


@pytest.mark.parametrize("away", [0.5, 4.0, 25.0])
def test_the_end_of_an_outage_brings_one_token_request_for_all_processes(away: float) -> None:
    @virtual
    async def test() -> None:
        account = Account()
        account.redis.up = False
        for _ in range(16):
            account.start()
        await account.outage(away)
        await asyncio.sleep(60)
        await account.end()
        assert len(account.requests) == 1

    test()


@virtual
async def test_processes_that_are_killed_and_started_in_an_outage_cause_one_token_request_at_most() -> None:
    account = Account()
    running = [account.start() for _ in range(8)]
    for _ in range(5):
        await asyncio.sleep(10)
        away = asyncio.create_task(account.outage(random.uniform(0.5, 8.0)))
        for victim in running[:4]:
            victim.cancel()
        running = [*running[4:], *(account.start() for _ in range(4))]
        await away
    await asyncio.sleep(10)
    await account.end()
    assert len(account.requests) <= 1 + 5


@virtual
async def test_a_token_request_longer_than_its_lock_in_the_queue_is_not_repeated_by_others() -> None:
    async def queue() -> None:
        await asyncio.sleep(random.uniform(25, 35))

    account = Account(permit=queue)
    for _ in range(8):
        account.start()
    await asyncio.sleep(80)
    await account.end()
    assert len(account.requests) == 1


@virtual
async def test_a_rejected_token_is_not_stored_again_by_a_process_that_still_knows_it() -> None:
    account = Account()
    for _ in range(8):
        account.start()
    await asyncio.sleep(10)
    account.valid.clear()
    await asyncio.sleep(10)
    assert len(account.requests) == 2
    account.valid.clear()
    await account.outage(0.0)
    await asyncio.sleep(10)
    await account.end()
    assert len(account.requests) == 3


@virtual
async def test_without_redis_and_with_a_local_limit_each_process_requests_a_token_and_one_remains() -> None:
    async def at_once() -> None:
        await asyncio.sleep(0.1)

    account = Account(permit=at_once, life=50.0)
    account.redis.up = False
    for _ in range(4):
        account.start()
    await account.outage(10.0)
    await asyncio.sleep(5)
    assert len(account.requests) == 4
    (stored,) = [key for key in account.redis.keys if key.endswith(":token")]
    assert account.redis.get(stored) is not None
    await asyncio.sleep(150)
    await account.end()
    assert len(account.requests) == 4


@virtual
async def test_the_lease_says_that_redis_is_gone() -> None:
    store = RedisTokenStore(Host(Redis(up=False)), clock=now)
    async with store.lock() as lease:
        assert await lease.confirm()
    with pytest.raises(Unavailable):
        await store._connection.run(tokens._LOCK, ("a", "b"), "c", 1)
