"""Bodies that are too large, truncated, or in a coding that was not requested."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publitrac_async import UnexpectedContent
from publitrac_async.transport.body import Body


def take(chunks: Iterable[bytes], encoding: str, max_body: int) -> bytes:
    body = Body(encoding, max_body)
    for chunk in chunks:
        body.add(chunk)
    return body.content()


def read(data: bytes, encoding: str = "", *, size: int = 65536, max_body: int = 32 * 1024 * 1024) -> bytes:
    return take((data[start : start + size] for start in range(0, len(data), size)), encoding, max_body)


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    block = bytes(1024 * 1024)
    return b"".join(packer.compress(block) for _ in range(size // len(block))) + packer.flush()


@given(data=st.binary(max_size=5000), size=st.integers(1, 5000))
def test_whole_bodies_come_back_in_any_pieces(data: bytes, size: int) -> None:
    assert read(data, size=size) == data
    assert read(gzip.compress(data), "gzip", size=size) == data
    assert read(gzip.compress(data), " X-GZIP ", size=size) == data
    assert read(zlib.compress(data), "deflate", size=size) == data


@pytest.mark.parametrize(
    "encoding", ["br", "zstd", "compress", "gzip, gzip", "gzip,deflate", "identity, gzip", "x"]
)
def test_codings_that_were_not_requested(encoding: str) -> None:
    with pytest.raises(UnexpectedContent, match="did not accept"):
        read(b"x", encoding)


def test_every_cut_of_a_compressed_body_is_noticed() -> None:
    whole = gzip.compress(b'{"status": "success", "code": 201}' * 3)
    for end in range(1, len(whole)):
        with pytest.raises(UnexpectedContent, match=r"incomplete|corrupt"):
            read(whole[:end], "gzip")


def test_a_flipped_byte_in_the_checksum_is_noticed() -> None:
    whole = bytearray(gzip.compress(b"abc" * 100))
    whole[-6] ^= 1
    with pytest.raises(UnexpectedContent, match="corrupt"):
        read(bytes(whole), "gzip")


@pytest.mark.parametrize("data", [b"plain text", b"{}", b"\x1f\x8b garbage"])
def test_not_compressed_at_all(data: bytes) -> None:
    with pytest.raises(UnexpectedContent, match=r"corrupt|incomplete"):
        read(data, "gzip")


@pytest.mark.parametrize(
    "tail", [gzip.compress(b""), gzip.compress(b"more"), b"x"], ids=["empty", "more", "x"]
)
def test_only_one_member(tail: bytes) -> None:
    with pytest.raises(UnexpectedContent, match="after its end"):
        read(gzip.compress(b"one") + tail, "gzip")


def test_100_000_empty_members_are_refused_at_the_second() -> None:
    pulled = 0

    def many() -> Iterator[bytes]:
        nonlocal pulled
        for _ in range(1000):
            pulled += 1
            yield gzip.compress(b"") * 100

    with pytest.raises(UnexpectedContent):
        take(many(), "gzip", 10**9)
    assert pulled == 1


@pytest.mark.fault("F24")
def test_a_bomb_is_stopped_before_it_unfolds() -> None:
    data = bomb(200 * 1024 * 1024)
    tracemalloc.start()
    with pytest.raises(UnexpectedContent, match="decompresses"):
        read(data, "gzip")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 48 * 1024 * 1024


def test_a_large_body_that_packs_well_but_not_too_well() -> None:
    whole = b"".join(b"%08d" % number * 12 for number in range(100_000))
    packed = gzip.compress(whole)
    assert 20 < len(whole) / len(packed) < 100
    for size in (1000, 65536, len(packed)):
        assert read(packed, "gzip", size=size) == whole


@pytest.mark.parametrize("size", [2**20 - 1, 2**20, 2**20 + 1])
def test_the_free_part_has_exact_ends(size: int) -> None:
    packed = gzip.compress(bytes(size))
    if size <= 2**20:
        assert read(packed, "gzip") == bytes(size)
    else:
        with pytest.raises(UnexpectedContent, match="decompresses"):
            read(packed, "gzip")


def test_a_bomb_below_the_free_part_but_above_the_cap() -> None:
    with pytest.raises(UnexpectedContent, match="decompresses"):
        read(gzip.compress(bytes(1001)), "gzip", max_body=1000)
    assert read(gzip.compress(bytes(1000)), "gzip", max_body=1000) == bytes(1000)


def test_plain_bodies_have_the_cap_and_are_not_read_past_it() -> None:
    pulled = 0

    def endless() -> Iterator[bytes]:
        nonlocal pulled
        while True:
            pulled += 1
            yield bytes(1000)

    with pytest.raises(UnexpectedContent, match="larger"):
        take(endless(), "", 5000)
    assert pulled == 6
    assert len(read(bytes(5000), max_body=5000)) == 5000


def test_no_body_is_an_empty_one() -> None:
    assert read(b"", "gzip") == b""
    assert read(b"") == b""
