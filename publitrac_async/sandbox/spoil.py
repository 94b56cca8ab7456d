"""How a fault changes an answer. Pure functions: answer in, answer out."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping
from typing import Final

from attrs import evolve

from .faults import Fault
from .message import HTML, TEXT, Answer

_WITHOUT_BODY: Final = frozenset({204, 205, 304})
_MAINTENANCE: Final = (
    "<!DOCTYPE html>\n<html><head><title>Maintenance</title></head>"
    "<body><h1>We will be back soon</h1><p>The site is down for maintenance.</body></html>\n"
)
_LAST_TWO_CLOSING_TAGS: Final = re.compile(rb"(</[^>]+>)(\s*)(</[^>]+>)(\s*)\Z")


def replacement(fault: Fault) -> Answer | None:
    """Return the answer of a fault that needs no real one, None for the other kinds."""
    headers = fault.headers
    if fault.retry_after is not None:
        headers = (("retry-after", str(fault.retry_after)), *headers)
    if fault.kind == "status":
        body = "Injected by the sandbox.\n" if fault.body is None else fault.body
        status = fault.status or 503
        if status in _WITHOUT_BODY:
            return Answer(b"", status, None, headers)
        return Answer(body.encode(), status, fault.content_type or TEXT, headers)
    if fault.kind == "html":
        body = _MAINTENANCE if fault.body is None else fault.body
        return Answer(body.encode(), fault.status or 200, fault.content_type or HTML, headers)
    if fault.kind == "redirect":
        return Answer(b"", fault.status or 302, None, (("location", fault.location or ""), *headers))
    return None


def spoiled(answer: Answer, fault: Fault) -> Answer:
    """Return the real answer as one of the other kinds damages it."""
    if fault.kind == "empty":
        return evolve(answer, body=b"")
    if fault.kind == "malformed":
        damage = _misnested if fault.variant == "misnested" else _truncated
        return evolve(answer, body=damage(answer.body), status=200)
    if fault.kind == "encoding":
        return _ENCODINGS[fault.variant or "latin-1"](answer)
    headers = (*answer.headers, ("content-encoding", "gzip"))
    return evolve(answer, body=gzip.compress(answer.body, mtime=0), headers=headers)


def _truncated(body: bytes) -> bytes:
    return body[: len(body) * 2 // 3]


def _misnested(body: bytes) -> bytes:
    swapped = _LAST_TWO_CLOSING_TAGS.sub(rb"\3\2\1\4", body)
    return swapped if swapped != body else body.rstrip(b"}] \n") + b"]}"


def _declared_as(answer: Answer, charset: str) -> tuple[str, str | None]:
    """Return the text and the media type with both declarations changed to `charset`."""
    text = answer.body.decode()
    text = text.replace('encoding="UTF-8"', f'encoding="{charset}"', 1)
    media_type = (answer.content_type or "").partition(";")[0]
    return text, f"{media_type}; charset={charset}" if media_type else None


def _latin_1(answer: Answer) -> Answer:
    text, content_type = _declared_as(answer, "ISO-8859-1")
    return evolve(answer, body=text.encode("latin-1", "xmlcharrefreplace"), content_type=content_type)


def _latin_1_undeclared(answer: Answer) -> Answer:
    return evolve(answer, body=answer.body.decode().encode("latin-1", "xmlcharrefreplace"))


def _utf_16(answer: Answer) -> Answer:
    text, content_type = _declared_as(answer, "UTF-16")
    return evolve(answer, body=text.encode("utf-16"), content_type=content_type)


def _utf_8_bom(answer: Answer) -> Answer:
    return evolve(answer, body=b"\xef\xbb\xbf" + answer.body)


_ENCODINGS: Final[Mapping[str, Callable[[Answer], Answer]]] = {
    "latin-1": _latin_1,
    "latin-1-undeclared": _latin_1_undeclared,
    "utf-16": _utf_16,
    "utf-8-bom": _utf_8_bom,
}
