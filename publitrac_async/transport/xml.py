"""Reads XML as nested dicts: no document type, caps on depth and text, any encoding that is declared.

An element with children is a dict, one without is its text, repeated siblings are a list; attributes are
left out. Text is stripped of XML's white space: the vendors' samples have line breaks and spaces where
none belong.
"""

from __future__ import annotations

import codecs
import re
from typing import Any, Final
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


class Malformed(Exception):
    """The document is not well-formed, or not one that is accepted here. The text quotes nothing of it."""


class XmlReader:
    """Expat handlers that build the nested dicts and enforce the caps."""

    def __init__(self) -> None:
        self._stack: list[tuple[str, dict[str, Any], list[str]]] = []
        self._text: list[str] = []
        self.root: dict[str, Any] = {}
        #: The children of the root that were closed.
        self.closed_at_top: set[str] = set()
        self._room = MAX_TEXT
        self._elements = 0

    @property
    def depth(self) -> int:
        """How many elements are open."""
        return len(self._stack)

    def read(self, document: bytes) -> None:
        """Read a whole document in UTF-8.

        Raises:
            expat.ExpatError: it is not well-formed.
            Malformed: it passes a cap or has a document type.
        """
        # Expat keeps all attributes of an element before it calls anybody, so they are counted beforehand.
        if document.count(b"=") > MAX_ATTRIBUTES and len(_ATTRIBUTE.findall(document)) > MAX_ATTRIBUTES:
            raise Malformed(f"it has more than {MAX_ATTRIBUTES} attributes")
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._doctype
        parser.Parse(document, True)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise Malformed(f"elements are nested more than {MAX_DEPTH} deep")
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise Malformed(f"it has more than {MAX_ELEMENTS} elements")
        if len(tag) > MAX_NAME or (attributes and max(map(len, attributes)) > MAX_NAME):
            raise Malformed(f"a name is longer than {MAX_NAME} characters")
        if attributes and max(map(len, attributes.values())) > MAX_TEXT:
            raise Malformed(f"a text is longer than {MAX_TEXT} characters")
        self._text = []
        self._room = MAX_TEXT
        self._stack.append((tag, {}, self._text))

    def _end(self, tag: str) -> None:
        _, children, text = self._stack.pop()
        value: Any = children or "".join(text).strip(_WHITE_SPACE)
        if self._stack:
            siblings = self._stack[-1][1]
            self._text = self._stack[-1][2]
        else:
            siblings = self.root
        if tag not in siblings:
            siblings[tag] = value
        elif isinstance(siblings[tag], list):
            siblings[tag].append(value)
        else:
            siblings[tag] = [siblings[tag], value]
        if len(self._stack) == 1:
            self.closed_at_top.add(tag)

    def _characters(self, data: str) -> None:
        self._room -= len(data)
        if self._room < 0:
            raise Malformed(f"a text is longer than {MAX_TEXT} characters")
        self._text.append(data)

    def _doctype(self, *_: object) -> None:
        raise Malformed("it has a document type, which is never accepted")


def read_document(body: bytes) -> tuple[str, str | dict[str, Any]]:
    """The root's name and content of any XML document, all names without their namespace prefix.

    Raises:
        Malformed: not well-formed, hostile, too deep, or in an unknown or broken encoding.
    """
    try:
        reader = XmlReader()
        reader.read(in_utf8(body))
    except expat.ExpatError as error:
        problem = f"{expat.errors.messages[error.code]}, line {error.lineno}"
    except (UnicodeError, LookupError):
        problem = "its bytes do not fit the encoding it declares"
    else:
        ((name, content),) = reader.root.items()
        return _local(name), _without_prefixes(content)
    raise Malformed(problem)


def _without_prefixes(content: Any) -> Any:
    if isinstance(content, dict):
        return {_local(name): _without_prefixes(child) for name, child in content.items()}
    if isinstance(content, list):
        return [_without_prefixes(child) for child in content]
    return content


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def in_utf8(body: bytes) -> bytes:
    """The document as UTF-8 without byte order mark; `body` itself in the usual case."""
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return _DECLARATION_TEXT.sub("", body.decode(encoding), count=1).encode()
    match = _DECLARATION.match(body[:256])
    encoding = match.group(1).decode("ascii").lower() if match else "utf-8"
    if encoding in _UTF8:
        return body
    if not _OTHER.fullmatch(encoding):
        raise LookupError(encoding)
    return _DECLARATION_TEXT.sub("", body.decode(encoding), count=1).encode()
