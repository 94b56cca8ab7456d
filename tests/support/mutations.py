"""Mutated input for fuzz tests."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2000"))


def fuzzed(divisor: int = 1) -> settings:
    """Settings of a test with `EXAMPLES` examples, or fewer if an example takes long."""
    return settings(
        max_examples=max(10, EXAMPLES // divisor),
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


#: Input that often breaks parsers.
PIECES = [
    *(b"\0", b"\xff", b"\xfe\xff", b"\\ud800", b'"', b",", b"\n", b"\r\n\r\n", b" " * 2000, b"(" * 2000),
    *(b"<", b">", b"&", b"&#0;", b"]]>", b"<![CDATA[", b"<!DOCTYPE x [", b"<?xml", b"<a>" * 70),
    *(b"[" * 2000, b"{" * 2000, b"[" * 900 + b"]" * 900, b'{"a":' * 900 + b"1" + b"}" * 900),
    *(b"9" * 5000, b"1e999", b"NaN", b"-1", b"99999999999999999999", b"null"),
    *(b"0\r\n", b"zz\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"),
    b"HTTP/1.1 100 X\r\n\r\n",
]


@st.composite
def mutated(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """A sample in which pieces are cut, duplicated, swapped or inserted."""
    data = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(1, 6))):
        start, end = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        put = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=8), st.just(data[start:end] * 2)))
        data = data[:start] + put + data[draw(st.sampled_from([start, end])) :]
    return data[:200_000]
