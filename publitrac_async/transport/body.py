"""Read the body of a response within the budget: bytes on the wire and after decompression, their ratio."""

from __future__ import annotations

import zlib
from typing import Final

from publitrac_async.errors import UnexpectedContent
from publitrac_async.transport.budget import BUDGET

_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS


class Body:
    """Body of a response, decompressed as its parts arrive.

    Args:
        encoding: the ``Content-Encoding``; empty, ``identity``, ``gzip`` or ``deflate``.
        max_body: bytes allowed, before and after decompression.

    Raises:
        UnexpectedContent: the request did not accept this coding.
    """

    def __init__(self, encoding: str, max_body: int) -> None:
        self._max_body = max_body
        self._parts: list[bytes] = []
        self._wire = self._size = 0
        self._inflater: zlib._Decompress | None = None
        coding = encoding.strip().lower()
        if coding in ("gzip", "x-gzip", "deflate"):
            self._inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
        elif coding not in ("", "identity"):
            raise UnexpectedContent("the response has a content coding that the request did not accept")

    def add(self, chunk: bytes) -> None:
        """Add the next bytes from the wire.

        Raises:
            UnexpectedContent: a limit is exceeded, or the compressed data is corrupt.
        """
        self._wire += len(chunk)
        if self._inflater is not None:
            self._inflate(self._inflater, chunk)
            return
        if self._wire > self._max_body:
            raise UnexpectedContent(f"the response is larger than {self._max_body} bytes")
        self._parts.append(chunk)

    def content(self) -> bytes:
        """Return the whole body.

        Raises:
            UnexpectedContent: the compressed data is incomplete.
        """
        if self._wire and self._inflater is not None and not self._inflater.eof:
            raise UnexpectedContent("the compressed response is incomplete", retryable=True)
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    def _inflate(self, inflater: zlib._Decompress, data: bytes) -> None:
        while data:
            if inflater.eof:
                # Servers send one gzip member; many small ones would be an attack on the reader.
                raise UnexpectedContent("the compressed response has bytes after its end")
            # In small steps: a chunk could decompress to a thousand times its size before the ratio is
            # checked.
            allowed = min(self._max_body - self._size + 1, BUDGET.ratio_free)
            try:
                part = inflater.decompress(data, allowed)
            except zlib.error:
                part = None
            if part is None:
                raise UnexpectedContent("the compressed response is corrupt", retryable=True)
            self._size += len(part)
            if self._size > self._max_body or (
                self._size > BUDGET.ratio_free and self._size > self._wire * BUDGET.ratio
            ):
                raise UnexpectedContent(
                    f"the response decompresses to more than {self._max_body} bytes or {BUDGET.ratio} times "
                    "its size"
                )
            self._parts.append(part)
            data = inflater.unconsumed_tail or inflater.unused_data
