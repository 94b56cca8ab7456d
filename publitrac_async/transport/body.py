"""Read the body of a response within the budget: bytes on the wire and after decompression, their ratio."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable
from typing import Final

from publitrac_async.errors import UnexpectedContent
from publitrac_async.transport.budget import BUDGET

_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS


async def read_body(chunks: AsyncIterable[bytes], encoding: str, *, max_body: int = BUDGET.body) -> bytes:
    """Read a whole body and undo its content coding.

    Args:
        chunks: the bytes as they arrive.
        encoding: the ``Content-Encoding``; empty, ``identity``, ``gzip`` or ``deflate``.
        max_body: bytes allowed, before and after decompression.

    Raises:
        UnexpectedContent: a cap is passed, or the coding was not asked for, is broken or incomplete.
    """
    coding = encoding.strip().lower()
    if coding in ("", "identity"):
        return await _read_plain(chunks, max_body)
    if coding in ("gzip", "x-gzip", "deflate"):
        return await _read_compressed(chunks, max_body)
    raise UnexpectedContent("the response has a content coding that was not asked for")


async def _read_plain(chunks: AsyncIterable[bytes], max_body: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > max_body:
            raise UnexpectedContent(f"the response is larger than {max_body} bytes")
        parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _read_compressed(chunks: AsyncIterable[bytes], max_body: int) -> bytes:
    inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
    parts: list[bytes] = []
    wire = size = 0
    async for chunk in chunks:
        wire += len(chunk)
        data = chunk
        while data:
            if inflater.eof:
                # Servers send one member; many small ones are an attack on the reader.
                raise UnexpectedContent("the compressed response has bytes after its end")
            # In small steps: a chunk may decompress to a thousand times its size before the ratio is checked.
            allowed = min(max_body - size + 1, BUDGET.ratio_free)
            try:
                part = inflater.decompress(data, allowed)
            except zlib.error:
                part = None
            if part is None:
                raise UnexpectedContent("the compressed response is broken", retryable=True)
            size += len(part)
            if size > max_body or (size > BUDGET.ratio_free and size > wire * BUDGET.ratio):
                raise UnexpectedContent(
                    f"the response decompresses to more than {max_body} bytes or {BUDGET.ratio} times its "
                    "size"
                )
            parts.append(part)
            data = inflater.unconsumed_tail or inflater.unused_data
    if wire and not inflater.eof:
        raise UnexpectedContent("the compressed response is incomplete", retryable=True)
    return b"".join(parts)
