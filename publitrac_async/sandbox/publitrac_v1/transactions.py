"""E-commerce transactions (PUBLITRAC API reference, E-Commerce Transactions).

Three parameters at a separate path; the documents give neither the path nor any response except `200 OK`.
Refusals follow the sample: every value is a text, and `token` and `email` are the same in the transaction and
in the parameters.
"""

from __future__ import annotations

import json
from typing import Any, Final

from attrs import evolve

from publitrac_async.sandbox.content import Content
from publitrac_async.sandbox.message import Call, Response
from publitrac_async.sandbox.publitrac.account import PublitracAccount
from publitrac_async.sandbox.publitrac_v1.parameters import Parameters, text
from publitrac_async.sandbox.settings import SandboxSettings

METHOD: Final = "transaction"
"""Name of the method in the journal; the vendor has none."""


def read(verb: str, sent: Parameters, account: PublitracAccount, settings: SandboxSettings) -> Call:
    """Read a call."""
    return Call(
        method=METHOD,
        key=text(sent, "email") or None,
        payload=sent.get("transaction", b""),
        content=_content(sent),
        respond=lambda: _respond(verb, sent, account, settings),
    )


def _respond(verb: str, sent: Parameters, account: PublitracAccount, settings: SandboxSettings) -> Response:
    if verb != "POST":
        return evolve(_refusal(405, "Use POST."), headers=(("allow", "POST"),))
    if text(sent, "token") != settings.account_token:
        return _refusal(401, "The account token is wrong.")
    document = _json(sent.get("transaction", b""))
    if document is None:
        return _refusal(400, "The transaction is not a JSON object of texts and items with an id.")
    if (document.get("token"), document.get("email")) != (settings.account_token, text(sent, "email")):
        return _refusal(400, "Token and email of the transaction differ from the parameters.")
    account.queue.process_due()
    leads = account.leads.by_email(text(sent, "email"))
    if not leads:
        return _refusal(404, "The lead does not exist.")
    account.transactions.put(leads[0].id, document)
    account.leads.touch(leads[0].id)
    return Response(b"", content_type=None, applied=True)


def _content(sent: Parameters) -> Content:
    """Return the transaction without the account token."""
    document = _json(sent.get("transaction", b"")) or {}
    shown = {name: value for name, value in document.items() if name != "token"}
    return Content(json.dumps(shown).encode(), {"email": text(sent, "email")})


def _refusal(status: int, reason: str) -> Response:
    return Response(f"{reason}\n".encode(), status)


def _json(content: bytes) -> dict[str, Any] | None:
    """Return the transaction, or None if it does not have the form of the sample."""
    try:
        document = json.loads(content.decode())
        json.dumps(document, ensure_ascii=False).encode()  # a lone surrogate is not text
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    items = document.get("items", [])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return None
    values = [value for name, value in document.items() if name != "items"]
    values += [value for item in items for value in item.values()]
    return document if document.get("id") and all(isinstance(value, str) for value in values) else None
