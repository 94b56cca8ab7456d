"""What the service and its workers have in common: the account, and the sources that they know by name.

All of them take PUBLITRAC_API_KEY, PUBLITRAC_REDIS_URL and CRM_DATABASE from the environment.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterable

from publitrac_async import PublitracClient
from publitrac_async.bulk import Row, read_sql
from publitrac_async.config import BULK_RETRY, BULK_TIMEOUT
from publitrac_async.redis import RedisLedger, shared

CUSTOMERS = """SELECT id AS crm_lead_id, email, first_name FROM customers
WHERE id > :after ORDER BY id LIMIT :limit"""


def redis_url() -> str:
    """Redis holds the limit, the token, the ledger and the queue."""
    return os.environ["PUBLITRAC_REDIS_URL"]


def client() -> PublitracClient:
    """A client that shares limit and token with all others of the account."""
    state = shared(redis_url(), account=os.environ["PUBLITRAC_API_KEY"])
    return PublitracClient.from_env(retry=BULK_RETRY, timeout=BULK_TIMEOUT, **state)


def ledger() -> RedisLedger:
    """What was sent, known to all hosts."""
    return RedisLedger(redis_url(), account=os.environ["PUBLITRAC_API_KEY"])


def customers() -> AsyncIterable[Row]:
    """The customers of the CRM. Each process reads its own rows only, found by their id."""
    return read_sql(lambda: sqlite3.connect(os.environ["CRM_DATABASE"]), CUSTOMERS, key="crm_lead_id")


SOURCES = {"crm": customers}
