"""A database in SQLite: durable, for one process, and off the event loop."""

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

from publitrac_async.bulk.errors import StateStoreError, StateStoreInUse

T = TypeVar("T")

#: A statement and its parameters, for one or many executions.
Statement: TypeAlias = tuple[str, Iterable[Sequence[Any]]]
#: Makes statements of the items that were posted to it since the last commit. One statement for many items is
#: best: SQLite releases Python's lock at each statement, and has to acquire it again.
Writer: TypeAlias = Callable[[list[Any]], Iterable[Statement]]

#: Marks the file as a state store ("PTrL").
_APPLICATION: Final = 0x5054724C
#: Version of the tables.
_LAYOUT: Final = 2
_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_IN_USE: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class Database:
    """One connection, used by one thread.

    A write is on the disk when it returns. Writes are committed together while another commit is under way,
    so many calls in flight cost few waits for the disk.

    Args:
        path: path of the file, created if missing. ``None``: a temporary file that ends with the process.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="publitrac-sqlite")
        self._connection: sqlite3.Connection | None = None
        self._waiting: dict[Writer, list[Any]] = {}
        self._futures: list[asyncio.Future[Any]] = []
        self._committer: asyncio.Task[None] | None = None

    async def open(self, layout: str) -> None:
        """Open or create the file.

        Args:
            layout: statements that create the tables.

        Raises:
            StateStoreError: the file is in use, damaged, or no state store.
        """
        await self._run(lambda: self._open(layout))

    async def read(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return await self._run(lambda: self._connected.execute(query, parameters).fetchall())

    async def write(self, *statements: Statement) -> None:
        """Commit statements in one transaction, even if the caller is cancelled.

        Raises:
            StateStoreError: the disk is full or failing; nothing was written.
        """
        await self.post(_statements, statements)

    def post(self, writer: Writer, item: Any) -> asyncio.Future[Any]:
        """Queue an item for the next commit.

        Args:
            writer: makes statements of all items that are queued for it.
            item: argument for `writer`.

        Returns:
            A future, ``True`` after the commit. The commit does not depend on a caller that awaits it.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(writer, []).append(item)
        self._futures.append(future)
        if self._committer is None:
            self._committer = asyncio.create_task(self._commit_waiting())
        return future

    async def aclose(self) -> None:
        """Commit queued items and close the file."""
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
        failure: StateStoreError
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
                    if not isinstance(error, StateStoreError):
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
            # The file holds addresses: no other user may read it.
            try:
                os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))
            except OSError as error:
                raise StateStoreError(f"the state store cannot be created: {error.strerror}") from None
        self._connection = connection = sqlite3.connect(
            self._path or "", timeout=0, isolation_level=None, check_same_thread=False
        )
        # Locked until the connection is closed or the process ends.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
        self._check(connection)
        if self._path is None:
            connection.execute("PRAGMA cache_size = -8192")
        marks = f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {_LAYOUT}"
        connection.executescript(f"BEGIN; {layout}; {marks}; COMMIT")

    def _check(self, connection: sqlite3.Connection) -> None:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        if tables and application != _APPLICATION:
            raise StateStoreError("the file is a database, but no state store: name another one")
        layout = connection.execute("PRAGMA user_version").fetchone()[0]
        if tables and layout != _LAYOUT:
            raise StateStoreError("the state store was written by another version of publitrac_async")
        if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("malformed")

    def _explain(self, error: sqlite3.Error) -> StateStoreError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _IN_USE:
            return StateStoreInUse("another process is using the state store: wait until its run ends")
        if code in _FULL:
            return StateStoreError(
                "the state store cannot be written: the disk is full or failing", retryable=True
            )
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return StateStoreError(
                "the state store cannot be opened for writing: check its folder and permissions"
            )
        return StateStoreError(
            f"the state store is damaged ({type(error).__name__}): move it away; then every row is sent again"
        )


def _statements(items: list[Sequence[Statement]]) -> Iterable[Statement]:
    return itertools.chain.from_iterable(items)


def _resolve(future: asyncio.Future[Any], failure: BaseException | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(True)
    else:
        future.set_exception(
            failure if isinstance(failure, StateStoreError) else StateStoreError("the run was ended")
        )
        future.exception()  # A caller that does not await it gets the error from its next write.
