"""Name the fault of a response that is not valid HTTP."""

from __future__ import annotations

from typing import Final

#: Words in the names and messages of parser errors, in order of precedence, with the fault they report.
_FAULTS: Final = (
    ("transferencodingerror", "a chunk is malformed"),
    ("linetoolong", "a line or header field is too long"),
    ("status", "the status line is malformed"),
    ("interim", "too many interim responses"),
    ("around the body", "too many bytes around the body"),
    ("too many", "too many header fields"),
    ("more than", "a line or header field is too long"),
    ("too long", "a line or header field is too long"),
    ("content-length", "Content-Length is malformed, repeated, or combined with Transfer-Encoding"),
    ("transfer-encoding", "Transfer-Encoding is malformed, or combined with Content-Length"),
    ("chunk", "a chunk is malformed"),
    ("version", "the status line is malformed"),
    ("expected http", "the status line is malformed"),
    ("response line", "the status line is malformed"),
    ("header", "a header field is malformed"),
    ("data after", "more data follows it"),
)
#: Words in errors of httpcore about a connection that closed.
_CLOSED: Final = ("disconnected", "closed")


def malformation(error: Exception) -> str | None:
    """Return the fault of a response, ``None`` if it is not known. The text quotes nothing of the response.

    Args:
        error: of the parser of aiohttp or of httpcore: its words are before the first colon, the bytes of the
            response after it.
    """
    message = getattr(error, "message", None) or str(error)
    words = message.partition(":")[0].lower()
    if any(word in words for word in _CLOSED):
        return None
    # The name of a class tells more than a message that quotes the response.
    name = type(error).__name__.lower()
    return next((fault for text in (name, words) for word, fault in _FAULTS if word in text), None)
