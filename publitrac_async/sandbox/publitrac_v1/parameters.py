"""Parameters of a v1 call: query string and form body, treated as one set.

The documents name the parameters, but not their place in a POST, so both places count; the body takes
precedence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from publitrac_async.sandbox.content import Content
from publitrac_async.sandbox.message import Request
from publitrac_async.sandbox.settings.publitrac import CredentialsPlace

FORM: Final = "application/x-www-form-urlencoded"
CREDENTIALS: Final = frozenset({"apikey", "apiKey", "username", "password"})
"""Names whose values the journal must not contain; the documents spell the key in two ways."""

Parameters = Mapping[str, bytes]


def parameters(request: Request, place: CredentialsPlace = "either") -> dict[str, bytes]:
    """Return the parameters of a request, values percent-decoded.

    Args:
        request: the request.
        place: the place to read in a POST: the query string, the body, or either; the body wins. The
            parameters of other requests are in either place.
    """
    either = place == "either" or request.verb != "POST"
    found = dict(_pairs(request.query)) if either or place == "query" else {}
    form = request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM
    if form and (either or place == "body"):
        found.update(_pairs(request.body))
    return found


def content(parameters: Parameters) -> Content:
    """Return the content that the journal shows: XML and parameters, without credentials."""
    shown = {
        name: text(parameters, name)
        for name in parameters
        if name not in CREDENTIALS and name not in ("method", "query")
    }
    return Content(parameters.get("query", b""), shown)


def text(parameters: Parameters, *names: str) -> str:
    """Return the first parameter present, or an empty text. Bytes that are not UTF-8 are replaced."""
    value = next((parameters[name] for name in names if name in parameters), b"")
    return value.decode("utf-8", "replace")


def payload(parameters: Parameters) -> bytes:
    """Return the content that the journal hashes.

    This is the XML in `query`, or without one all parameters except method and credentials.
    """
    if "query" in parameters:
        return parameters["query"]
    return b"&".join(
        name.encode() + b"=" + value
        for name, value in sorted(parameters.items())
        if name not in CREDENTIALS and name != "method"
    )


def _pairs(encoded: bytes) -> list[tuple[str, bytes]]:
    pairs: list[tuple[str, bytes]] = []
    for part in encoded.split(b"&"):
        name, equals, value = part.partition(b"=")
        if equals:
            plain = unquote_to_bytes(value.replace(b"+", b" "))
            pairs.append((unquote_to_bytes(name.replace(b"+", b" ")).decode("utf-8", "replace"), plain))
    return pairs
