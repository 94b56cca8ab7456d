"""Mask values in requests and responses, and keep their lengths and shapes.

Letters become ``x`` or ``X``, digits ``0``, other letters and digits of Unicode ``é``; punctuation and
blanks stay. Names of elements, fields and parameters stay, and so do values that are the vendor's and not a
person's: statuses, codes, page numbers. This module has no parser: bodies may be cut, malformed, or in
another format.

It serves traces. `transport/secret.py` and `transport/http.py` keep credentials out of everything else.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Final

from attrs import frozen

from publitrac_async.transport.secret import MASK

#: Limit on the characters of a body; the rest is not shown.
MAX_CHARACTERS: Final = 200_000

_NAME: Final = r"[A-Za-z_][\w.:-]{0,63}+"
_IS_NAME: Final = re.compile(rf"{_NAME}(?:\[\w{{0,20}}\][\w.]{{0,40}})*", re.ASCII)
_IS_SECRET: Final = re.compile(
    r"token|passw|secret|key|auth|cookie|credential|username|session", re.IGNORECASE
)
_REFERENCE: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|[\"\\/bfnrt])")
_XML: Final = re.compile(
    r"<!\[CDATA\[(?P<cdata>.*?)(?P<end>\]\]>|\Z)"
    r"|<(?P<close>/?)(?P<name>[A-Za-z_][\w.:-]{0,63}+)(?P<rest>[^<>]*+)>"
    r"|(?P<declaration><\?xml(?:\s+(?:version|encoding|standalone)\s*=\s*[\"'][\w.-]{1,20}[\"'])+\s*\?>)"
    r"|(?P<text><?[^<]*+)",
    re.DOTALL | re.ASCII,
)
_TAG: Final = re.compile(rf"<(/?)({_NAME})(?:[^<>]*(/)>)?", re.ASCII)
_ATTRIBUTE: Final = re.compile(rf"\s({_NAME})\s*=\s*(?=[\"'])", re.ASCII)
_JSON: Final = re.compile(
    r"(?P<string>\"(?:[^\"\\]|\\.)*+(?:\"|\\?\Z))(?P<colon>\s*:)?"
    r"|(?P<open>[{\[])|(?P<close>[}\]])|(?P<comma>,)|(?P<word>[^\s\"{}\[\],:]++)|(?P<other>.)",
    re.DOTALL,
)
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_DIGIT: Final = re.compile(r"[0-9]")
#: Elements of v1 whose names are shown even without an end tag: the vendor's samples omit some.
_ELEMENTS: Final = frozenset({"response", "request", "status", "message", "errors", "error", "paging"})
#: Names whose values are the vendor's own, if they match `_PLAIN_VALUE`.
_PLAIN: Final = frozenset(
    {"status", "code", "errorCode", "success", "ttl", "expires_in", "page", "items", "offset", "total"}
    | {"moreResult", "seq"}
)
_CONTAINERS: Final = frozenset({"response", "paging", "errors", "error", "reasons", "result", "warnings"})
_DEEPEST: Final = 8
_PLAIN_VALUE: Final = re.compile(
    r"\s*(?:-?[0-9]{1,6}|true|false|success|error|fail(?:ed|ure)?|created|updated|deleted|skipped|added|removed"
    r"|memberof|notmemberof|bearer)\s*",
    re.IGNORECASE,
)
_CODE: Final = re.compile(r"\s*[0-9]{3,4}\s*-(?=\s)")
_SEARCH: Final = ("request", "queries", "query")
_SEARCH_WORD: Final = re.compile(r"[A-Za-z_]{1,40}|(?:[=!]|&[lg]t;){1,3}")
_WORDS: Final = frozenset({"message", "error", "errors", "error_description", "detail", "title", "reason"})
_WORD: Final = re.compile(r"\S+")
_QUOTED: Final = re.compile(r"""\([^()]*\)|"[^"]*"|'[^']*'|«[^«»]*»|[0-9]{5,}""")
#: Parameters whose values are names or numbers.
_PARAMETERS: Final = {
    "method": re.compile(r"[A-Za-z]{1,40}"),
    "_method": re.compile(r"[A-Z]{1,10}"),
    "grant_type": re.compile(r"client_credentials"),
    "page": re.compile(r"[0-9]{1,9}"),
    "batchSize": re.compile(r"[0-9]{1,9}"),
    "filterType": re.compile(r"[A-Za-z_]{1,60}"),
    "fields": re.compile(r"[A-Za-z_,]{1,2000}"),
}
_HEADERS: Final = frozenset(
    {"accept", "accept-encoding", "allow", "age", "cache-control", "connection", "content-encoding"}
    | {"content-length", "content-type", "date", "keep-alive", "retry-after", "server", "transfer-encoding"}
    | {"user-agent", "vary", "via", "x-cache", "x-powered-by"}
)
_HEADER_VALUE: Final = re.compile(r"[\w /;=,.:+*\"()-]{0,120}", re.ASCII)


#: Shape of letters and digits outside of ASCII.
_OTHER: Final = "é"


class _Shapes(dict[int, str]):
    def __missing__(self, code: int) -> str:
        character = chr(code)
        kind = unicodedata.category(character)
        if code < 128:
            shape = {"Lu": "X", "Ll": "x", "Nd": "0"}.get(kind, character)
        else:
            shape = _OTHER if kind[0] in "LNM" else "\ufffd" if kind in ("Cs", "Co", "Cn") else character
        self[code] = shape
        return shape


_SHAPES: Final = _Shapes()


def shape_of(text: str) -> str:
    """Mask every letter and digit of a text."""
    return text.translate(_SHAPES)


def _is_envelope(path: list[str]) -> bool:
    """Return True for a path at which the vendor's statuses and codes are, outside of any record."""
    return len(path) < _DEEPEST and _CONTAINERS.issuperset(filter(None, path))


def _is_neutral(text: str) -> bool:
    """Return True if a text has neither letters nor digits."""
    return shape_of(text) == text and _OTHER not in text


def mask_secret(value: str) -> str:
    """Replace a credential by its length."""
    return f"{MASK} ({len(value)} characters)"


@frozen
class Masking:
    """Masks one exchange.

    Attributes:
        hide: masks the credentials of the exchange in a text, and keeps the rest.
        messages: keep the service's messages, except for values that they quote.
    """

    hide: Callable[[str], str]
    messages: bool = False

    def name(self, name: str) -> str:
        """Return the name of a field, element or parameter, masked unless it looks like a name."""
        return self.hide(name) if _IS_NAME.fullmatch(name) else shape_of(name)

    def parameters(self, pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
        """Mask parameters of a query string or form; a document in one is masked as such."""
        return [[self.name(name), self._parameter(name, value)] for name, value in pairs]

    def _parameter(self, name: str, value: str) -> str:
        pattern = _PARAMETERS.get(name)
        if pattern is not None and pattern.fullmatch(value):
            return self.hide(value)
        if value.lstrip().startswith(("<", "{", "[")):
            return self.body(value)
        return mask_secret(value) if _IS_SECRET.search(name) else shape_of(value[:MAX_CHARACTERS])

    def headers(self, pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
        """Mask headers, except for those that describe the connection or the body."""
        return [[self.name(name), self._header(name, value)] for name, value in pairs]

    def _header(self, name: str, value: str) -> str:
        if name.lower() in _HEADERS and _HEADER_VALUE.fullmatch(value):
            return self.hide(value)
        return mask_secret(value) if _IS_SECRET.search(name) else shape_of(value)

    def words(self, text: str) -> str:
        """Mask a message of the service: all of it, or only quoted values if messages are kept."""
        if not self.messages:
            return shape_of(text)
        # A pattern for addresses would take quadratic time with a long word.
        text = _WORD.sub(lambda found: shape_of(found[0]) if "@" in found[0] else found[0], self.hide(text))
        return _QUOTED.sub(lambda found: shape_of(found[0]), text)

    def body(self, text: str) -> str:
        """Mask a body or document by its kind: markup, JSON or text."""
        text = text[:MAX_CHARACTERS]
        if self.messages:
            # Before the text is split: a credential may have a "<".
            text = self.hide(text)
        start = text.lstrip("\ufeff \t\r\n")
        if start.startswith("<"):
            return self._markup(text)
        if start.startswith(("{", "[", '"')):
            return self._json(text)
        return self.words(text) if len(text) <= 1000 else shape_of(text)

    def _markup(self, text: str) -> str:
        opened, closed = set[str](), set(_ELEMENTS)
        for slash, name, empty in _TAG.findall(text):
            if slash or empty:
                closed.add(name)
            if not slash:
                opened.add(name)
        # A name without an end tag may be text after a bare "<".
        names = {name: self.hide(name) for name in opened & closed}
        path: list[str] = []
        masked: list[str] = []
        for token in _XML.finditer(text):
            name = token["name"]
            if name is not None:
                shown = names.get(name) or shape_of(name)
                masked.append(f"<{token['close']}{shown}{self._attributes(token['rest'])}>")
                if not token["close"] and not token["rest"].endswith("/"):
                    path.append(name)
                elif token["close"] and name in path[-_DEEPEST:]:
                    while path.pop() != name:
                        pass
            elif token["cdata"] is not None:
                masked.append(f"<![CDATA[{self._text(token['cdata'], path)}{token['end']}")
            else:
                masked.append(token["declaration"] or self._text(token["text"], path))
        return "".join(masked)

    def _attributes(self, text: str) -> str:
        parts: list[str] = []
        end = 0
        for found in _ATTRIBUTE.finditer(text):
            parts += [shape_of(text[end : found.start()]), found.group()]
            end = found.end()
        return "".join(parts) + shape_of(text[end:])

    def _text(self, text: str, path: list[str]) -> str:
        name = path[-1] if path else ""
        if path[:1] == ["response"] and _is_envelope(path[:-1]):
            if name in _PLAIN and _PLAIN_VALUE.fullmatch(text):
                return self.hide(text)
            if name in ("message", "error"):
                code = _CODE.match(text)
                end = code.end() if code else 0
                return text[:end] + self._message(text[end:])
        if tuple(path[:-1]) == _SEARCH and name in ("field", "operator") and _SEARCH_WORD.fullmatch(text):
            return self.hide(text)
        if _IS_SECRET.search(name) and text.strip():
            return mask_secret(text)
        return _shape_of_text(text)

    def _message(self, text: str) -> str:
        if not self.messages:
            return _shape_of_text(text)
        return html.escape(self.words(html.unescape(text)), quote=False)

    def _json(self, text: str) -> str:
        path: list[str] = []
        key = ""
        masked: list[str] = []
        for token in _JSON.finditer(text):
            if token["string"] is not None and token["colon"]:
                key = token["string"][1:-1]
                masked.append(f'"{self._key(key)}"{token["colon"]}')
            elif token["string"] is not None:
                masked.append(self._string(token["string"], path, key))
            elif token["word"] is not None:
                masked.append(self._word(token["word"], path, key))
            else:
                masked.append(token.group())
                if token["open"]:
                    path.append(key)
                elif token["close"] and path:
                    key = path.pop()
        return "".join(masked)

    def _key(self, key: str) -> str:
        return self.name(key) if _IS_NAME.fullmatch(key) else _shape_of_string(key)

    def _is_plain(self, value: str, path: list[str], key: str) -> bool:
        return key in _PLAIN and _is_envelope(path) and _PLAIN_VALUE.fullmatch(value) is not None

    def _string(self, token: str, path: list[str], key: str) -> str:
        end = '"' if len(token) > 1 and token.endswith('"') else ""
        value = token[1 : len(token) - len(end)]
        if self._is_plain(value, path, key):
            shown = self.hide(value)
        elif self.messages and (key in _WORDS or not key) and _is_envelope(path):
            shown = self._json_message(value)
        elif _IS_SECRET.search(key) and value:
            shown = mask_secret(value)
        else:
            shown = _shape_of_string(value)
        return f'"{shown}{end}'

    def _json_message(self, value: str) -> str:
        try:
            text = str(json.loads(f'"{value}"', strict=False))
        except ValueError:
            return _shape_of_string(value)
        return json.dumps(self.words(text), ensure_ascii=False)[1:-1]

    def _word(self, word: str, path: list[str], key: str) -> str:
        if word in ("true", "false", "null") or self._is_plain(word, path, key):
            return self.hide(word)
        # A masked number must remain valid JSON, which does not allow a leading zero.
        return _DIGIT.sub("1", word) if _NUMBER.fullmatch(word) else shape_of(word)


def _shape_of_text(text: str) -> str:
    """Mask text of XML, including references to letters and digits."""
    parts: list[str] = []
    end = 0
    for found in _REFERENCE.finditer(text):
        character = html.unescape(found.group())
        masked = shape_of(character)
        parts += [shape_of(text[end : found.start()]), found.group() if _is_neutral(character) else masked]
        end = found.end()
    return "".join(parts) + shape_of(text[end:])


def _shape_of_string(text: str) -> str:
    """Mask a string of JSON, including escapes of letters and digits."""
    parts: list[str] = []
    end = 0
    for found in _ESCAPE.finditer(text):
        masked = found.group()
        if found[1] is not None:
            character = chr(int(found[1], 16))
            masked = masked if _is_neutral(character) else shape_of(character)
        parts += [shape_of(text[end : found.start()]), masked]
        end = found.end()
    return "".join(parts) + shape_of(text[end:])
