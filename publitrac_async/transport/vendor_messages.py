"""Extract the messages of a service: for users, and to determine the kind of an error."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Any, Final

import orjson

#: Length limit of `error.vendor_message`, in characters.
MAX_MESSAGE: Final = 1000
#: Characters of a text to read.
_MAX_READ: Final = 16 * MAX_MESSAGE
#: Limit on the problems that a message lists.
_MOST_LISTED: Final = 20
#: Largest body to read, in bytes; an error is short.
_MAX_JSON: Final = 64 * 1024

_NOT_PRINTABLE: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
#: Values quoted in a message: addresses, and text in parentheses or quotes.
_QUOTED: Final = re.compile(r"""\S+@\S+|\([^()]*\)|"[^"]*"|«[^«»]*»""")
_CREDENTIALS: Final = re.compile(
    r"\bapi[ _-]?key\b|\bpassword\b|\bcredentials?\b|\bauthenticat|\bunauthori[sz]ed\b|\bnot authori[sz]ed\b"
    r"|\buser[ _-]?name\b|\blog[ -]?in\b|\baccess (?:is )?denied\b|\bforbidden\b|\bpermission"
    r"|\baccount (?:is |has been |was )?(?:suspended|disabled|locked|inactive|expired|closed)\b"
    r"|\b(?:invalid|unknown|wrong|expired|missing) (?:access |api )?(?:key|user)\b"
    r"|\bmot de passe\b|\bidentifiants?\b|\bauthentifi|\bcl[ée] (?:d.)?api\b|\bnon autoris|\bacc[èe]s refus",
    re.IGNORECASE,
)
_TITLE: Final = re.compile(rb"<title[^>]{0,100}>([^<]{1,1000})", re.IGNORECASE)
_MARKUP: Final = re.compile(r"<[^<>]{0,500}>")
_MESSAGES: Final = ("message", "error", "error_description", "errors", "detail", "details", "title", "reason")


def shortened(*texts: str | None) -> str | None:
    """Join texts into one line without control characters; ``None`` if nothing is left."""
    lines = (_NOT_PRINTABLE.sub(" ", (text or "")[:_MAX_READ]).strip() for text in texts)
    message = "; ".join(dict.fromkeys(filter(None, lines)))
    return f"{message[: MAX_MESSAGE - 1]}…" if len(message) > MAX_MESSAGE else message or None


def joined(texts: Iterable[str], separator: str = "; ") -> str:
    """Join the descriptions of problems, each once. Of those beyond the limit, only the number is given."""
    distinct = list(dict.fromkeys(texts))
    more = len(distinct) - _MOST_LISTED
    return separator.join(distinct[:_MOST_LISTED] + ([f"{more} more"] if more > 0 else []))


def concern_credentials(message: str | None) -> bool:
    """Return True if a message is about a key, a user or a password rather than about a value.

    Quoted text is ignored: an address may contain "password", too.
    """
    return message is not None and _CREDENTIALS.search(_QUOTED.sub(" ", message)) is not None


def message_of_text(body: bytes) -> str | None:
    """Return the text of a plain body, or the messages in one of JSON."""
    if len(body) <= _MAX_JSON and body.lstrip().startswith((b"{", b"[", b'"')):
        try:
            return message_of_json(orjson.loads(body)) or shortened(body.decode("utf-8", "replace"))
        except orjson.JSONDecodeError:
            pass
    return shortened(body[:MAX_MESSAGE].decode("utf-8", "replace"))


def title_of(page: bytes) -> str | None:
    """Return the title of a web page; it may name a server that responded instead of the service."""
    match = _TITLE.search(page[: 16 * 1024])
    return None if match is None else shortened(html.unescape(match[1].decode("utf-8", "replace")))


def text_of_markup(body: bytes) -> str | None:
    """Return the text of a body with markup, such as PHP notices."""
    return shortened(html.unescape(_MARKUP.sub(" ", body[: 4 * MAX_MESSAGE].decode("utf-8", "replace"))))


def message_of_json(content: Any) -> str | None:
    """Join the messages of a JSON document that reports an error."""
    return shortened(*_messages(content, depth=4))


def _messages(content: Any, depth: int) -> list[str]:
    if isinstance(content, str):
        return [content]
    if depth and isinstance(content, list):
        return [text for part in content[:20] for text in _messages(part, depth - 1)]
    if depth and isinstance(content, dict):
        return [text for name in _MESSAGES if name in content for text in _messages(content[name], depth - 1)]
    return []
