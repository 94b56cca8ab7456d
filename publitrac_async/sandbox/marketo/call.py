"""Call of an operation of Marketo."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

from attrs import frozen

from publitrac_async.sandbox.marketo.account import MarketoAccount
from publitrac_async.sandbox.marketo.envelope import CallRefusedError
from publitrac_async.sandbox.marketo.leads import Lead
from publitrac_async.sandbox.message import Request, Response

MOST_RECORDS = 300


@frozen
class MarketoCall:
    """A request with a valid token.

    Attributes:
        account: account of the call.
        request: the request.
        query: its parameters; the last value of a repeated one.
        path: the values of the path's placeholders.
        pairs: all parameters, in order.
    """

    account: MarketoAccount
    request: Request
    query: Mapping[str, str]
    path: Mapping[str, str]
    pairs: tuple[tuple[str, str], ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the JSON object in the body.

        Raises:
            CallRefusedError: the content type is not JSON (612), or the body is not an object (609).
        """
        content_type = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json":
            raise CallRefusedError("612", "Invalid Content Type")
        try:
            document = json.loads(self.request.body)
        except (ValueError, RecursionError):
            raise CallRefusedError("609", "Invalid JSON") from None
        if not isinstance(document, dict):
            raise CallRefusedError("609", "Invalid JSON")
        return document

    def records(self, document: Mapping[str, Any], *, known: frozenset[str]) -> list[Any]:
        """Return the records of a document, and refuse members that the operation does not have.

        Raises:
            CallRefusedError: there are no records or too many, or a member is unknown.
        """
        unknown = set(document) - known - {"input"}
        if unknown:
            raise CallRefusedError("1003", f"Invalid data: '{min(unknown)}' is not a parameter")
        records = document.get("input")
        if not isinstance(records, list) or not records:
            raise CallRefusedError("1002", "Missing value for the required parameter 'input'")
        if len(records) > MOST_RECORDS:
            raise CallRefusedError("1003", f"Invalid data: more than {MOST_RECORDS} records")
        if not all(isinstance(record, dict) for record in records):
            raise CallRefusedError("609", "Invalid JSON")
        return records

    def number(self, name: str) -> int:
        """Return a number of the path.

        Raises:
            CallRefusedError: the text is not a number.
        """
        text = self.path[name]
        if not text.isdecimal():
            raise CallRefusedError("1001", f"Invalid value '{text}'. Required of type 'Long'")
        return int(text)

    def lead(self, name: str = "leadId") -> Lead:
        """Return the lead that the path names.

        Raises:
            CallRefusedError: the lead does not exist (1004).
        """
        lead = self.account.leads.get(self.number(name))
        if lead is None:
            raise CallRefusedError("1004", f"Lead '{self.path[name]}' not found")
        return lead

    def values(self, name: str) -> list[str]:
        """Return all values of a parameter."""
        return [value for given, value in self.pairs if given == name]

    def ids(self) -> list[int]:
        """Return the leads that the call names: `id` parameters (repeated, or with commas), or records.

        Raises:
            CallRefusedError: there are no ids or too many, or one is not a number.
        """
        named: list[Any] = [text for value in self.values("id") for text in value.split(",")]
        if not named:
            named = [record.get("id") for record in self.records(self.document(), known=frozenset())]
        if len(named) > MOST_RECORDS:
            raise CallRefusedError("1003", f"Invalid data: more than {MOST_RECORDS} ids")
        for each in named:
            if isinstance(each, bool) or not str(each).isdecimal():
                raise CallRefusedError("1001", f"Invalid value '{each}'. Required of type 'Long'")
        return [int(each) for each in named]

    def refuse_repeated(self, known: Collection[str]) -> None:
        """Refuse a repeated parameter, unless Marketo's pages repeat it.

        The documents do not specify which value counts, so the call is refused. Unknown parameters are
        ignored.

        Raises:
            CallRefusedError: a parameter is repeated.
        """
        names = [name for name, _ in self.pairs]
        for name in names:
            if names.count(name) > 1 and name not in known:
                raise CallRefusedError("1003", f"Invalid data: '{name}' is given more than once")


Run: TypeAlias = Callable[[MarketoCall], Response]
