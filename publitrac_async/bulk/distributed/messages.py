"""Check the messages of the queue before docket unpickles them.

docket reads the arguments of its tasks with ``pickle``, so a forged message could run code. Here the only
argument is a signed text. It is read without unpickling, and docket unpickles a new pickle of it.
"""

from __future__ import annotations

import pickle
import pickletools
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

#: Commands whose responses hold messages for workers.
COMMANDS: Final = ("XREADGROUP", "XAUTOCLAIM", "XCLAIM")

#: Opcodes of a pickled tuple with one text. They neither import nor call anything.
_HARMLESS: Final = frozenset(
    {
        *("PROTO", "FRAME", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "MEMOIZE", "BINPUT", "TUPLE1"),
        "STOP",
    }
)
_NO_KEYWORDS: Final = pickle.dumps({})


def checked(
    callback: Callable[..., Any] | None, task: str, is_signed: Callable[[str], bool]
) -> Callable[..., Any]:
    """Return a callback for responses with messages, to replace the one of redis-py.

    A message without a valid signature is replaced by one with an empty text.

    Args:
        callback: callback of redis-py.
        task: name of the only task.
        is_signed: returns True for a text with a valid signature.
    """

    def check(response: Any, **options: Any) -> Any:
        parsed = response if callback is None else callback(response, **options)
        _check(parsed, task, is_signed)
        return parsed

    return check


def _check(value: Any, task: str, is_signed: Callable[[str], bool]) -> None:
    if isinstance(value, dict) and value and not any(isinstance(each, list) for each in value.values()):
        text = text_of(value.get(b"args"))
        if text is None or not is_signed(text):
            text = ""
            value.clear()
            value |= {
                b"key": b"refused-" + secrets.token_hex(8).encode(),
                b"when": datetime.now(UTC).isoformat().encode(),
                b"attempt": b"1",
            }
        value |= {b"function": task.encode(), b"args": pickle.dumps((text,)), b"kwargs": _NO_KEYWORDS}
        return
    if isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            _check(each, task, is_signed)


def text_of(pickled: Any) -> str | None:
    """Return the text in a pickled tuple of one text, ``None`` for anything else. Nothing is unpickled."""
    texts = []
    try:
        for opcode, argument, _ in pickletools.genops(pickled):
            if opcode.name not in _HARMLESS:
                return None
            if isinstance(argument, str):
                texts.append(argument)
    except Exception:  # noqa: BLE001  (arbitrary bytes can raise anything)
        return None
    return texts[0] if len(texts) == 1 else None
