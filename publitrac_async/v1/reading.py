"""Reads the XML of an answer: hardened, and tolerant only where the vendor's samples need it.

A document becomes nested dicts: an element with children is a dict, one without is its text, repeated
siblings are a list. Text is stripped: the samples have line breaks and spaces where none belong.
`children` reads it without caring whether there are none, one or many.
"""

from __future__ import annotations

import codecs
import re
from typing import Any, Final, TypeAlias
from xml.parsers import expat

from publitrac_async.config import MAX_DEPTH, MAX_TEXT
from publitrac_async.errors import UnexpectedContent

Node: TypeAlias = "str | dict[str, Any]"

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
_CLOSE: Final = b"</response>"


class _Malformed(Exception):
    """The document is not well-formed, or not one that is accepted here."""


class _Reader:
    """Expat handlers that build the nested dicts and enforce the caps."""

    def __init__(self) -> None:
        self._stack: list[tuple[str, dict[str, Any], list[str]]] = []
        self._text: list[str] = []
        self.root: dict[str, Any] = {}
        #: How many elements were open when the document ended, and which were closed at top level.
        self.closed_at_top: set[str] = set()
        self._room = MAX_TEXT

    @property
    def depth(self) -> int:
        return len(self._stack)

    def read(self, document: bytes) -> None:
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._doctype
        parser.Parse(document, True)

    def _start(self, tag: str, _: dict[str, str]) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise _Malformed(f"elements are nested more than {MAX_DEPTH} deep")
        self._text = []
        self._room = MAX_TEXT
        self._stack.append((tag, {}, self._text))

    def _end(self, tag: str) -> None:
        _, children, text = self._stack.pop()
        value: Any = children or "".join(text).strip()
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
            raise _Malformed(f"a text is longer than {MAX_TEXT} characters")
        self._text.append(data)

    def _doctype(self, *_: object) -> None:
        raise _Malformed("it has a document type, which is never accepted")


def read_response(body: bytes, *, framed: bool) -> dict[str, Any]:
    """The children of `<response>`.

    One defect is mended: the closing tag of the root is missing, as in the vendor's sample of getList, and
    everything else is there. That is done only where the end of the body was announced, so that a cut
    answer can never pass for a whole one.

    Args:
        body: the answer.
        framed: the end of the body was announced (length or chunks).

    Raises:
        UnexpectedContent: not XML, cut, mis-nested, hostile, too deep, in an unknown or broken encoding,
            or without `<response>`.
    """
    problem: str | None
    try:
        document = _in_utf8(body)
        reader = _Reader()
        try:
            reader.read(document)
        except expat.ExpatError:
            complete = reader.depth == 1 and "status" in reader.closed_at_top
            if not (framed and complete and document.rstrip().endswith(b">")):
                raise
            reader = _Reader()
            reader.read(document + _CLOSE)
        root = reader.root.get("response")
        if isinstance(root, dict):
            return root
        problem = "the answer is XML without <response> and its content"
    except expat.ExpatError as error:
        problem = (
            f"the answer is not well-formed XML: {expat.errors.messages[error.code]}, line {error.lineno}"
        )
    except _Malformed as error:
        problem = f"the answer is XML that is not accepted: {error}"
    except (UnicodeError, LookupError):
        problem = "the answer's bytes do not fit the encoding it declares"
    raise UnexpectedContent(problem, retryable=True)


def _in_utf8(body: bytes) -> bytes:
    """The document as UTF-8 without byte order mark; `body` itself in the usual case."""
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return _DECLARATION_TEXT.sub("", body.decode(encoding), count=1).encode()
    match = _DECLARATION.match(body[:256])
    encoding = match.group(1).decode("ascii").lower() if match else "utf-8"
    if encoding in _UTF8:
        return body
    return _DECLARATION_TEXT.sub("", body.decode(encoding), count=1).encode()


def children(node: Node | None, name: str) -> list[Any]:
    """All children of that name, none, one or many."""
    if not isinstance(node, dict):
        return []
    value = node.get(name)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def text_of(node: Node | None, name: str) -> str:
    """The stripped text of the first child of that name, ``""`` without one."""
    found = children(node, name)
    return found[0].strip() if found and isinstance(found[0], str) else ""


def number_of(node: Node | None, name: str) -> int | None:
    """The first child of that name as an integer, ``None`` if it is none."""
    text = text_of(node, name)
    return int(text) if text.lstrip("-").isdigit() else None
