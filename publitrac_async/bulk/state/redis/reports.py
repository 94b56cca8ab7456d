"""Reports of workers to the process that started a job."""

from __future__ import annotations

import base64
import json
import logging
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from publitrac_async.bulk.state.redis.keys import StateKeys, reading

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

logger: Final = logging.getLogger("publitrac_async.shared")

#: Seconds until Redis deletes a report.
_LIFE: Final = 7 * 24 * 3600


class RedisReports:
    """Reports of workers in Redis; see `WorkerReports`.

    Messages of the service may quote personal data: they are encrypted with a key that is derived from the
    account.

    Args:
        keys: keys of the state store.
        name: name of the state store.
    """

    def __init__(self, keys: StateKeys, name: str) -> None:
        self._keys = keys
        self._connection = keys.connection
        self._name = name

    async def add_source_error(self, job: str, worker: str, reason: str) -> None:
        """Record that a worker cannot open the source of a job."""
        await self._add("HSET", self._key("unable", job), worker, reason)

    async def source_errors(self, job: str) -> dict[str, str]:
        """Return the reasons why workers cannot open the source of a job, by worker."""
        key = self._key("unable", job)
        found = await self._keys.ask(lambda: self._connection.command("HGETALL", key))
        with reading():
            return {worker.decode(): reason.decode() for worker, reason in found.items()}

    async def add_messages(self, job: str, chunk: int, messages: Mapping[int, str]) -> None:
        """Record messages of the service, by number of the row."""
        text = json.dumps([job, chunk, list(messages.items())])
        sealed = self._cipher().encrypt(zlib.compress(text.encode()))
        await self._add("RPUSH", self._key("messages", job, str(chunk)), sealed)

    async def messages(self, job: str, chunk: int) -> dict[int, str]:
        """Return the messages of the service about rows of a chunk."""
        from cryptography.fernet import InvalidToken  # noqa: PLC0415  (of the extra for workers)

        key = self._key("messages", job, str(chunk))
        found = await self._keys.ask(lambda: self._connection.command("LRANGE", key, 0, -1))
        messages: dict[int, str] = {}
        for sealed in found:
            try:
                of_job, of_chunk, pairs = json.loads(zlib.decompress(self._cipher().decrypt(sealed)))
            except InvalidToken:
                logger.warning("messages of a worker were not encrypted for this account: ignored")
                continue
            if (of_job, of_chunk) == (job, chunk):
                messages.update(pairs)
        return messages

    def _key(self, *parts: str) -> str:
        return self._connection.key(f"state:{self._name}:{':'.join(parts)}")

    async def _add(self, command: str, key: str, *arguments: str | bytes) -> None:
        await self._keys.ask(lambda: self._connection.command(command, key, *arguments))
        await self._keys.ask(lambda: self._connection.command("EXPIRE", key, _LIFE))

    def _cipher(self) -> Fernet:
        from cryptography.fernet import Fernet  # noqa: PLC0415  (of the extra for workers)

        return Fernet(base64.urlsafe_b64encode(self._connection.cipher_key))
