"""Rows of a database, by keyset pages: no cursor stays open, however long the rows take to be worked on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from attrs import frozen

from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.rows import Row, without_reserved
from publitrac_async.bulk.sources.values import plain


class Cursor(Protocol):
    """What is used of a DB-API 2.0 cursor."""

    @property
    def description(self) -> Any:
        """The columns, by name first."""

    def execute(self, operation: str, parameters: Any, /) -> Any:
        """Run a query."""

    def fetchall(self) -> Sequence[Any]:
        """Return all rows."""
        ...

    def close(self) -> Any:
        """Free it."""


class Connection(Protocol):
    """What is used of a DB-API 2.0 connection."""

    def cursor(self) -> Cursor:
        """Return a cursor."""
        ...

    def close(self) -> Any:
        """Close it."""


@frozen
class SqlRows:
    """An async iterable of rows; see `read_sql`."""

    connect: Callable[[], Connection]
    query: str
    key: str
    start: Any
    page_size: int

    async def __aiter__(self) -> AsyncIterator[Row]:
        loop = asyncio.get_running_loop()
        # One thread: drivers such as sqlite3 want a connection used where it was made.
        with ThreadPoolExecutor(1, thread_name_prefix="publitrac-sql") as thread:
            connection = await loop.run_in_executor(thread, self.connect)
            try:
                after, number = self.start, 0
                while True:
                    columns, rows = await loop.run_in_executor(thread, self._page, connection, after)
                    if rows and self.key not in columns:
                        raise SourceError(f"the query selects no column {self.key}")
                    for cells in rows:
                        number += 1
                        yield Row(number, without_reserved(zip(columns, map(plain, cells), strict=True)))
                    if len(rows) < self.page_size:
                        return
                    last = rows[-1][columns.index(self.key)]
                    if last == after:
                        raise SourceError(
                            f"{self.key} does not grow from page to page: is it unique, and ordered by?"
                        )
                    after = last
            finally:
                await asyncio.shield(loop.run_in_executor(thread, connection.close))

    def _page(self, connection: Connection, after: Any) -> tuple[list[str], Sequence[Any]]:
        cursor = connection.cursor()
        try:
            cursor.execute(self.query, {"after": after, "limit": self.page_size})
            return [column[0] for column in cursor.description], cursor.fetchall()
        finally:
            cursor.close()


def read_sql(
    connect: Callable[[], Connection], query: str, *, key: str, start: Any = 0, page_size: int = 1000
) -> SqlRows:
    """The rows of a query, read page after page in a thread of their own.

    ::

        read_sql(
            lambda: sqlite3.connect("crm.sqlite"),
            "SELECT id AS customer_id, email, first_name FROM customers"
            " WHERE id > :after ORDER BY id LIMIT :limit",
            key="customer_id",
        )

    Args:
        connect: opens a DB-API 2.0 connection (sqlite3, psycopg, oracledb, ...).
        query: selects rows behind the key ``after`` in the order of the key, at most ``limit`` of them. Both
            are named parameters, spelled as the driver wants them: ``:after`` or ``%(after)s``.
        key: the column that the rows are ordered by, as the query names it. It has to be unique.
        start: what ``after`` is for the first page: less than any key.
        page_size: rows read at once.

    Raises:
        SourceError: `page_size` is below 1.
    """
    if page_size < 1:
        raise SourceError("page_size must be at least 1")
    return SqlRows(connect, query, key, start, page_size)
