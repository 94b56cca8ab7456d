"""The SQLite file below ledger and spool: durable, for one process, and off the event loop."""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from publitrac_async.bulk.errors import LedgerError

T = TypeVar("T")

#: A statement and its parameters, once or many times.
Statement: TypeAlias = tuple[str, Iterable[Sequence[Any]]]
#: Makes what was posted to it since the last commit into statements. One statement for many posts is best:
#: SQLite lets go of Python's lock at each, and has to wait for it again.
Writer: TypeAlias = Callable[[list[Any]], Iterable[Statement]]

#: Marks the file as a ledger ("PTrL"), and tells its layout.
_APPLICATION: Final = 0x5054724C
_LAYOUT: Final = 1
_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_IN_USE: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class Database:
    """One connection, used by one thread.

    Every write is on the disk before it returns. Writes that come while one is under way are committed
    together, so that many workers cost few waits for the disk.

    A private temporary database named ``spool`` is attached. SQLite deletes its file on opening it, so it
    vanishes with the process.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="publitrac-ledger")
        self._connection: sqlite3.Connection | None = None
        self._waiting: dict[Writer, list[Any]] = {}
        self._futures: list[asyncio.Future[Any]] = []
        self._committer: asyncio.Task[None] | None = None

    async def open(self, layout: str) -> None:
        """Open the file, or create it.

        Args:
            layout: the statements that create the tables.

        Raises:
            LedgerError: another process has it, it is damaged, or no ledger.
        """
        await self._run(lambda: self._open(layout))

    async def read(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return await self._run(lambda: self._connected.execute(query, parameters).fetchall())

    async def write(self, *statements: Statement) -> None:
        """Commit statements in one transaction.

        If the caller is cancelled while it waits, they are committed all the same.

        Raises:
            LedgerError: the disk is full or failing; nothing was written.
        """
        await self.post(_as_they_are, statements)

    def post(self, writer: Writer, item: Any) -> asyncio.Future[Any]:
        """Have something committed, together with all else that waits.

        Args:
            writer: is given all items that were posted to it since the last commit.
            item: for it.

        Returns:
            Done, with ``True``, when it is committed. Nobody needs to wait for it.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(writer, []).append(item)
        self._futures.append(future)
        if self._committer is None:
            self._committer = asyncio.create_task(self._commit_waiting())
        return future

    async def aclose(self) -> None:
        """Commit what waits and close the file."""
        while self._committer is not None:
            await asyncio.shield(self._committer)
        try:
            if self._connection is not None:
                await self._run(self._connection.close)
        finally:
            self._connection = None
            self._thread.shutdown(wait=False)

    @property
    def _connected(self) -> sqlite3.Connection:
        assert self._connection is not None
        return self._connection

    async def _run(self, work: Callable[[], T]) -> T:
        failure: LedgerError
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            failure = self._explain(error)
        raise failure

    async def _commit_waiting(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, {}
                futures, self._futures = self._futures, []
                failure: BaseException | None = None
                try:
                    await self._run(functools.partial(self._commit, waiting))
                except BaseException as error:
                    failure = error
                    if not isinstance(error, LedgerError):
                        raise
                finally:
                    for future in futures:
                        _resolve(future, failure)
        finally:
            self._committer = None

    def _commit(self, waiting: Mapping[Writer, list[Any]]) -> None:
        connection = self._connected
        statements = [statement for writer, items in waiting.items() for statement in writer(items)]
        connection.execute("BEGIN IMMEDIATE")
        try:
            for sql, parameters in statements:
                connection.executemany(sql, parameters)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _open(self, layout: str) -> None:
        if self._path is not None and not self._path.exists():
            # Ledgers hold addresses: they are for nobody else to read.
            try:
                os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))
            except OSError as error:
                raise LedgerError(f"the ledger cannot be created: {error.strerror}") from None
        self._connection = connection = sqlite3.connect(
            self._path or "", timeout=0, isolation_level=None, check_same_thread=False
        )
        # Held until the connection is closed, or the process is killed.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
        self._check(connection)
        connection.execute("ATTACH '' AS spool")
        connection.execute("PRAGMA spool.cache_size = -8192")
        marks = f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {_LAYOUT}"
        connection.executescript(f"BEGIN; {layout}; {marks}; COMMIT")

    def _check(self, connection: sqlite3.Connection) -> None:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        if tables and application != _APPLICATION:
            raise LedgerError("the file is a database, but no ledger: name another one")
        layout = connection.execute("PRAGMA user_version").fetchone()[0]
        if layout > _LAYOUT:
            raise LedgerError("the ledger was written by a newer version of publitrac_async")
        if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("malformed")

    def _explain(self, error: sqlite3.Error) -> LedgerError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _IN_USE:
            return LedgerError("another process is using the ledger: wait until its run ends")
        if code in _FULL:
            return LedgerError("the ledger cannot be written: the disk is full or failing", retryable=True)
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return LedgerError("the ledger cannot be opened for writing: check its folder and permissions")
        return LedgerError(
            f"the ledger is damaged ({type(error).__name__}): move it away; then every row is sent again"
        )


def _as_they_are(items: list[Sequence[Statement]]) -> Iterable[Statement]:
    return itertools.chain.from_iterable(items)


def _resolve(future: asyncio.Future[Any], failure: BaseException | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(True)
    else:
        future.set_exception(
            failure if isinstance(failure, LedgerError) else LedgerError("the run was ended")
        )
        future.exception()  # Whoever posted without waiting learns of it from the next write.
