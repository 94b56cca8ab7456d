"""Read a person lead like the service: Json.NET for JSON, DataContractSerializer for XML.

Both functions return nested dicts with the JSON names, without members that are missing or out of order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from xml.parsers import expat

from attrs import define, field

from publitrac_async.sandbox.vitec.contract import LEAD_TYPES, ROOT, ROOT_NAME, ListOf, Member, Scalar, Type

_NIL: Final = "http://www.w3.org/2001/XMLSchema-instance nil"
_MAX_DEPTH: Final = 32
_MAX_ELEMENTS: Final = 10_000


class UnreadableError(Exception):
    """The body is not a person lead.

    Attributes:
        key: path of the error in the form of the service; empty for the whole body.
    """

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key


def read_json(body: bytes) -> dict[str, Any] | None:
    """Read JSON. Names match regardless of case; unknown ones are ignored. None for `null` or an empty body.

    Raises:
        UnreadableError: the body is not JSON, or a value does not fit.
    """
    if not body.strip():
        return None
    try:
        document = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnreadableError("Unexpected character encountered while parsing value.") from error
    return None if document is None else _object(document, ROOT, "")


def _object(value: Any, kind: Type, path: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UnreadableError(f"Error converting value to an object. Path '{path}'.", path)
    sent = {str(name).lower(): part for name, part in value.items()}
    found = {}
    for member in kind.members:
        part = sent.get(member.json_name.lower())
        if part is not None:
            found[member.json_name] = _json_value(part, member, f"{path}.{member.json_name}".lstrip("."))
    return found


def _json_value(value: Any, member: Member, path: str) -> Any:
    if isinstance(member.type, Type):
        return _object(value, member.type, path)
    if isinstance(member.type, ListOf):
        if not isinstance(value, list):
            raise UnreadableError(f"Error converting value to a list. Path '{path}'.", path)
        return [_object(item, member.type.item, f"{path}[{index}]") for index, item in enumerate(value)]
    if member.type == "flag":
        if not isinstance(value, bool):
            raise UnreadableError(f"Could not convert to boolean. Path '{path}'.", path)
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UnreadableError(f"Error reading string. Path '{path}'.", path)
    text = str(value)
    if member.type == "text":
        return text
    by_name = {name.lower(): name for name in LEAD_TYPES}
    by_number = {str(number): name for number, name in enumerate(LEAD_TYPES)}
    lead_type = by_name.get(text.lower()) or by_number.get(text)
    if lead_type is None:
        raise UnreadableError(f"Error converting value \"{text}\" to type 'LeadType'. Path '{path}'.", path)
    return lead_type


def read_xml(body: bytes) -> dict[str, Any] | None:
    """Read XML, only forwards: an element that is out of order is silently ignored.

    Raises:
        UnreadableError: the body is not well-formed, has another root or a document type, or a value does
            not fit.
    """
    if not body.strip():
        return None
    reader = _XmlReader()
    try:
        reader.read(body)
    except (expat.ExpatError, UnicodeError, LookupError) as error:
        raise UnreadableError("There was an error deserializing the object.") from error
    root = reader.root.children[0]
    if root.name != f"{ROOT.namespace} {ROOT_NAME}":
        raise UnreadableError(
            f"Error in line 1. Expecting element '{ROOT_NAME}' from namespace '{ROOT.namespace}'."
        )
    return None if root.nil else _members(root, ROOT)


def _members(node: _Node, kind: Type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    next_member = 0
    for child in node.children:
        for index in range(next_member, len(kind.members)):
            member = kind.members[index]
            if child.name == f"{kind.namespace} {member.name}":
                next_member = index + 1
                if not child.nil:
                    found[member.json_name] = _xml_value(child, member)
                break
    return found


def _xml_value(node: _Node, member: Member) -> Any:
    kind = member.type
    if isinstance(kind, Type):
        return _members(node, kind)
    if isinstance(kind, ListOf):
        name = f"{kind.item.namespace} {kind.element}"
        return [_members(item, kind.item) for item in node.children if item.name == name]
    return _scalar(node.text, kind)


def _scalar(text: str, kind: Scalar) -> Any:
    if kind == "text":
        return text
    if kind == "flag":
        values = {"true": True, "1": True, "false": False, "0": False}
        if text.strip() not in values:
            raise UnreadableError(f"The value '{text}' cannot be parsed as the type 'Boolean'.")
        return values[text.strip()]
    if text not in LEAD_TYPES:
        raise UnreadableError(f"Invalid enum value '{text}' cannot be deserialized into type 'LeadType'.")
    return text


@define
class _Node:
    name: str
    """Namespace and local name with a space between."""
    nil: bool = False
    text: str = ""
    children: list[_Node] = field(factory=list)


class _XmlReader:
    def __init__(self) -> None:
        self.root = _Node("")
        self._open = [self.root]
        self._texts: list[list[str]] = [[]]
        self._elements = 0

    def read(self, document: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.Parse(document, True)

    def _doctype(self, *_: Any) -> None:
        raise UnreadableError("DTD is prohibited in this XML document.")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._elements += 1
        if len(self._open) > _MAX_DEPTH or self._elements > _MAX_ELEMENTS:
            raise UnreadableError("The maximum quota has been exceeded while reading XML data.")
        node = _Node(name, nil=attributes.get(_NIL) in ("true", "1"))
        self._open[-1].children.append(node)
        self._open.append(node)
        self._texts.append([])

    def _end(self, _name: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def _characters(self, text: str) -> None:
        self._texts[-1].append(text)
