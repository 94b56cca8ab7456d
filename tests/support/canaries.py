"""Secrets that are recognised wherever they turn up, in any encoding, and a search of all that is told."""

from __future__ import annotations

import asyncio
import base64
import html
import io
import json
import logging
import pickle
import traceback
import urllib.parse
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, Self


class Canaries:
    """Credentials of a test. They are attributes of an object whose ``repr`` shows nothing, so that no
    frame of the test itself is a leak; each looks different in each encoding.
    """

    def __init__(self) -> None:
        self.api_key = "KEYcnry<7&Qx+/=%Z"
        self.username = "USRcnry<8&Wy+/=%X@example.org"
        self.password = 'PWDcnry"9&Ev+/=%é'
        self.token = "TOKcnry<6&Ru+/=%V"
        self.email = "EMLcnry.ada@example.com"
        self.first_name = "FSTcnry & <Ada>"

    def __repr__(self) -> str:
        return "Canaries"

    @property
    def credentials(self) -> list[str]:
        return [self.api_key, self.username, self.password, self.token]

    @property
    def personal(self) -> list[str]:
        return [self.email, self.first_name]


def spellings(secret: str) -> set[str]:
    """A secret as it may be written: raw, URL, base64 at any offset, hexadecimal, JSON, XML, Python.

    The first seven letters stand alone, too: they survive cutting and most encodings.
    """
    data = secret.encode()
    written = {secret, secret[:7], urllib.parse.quote(secret), urllib.parse.quote_plus(secret), data.hex()}
    written |= {json.dumps(secret)[1:-1], html.escape(secret), repr(secret)[1:-1], repr(data)[2:-1]}
    for offset in range(3):
        # Without the ends, whose letters depend on what stands beside the secret.
        written.add(base64.b64encode(b"x" * offset + data).decode()[4 if offset else 0 : -4])
        written.add(base64.urlsafe_b64encode(b"x" * offset + data).decode()[4 if offset else 0 : -4])
    return written


class Told(logging.Handler):
    """Collects what a program tells: logs, warnings, output, errors with the locals of their frames.

    Attributes:
        credentials: texts in which no credential may stand.
        words: texts that must hold no personal data either: logs, texts of errors, tracebacks with the local
            names of their frames.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.credentials: list[str] = []
        self.words: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.words += [record.getMessage(), repr(record.args), repr(record.__dict__)]
        if record.exc_info:
            error = record.exc_info[1]
            if error is not None:
                self.hear_error(error)

    def hear(self, *things: object) -> None:
        """Objects whose ``repr`` and ``str`` a program may show."""
        for thing in things:
            self.words += [repr(thing), str(thing)]

    def hear_error(self, error: BaseException) -> None:
        self.hear(error, error.args)
        self.credentials += [repr(vars(error))]
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        self.words += report.format(chain=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.credentials.append(pickle.dumps(error).decode("latin-1"))
        for other in (error.__cause__, error.__context__):
            if other is not None:
                self.hear_error(other)
        for part in getattr(error, "exceptions", ()):
            self.hear_error(part)

    @contextmanager
    def listening(self) -> Iterator[Self]:
        """Hear the root logger at DEBUG, the running loop in debug mode, warnings, and both outputs."""
        root, loop = logging.getLogger(), asyncio.get_running_loop()
        level, slow = root.level, loop.slow_callback_duration
        root.addHandler(self)
        root.setLevel(logging.DEBUG)
        loop.set_debug(True)
        loop.slow_callback_duration = 0.0  # Every callback is told with its arguments.
        loop.set_exception_handler(lambda _, context: self.hear(context))
        output = io.StringIO()
        try:
            with (
                warnings.catch_warnings(record=True) as caught,
                redirect_stdout(output),
                redirect_stderr(output),
            ):
                warnings.simplefilter("always")
                yield self
        finally:
            loop.set_exception_handler(None)
            loop.slow_callback_duration = slow
            loop.set_debug(False)
            root.setLevel(level)
            root.removeHandler(self)
        self.words.append(output.getvalue())
        self.hear(*(warning.message for warning in caught))

    def check(self, canaries: Canaries) -> None:
        """Raise if a credential was told anywhere, or personal data in words.

        Raises:
            AssertionError: with the text around it.
        """
        find(canaries.credentials, self.credentials + self.words)
        find(canaries.personal, self.words)


def find(secrets: list[str], texts: list[str]) -> None:
    """Raise if one of `secrets` stands in one of `texts`.

    Raises:
        AssertionError: with the text around it.
    """
    wanted = {spelling for secret in secrets for spelling in spellings(secret)}
    for text in texts:
        for spelling in wanted:
            position = text.find(spelling)
            assert position < 0, f"{spelling!r} in {text[max(0, position - 300) : position + 300]!r}"


def everything(thing: Any) -> list[str]:
    """All texts of a nested structure, with ``repr`` for what is no container."""
    if isinstance(thing, dict):
        return [text for pair in thing.items() for part in pair for text in everything(part)]
    if isinstance(thing, (list, tuple, set, frozenset)):
        return [text for part in thing for text in everything(part)]
    if isinstance(thing, bytes):
        return [thing.decode("latin-1")]
    return [thing if isinstance(thing, str) else repr(thing)]
