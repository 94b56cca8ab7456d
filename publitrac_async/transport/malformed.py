"""Name the defect of a response that is not valid HTTP."""

from __future__ import annotations

from typing import Final

#: Words in the names and messages of parser errors, in order of precedence, with the defect they report.
_DEFECTS: Final = (
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
    """Return the defect of a response, ``None`` if unknown. The text does not quote the response.

    Args:
        error: error of the parser of aiohttp or httpcore: a description, a colon, and bytes of the response.
    """
    message = getattr(error, "message", None) or str(error)
    words = message.partition(":")[0].lower()
    if any(word in words for word in _CLOSED):
        return None
    # The name of the class is more specific than a message that quotes the response.
    name = type(error).__name__.lower()
    return next((defect for text in (name, words) for word, defect in _DEFECTS if word in text), None)
