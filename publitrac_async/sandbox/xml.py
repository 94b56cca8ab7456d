"""Read and write the XML of v1, strictly.

expat reads requests; document types, deep nesting and large documents are refused. Responses have the layout
of the documents' samples.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple
from xml.parsers import expat

from attrs import define, field

from publitrac_async.sandbox.settings.publitrac import EmptyForm

MAX_DEPTH: Final = 32
MAX_ELEMENTS: Final = 100_000

_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_INDENT: Final = "    "
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class InvalidXmlError(ValueError):
    """A document that the service refuses."""


@define
class Node:
    """An element that was read. The service ignores attributes, so they are dropped."""

    name: str
    text: str = ""
    children: list[Node] = field(factory=list)

    def child(self, name: str) -> Node | None:
        """Return the first child with a name."""
        return next((child for child in self.children if child.name == name), None)

    def all(self, name: str) -> Iterator[Node]:
        """Iterate over the children with a name."""
        return (child for child in self.children if child.name == name)

    def value(self, *path: str) -> str:
        """Return the text of the element at a path of names, or an empty text."""
        node: Node | None = self
        for name in path:
            node = node.child(name) if node else None
        return node.text if node else ""


def parse(document: bytes) -> Node:
    """Read a document.

    Args:
        document: the bytes as sent, in the encoding of the XML declaration.

    Returns:
        The root element.

    Raises:
        InvalidXmlError: the document is not well-formed, has a document type, is nested too deeply or has
            too many elements.
    """
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, LookupError, UnicodeError) as error:
        raise InvalidXmlError("the document is not well-formed") from error
    return reader.root()


class _Reader:
    def __init__(self) -> None:
        self._top = Node("")
        self._open = [self._top]
        self._texts: list[list[str]] = [[]]
        self._elements = 0

    def root(self) -> Node:
        return self._top.children[0]

    def doctype(self, *_: Any) -> None:
        raise InvalidXmlError("a document type is not accepted")

    def start(self, name: str, _attributes: Any) -> None:
        self._elements += 1
        if len(self._open) > MAX_DEPTH or self._elements > MAX_ELEMENTS:
            raise InvalidXmlError("the document is too deep or too large")
        node = Node(name)
        self._open[-1].children.append(node)
        self._open.append(node)
        self._texts.append([])

    def end(self, _name: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def characters(self, text: str) -> None:
        self._texts[-1].append(text)


class Element(NamedTuple):
    """An element to be written: a name with a text or with children."""

    name: str
    content: str | Sequence[Element] = ""


def render(root: Element, empty: EmptyForm = "pair") -> bytes:
    """Write a document in the layout of the samples.

    Args:
        root: the root element.
        empty: the form of empty elements.
    """
    lines: list[str] = []
    _write(root, "", lines, empty)
    return (_DECLARATION + "\n".join(lines)).encode()


def _write(element: Element, indent: str, lines: list[str], empty: EmptyForm) -> None:
    name, content = element
    if not content and empty != "pair":
        if empty == "self_closing":
            lines.append(f"{indent}<{name}/>")
    elif isinstance(content, str):
        lines.append(f"{indent}<{name}>{escape(content)}</{name}>")
    elif not content:
        lines.append(f"{indent}<{name}></{name}>")
    else:
        lines.append(f"{indent}<{name}>")
        for child in content:
            _write(child, indent + _INDENT, lines, empty)
        lines.append(f"{indent}</{name}>")


def escape(text: str) -> str:
    """Escape a text.

    `>` stays unchanged, as in the documents' messages; characters forbidden in XML are dropped.
    """
    if not text or text.isalnum():
        return text
    text = _NOT_XML.sub("", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("]]>", "]]&gt;").replace("\r", "&#13;")
