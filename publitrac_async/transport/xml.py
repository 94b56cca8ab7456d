"""Read XML as nested dicts, within the budget and without document types.

An element with children becomes a dict, one without its text, repeated siblings a list, and text with markup
the markup; attributes are dropped. Text is stripped of XML whitespace: the vendors' samples have stray line
breaks and spaces. The parser gets a document in small pieces. Complete elements are converted and freed after
each piece, so the tree of the document never exists as a whole: the budget holds while it grows, and the
event loop gets a turn in between.

`v1/building.py` and `vitec/codec.py` write the XML of requests, with xmltodict. It would read a page in four
times the time of this module.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias
from xml.etree import ElementTree as ET
from xml.parsers import expat

from publitrac_async.models import Nested
from publitrac_async.transport.budget import BUDGET, OverBudget
from publitrac_async.transport.decoding import to_utf8
from publitrac_async.transport.steps import Steps, run_steps
from publitrac_async.transport.xml_bytes import Counter, check_attributes, find_indentation

_WHITE_SPACE: Final = " \t\r\n"
#: A document type may only appear before the root, after comments and instructions. The pattern does not
#: backtrack.
_DOCTYPE: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?:(?><\?.*?\?>)\s*+|(?><!--.*?-->)\s*+)*+<!DOCTYPE", re.DOTALL
)

#: Bytes per piece, and bytes between turns of the event loop: a millisecond's work.
_PIECE: Final = 16 * 1024
_STEP: Final = 64 * 1024

Node: TypeAlias = "str | dict[str, Any]"
#: Depth of the fields of ``<response><leads><lead><notes>``. Some lists have no element around them.
_FIELD: Final = 4
#: Markup that users paste into fields, and that PHP uses in notices.
HTML_TAGS: Final = frozenset(
    {
        *("a", "b", "big", "br", "center", "code", "del", "div", "em", "font", "hr", "i", "img", "ins", "li"),
        *("ol", "p", "pre", "s", "small", "span", "strong", "sub", "sup", "u", "ul"),
        *("table", "tbody", "td", "th", "tr"),
        *("h1", "h2", "h3", "h4", "h5", "h6"),
    }
)
#: Converts an element below a child of the root; ``None`` leaves it to the default. Called with the child's
#: name and the element, only if no text can be too long.
Convert: TypeAlias = Callable[[str, ET.Element], Any]


class MalformedXml(Exception):
    """The document is not well-formed, or has a document type. The message does not quote it."""


class _KeepsWhiteSpace(Exception):
    """A field has markup, so white space is part of its value."""


def parse_xml(document: bytes, convert: Convert | None = None) -> Steps[tuple[str, Node]]:
    """Return name and content of the root of a document, in steps; a small document takes one.

    Args:
        document: in UTF-8.
        convert: called with the elements below the children of the root.

    Raises:
        ET.ParseError: it is not well-formed.
        MalformedXml: it has a document type.
        OverBudget: it exceeds the budget.
    """
    if _DOCTYPE.match(document):
        raise MalformedXml("it has a document type, which is never accepted")
    check_attributes(document)
    indentation = find_indentation(document) if len(document) > _PIECE else b""
    if indentation:
        # Without indentation, errors would name a wrong line; the second parse names the right one.
        with contextlib.suppress(_KeepsWhiteSpace, ET.ParseError):
            return (yield from _parse(document, convert, indentation))
    return (yield from _parse(document, convert, b""))


def _parse(document: bytes, convert: Convert | None, indentation: bytes) -> Steps[tuple[str, Node]]:
    """Parse a document in steps.

    Args:
        document: in UTF-8; its attributes have been counted.
        convert: see `parse_xml`.
        indentation: white space between elements to leave out.

    Raises:
        _KeepsWhiteSpace: the indentation must not be left out.
    """
    long = len(document) > BUDGET.text
    growing = _GrowingTree(convert, long=long, namespaces=b"xmlns" in document, dense=bool(indentation))
    gap = b">" + indentation + b"<"
    counter = Counter(document)
    # Elements incomplete at the end of the last piece begin after `begin`.
    size, begin, end = _PIECE, 0, 0
    pause = 0 if len(document) > _STEP else _STEP
    while end < len(document):
        if end >= pause:
            yield
            pause = end + _STEP
            counter.count(end + max(_STEP, size))
        start, end = end, min(end + size, begin + BUDGET.record)
        if end == start:
            raise OverBudget(f"it has a part of more than {BUDGET.record} bytes")
        piece = document[start:end]
        # Here `rsplit` is five times as fast as `replace`.
        growing.parser.feed(b"><".join(piece.rsplit(gap)) if indentation else piece)
        if growing.convert_complete(long=end - begin > BUDGET.text):
            begin, size = start, _PIECE
        else:
            # Expat reads an incomplete token again from its start, so the pieces grow.
            size *= 2
    growing.parser.close()
    return growing.finish(long=end - begin > BUDGET.text)


class _PlainParser:
    """Expat without namespaces: a prefix remains part of the name.

    For documents with namespaces. The parser of ElementTree writes the whole namespace into each name, and a
    namespace can be long.
    """

    def __init__(self, builder: ET.TreeBuilder) -> None:
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = builder.start
        parser.EndElementHandler = builder.end
        parser.CharacterDataHandler = builder.data
        self._parser = parser

    def feed(self, data: bytes) -> None:
        """Parse the next piece."""
        self._parse(data, final=False)

    def close(self) -> None:
        """End the document."""
        self._parse(b"", final=True)

    def _parse(self, data: bytes, *, final: bool) -> None:
        try:
            self._parser.Parse(data, final)
        except expat.ExpatError as error:
            failure = ET.ParseError(str(error))
            failure.code, failure.position = error.code, (error.lineno, error.offset)
        else:
            return
        raise failure


class _GrowingTree:
    """Elements that are parsed but not yet converted.

    Args:
        convert: see `parse_xml`.
        long: a text or attribute may be too long.
        namespaces: the document may have namespaces.
        dense: white space between elements is left out.
    """

    def __init__(self, convert: Convert | None, *, long: bool, namespaces: bool, dense: bool) -> None:
        self._convert = convert
        self._long = long
        self._dense = dense
        builder = ET.TreeBuilder()
        #: Parent of the root element, once that is parsed.
        self._above: ET.Element = builder.start("", {})
        self.parser: ET.XMLParser[Any] | _PlainParser = (
            _PlainParser(builder) if namespaces else ET.XMLParser(target=builder, encoding="utf-8")  # noqa: S314  (caps: `parse_xml`)
        )
        #: Names of the root, and of the first of its children that are still in the tree.
        self._content: dict[str, Any] = {}
        self._inner: dict[str, Any] = {}

    def convert_complete(self, *, long: bool, closed: bool = False) -> bool:
        """Convert complete elements.

        Args:
            long: a text or attribute below a child of the root may be too long.
            closed: all elements are complete. Otherwise the last element of each level may be incomplete.

        Returns:
            True if anything was converted.

        Raises:
            OverBudget: elements are nested too deep, or a text or name is too long.
        """
        if not len(self._above):
            return False
        root = self._above[0]
        self._check_depth()
        whole = len(root) if closed else len(root) - 1
        some = whole > 0
        convert = None if long else self._convert
        for position, child in enumerate(root):
            name = child.tag
            elements = child[:] if position < whole else child[:-1]
            for element in elements:
                value = None if convert is None else convert(name, element)
                if value is None:
                    value = self._value(element, 3, long=long)
                _add(self._inner, element.tag, value)
            if elements:
                some = True
                del child[: len(elements)]
            if position < whole:
                text = self._value(child, 2, long=self._long)  # Its children are converted.
                _add(self._content, name, _checked_names(self._inner) or text)
                self._inner = {}
        del root[: max(whole, 0)]
        return some

    def _check_depth(self) -> None:
        """Refuse a tree whose open elements are nested too deep, before it grows."""
        node, depth = self._above, 0
        while len(node):
            node, depth = node[-1], depth + 1
            if depth > BUDGET.depth:
                raise OverBudget(f"elements are nested more than {BUDGET.depth} deep")

    def finish(self, *, long: bool) -> tuple[str, Node]:
        """Return name and content of the root."""
        self.convert_complete(long=long, closed=True)
        root = self._above[0]
        text = self._value(root, 1, long=self._long)
        return root.tag, _checked_names(self._content) or text

    def _value(self, element: ET.Element, depth: int, *, long: bool) -> Node:
        if long and max(map(len, itertools.chain(*element.items())), default=0) > BUDGET.text:
            raise OverBudget(f"an attribute is longer than {BUDGET.text} characters")
        if not len(element):
            text = _stripped(element.text)
            if long and len(text) > BUDGET.text:
                raise OverBudget(f"a text is longer than {BUDGET.text} characters")
            return text
        if depth > BUDGET.depth:
            raise OverBudget(f"elements are nested more than {BUDGET.depth} deep")
        content: dict[str, Any] = {}
        for child in element:
            _add(content, child.tag, self._value(child, depth + 1, long=long))
        _checked_names(content)
        if depth > _FIELD:
            return content
        mixed = _is_mixed(element)
        if depth < _FIELD and not (mixed and content.keys() <= HTML_TAGS):
            return content
        if self._dense:
            raise _KeepsWhiteSpace
        return _inner_xml(element) if mixed else Nested(content, _inner_xml(element))


def _is_mixed(element: ET.Element) -> bool:
    """Return True if `element` has text beside its child elements: it is text with markup."""
    if _stripped(element.text):
        return True
    return any(_stripped(child.tail) or (len(child) and _is_mixed(child)) for child in element)


def _stripped(text: str | None) -> str:
    return text.strip(_WHITE_SPACE) if text else ""


def _inner_xml(element: ET.Element) -> str:
    """Return the text between the tags of an element."""
    parts = [_escaped(element.text)]
    for child in element:
        attributes = "".join(f' {name}="{_escaped(value, quote=True)}"' for name, value in child.items())
        inner = _inner_xml(child)
        end = f">{inner}</{child.tag}>" if inner else "/>"
        parts.append(f"<{child.tag}{attributes}{end}{_escaped(child.tail)}")
    return "".join(parts).strip(_WHITE_SPACE)


def _escaped(text: str | None, *, quote: bool = False) -> str:
    text = (text or "").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;") if quote else text


def _add(content: dict[str, Any], name: str, value: Any) -> None:
    if name not in content:
        content[name] = value
    elif isinstance(content[name], list):
        content[name].append(value)
    else:
        content[name] = [content[name], value]


def _checked_names(content: dict[str, Any]) -> dict[str, Any]:
    if max(map(len, content), default=0) > BUDGET.name:
        raise OverBudget(f"a name is longer than {BUDGET.name} characters")
    return content


def read_document(body: bytes, content_type: str = "") -> tuple[str, Node]:
    """Return name and content of the root of any XML document, all names without their namespace prefix.

    Raises:
        MalformedXml: not well-formed, with a document type, over the budget, or in an unknown encoding.
    """
    try:
        name, content = run_steps(parse_xml(to_utf8(body, content_type)))
    except ET.ParseError as error:
        problem = describe_error(error)
    except OverBudget as error:
        problem = str(error)
    except (UnicodeError, LookupError):
        problem = "its bytes are not in the encoding that it declares"
    else:
        return _local(name), _without_prefixes(content)
    raise MalformedXml(problem)


def _without_prefixes(content: Any) -> Any:
    if isinstance(content, dict):
        return {_local(name): _without_prefixes(child) for name, child in content.items()}
    if isinstance(content, list):
        return [_without_prefixes(child) for child in content]
    return content


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def describe_error(error: ET.ParseError) -> str:
    """Describe the syntax error and its line, without quoting the document."""
    return f"{expat.errors.messages[error.code]}, line {error.position[0]}"
