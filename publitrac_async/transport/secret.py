"""`Secret`: a credential masked everywhere except on the wire.

`transport/http.py` keeps credentials out of the URL that logs see; an injected transport that is unknown gets
the whole URL.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final, NoReturn

from publitrac_async.errors import ConfigurationError

#: Text instead of a credential.
MASK: Final = "**********"
_MAX_LENGTH: Final = 4096
#: Minimum length of a credential to mask in texts; a shorter one would match any text.
_SHORTEST: Final = 4
#: Limit on the backslashes in front of a character; three levels of JSON have seven.
_BACKSLASHES: Final = 7
#: Rest of a text that was cut within a credential, perhaps within an escaped character.
_CUT: Final = re.compile(r"[%\\&]?[0-9a-z#]{0,5}…?", re.IGNORECASE)


class Secret:
    """Credential, masked in ``repr``, ``str`` and format strings. It cannot be pickled.

    Surrounding whitespace is removed: a key read from a file often ends in a line break. A value that cannot
    be sent in a header or a URL is refused; the error shows only its length.

    Args:
        value: the credential, in printable characters.
        name: name for error messages: ``"api_key"``.
        header: the credential is sent in an HTTP header, so it has to be ASCII.

    Raises:
        ConfigurationError: empty, too long, or with characters that cannot be sent.
    """

    # Without a `__dict__` in which debuggers and error trackers would find the value.
    __slots__ = ("_value",)

    def __init__(self, value: str | Secret, name: str = "secret", *, header: bool = False) -> None:
        text = value.reveal() if isinstance(value, Secret) else value
        problem = _examine(text, name, header=header)
        if problem is not None:
            # Error trackers record the local names of frames.
            del value, text
            raise ConfigurationError(problem)
        self._value = text.strip()

    def reveal(self) -> str:
        """Return the credential. Call this at the last moment, and bind the result to no name."""
        return self._value

    def masked_in(self, text: str) -> str:
        """Mask the credential in a message of the service."""
        if len(self._value) < _SHORTEST:
            return text
        begin = re.compile("".join(map(_pattern, self._value[:_SHORTEST])), re.IGNORECASE)
        parts: list[str] = []
        done = search = 0
        while (found := begin.search(text, search)) is not None:
            end = self._end_in(text, found.start())
            search = found.start() + 1
            if end is not None:
                parts += [text[done : found.start()], MASK]
                done = search = end
        return "".join([*parts, text[done:]]) if parts else text

    def _end_in(self, text: str, begin: int) -> int | None:
        """Return the end of the credential that begins at `begin`, ``None`` if it is another text."""
        # All possible ends of the characters so far: "%25" may be one escaped "%", or three characters.
        ends = {begin}
        for number, character in enumerate(self._value):
            further = {end for at in ends for end in _ends(text, at, _spellings(character))}
            if not further:
                cut = number >= _SHORTEST and text.endswith("…")
                return len(text) if cut and any(_CUT.fullmatch(text, end) for end in ends) else None
            ends = further
        return max(ends)

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, format_spec: str) -> str:
        return format(MASK, format_spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled: pass the credential by environment or file")


def _spellings(character: str) -> tuple[str, ...]:
    """Return a character in lower case, plain and escaped for URLs, HTML, JSON or Python."""
    percent = "".join(f"%{byte:02x}" for byte in character.encode())
    number = ord(character)
    written = (
        *(character.lower(), percent, html.escape(character), f"&#{number};", f"&#x{number:x};"),
        *(f"\\u{number:04x}", f"\\x{number:02x}", *("+" if character == " " else "")),
    )
    # The longest first: an "&" alone would leave the rest of "&amp;".
    return tuple(sorted(dict.fromkeys(written), key=len, reverse=True))


def _pattern(character: str) -> str:
    return rf"\\{{0,{_BACKSLASHES}}}(?:{'|'.join(map(re.escape, _spellings(character)))})"


def _ends(text: str, at: int, written: Sequence[str]) -> Iterator[int]:
    """Yield the ends of a character at `at`, for each of its spellings that matches."""
    for begin in range(at, at + _BACKSLASHES + 1):
        for each in written:
            if text[begin : begin + len(each)].lower() == each:
                yield begin + len(each)
        if text[begin : begin + 1] != "\\":
            return


def _examine(text: object, name: str, *, header: bool) -> str | None:
    """Return the reason why `text` is unusable as a credential, without quoting it."""
    if not isinstance(text, str):
        return f"{name} must be a str, not {type(text).__name__}"
    text = text.strip()
    if not text:
        return f"{name} is empty"
    if len(text) > _MAX_LENGTH:
        return f"{name} has {len(text)} characters, more than {_MAX_LENGTH}"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        return f"{name} ({len(text)} characters) has control characters"
    if header and not text.isascii():
        return f"{name} ({len(text)} characters) must be ASCII, since it is sent in a header"
    return None


def seal(value: str | Secret, name: str, *, header: bool = False) -> Secret | ConfigurationError:
    """Make a `Secret`, or return the error instead of raising it.

    Callers that hold the bare credential in a local name can delete it before they raise.
    """
    try:
        return Secret(value, name, header=header)
    except ConfigurationError as error:
        return error.with_traceback(None)


def all_sealed(*sealed: Secret | ConfigurationError) -> tuple[Secret, ...]:
    """Return results of `seal`; call it when no local name holds a bare credential any more.

    Raises:
        ConfigurationError: the first error among them.
    """
    for each in sealed:
        if isinstance(each, ConfigurationError):
            raise each
    return tuple(each for each in sealed if isinstance(each, Secret))
