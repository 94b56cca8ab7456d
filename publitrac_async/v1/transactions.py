"""E-commerce transactions: not a method of the API, but a form with JSON at a separate address."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

import attrs
import orjson

from publitrac_async.checks import email_problem, refuse
from publitrac_async.converters import decimal_text
from publitrac_async.errors import AuthenticationError, ConfigurationError, Problem, UnexpectedContent
from publitrac_async.models import UNSET
from publitrac_async.transport.auth import Authorization, StaticCredentials
from publitrac_async.transport.base import check_base_url
from publitrac_async.transport.classify import error_for_status, is_html
from publitrac_async.transport.operation import Call, ServiceResponse
from publitrac_async.transport.secret import Secret, seal
from publitrac_async.transport.steps import Steps
from publitrac_async.transport.vendor_messages import concern_credentials, message_of_text
from publitrac_async.v1.building import mandatory, text_problem
from publitrac_async.v1.models import Amount, Transaction, TransactionItem
from publitrac_async.v1.operations import ADD_TRANSACTION
from publitrac_async.v1.responses import read_reply
from publitrac_async.v1.sending import V1Base

_ITEMS: Final = "items"
#: Bodies that only confirm the status.
_SUCCESS: Final = re.compile(
    r"""(?:HTTP(?:/[\d.]+)? )?(?:200 ?)?(?:ok|success(?:ful)?)?[.!]?|"""
    r"""\{\s*(?:"(?:status|result)"\s*:\s*"(?:ok|success)"\s*)?\}""",
    re.IGNORECASE,
)


class TransactionOperations(V1Base):
    """Purchases in a shop."""

    async def add_transaction(
        self, transaction: Transaction, *, url: str, token: str | Secret, email: str
    ) -> None:
        """Record a purchase ("E-Commerce Transactions").

        The call does not send the client's credentials. It shares the client's rate limit, and is not retried
        after a lost response.

        Args:
            transaction: the purchase. Numbers are sent as text.
            url: address of the form, ``https`` or on this machine. The documents do not give it: ask
                PUBLITRAC.
            token: "your account token", which the documents do not explain further.
            email: address of the lead.

        Raises:
            ConfigurationError: `url` or `token` is unusable.
        """
        secret = seal(token, "token")
        del token
        if isinstance(secret, ConfigurationError):
            raise secret
        await self._transport.send(call(transaction, url=url, token=secret, email=email))


def call(transaction: Transaction, *, url: str, token: Secret, email: str) -> Call[None]:
    """Build the call, with the account token in both documented places: form field and JSON.

    Raises:
        ConfigurationError: `url` is not https (http on this machine), or holds credentials or a query.
        ValidationError: an id, an address or a value is missing or cannot be sent.
    """
    address = check_base_url(url, allow_insecure_http=False, name="url")
    slash = "/" if url.strip().endswith("/") else ""
    content = _content(transaction)
    problems = mandatory({"id": content.get("id")})
    problems += [problem] if (problem := email_problem(email)) else []
    problems += [problem for name, text in _texts(content) if (problem := text_problem(name, text))]
    refuse(problems, ADD_TRANSACTION.name)
    identity = {"token": token.reveal(), "email": email}
    document = {"id": content.pop("id")} | identity | content
    return Call(
        operation=attrs.evolve(ADD_TRANSACTION, base_url=address, path=slash),
        authenticator=StaticCredentials(Authorization(parameters=(("token", token),), placement="body")),
        form=(("transaction", orjson.dumps(document).decode()), ("email", email)),
        parse=_accepted,
    )


def _content(transaction: Transaction) -> dict[str, Any]:
    content = _amounts(transaction)
    if transaction.items:
        content[_ITEMS] = [_amounts(item) for item in transaction.items]
    return content


def _amounts(record: Transaction | TransactionItem) -> dict[str, Any]:
    fields = attrs.asdict(record, recurse=False, filter=lambda a, v: a.name != _ITEMS and v is not UNSET)
    problems = []
    texts: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            texts[name] = _amount_text(value)
        except (ValueError, TypeError) as error:
            problems.append(Problem(str(error), field=name, value=value))
    refuse(problems, ADD_TRANSACTION.name)
    return texts


def _amount_text(value: Amount) -> str:
    """Return an amount as text, as in the documents' example."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            raise TypeError("must be text or a number, not bool")
        case int():
            return str(value)
        case float() | Decimal():
            return decimal_text(value)
        case _:
            raise TypeError(f"must be text or a number, not {type(value).__name__}")


def _texts(content: dict[str, Any]) -> list[tuple[str, str]]:
    records = [content, *content.get(_ITEMS, ())]
    return [(name, text) for record in records for name, text in record.items() if name != _ITEMS]


def _accepted(response: ServiceResponse) -> Steps[None]:
    """Read a response.

    The documents show only HTTP 200; a body is accepted only if it reports success in a known form.
    """
    failure = error_for_status(response)
    page = is_html(response)
    words = None if page else message_of_text(response.body)
    if failure is not None:
        failure.vendor_message = words
        raise failure
    if page:
        raise UnexpectedContent(
            "the response is a web page: check the url that you passed", maybe_applied=True
        )
    if response.body.lstrip().startswith(b"<"):
        yield from read_reply(response)
    elif concern_credentials(words) or "token" in (words or "").lower():
        raise AuthenticationError("the service refused the credentials", vendor_message=words)
    elif words is not None and not _SUCCESS.fullmatch(words):
        raise UnexpectedContent(
            "the response has content, but the documents show only HTTP 200",
            maybe_applied=True,
            vendor_message=words,
        )
