"""Repair invalid characters of an XML document, but never its structure.

Without repair, one control character, HTML entity, bare ampersand, byte in another encoding, or PHP notice
around the document would make a whole page unreadable. A raw ``<`` and a truncated document remain errors.
"""

from __future__ import annotations

import html.entities
import re
import sys
from collections.abc import Mapping
from typing import Final

from publitrac_async.transport.decoding import decode_leniently
from publitrac_async.transport.xml import HTML_TAGS

#: Largest document to repair, in bytes; a page of 200 leads has less than a tenth of it.
MAX_REPAIRED: Final = 2 * 1024 * 1024
#: Limits on its ampersands, and on its comments and CDATA sections; each takes a microsecond or two.
MAX_AMPERSANDS: Final = 100_000
MAX_LITERALS: Final = 50_000

_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_TAG: Final = re.compile(r"<[/!]?([A-Za-z][\w:.-]*)")
_IN_A_TAG: Final = re.compile("<[^<>]*[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_AMPERSAND: Final = re.compile(r"&(?:#([0-9]{1,7});|#[xX]([0-9a-fA-F]{1,6});|([A-Za-z][A-Za-z0-9]{0,31});)?")
_LITERALS: Final = {"<![CDATA[": "]]>", "<!--": "-->"}
_LITERAL: Final = re.compile(r"<!\[CDATA\[|<!--")
#: Content that XML allows around the root element. The pattern does not backtrack.
_MISC: Final = r"\s*+(?:(?><!--.*?-->)\s*+|(?><\?(?!xml\b).*?\?>)\s*+)*+"
_PROLOG: Final = re.compile(rf"\ufeff?(?:<\?xml\b[^>]*\?>)?{_MISC}", re.DOTALL)
_EPILOG: Final = re.compile(_MISC, re.DOTALL)
_PREDEFINED: Final = frozenset({"amp", "lt", "gt", "quot", "apos"})


def repair(body: bytes, root: str) -> tuple[bytes, Mapping[str, int]] | None:
    """Repair a complete document.

    Args:
        body: in UTF-8, except for bytes in other encodings.
        root: name of the root element.

    Returns:
        The root element in UTF-8, and the number of repairs by kind: ``bytes`` (read as windows-1252),
        ``characters`` (forbidden in XML, removed), ``entities`` (HTML entities), ``ampersands`` (bare ones),
        ``surroundings`` (text before or after the root element, such as PHP notices, removed). ``None`` if
        the document does not end with its root element, or a repair would change its structure.
    """
    if len(body) > MAX_REPAIRED:
        return None
    if body.count(b"&") > MAX_AMPERSANDS or body.count(b"<!") > MAX_LITERALS:
        return None
    text, misfits = decode_leniently(body)
    begin = re.search(rf"<{root}[\s>]", text)
    end = text.rfind(f"</{root}>") + len(root) + len("</>")
    if begin is None or end <= begin.start():
        return None
    before, after = text[: begin.start()], text[end:]
    element = text[begin.start() : end]
    tags = {name.lower() for name in _TAG.findall(before + after)}
    if not tags <= HTML_TAGS:
        return None
    parts = _split(element)
    if any(_IN_A_TAG.search(part) for part in parts[::2]):
        return None
    element, counts = _repaired(parts)
    counts["bytes"] = misfits
    counts["surroundings"] = (not _PROLOG.fullmatch(before)) + (not _EPILOG.fullmatch(after))
    return element.encode(), {kind: count for kind, count in sorted(counts.items()) if count}


def _split(element: str) -> list[str]:
    """Split a document at CDATA sections and comments, which hold no references.

    Returns:
        Parts of the document in order; those at odd indexes are such sections.
    """
    parts, end = [], 0
    while (literal := _LITERAL.search(element, end)) is not None:
        closing = element.find(_LITERALS[literal[0]], literal.end())
        if closing < 0:
            break
        parts += [element[end : literal.start()], element[literal.start() : closing + 3]]
        end = closing + 3
    return [*parts, element[end:]]


def _repaired(parts: list[str]) -> tuple[str, dict[str, int]]:
    counts: dict[str, int] = {"characters": 0, "entities": 0, "ampersands": 0}

    def replacement(match: re.Match[str]) -> str:
        decimal, hexadecimal, name = match.groups()
        if name in _PREDEFINED:
            return match[0]
        if decimal or hexadecimal:
            number = int(decimal) if decimal else int(hexadecimal, 16)
            if number > sys.maxunicode or _NOT_XML.match(chr(number)):
                counts["characters"] += 1
                return ""
            if match[0][2] != "X":
                return match[0]
            counts["entities"] += 1
            return f"&#{number};"
        if name and (character := html.entities.html5.get(f"{name};")) is not None:
            counts["entities"] += 1
            return html_escaped(character)
        counts["ampersands"] += 1
        return f"&amp;{match[0][1:]}"

    parts[::2] = [_AMPERSAND.sub(replacement, part) if "&" in part else part for part in parts[::2]]
    element, dropped = _NOT_XML.subn("", "".join(parts))
    counts["characters"] += dropped
    return element, counts


def html_escaped(text: str) -> str:
    """Escape a text for XML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
