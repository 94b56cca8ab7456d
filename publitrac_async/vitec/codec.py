"""Write a lead as JSON and as XML, and read it from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
import orjson
import xmltodict
from cattrs import Converter, transform_error
from cattrs.errors import BaseValidationError
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from publitrac_async.checks import refusal
from publitrac_async.errors import Problem
from publitrac_async.models import vendor_name
from publitrac_async.vitec.models import PersonLead

_NAMESPACES: Final = "http://schemas.datacontract.org/2004/07/"
_ROOT: Final = "PublicAdvertisingPersonLead"

#: Order of the elements, by JSON names: alphabetical except for `telephone`, as in the vendor's sample. The
#: service reads only forward, and silently skips elements that are out of order.
_ORDER: Final[Mapping[str, tuple[str, ...]]] = {
    _ROOT: ("leadSource", "marketing", "message", "person", "receiver"),
    "leadSource": ("leadType", "name"),
    "marketing": ("referrer", "utmTags"),
    "person": (
        "address",
        "email",
        "firstName",
        "isForeignSocialSecurityNumber",
        "lastName",
        "socialSecurityNumber",
        "telephone",
    ),
    "address": ("city", "streetAddress", "zipCode"),
    "email": ("emailAddress", "emailAddress2"),
    "telephone": ("other", "cell", "home", "work"),
    "receiver": ("agent", "office", "userGroup"),
    "agent": ("email", "id", "office"),
    "office": ("customerId", "id"),
    "userGroup": ("id",),
    "utmTags": ("name", "value"),
}
#: Namespaces of the children of some elements; all others have the namespace of the root.
_NAMESPACE: Final[Mapping[str, str]] = {
    _ROOT: "Express.Connect.Api.Models.PublicAdvertisement.PublicAdvertisementLead",
    "marketing": "Express.Connect.Api.Services.Advertising",
    "email": "Vitec.Housing.Connect.Api.Models",
    "telephone": "Express.Connect.Api.Models",
}
_PREFIX: Final = "p"
_UTM_TAG: Final = "FormMarketingUtmTags"


def to_document(lead: PersonLead) -> dict[str, Any]:
    """Return a lead as nested dicts with the vendor's JSON names, without ``None`` and empty values."""
    document: dict[str, Any] = _pruned(_converter.unstructure(lead))
    return document


def to_json(lead: PersonLead) -> bytes:
    """Return the body of a JSON request; also a format to store a lead, see `from_json`.

    Args:
        lead: any lead.
    """
    return orjson.dumps(to_document(lead))


def to_xml(lead: PersonLead) -> bytes:
    """Return the body of an XML request."""
    document = {_ROOT: _element(_ROOT, to_document(lead), "")}
    text: str = xmltodict.unparse(document)
    # A bare carriage return would be read back as a line feed (XML 1.0, 2.11).
    return text.replace("\r", "&#13;").encode()


def from_json(document: bytes | str | Mapping[str, Any]) -> PersonLead:
    """Read a lead written by `to_json`, or in the form of the vendor's sample; ``leadType`` may be a number.

    Args:
        document: JSON, or the object parsed from it.

    Raises:
        ValidationError: not JSON, an unknown name, or a part that is missing or of the wrong type.
    """
    problems: list[Problem] = []
    try:
        content = orjson.loads(document) if isinstance(document, bytes | str) else document
        if isinstance(content, Mapping):
            return _converter.structure(content, PersonLead)
        problems.append(Problem("not a JSON object"))
    except orjson.JSONDecodeError:
        problems.append(Problem("not JSON"))
    except BaseValidationError as error:
        # "required field missing @ $.person.lastName" names fields and types, but no values.
        problems += [Problem(_reason(line), field=_path(line)) for line in transform_error(error)]
    raise refusal(problems)


def _reason(line: str) -> str:
    if line.startswith("required field missing"):
        return "is missing"
    return "has an unknown name" if line.startswith("extra fields") else "is of the wrong type"


def _path(line: str) -> str | None:
    path = line.rpartition(" @ $")[2].removeprefix(".")
    return ".".join(map(vendor_name, path.split("."))) or None


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        parts = ((name, _pruned(part)) for name, part in value.items())
        return {name: part for name, part in parts if part is not None and part not in ("", {}, [])}
    if isinstance(value, list | tuple):
        return [_pruned(part) for part in value]
    return value


def _element(name: str, content: Any, prefix: str) -> Any:
    """Return the content of an element for xmltodict, the children in the order of the table."""
    if isinstance(content, bool):
        return "true" if content else "false"
    if isinstance(content, str):
        return content
    element: dict[str, Any] = {}
    if name in _NAMESPACE:
        prefix = "" if name == _ROOT else f"{_PREFIX}:"
        element[f"@xmlns{prefix and ':' + _PREFIX}"] = _NAMESPACES + _NAMESPACE[name]
    if isinstance(content, list):
        return {f"{prefix}{_UTM_TAG}": [_children(name, tag, prefix) for tag in content]}
    return element | _children(name, content, prefix)


def _children(name: str, content: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        f"{prefix}{child[:1].upper()}{child[1:]}": _element(child, content[child], prefix)
        for child in _ORDER[name]
        if child in content
    }


def _text(value: Any, _: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # Ids and postal codes are often numbers in the source.
    raise TypeError("must be text")


def _flag(value: Any, _: object) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError("must be true or false")


def _names(kind: type[Any]) -> dict[str, Any]:
    return {name: override(rename=vendor_name(name)) for name in attrs.fields_dict(kind)}


def _make_converter() -> Converter:
    """Make a converter with the vendor's names. An unknown name is an error: its value would be lost."""
    converter = Converter()
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(bool, _flag)
    converter.register_structure_hook_factory(
        attrs.has,
        lambda kind: make_dict_structure_fn(kind, converter, _cattrs_forbid_extra_keys=True, **_names(kind)),
    )
    converter.register_unstructure_hook_factory(
        attrs.has, lambda kind: make_dict_unstructure_fn(kind, converter, **_names(kind))
    )
    return converter


_converter: Final = _make_converter()
