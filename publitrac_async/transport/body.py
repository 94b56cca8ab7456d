"""Reading an answer's body under caps: bytes on the wire, bytes after decompression, their ratio."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable
from typing import Final

from publitrac_async.config import MAX_BODY, MAX_RATIO, RATIO_FREE
from publitrac_async.errors import UnexpectedContent

_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS


async def read_body(chunks: AsyncIterable[bytes], encoding: str, *, max_body: int = MAX_BODY) -> bytes:
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
    raise UnexpectedContent("the answer has a content coding that was not asked for")


async def _read_plain(chunks: AsyncIterable[bytes], max_body: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > max_body:
            raise UnexpectedContent(f"the answer is larger than {max_body} bytes")
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
                # One member is what servers send; many small ones are an attack on the reader.
                raise UnexpectedContent("the compressed answer has bytes after its end")
            # In small steps: a chunk unfolds to a thousand times its size before the ratio could be seen.
            allowed = min(max_body - size + 1, RATIO_FREE)
            try:
                part = inflater.decompress(data, allowed)
            except zlib.error:
                part = None
            if part is None:
                raise UnexpectedContent("the compressed answer is broken", retryable=True)
            size += len(part)
            if size > max_body or (size > RATIO_FREE and size > wire * MAX_RATIO):
                raise UnexpectedContent(
                    f"the answer unfolds to more than {max_body} bytes or {MAX_RATIO} times its size"
                )
            parts.append(part)
            data = inflater.unconsumed_tail or inflater.unused_data
    if wire and not inflater.eof:
        raise UnexpectedContent("the compressed answer is incomplete", retryable=True)
    return b"".join(parts)
