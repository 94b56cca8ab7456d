"""Rows of a database, by keyset pages: no cursor stays open, however long the rows take to be worked on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
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
        async with aclosing(self._rows(self.start, 1, self.page_size)) as rows:
            async for row in rows:
                yield row

    async def rows_from(self, position: int, line: int, count: int) -> AsyncIterator[Row]:
        """Read rows from a place in the result.

        Args:
            position: `Row.position` of the first: the key before it.
            line: `Row.line` of the first: its number.
            count: how many, unless there are less.

        Raises:
            SourceError: the key does not do.
        """
        last = line + count - 1
        async with aclosing(self._rows(position, line, min(count, self.page_size))) as rows:
            async for row in rows:
                yield row
                if row.line == last:
                    return

    async def _rows(self, after: Any, number: int, page_size: int) -> AsyncGenerator[Row]:
        loop = asyncio.get_running_loop()
        # One thread: drivers such as sqlite3 want a connection used where it was made.
        with ThreadPoolExecutor(1, thread_name_prefix="publitrac-sql") as thread:
            connection = await loop.run_in_executor(thread, self.connect)
            try:
                while True:
                    columns, rows = await loop.run_in_executor(
                        thread, self._page, connection, after, page_size
                    )
                    if rows and self.key not in columns:
                        raise SourceError(f"the query selects no column {self.key}")
                    before = after
                    for cells in rows:
                        fields = without_reserved(zip(columns, map(plain, cells), strict=True))
                        yield Row(number, fields, None, _position(before))
                        before = cells[columns.index(self.key)]
                        number += 1
                    if len(rows) < page_size:
                        return
                    if before == after:
                        raise SourceError(
                            f"{self.key} does not grow from page to page: is it unique, and ordered by?"
                        )
                    after = before
            finally:
                await asyncio.shield(loop.run_in_executor(thread, connection.close))

    def _page(self, connection: Connection, after: Any, limit: int) -> tuple[list[str], Sequence[Any]]:
        cursor = connection.cursor()
        try:
            cursor.execute(self.query, {"after": after, "limit": limit})
            return [column[0] for column in cursor.description], cursor.fetchall()
        finally:
            cursor.close()


def _position(key: Any) -> int | None:
    """The key before a row, if it is a whole number: a text could be an e-mail address."""
    key = plain(key)
    return key if type(key) is int else None


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
        key: the column that the rows are ordered by, as the query names it. It has to be unique. Several
            processes can share a run by it if it holds whole numbers; other keys are kept to this process,
            since they may be personal data, and each of the others reads all rows before its own.
        start: what ``after`` is for the first page: less than any key.
        page_size: rows read at once.

    Raises:
        SourceError: `page_size` is below 1.
    """
    if page_size < 1:
        raise SourceError("page_size must be at least 1")
    return SqlRows(connect, query, key, start, page_size)
