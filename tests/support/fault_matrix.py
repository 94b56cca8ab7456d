"""The fault matrix: its rows, and the tests that are marked with each row."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]

#: Fault, cases, and invariants besides I3, I5, I7, I8 and I9.
ROWS: Final = {
    "F01": ("connection refused", "read, upsert, append, token request", "I1"),
    "F02": ("accepted, then reset", "append", "I2"),
    "F03": ("reset while the request is written", "after every byte, four operations", "I1 I2"),
    "F04": (
        "response cut",
        "after every byte; FIN, RST; length, chunks, neither",
        "I1 I2; no cut document is a success",
    ),
    "F05": ("applied, response lost", "every byte of the response; Vitec's appends", "I2"),
    "F06": ("slow loris", "before, in head, in body", "ends at `read` or `total`"),
    "F07": ("silence", "every wait on the wire, without a `total`", "ends at `connect` or `read`"),
    "F08": ("one byte at a time", "four operations, whole dialogue", "the same result"),
    "F09": ("latency that varies", "storms, bulk runs", "order of one lead"),
    "F10": ("truncated or mis-nested document", "five transports", "never a success"),
    "F11": ("other encodings", "declared, undeclared, wrong", "no mojibake"),
    "F12": ("web page, other format", "five transports", "never a success"),
    "F13": ("`Retry-After`", "seconds, dates, garbage, too long", "a floor, with a limit"),
    "F14": ("outage", "1,000 calls", "35 retries in all"),
    "F15": ("refusals of the application", "five transports", "never repeated"),
    "F16": ("token revoked", "256 in flight", "one token request, one replay a call"),
    "F17": ("token ends again and again", "10,240 calls", "one token request for each end"),
    "F18": ("token request fails", "errors, leader cancelled", "one error for all, followers survive"),
    "F19": ("always 401", "v2", "one renewal and one replay a call"),
    "F20": ("clocks that jump or stand", "wall, monotonic, lives", "I6"),
    "F21": ("names", "unknown, try again, blocking resolver", "closes within a second"),
    "F22": ("TLS", "eight flaws", "no byte reaches the peer"),
    "F23": ("redirects", "five statuses, five targets", "the target sees no request"),
    "F24": ("bombs", "200 MiB of gzip, endless body", "I4"),
    "F25": ("hostile XML", "entities, depth, names, attributes, text", "I4"),
    "F26": ("pages that lie", "circles, moving totals", "ends with an error"),
    "F27": ("duplicates", "in the input", "the last wins, all reported"),
    "F28": (
        "HTTP misbehaviour",
        "malformed heads and bodies; connections spoilt while the loop is busy, over TLS and proxies",
        "no response goes to the wrong call",
    ),
    "F29": ("SIGKILL in a bulk run", "200 random moments, every point", "I1 I2"),
    "F30": ("torn state file", "every cut, flipped bits", "I1"),
    "F31": ("cancelled", "every suspension of every public coroutine, pending and late", "I9"),
    "F32": ("storms of cancellations", "20 workers, task groups", "I9"),
    "F33": ("mistakes of the program", "second loop, limiter, hook, transport", "named as such"),
    "F34": ("Redis away", "refused, dropped, restarted", "I6"),
    "F35": ("rate", "bursts, retries, any arrivals", "I6"),
    "F36": ("secrets", "every fault, every suspension, four vendors, four transports", "I3 in all frames"),
    "F37": ("unusable secrets", "line breaks, control characters, length", "refused without showing"),
    "F38": ("injection", "XML, names, formulas; Hypothesis", "comes back, or is refused"),
    "F39": ("environment", "proxies, `.netrc`", "no credential to a proxy"),
    "F40": ("event loop", "large pages; a program that computes", "turns for other tasks"),
}


def marked() -> dict[str, list[str]]:
    """Return the tests of each row, as file and name below ``tests``."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "mark.fault(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for row in _rows(node):
                    found[row].append(f"{path.relative_to(TESTS).as_posix()}::{node.name}")
    return found


def _rows(test: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    return [
        argument.value
        for decorator in test.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fault"
        for argument in decorator.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
