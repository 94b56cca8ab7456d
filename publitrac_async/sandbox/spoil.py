"""Changes of responses by faults, as pure functions."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from attrs import evolve

from publitrac_async.sandbox.faults import Fault
from publitrac_async.sandbox.message import HTML, TEXT, Response

_WITHOUT_BODY: Final = frozenset({204, 205, 304})
_MAINTENANCE: Final = (
    "<!DOCTYPE html>\n<html><head><title>Maintenance</title></head>"
    "<body><h1>We will be back soon</h1><p>The site is down for maintenance.</body></html>\n"
)
_NOTICE: Final = (
    b"<br />\n<b>Notice</b>:  Undefined index: page in <b>/var/www/html/api.php</b> on line <b>73</b><br />\n"
)
_TEXT: Final = re.compile(
    rb"<(?!email|status)(\w+)>[A-Za-z](?=[^<>@]*</\1>)"
    rb'|"(?!email|status|token|access_token|code|ttl)\w+": ?"[A-Za-z](?=[^"@]*")'
)
_LAST_TWO_CLOSING_TAGS: Final = re.compile(rb"(</[^>]+>)(\s*)(</[^>]+>)(\s*)\Z")


def replacement(fault: Fault) -> Response | None:
    """Return the response of a fault that needs no real one, None for the other kinds."""
    headers = fault.headers
    if fault.retry_after is not None:
        headers = (("retry-after", str(fault.retry_after)), *headers)
    if fault.kind == "status":
        body = "Injected by the sandbox.\n" if fault.body is None else fault.body
        status = fault.status or 503
        if status in _WITHOUT_BODY:
            return Response(b"", status, None, headers)
        return Response(body.encode(), status, fault.content_type or TEXT, headers)
    if fault.kind == "html":
        body = _MAINTENANCE if fault.body is None else fault.body
        return Response(body.encode(), fault.status or 200, fault.content_type or HTML, headers)
    if fault.kind == "redirect":
        return Response(b"", fault.status or 302, None, (("location", fault.location or ""), *headers))
    return None


def spoiled(response: Response, fault: Fault) -> Response:
    """Return the real response, changed by one of the other kinds."""
    if fault.kind == "empty":
        return evolve(response, body=b"")
    if fault.kind == "malformed":
        return evolve(response, body=_DAMAGES[fault.variant or "truncated"](response.body), status=200)
    if fault.kind == "encoding":
        return _ENCODINGS[fault.variant or "latin-1"](response)
    headers = (*response.headers, ("content-encoding", "gzip"))
    return evolve(response, body=gzip.compress(response.body, mtime=0), headers=headers)


def _truncated(body: bytes) -> bytes:
    return body[: len(body) * 2 // 3]


def _misnested(body: bytes) -> bytes:
    swapped = _LAST_TWO_CLOSING_TAGS.sub(rb"\3\2\1\4", body)
    return swapped if swapped != body else body.rstrip(b"}] \n") + b"]}"


def _in_a_text(inserted: bytes, body: bytes) -> bytes:
    """Insert bytes after the first character of a text that is not an address or a status."""
    found = _TEXT.search(body)
    return body if found is None else body[: found.end()] + inserted + body[found.end() :]


_DAMAGES: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "truncated": _truncated,
    "misnested": _misnested,
    "bytes": partial(_in_a_text, b"\xe9"),
    "control": partial(_in_a_text, b"\x0b"),
    "entity": partial(_in_a_text, b"&eacute;"),
    "ampersand": partial(_in_a_text, b" & "),
    "bracket": partial(_in_a_text, b" < "),
    "blank": lambda body: b"\n" + body,
    "notice": lambda body: _NOTICE + body,
    "notice-after": lambda body: body + _NOTICE,
}


def _declared_as(response: Response, charset: str) -> tuple[str, str | None]:
    """Return the text and the media type with both declarations changed to `charset`."""
    text = response.body.decode()
    text = text.replace('encoding="UTF-8"', f'encoding="{charset}"', 1)
    media_type = (response.content_type or "").partition(";")[0]
    return text, f"{media_type}; charset={charset}" if media_type else None


def _latin_1(response: Response) -> Response:
    text, content_type = _declared_as(response, "ISO-8859-1")
    return evolve(response, body=text.encode("latin-1", "xmlcharrefreplace"), content_type=content_type)


def _latin_1_undeclared(response: Response) -> Response:
    return evolve(response, body=response.body.decode().encode("latin-1", "xmlcharrefreplace"))


def _utf_16(response: Response) -> Response:
    text, content_type = _declared_as(response, "UTF-16")
    return evolve(response, body=text.encode("utf-16"), content_type=content_type)


def _utf_8_bom(response: Response) -> Response:
    return evolve(response, body=b"\xef\xbb\xbf" + response.body)


_ENCODINGS: Final[Mapping[str, Callable[[Response], Response]]] = {
    "latin-1": _latin_1,
    "latin-1-undeclared": _latin_1_undeclared,
    "utf-16": _utf_16,
    "utf-8-bom": _utf_8_bom,
}
