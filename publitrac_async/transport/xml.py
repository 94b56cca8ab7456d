"""Reads XML as nested dicts: no document type, caps on depth and text, any encoding that is declared.

An element with children is a dict, one without is its text, repeated siblings are a list; attributes are
left out. Text is stripped of XML's white space: the vendors' samples have line breaks and spaces where
none belong.
"""

from __future__ import annotations

import codecs
import itertools
import re
from typing import Any, Final, TypeAlias
from xml.etree import ElementTree as ET
from xml.parsers import expat

from publitrac_async.config import MAX_ATTRIBUTES, MAX_DEPTH, MAX_ELEMENTS, MAX_NAME, MAX_TEXT

_DECLARATION: Final = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._\-]+)["'][^>]*\?>""")
_DECLARATION_TEXT: Final = re.compile(r"^\s*<\?xml[^>]*\?>")
_BOMS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UTF8: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
#: What may be declared besides. Python knows more, but "unicode_escape" or "punycode" are no one's encoding
#: of an answer, and some of them take quadratic time.
_OTHER: Final = re.compile(r"iso[-_]?8859[-_]?\d{1,2}|latin[-_]?\d|windows[-_]?125\d|cp125\d")
_ATTRIBUTE: Final = re.compile(rb"""=\s*["']""")
_WHITE_SPACE: Final = " \t\r\n"
#: A document type can only stand before the root, after comments and instructions. Nothing backtracks.
_DOCTYPE: Final = re.compile(rb"\s*+(?:(?><\?.*?\?>)\s*+|(?><!--.*?-->)\s*+)*+<!DOCTYPE", re.DOTALL)

Node: TypeAlias = "str | dict[str, Any]"


class Malformed(Exception):
    """The document is not well-formed, or not one that is accepted here. The text quotes nothing of it."""


def parse_xml(document: bytes) -> tuple[str, Node]:
    """The root's name and content of a document in UTF-8.

    Raises:
        ET.ParseError: it is not well-formed.
        Malformed: it passes a cap or has a document type.
    """
    if _DOCTYPE.match(document):
        raise Malformed("it has a document type, which is never accepted")
    # What would cost much memory is counted before the parser sees it.
    if document.count(b"<") - document.count(b"</") > MAX_ELEMENTS:
        raise Malformed(f"it has more than {MAX_ELEMENTS} elements")
    if document.count(b"=") > MAX_ATTRIBUTES and len(_ATTRIBUTE.findall(document)) > MAX_ATTRIBUTES:
        raise Malformed(f"it has more than {MAX_ATTRIBUTES} attributes")
    parser = ET.XMLParser(encoding="utf-8")  # noqa: S314  (document types are refused and sizes capped above)
    parser.feed(document)
    root = parser.close()
    return root.tag, _content(root, 1, long=len(document) > MAX_TEXT)


def _content(element: ET.Element, depth: int, *, long: bool) -> Node:
    if depth > MAX_DEPTH:
        raise Malformed(f"elements are nested more than {MAX_DEPTH} deep")
    if not len(element):
        return (element.text or "").strip(_WHITE_SPACE)
    content: dict[str, Any] = {}
    for child in element:
        if long and child.attrib and max(map(len, itertools.chain(*child.items()))) > MAX_TEXT:
            raise Malformed(f"an attribute is longer than {MAX_TEXT} characters")
        if len(child):
            value: Any = _content(child, depth + 1, long=long)
        else:
            text = child.text
            value = text.strip(_WHITE_SPACE) if text else ""
            if long and len(value) > MAX_TEXT:
                raise Malformed(f"a text is longer than {MAX_TEXT} characters")
        name = child.tag
        if name not in content:
            content[name] = value
        elif isinstance(content[name], list):
            content[name].append(value)
        else:
            content[name] = [content[name], value]
    if max(map(len, content)) > MAX_NAME:
        raise Malformed(f"a name is longer than {MAX_NAME} characters")
    return content


def read_document(body: bytes) -> tuple[str, str | dict[str, Any]]:
    """The root's name and content of any XML document, all names without their namespace prefix.

    Raises:
        Malformed: not well-formed, hostile, too deep, or in an unknown or broken encoding.
    """
    try:
        name, content = parse_xml(in_utf8(body))
    except ET.ParseError as error:
        problem = where(error)
    except (UnicodeError, LookupError):
        problem = "its bytes do not fit the encoding it declares"
    else:
        return _local(name), _without_prefixes(content)
    raise Malformed(problem)


def _without_prefixes(content: Any) -> Any:
    if isinstance(content, dict):
        return {_local(name): _without_prefixes(child) for name, child in content.items()}
    if isinstance(content, list):
        return [_without_prefixes(child) for child in content]
    return content


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def where(error: ET.ParseError) -> str:
    """What is not well-formed, and in which line; nothing of the document is quoted."""
    return f"{expat.errors.messages[error.code]}, line {error.position[0]}"


def in_utf8(body: bytes) -> bytes:
    """The document as UTF-8 without byte order mark; `body` itself in the usual case."""
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return _DECLARATION_TEXT.sub("", body.decode(encoding), count=1).encode()
    if b"\x00" in body:  # Expat would detect UTF-16 by itself, past the look-out for a document type.
        raise UnicodeError
    match = _DECLARATION.match(body[:256])
    encoding = match.group(1).decode("ascii").lower() if match else "utf-8"
    if encoding in _UTF8:
        return body
    if not _OTHER.fullmatch(encoding):
        raise LookupError(encoding)
    return _DECLARATION_TEXT.sub("", body.decode(encoding), count=1).encode()
