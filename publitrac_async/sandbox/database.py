"""The SQLite database with the records of the emulated vendors."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

_APPLICATION_ID: Final = 0x50554253
"""Id of a file of the sandbox, which distinguishes it from other databases."""
_LAYOUT: Final = 1


class Database:
    """One connection, shared by threads under a lock."""

    def __init__(self, path: str) -> None:
        """Open or create a database.

        Args:
            path: a file, or `:memory:`.

        Raises:
            ValueError: the file is not a sandbox database.
        """
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.lock: threading.RLock = threading.RLock()
        """Held while records change; hold it for a consistent view."""
        self._depth = 0
        try:
            self._check()
            for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
                self._connection.execute(f"PRAGMA {pragma}")
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise ValueError("the database file is not an SQLite database; choose another file") from error
        except ValueError:
            self._connection.close()
            raise

    def _check(self) -> None:
        application_id, layout, tables = (
            self._connection.execute(question).fetchone()[0]
            for question in (
                "PRAGMA application_id",
                "PRAGMA user_version",
                "SELECT count(*) FROM sqlite_master",
            )
        )
        if tables == 0:
            self._connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version = {_LAYOUT}")
        elif (application_id, layout) != (_APPLICATION_ID, _LAYOUT):
            raise ValueError(
                "the database file was not made by this version of the sandbox; choose another file"
            )

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, for functions that `execute` lacks."""
        return self._connection

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Execute one statement."""
        with self.lock:
            return self._connection.execute(statement, parameters)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Apply everything inside, or nothing; transactions nest."""
        with self.lock, self._level():
            yield

    @contextmanager
    def _level(self) -> Iterator[None]:
        name = f"level_{self._depth}"
        begin, end, undo = (
            (f"SAVEPOINT {name}", f"RELEASE {name}", [f"ROLLBACK TO {name}", f"RELEASE {name}"])
            if self._depth
            else ("BEGIN IMMEDIATE", "COMMIT", ["ROLLBACK"])
        )
        self._connection.execute(begin)
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            for statement in undo:
                self._connection.execute(statement)
            raise
        self._depth -= 1
        self._connection.execute(end)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
