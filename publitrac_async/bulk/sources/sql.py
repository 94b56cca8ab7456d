"""Read rows of a database by keyset pagination, so that no cursor stays open during a long run."""

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
    """Part of a DB-API 2.0 cursor that `read_sql` uses."""

    @property
    def description(self) -> Any:
        """Descriptions of the columns, each beginning with the name."""

    def execute(self, operation: str, parameters: Any, /) -> Any:
        """Run a query."""

    def fetchall(self) -> Sequence[Any]:
        """Return all rows."""
        ...

    def close(self) -> Any:
        """Close the cursor."""


class Connection(Protocol):
    """Part of a DB-API 2.0 connection that `read_sql` uses."""

    def cursor(self) -> Cursor:
        """Return a cursor."""
        ...

    def close(self) -> Any:
        """Close the connection."""


@frozen
class SqlRows:
    """Async iterable of rows; see `read_sql`."""

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
        """Read rows from a position; see `Seekable.rows_from`.

        Args:
            position: `Row.position` of the first row: the key before it.
            line: `Row.line` of the first row: its number.
            count: maximum number of rows.

        Raises:
            SourceError: the key is unsuitable.
        """
        last = line + count - 1
        async with aclosing(self._rows(position, line, min(count, self.page_size))) as rows:
            async for row in rows:
                yield row
                if row.line == last:
                    return

    async def _rows(self, after: Any, number: int, page_size: int) -> AsyncGenerator[Row]:
        loop = asyncio.get_running_loop()
        # One thread: drivers such as sqlite3 allow a connection only in the thread that opened it.
        with ThreadPoolExecutor(1, thread_name_prefix="publitrac-sql") as thread:
            connection = await loop.run_in_executor(thread, self.connect)
            try:
                while True:
                    columns, rows = await loop.run_in_executor(
                        thread, self._page, connection, after, page_size
                    )
                    if rows and self.key not in columns:
                        raise SourceError(
                            f"the query does not select the column {self.key}: select it, or name another key"
                        )
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
                            f"{self.key} does not grow from page to page: it must be unique, and the query "
                            "must be ordered by it"
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
    """Return the key before a row if it is an integer; a text could be an e-mail address."""
    key = plain(key)
    return key if type(key) is int else None


def read_sql(
    connect: Callable[[], Connection], query: str, *, key: str, start: Any = 0, page_size: int = 1000
) -> SqlRows:
    """Return the rows of a query, read page by page in a separate thread.

    ::

        read_sql(
            lambda: sqlite3.connect("crm.sqlite"),
            "SELECT id AS customer_id, email, first_name FROM customers"
            " WHERE id > :after ORDER BY id LIMIT :limit",
            key="customer_id",
        )

    Args:
        connect: opens a DB-API 2.0 connection (sqlite3, psycopg, oracledb, ...).
        query: selects at most ``limit`` rows after the key ``after``, ordered by the key. Both are named
            parameters in the style of the driver: ``:after`` or ``%(after)s``.
        key: column to order by, as the query names it. It has to be unique. If it holds integers, each
            worker of a run on several hosts reads only its own rows. Other keys may be personal data, so
            they are not passed to workers: each of them also reads all rows before its own.
        start: value of ``after`` for the first page: less than any key.
        page_size: rows per page.

    Raises:
        SourceError: `page_size` is below 1.
    """
    if page_size < 1:
        raise SourceError("page_size must be at least 1")
    return SqlRows(connect, query, key, start, page_size)
