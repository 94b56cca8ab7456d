"""The account and the named sources that the service and its workers share.

Set PUBLITRAC_API_KEY, PUBLITRAC_REDIS_URL and CRM_DATABASE in the environment.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterable

from publitrac_async import BULK_RETRY, BULK_TIMEOUT, PublitracClient
from publitrac_async.bulk import Row, read_sql
from publitrac_async.shared import SharedRedis

CUSTOMERS = """SELECT id AS crm_lead_id, email, first_name FROM customers
WHERE id > :after ORDER BY id LIMIT :limit"""


def shared_redis() -> SharedRedis:
    """Return the shared rate limit, token, state store and queue of the account, for all processes."""
    return SharedRedis(os.environ["PUBLITRAC_REDIS_URL"], account=os.environ["PUBLITRAC_API_KEY"])


def client(shared: SharedRedis) -> PublitracClient:
    """Return a client that shares rate limit and token."""
    return PublitracClient.from_env(retry=BULK_RETRY, timeout=BULK_TIMEOUT, shared=shared)


def customers() -> AsyncIterable[Row]:
    """Return the customers of the CRM. Each worker reads only its own rows, by id."""
    return read_sql(lambda: sqlite3.connect(os.environ["CRM_DATABASE"]), CUSTOMERS, key="crm_lead_id")


SOURCES = {"crm": customers}
