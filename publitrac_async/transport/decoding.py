"""Find the encoding of an XML document, and decode it."""

from __future__ import annotations

import codecs
import contextlib
import re
from typing import Final

from publitrac_async.transport.budget import BUDGET, OverBudget

_BOMS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARATION: Final = re.compile(
    rb"""(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._\-]+)["'][^>]*\?>"""
)
_UTF8: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
#: Other encodings that a document may declare. Python supports more, but responses do not use
#: "unicode_escape" or "punycode", and some of them take quadratic time.
_OTHER: Final = re.compile(r"iso[-_]?8859[-_]?\d{1,2}|latin[-_]?\d|l\d|windows[-_]?125\d|cp125\d")
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9._\-]+)""", re.IGNORECASE)
_LATIN_1: Final = re.compile(r"iso[-_]?8859[-_]?1|latin[-_]?1|l1|windows[-_]?1252|cp1252")

#: Characters of the bytes 0 to 255. As in browsers, it is also used for ISO-8859-1, whose bytes 128 to 159
#: are control characters, but in practice quotes and dashes of windows-1252. Five bytes are undefined.
WINDOWS_1252: Final = "".join(
    bytes([byte]).decode("cp1252", "replace").replace("\ufffd", chr(byte)) for byte in range(256)
)


def to_utf8(body: bytes, content_type: str = "") -> bytes:
    """Return a document in UTF-8, usually `body` itself.

    A byte order mark takes precedence. Valid UTF-8 is read as UTF-8 whatever the declaration: text in other
    encodings is not valid UTF-8 by chance. Otherwise the charset of the `Content-Type` takes precedence over
    the declaration (RFC 7303).

    Raises:
        UnicodeError: the bytes are not in the declared encoding.
        LookupError: the declared encoding is unknown.
        OverBudget: the document is large, and would grow.
    """
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return _recoded(body, encoding)
    if b"\x00" in body[:2]:  # UTF-16 without a mark, which the parser also accepts.
        return _recoded(body, "utf-16-be" if body[0] == 0 else "utf-16-le")
    match = _DECLARATION.match(body[:256])
    declared = match.group(1).decode("ascii").lower() if match else "utf-8"
    charset = _CHARSET.search(content_type)
    names = [charset.group(1).lower() if charset else "utf-8", declared]
    if _UTF8.issuperset(names):
        return body  # The parser checks it.
    if body.isascii():
        if declared not in _UTF8 and not _OTHER.fullmatch(declared):
            raise LookupError(declared)
        return body
    with contextlib.suppress(UnicodeDecodeError):
        body.decode()
        return body
    for name in names:
        if _OTHER.fullmatch(name):
            return _recoded(body, name)
    if names[-1] not in _UTF8:
        raise LookupError(names[-1])
    return body.decode().encode()


def _recoded(body: bytes, encoding: str) -> bytes:
    if len(body) > BUDGET.recoded:
        raise OverBudget(f"it has more than {BUDGET.recoded} bytes in another encoding than UTF-8")
    if _LATIN_1.fullmatch(encoding):
        return codecs.charmap_decode(body, "strict", WINDOWS_1252)[0].encode()  # pyright: ignore[reportArgumentType]  (a str is a valid map)
    return body.decode(encoding).encode()


def decode_leniently(body: bytes) -> tuple[str, int]:
    """Decode UTF-8, and invalid bytes as windows-1252.

    Returns:
        The text, and the number of such bytes.
    """
    text = body.decode("utf-8", "surrogateescape")
    repaired = text.translate(_ESCAPED)
    # Each escape is one byte of the body; "ignore" drops it.
    return repaired, len(body) - len(text.encode("utf-8", "ignore")) if repaired != text else 0


#: Python's replacement of a byte that is not UTF-8.
_ESCAPED: Final = {0xDC00 + byte: WINDOWS_1252[byte] for byte in range(128, 256)}
