"""Secrets that are recognised in any encoding, and a search for them in all output of a program."""

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
    """Credentials of a test, each different in each encoding.

    The ``repr`` shows none of them, so that frames of the test itself are not a leak.
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
    """Return the forms of a secret: raw, URL, base64 at any offset, hexadecimal, JSON, XML, Python.

    The first seven letters are one of them: they survive cutting and most encodings.
    """
    data = secret.encode()
    written = {secret, secret[:7], urllib.parse.quote(secret), urllib.parse.quote_plus(secret), data.hex()}
    written |= {json.dumps(secret)[1:-1], html.escape(secret), repr(secret)[1:-1], repr(data)[2:-1]}
    for offset in range(3):
        # Without the ends: their letters depend on the text beside the secret.
        written.add(base64.b64encode(b"x" * offset + data).decode()[4 if offset else 0 : -4])
        written.add(base64.urlsafe_b64encode(b"x" * offset + data).decode()[4 if offset else 0 : -4])
    return written


class Transcript(logging.Handler):
    """Collects everything that a program shows: logs, warnings, output, errors with locals of their frames.

    Attributes:
        credentials: texts that must hold no credential.
        texts: texts that must hold no personal data either: logs, texts of errors, tracebacks with the local
            names of their frames.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.credentials: list[str] = []
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts += [record.getMessage(), repr(record.args), repr(record.__dict__)]
        if record.exc_info:
            error = record.exc_info[1]
            if error is not None:
                self.add_error(error)

    def add(self, *things: object) -> None:
        """Add objects whose ``repr`` and ``str`` a program may show."""
        for thing in things:
            self.texts += [repr(thing), str(thing)]

    def add_error(self, error: BaseException) -> None:
        self.add(error, error.args)
        self.credentials += [repr(vars(error))]
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        self.texts += report.format(chain=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.credentials.append(pickle.dumps(error).decode("latin-1"))
        for other in (error.__cause__, error.__context__):
            if other is not None:
                self.add_error(other)
        for part in getattr(error, "exceptions", ()):
            self.add_error(part)

    @contextmanager
    def recording(self) -> Iterator[Self]:
        """Record the root logger at DEBUG, the running loop in debug mode, warnings, and both outputs."""
        root, loop = logging.getLogger(), asyncio.get_running_loop()
        level, slow = root.level, loop.slow_callback_duration
        root.addHandler(self)
        root.setLevel(logging.DEBUG)
        loop.set_debug(True)
        loop.slow_callback_duration = 0.0  # asyncio logs every callback with its arguments.
        loop.set_exception_handler(lambda _, context: self.add(context))
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
        self.texts.append(output.getvalue())
        self.add(*(warning.message for warning in caught))

    def check(self, canaries: Canaries) -> None:
        """Raise if a credential is in any text, or personal data in `texts`.

        Raises:
            AssertionError: with the text around it.
        """
        find(canaries.credentials, self.credentials + self.texts)
        find(canaries.personal, self.texts)


def find(secrets: list[str], texts: list[str]) -> None:
    """Raise if one of `secrets` is in one of `texts`.

    Raises:
        AssertionError: with the text around it.
    """
    text = "\0".join(texts)
    for spelling in {spelling for secret in secrets for spelling in spellings(secret)}:
        position = text.find(spelling)
        assert position < 0, f"{spelling!r} in {text[max(0, position - 300) : position + 300]!r}"


def everything(thing: Any) -> list[str]:
    """Return all texts of a nested structure, with the ``repr`` of values that are not containers."""
    if isinstance(thing, dict):
        return [text for pair in thing.items() for part in pair for text in everything(part)]
    if isinstance(thing, (list, tuple, set, frozenset)):
        return [text for part in thing for text in everything(part)]
    if isinstance(thing, bytes):
        return [thing.decode("latin-1")]
    return [thing if isinstance(thing, str) else repr(thing)]
