"""Reads XML as nested dicts: no document type, caps on depth and text, any encoding that is declared.

An element with children is a dict, one without is its text, repeated siblings are a list; attributes are
left out. Text is stripped of XML's white space: the vendors' samples have line breaks and spaces where
none belong.

A document is fed to the parser in small pieces. What is whole after a piece is turned into its content and
let go, so that there is never a tree of the document: the same memory serves again and again, which makes it
faster, and the event loop can have a turn in between.
"""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias
from xml.etree import ElementTree as ET
from xml.parsers import expat

from publitrac_async.config import MAX_ATTRIBUTES, MAX_DEPTH, MAX_ELEMENTS, MAX_NAME, MAX_TEXT
from publitrac_async.transport.steps import Steps, at_once

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
_START: Final = re.compile(rb"<(?!/)")
_VALUE: Final = re.compile(rb"""=\s*["']""")
#: Bytes of the shortest element and attribute.
_ELEMENT: Final = len("<a/>")
_ATTRIBUTE: Final = len(" a=''")
_WHITE_SPACE: Final = " \t\r\n"
#: A document type can only stand before the root, after comments and instructions. Nothing backtracks.
_DOCTYPE: Final = re.compile(rb"\s*+(?:(?><\?.*?\?>)\s*+|(?><!--.*?-->)\s*+)*+<!DOCTYPE", re.DOTALL)

#: Bytes fed to the parser at once, and bytes after which the event loop may do something else: a
#: millisecond's work.
_PIECE: Final = 8 * 1024
_STEP: Final = 64 * 1024

Node: TypeAlias = "str | dict[str, Any]"
#: Makes what is to stand in the content for an element below a child of the root, or ``None`` for the
#: element's content. It is given the child's name and the element, and only where no text can be too long.
Convert: TypeAlias = Callable[[str, ET.Element], Any]


class Malformed(Exception):
    """The document is not well-formed, or not one that is accepted here. The text quotes nothing of it."""


def parse_xml(document: bytes) -> tuple[str, Node]:
    """The root's name and content of a document in UTF-8.

    Raises:
        ET.ParseError: it is not well-formed.
        Malformed: it passes a cap or has a document type.
    """
    return at_once(parse_in_steps(document))


def parse_in_steps(document: bytes, convert: Convert | None = None) -> Steps[tuple[str, Node]]:
    """The same in steps; a document that is not large is read in one.

    Args:
        document: in UTF-8.
        convert: given the elements below the children of the root.
    """
    if _DOCTYPE.match(document):
        raise Malformed("it has a document type, which is never accepted")
    # What would cost much memory is counted before the parser sees it, where there is room for so much.
    if len(document) > MAX_ELEMENTS * _ELEMENT and _is_over(MAX_ELEMENTS, document, b"<", _START):
        raise Malformed(f"it has more than {MAX_ELEMENTS} elements")
    if len(document) > MAX_ATTRIBUTES * _ATTRIBUTE and _is_over(MAX_ATTRIBUTES, document, b"=", _VALUE):
        raise Malformed(f"it has more than {MAX_ATTRIBUTES} attributes")
    growing = _Growing(convert, long=len(document) > MAX_TEXT)
    # What was not whole when the last piece ended began behind `begin`.
    size, begin, end = _PIECE, 0, 0
    pause = 0 if len(document) > _STEP else _STEP
    while end < len(document):
        if end >= pause:
            yield
            pause = end + _STEP
        start, end = end, end + size
        growing.parser.feed(document[start:end])
        if growing.harvest(long=end - begin > MAX_TEXT):
            begin, size = start, _PIECE
        else:
            # Expat reads a token that is not whole from its beginning each time.
            size *= 2
    growing.parser.close()
    return growing.finish(long=end - begin > MAX_TEXT)


def _is_over(most: int, document: bytes, sign: bytes, pattern: re.Pattern[bytes]) -> bool:
    if document.count(sign) <= most:  # Nothing is faster.
        return False
    return next(itertools.islice(pattern.finditer(document), most, None), None) is not None


class _Growing:
    """The tree of a document that is being parsed, as far as it is not yet content.

    Args:
        convert: as above.
        long: a text or attribute may be too long.
    """

    def __init__(self, convert: Convert | None, *, long: bool) -> None:
        self._convert = convert
        self._long = long
        builder = ET.TreeBuilder()
        #: Has the root as its child as soon as there is one.
        self._above: ET.Element = builder.start("", {})
        self.parser = ET.XMLParser(target=builder, encoding="utf-8")  # noqa: S314  (caps: `parse_in_steps`)
        #: Of the root, and of the first of its children that are still in the tree.
        self._content: dict[str, Any] = {}
        self._inner: dict[str, Any] = {}

    def harvest(self, *, long: bool, closed: bool = False) -> bool:
        """Turn what is whole into content.

        Args:
            long: a text or attribute below a child of the root may be too long.
            closed: all of it is whole. Otherwise the last of each level may still grow.

        Returns:
            Whether there was anything.
        """
        if not len(self._above):
            return False
        root = self._above[0]
        whole = len(root) if closed else len(root) - 1
        some = whole > 0
        convert = None if long else self._convert
        for position, child in enumerate(root):
            name = child.tag
            elements = child[:] if position < whole else child[:-1]
            for element in elements:
                value = None if convert is None else convert(name, element)
                if value is None:
                    value = _value(element, 3, long=long)
                _add(self._inner, element.tag, value)
            if elements:
                some = True
                del child[: len(elements)]
            if position < whole:
                text = _value(child, 2, long=self._long)  # Its children are gone.
                _add(self._content, name, _named(self._inner) or text)
                self._inner = {}
        del root[: max(whole, 0)]
        return some

    def finish(self, *, long: bool) -> tuple[str, Node]:
        """The root's name and content."""
        self.harvest(long=long, closed=True)
        root = self._above[0]
        text = _value(root, 1, long=self._long)
        return root.tag, _named(self._content) or text


def _value(element: ET.Element, depth: int, *, long: bool) -> Node:
    if long and max(map(len, itertools.chain(*element.items())), default=0) > MAX_TEXT:
        raise Malformed(f"an attribute is longer than {MAX_TEXT} characters")
    if not len(element):
        text = element.text
        text = text.strip(_WHITE_SPACE) if text else ""
        if long and len(text) > MAX_TEXT:
            raise Malformed(f"a text is longer than {MAX_TEXT} characters")
        return text
    if depth > MAX_DEPTH:
        raise Malformed(f"elements are nested more than {MAX_DEPTH} deep")
    content: dict[str, Any] = {}
    for child in element:
        _add(content, child.tag, _value(child, depth + 1, long=long))
    return _named(content)


def _add(content: dict[str, Any], name: str, value: Any) -> None:
    if name not in content:
        content[name] = value
    elif isinstance(content[name], list):
        content[name].append(value)
    else:
        content[name] = [content[name], value]


def _named(content: dict[str, Any]) -> dict[str, Any]:
    if max(map(len, content), default=0) > MAX_NAME:
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
