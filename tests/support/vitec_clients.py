"""Clients of Vitec for tests."""

from __future__ import annotations

from typing import Any

from publitrac_async import Timeout
from publitrac_async.vitec import VitecClient
from tests.support.clients import EAGER

CUSTOMER = "M30011"
PASSWORDS = {"M30011": "password-of-M30011", "M30012": "password-of-M30012"}


def client(url: str, **options: Any) -> VitecClient:
    settings: dict[str, Any] = {
        "username": "marketplace",
        "password": PASSWORDS,
        "base_url": url,
        "rate_limit": None,
        "retry": EAGER,
        "timeout": Timeout(total=20, connect=5, read=5),
    }
    return VitecClient(**settings | options)
