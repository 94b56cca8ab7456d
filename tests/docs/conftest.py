from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from publitrac_async.sandbox import Sandbox

#: Contents of the account when a page begins.
ACCOUNT = {
    "leads": [
        {"email": "ada@example.com", "firstName": "Ada", "lastName": "Lovelace", "crmLeadId": "A-1"},
        {"email": "grace@example.com", "firstName": "Grace", "lastName": "Hopper", "crmLeadId": "A-2"},
        {"email": "john@example.com", "firstName": "John", "lastName": "Smith", "crmLeadId": "A-3"},
        {"token": "_nl-example.com-1282527313351-84730", "isAnonymous": "1"},
    ],
    "lists": [{"name": "Newsletter", "leads": ["ada@example.com"]}],
    "views": [
        {"name": "Smiths", "queries": [{"field": "lastName", "operator": "like", "value": "Smith%"}]},
    ],
    "campaigns": ["Welcome"],
    "forms": ["Registration Form"],
}
#: Contents of the Marketo instance when a page begins.
MARKETO = {
    "leads": [
        {"email": "ada@example.com", "firstName": "Ada", "lastName": "Lovelace"},
        {"email": "grace@example.com", "firstName": "Grace", "lastName": "Hopper"},
        {"email": "john@example.com", "firstName": "John", "lastName": "Smith"},
    ],
    "lists": [{"id": 1001, "name": "Newsletter", "leads": [1, 2]}],
    "programs": [{"id": 1044, "name": "Webinar", "leads": [1]}],
    "campaigns": [{"id": 3746, "name": "Welcome", "leads": [1]}],
    "forms": [{"id": 1029, "fields": ["email", "firstName", "lastName"]}],
    "partitions": ["Europe"],
}


@pytest.fixture(autouse=True)
def logger() -> Iterator[None]:
    """Reset the package's logger after a page has configured it."""
    package = logging.getLogger("publitrac_async")
    handlers, level = package.handlers[:], package.level
    yield
    package.handlers[:] = handlers
    package.setLevel(level)


@pytest.fixture
async def sandbox(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    async with Sandbox(processing_delay=0) as sandbox:
        sandbox.seed(**ACCOUNT)
        sandbox.marketo.seed(MARKETO)
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        yield sandbox
