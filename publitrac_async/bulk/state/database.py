"""A SQLite database: durable, for one process, and in a thread apart from the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import copy
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
#: Function that makes statements from the items posted since the last commit. One statement for many items is
#: best: at each statement SQLite releases Python's lock and has to acquire it again.
Writer: TypeAlias = Callable[[list[Any]], Iterable[Statement]]

#: Marks the file as a state store ("PTrL").
_APPLICATION: Final = 0x5054724C
#: Version of the tables.
_LAYOUT: Final = 3
_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_IN_USE: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class Database:
    """One connection, used by one thread.

    A write is on the disk when it returns. Writes that arrive during a commit are committed together by the
    next one, so many calls in flight cost few waits for the disk.

    Every failure is raised as a `StateStoreError` that names its kind. A caller that waits for a commit
    always gets a result or an error.

    Args:
        path: path of the file, created if missing. ``None``: a temporary file that does not outlive the
            process.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        #: Subject of error texts.
        self._subject = "the temporary file of the run" if path is None else "the state store"
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
            StateStoreError: the file is in use, damaged, or not a state store.
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
            await asyncio.wait([self._committer])
        try:
            # In the thread, where an `open` whose caller was cancelled may still be in progress.
            await self._run(self._close)
        except StateStoreError:  # All commits are on the disk already.
            self._close()
        finally:
            self._thread.shutdown(wait=False)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    @property
    def _connected(self) -> sqlite3.Connection:
        assert self._connection is not None
        return self._connection

    async def _run(self, work: Callable[[], T]) -> T:
        """Run `work` in the thread; raise `StateStoreError` for whatever it raises."""
        failure: StateStoreError
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, functools.partial(self._contain, work)
            )
        except StateStoreError as error:
            failure = error.with_traceback(None)
        except Exception as error:  # noqa: BLE001  (no thread is left, or the executor was shut down)
            failure = self._explain(error)
        # Raised outside `except`, so without the context: its statements hold personal data.
        del work
        raise failure

    def _contain(self, work: Callable[[], T]) -> T:
        failure: StateStoreError
        try:
            return work()
        except BaseException as error:  # noqa: BLE001  (a KeyboardInterrupt from here would end the event loop)
            failure = self._explain(error)
        del work
        raise failure

    async def _commit_waiting(self) -> None:
        futures: list[asyncio.Future[Any]] = []
        try:
            while self._waiting:
                commit = functools.partial(self._commit, self._waiting)
                self._waiting = {}
                futures, self._futures = self._futures, []
                failure: StateStoreError | None = None
                try:
                    await self._run(commit)
                except StateStoreError as error:
                    failure = error.with_traceback(None)
                for future in futures:
                    _resolve(future, failure)
        finally:
            self._committer = None
            # No future is left here, unless the event loop is closing.
            for future in (each for each in (*futures, *self._futures) if not each.done()):
                _resolve(future, StateStoreError(f"{self._subject} was closed before the commit"))
            self._waiting, self._futures = {}, []

    def _commit(self, waiting: Mapping[Writer, list[Any]]) -> None:
        connection = self._connected
        statements = [statement for writer, items in waiting.items() for statement in writer(items)]
        if connection.in_transaction:  # The last ROLLBACK failed.
            connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")
        try:
            for sql, parameters in statements:
                connection.executemany(sql, parameters)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                # The first error explains more than an error of ROLLBACK.
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise

    def _open(self, layout: str) -> None:
        if self._path is not None and not self._path.exists():
            # The file holds addresses: no other user may read it.
            try:
                os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))
            except OSError as error:
                raise StateStoreError(
                    f"the state store cannot be created ({error.strerror}): check its folder"
                ) from None
        self._connection = connection = sqlite3.connect(
            self._path or "", timeout=0, isolation_level=None, check_same_thread=False
        )
        # The lock lasts until the connection is closed or the process ends.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        if self._path is None:  # Deleted with the process, so it need not survive a crash.
            connection.execute("PRAGMA journal_mode = MEMORY")
            connection.execute("PRAGMA synchronous = OFF")
        else:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
        self._check(connection)
        if self._path is None:
            connection.execute("PRAGMA cache_size = -6144")
        marks = f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {_LAYOUT}"
        connection.executescript(f"BEGIN; {layout}; {marks}; COMMIT")

    def _check(self, connection: sqlite3.Connection) -> None:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        if tables and application != _APPLICATION:
            raise StateStoreError("the file is a database, but not a state store: name another file")
        layout = connection.execute("PRAGMA user_version").fetchone()[0]
        if tables and layout != _LAYOUT:
            raise StateStoreError(
                "the state store was written by another version of publitrac_async: name another file"
            )
        if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("malformed")

    def _explain(self, error: BaseException) -> StateStoreError:
        if isinstance(error, StateStoreError):
            return error.with_traceback(None)
        kind, subject = type(error).__name__, self._subject
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _IN_USE:
            return StateStoreInUse("another process is using the state store: wait until its run ends")
        if code in _FULL:
            return StateStoreError(
                f"{subject} cannot be written: the disk is full or failing", retryable=True
            )
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return StateStoreError(
                f"{subject} cannot be opened for writing: check its folder and permissions"
            )
        if code == sqlite3.SQLITE_NOTADB:
            return StateStoreError(
                "the state store is not a SQLite database: name another file; if it was a state store once, "
                "move it away, and every row will be sent again"
            )
        # If the schema is damaged, sqlite3 fails to decode its own message.
        if isinstance(error, sqlite3.Error | UnicodeDecodeError):
            return damaged(kind)
        # For example MemoryError, KeyboardInterrupt, or a thread that cannot start.
        return StateStoreError(f"{subject} failed ({kind}): run it again", retryable=True)


def damaged(kind: str) -> StateStoreError:
    """Return the error for a file with invalid content.

    Args:
        kind: name of the exception that it caused.
    """
    return StateStoreError(
        f"the state store is damaged ({kind}): move it away, and every row will be sent again"
    )


def _statements(items: list[Sequence[Statement]]) -> Iterable[Statement]:
    return itertools.chain.from_iterable(items)


def _resolve(future: asyncio.Future[Any], failure: StateStoreError | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(True)
    else:
        # A copy for each caller: an exception collects the frames of all callers that raise it.
        future.set_exception(copy.copy(failure))
        future.exception()  # A caller that does not await this future gets the error from its next write.
