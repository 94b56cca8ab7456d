"""Trace of all exchanges, for bug reports: JSON lines without credentials and personal data."""

from __future__ import annotations

import json
import logging
import os
import platform
import stat
from collections.abc import Iterable
from datetime import UTC, datetime
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeAlias

from publitrac_async.errors import ConfigurationError, PublitracError
from publitrac_async.transport.masking import MAX_CHARACTERS, Masking, mask_secret
from publitrac_async.version import __version__

if TYPE_CHECKING:
    from publitrac_async.transport.auth import Authorization
    from publitrac_async.transport.operation import Call, ServiceResponse
    from publitrac_async.transport.record import Attempt

logger: Final = logging.getLogger("publitrac_async")

_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


class TextWriter(Protocol):
    """Writer of text, such as an open file."""

    def write(self, text: str, /) -> object:
        """Write `text`."""
        ...


class Trace:
    """Writes one JSON line for each exchange of one or several clients.

    Token requests, retries and failed attempts are exchanges, too. Credentials and personal data are masked:
    letters become ``x``, digits ``0``; lengths, punctuation and names of fields stay, and so do statuses
    and codes. Lines are written synchronously, in the event loop. If writing fails, the trace ends with a
    warning in the log; no call fails because of it.

    ::

        with Trace("publitrac.trace.jsonl", messages=True) as trace:
            async with PublitracClient(..., trace=trace) as publitrac:
                await publitrac.v1.get_lead("ada@example.com")

    Args:
        target: path of a file that only its owner can read; lines are appended to it. Or an object with a
            method ``write()``, which the caller closes.
        messages: keep the service's messages, except for credentials and quoted values. They may still have
            personal data.

    Raises:
        ConfigurationError: the file cannot be opened.
    """

    def __init__(self, target: str | PathLike[str] | TextWriter, *, messages: bool = False) -> None:
        self._messages = messages
        self._file: int | None = None
        self._writer: TextWriter | None = None
        if isinstance(target, (str, PathLike)):
            self._file = _open(target)
        elif callable(getattr(target, "write", None)):
            self._writer = target
        else:
            raise ConfigurationError("trace must be a path, a Trace, or an object with a method write()")
        self._write(
            {
                "trace": 1,
                "publitrac_async": __version__,
                "python": platform.python_version(),
                "masked": "letters x and X, digits 0 (in JSON numbers 1), others é; credentials: length only",
            }
        )

    def add(
        self,
        call: Call[Any],
        authorization: Authorization,
        attempt: Attempt,
        *,
        call_id: str,
        vendor: str,
        base_url: str,
        ended: float,
        response: ServiceResponse | None,
        failure: PublitracError | None,
    ) -> None:
        """Write one exchange. Never raises.

        Args:
            call: the request, without the credentials.
            authorization: the credentials.
            attempt: times, status and headers of the exchange.
            call_id: id of the call.
            vendor: name of the vendor.
            base_url: address of the service.
            ended: end of the exchange, in seconds of the client's clock.
            response: the response, if it arrived whole.
            failure: the error of the exchange, ``None`` for success.
        """
        if self._file is None and self._writer is None:
            return
        masking = Masking(authorization.masked_in, self._messages)
        try:
            line = {
                "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "call": call_id,
                "attempt": attempt.number,
                "vendor": vendor,
                "operation": call.operation.name,
                "request": _request(call, authorization, base_url, masking),
                "response": _response(attempt, response, masking),
                "error": _error(attempt, response, failure, masking),
                "seconds": _seconds(attempt, ended),
            }
        except Exception as error:  # noqa: BLE001  (no call fails because of its trace, whatever its body)
            line = {"call": call_id, "attempt": attempt.number, "not_shown": type(error).__name__}
        self._write(line)

    def close(self) -> None:
        """Close the file. Later exchanges are not written."""
        if self._file is not None:
            os.close(self._file)
        self._file = self._writer = None

    async def aclose(self) -> None:
        """Close the file."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, line: dict[str, Any]) -> None:
        try:
            text = json.dumps(line) + "\n"
            if self._file is not None:
                data = memoryview(text.encode("ascii"))
                while data.nbytes:
                    data = data[os.write(self._file, data) :]
            elif self._writer is not None:
                self._writer.write(text)
        except Exception as error:  # noqa: BLE001  (likewise, whatever a writer raises)
            logger.warning("the trace ends here: writing to it failed (%s)", type(error).__name__)
            self.close()


#: Accepted as ``trace`` by clients.
TraceTarget: TypeAlias = str | PathLike[str] | Trace


def open_trace(trace: TraceTarget | None) -> tuple[Trace | None, Trace | None]:
    """Return the trace of a client, and the one that the client closes.

    Raises:
        ConfigurationError: the file cannot be opened.
    """
    if trace is None or isinstance(trace, Trace):
        return trace, None
    opened = Trace(trace)
    return opened, opened


def _open(path: str | PathLike[str]) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
    try:
        file = os.open(path, flags, 0o600)
    except OSError as error:
        raise ConfigurationError(f"the trace file cannot be opened: {error.strerror}") from None
    # An existing file may be readable by others. The mode of a device stays.
    if hasattr(os, "fchmod") and stat.S_ISREG(os.fstat(file).st_mode):
        try:
            os.fchmod(file, 0o600)
        except OSError as error:
            os.close(file)
            raise ConfigurationError(f"the mode of the trace file cannot be set: {error.strerror}") from None
    return file


def _request(
    call: Call[Any], authorization: Authorization, base_url: str, masking: Masking
) -> dict[str, Any]:
    credentials = [[name, mask_secret(secret.reveal())] for name, secret in authorization.parameters]
    in_body = call.form is not None and authorization.placement == "body"
    headers = masking.headers(call.headers)
    if call.content_type is not None:
        headers.append(["content-type", call.content_type])
    headers += [[name, mask_secret(secret.reveal())] for name, secret in authorization.headers]
    request: dict[str, Any] = {
        "verb": call.operation.verb,
        "url": (call.operation.base_url or base_url) + call.operation.path,
        "query": ([] if in_body else credentials) + masking.parameters(call.query),
        "headers": headers,
    }
    if call.form is not None:
        request["form"] = (credentials if in_body else []) + masking.parameters(call.form)
    if call.content is not None:
        request |= _body(call.content, masking)
    return request


def _response(attempt: Attempt, response: ServiceResponse | None, masking: Masking) -> dict[str, Any] | None:
    if attempt.status is None:
        return None
    shown: dict[str, Any] = {
        "status": attempt.status,
        "headers": masking.headers(_texts(attempt.headers)),
    }
    if response is None:
        return shown | {"body": None}
    return shown | _body(response.body, masking) | {"framed": response.framed}


def _texts(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[str, str]]:
    return ((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


def _body(body: bytes, masking: Masking) -> dict[str, Any]:
    """Mask a body. Bytes that are not UTF-8 are shown as U+FFFD and counted."""
    shown: dict[str, Any] = {"bytes": len(body)}
    if body.startswith(_UTF_16):
        text = body.decode("utf-16", "replace")
        shown["encoding"] = "UTF-16"
    elif b"\0" in body:
        # Binary data, or text in an unknown encoding that masking could not recognize.
        return shown | {"body": None, "not_shown": "has zero bytes"}
    else:
        text = body.decode("utf-8", "surrogateescape")
        wrong = sum("\udc80" <= character <= "\udcff" for character in text) if not text.isascii() else 0
        if wrong:
            shown["not_utf_8"] = wrong
    if len(text) > MAX_CHARACTERS:
        shown["shown_characters"] = MAX_CHARACTERS
    return shown | {"body": masking.body(text)}


def _error(
    attempt: Attempt, response: ServiceResponse | None, failure: PublitracError | None, masking: Masking
) -> dict[str, Any] | None:
    if failure is None:
        # The caller cancelled the call, or its time limit expired.
        return {"type": "CancelledError"} if response is None else None
    return {
        "type": type(failure).__name__,
        "message": masking.hide(failure.message),
        "code": failure.code,
        "sent": attempt.sent_at is not None,
        "maybe_applied": failure.maybe_applied,
    }


def _seconds(attempt: Attempt, ended: float) -> dict[str, float | None]:
    connected, sent = attempt.connected_at, attempt.sent_at
    return {
        "until_connected": None if connected is None else round(connected - attempt.started, 4),
        "until_sent": None if sent is None else round(sent - attempt.started, 4),
        "total": round(ended - attempt.started, 4),
    }
