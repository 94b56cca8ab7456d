from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from publitrac_async.sandbox import Sandbox

#: What the account of the pages holds when a page begins.
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
#: What the Marketo instance of the pages holds.
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
    """Pages set the package's logger up; the next test finds it as it was."""
    package = logging.getLogger("publitrac_async")
    handlers, level = package.handlers[:], package.level
    yield
    package.handlers[:] = handlers
    package.setLevel(level)


@pytest.fixture
async def sandbox(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    async with Sandbox(processing_delay=0) as sandbox:
        sandbox.seed(**ACCOUNT)
        monkeypatch.setenv("PUBLITRAC_BASE_URL", sandbox.base_url)
        monkeypatch.setenv("PUBLITRAC_API_KEY", sandbox.api_key)
        monkeypatch.setenv("PUBLITRAC_USERNAME", sandbox.username)
        monkeypatch.setenv("PUBLITRAC_PASSWORD", sandbox.password)
        monkeypatch.setenv("VITEC_BASE_URL", sandbox.base_url)
        monkeypatch.setenv("VITEC_USERNAME", sandbox.settings.vitec_username)
        for customer, groups in sandbox.settings.vitec_passwords.items():
            monkeypatch.setenv(f"VITEC_PASSWORD_{customer}", groups["PublicAdvertising"])
        sandbox.marketo.seed(MARKETO)
        monkeypatch.setenv("MARKETO_BASE_URL", f"{sandbox.base_url}/rest")
        monkeypatch.setenv("MARKETO_CLIENT_ID", sandbox.settings.marketo_client_id)
        monkeypatch.setenv("MARKETO_CLIENT_SECRET", sandbox.settings.marketo_client_secret)
        yield sandbox
