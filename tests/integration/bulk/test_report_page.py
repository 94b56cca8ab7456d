"""The report page in a real browser, if one is installed."""

from __future__ import annotations

import datetime as dt
import shutil
import struct
import subprocess
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from publitrac_async.bulk import Report, State
from publitrac_async.bulk.metrics import Bucket
from publitrac_async.bulk.report.html import render
from publitrac_async.bulk.report.model import ReasonCount, Rejection
from publitrac_async.bulk.transform import CellWarning
from tests.support.browser import browser

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

without_browser = pytest.mark.skipif(BROWSER is None, reason="no browser is installed")

ACCEPTED, REJECTED = (0x3B, 0x7D, 0xD8), (0xC8, 0x44, 0x2F)


def report(**more: Any) -> Report:
    outcomes = {State.ACCEPTED: 200, State.REJECTED: 130}
    settings: dict[str, Any] = {
        "source": '<script>alert("x")</script>.csv',
        "sink": "v2",
        "rows": 6600,
        "ok": 0,
        "accepted": 4000,
        "rejected": 2600,
        "skipped": 0,
        "unknown": 0,
        "pending": 0,
        "duplicates": 0,
        "errors": {"Conflict": 2600},
        "rejections": (Rejection(line=7, reason="several <b>match</b>", code="9018"),),
        "superseded": (),
        "results_dir": None,
        "started_at": dt.datetime(2026, 11, 21, tzinfo=dt.UTC),
        "seconds": 200,
        "rate_limit": 35,
        "timeline": tuple(Bucket(10, 330, dict(outcomes)) for _ in range(20)),
    }
    return Report(**settings | more)


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    assert BROWSER is not None
    return subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            f"--user-data-dir={page.parent / 'browser'}",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def colors(path: Path) -> Counter[tuple[int, ...]]:
    """Count the pixels of a PNG file by colour."""
    data = path.read_bytes()
    at, packed = 8, b""
    width = height = channels = 0
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack(">IIBB", content[:10])
            assert depth == 8
            channels = {2: 3, 6: 4}[color]
        elif kind == b"IDAT":
            packed += content
    raw, stride = zlib.decompress(packed), width * channels
    above, found = bytes(stride), Counter[tuple[int, ...]]()
    for number in range(height):
        start = number * (stride + 1)
        above = unfilter(raw[start], bytearray(raw[start + 1 : start + 1 + stride]), above, channels)
        found.update(zip(*(above[c::channels] for c in range(3)), strict=True))
    return found


def unfilter(kind: int, line: bytearray, above: bytes, step: int) -> bytes:
    for at in range(len(line)):
        left, up = line[at - step] if at >= step else 0, above[at]
        corner = above[at - step] if at >= step else 0
        estimate = left + up - corner
        nearest = min((left, up, corner), key=lambda value: abs(estimate - value))
        line[at] = (line[at] + (0, left, up, (left + up) // 2, nearest)[kind]) & 0xFF
    return bytes(line)


@pytest.mark.slow
@without_browser
def test_a_browser_draws_the_charts_and_complains_of_nothing(tmp_path: Path) -> None:
    page, picture = tmp_path / "report.html", tmp_path / "report.png"
    page.write_text(render(report()), encoding="utf-8")
    shown = browse(page, "--dump-dom")
    assert "CONSOLE" not in shown.stderr
    assert shown.stdout.count("<svg") == 3
    assert "alert(" in shown.stdout
    assert "<script" not in shown.stdout
    assert "<b>" not in shown.stdout
    browse(page, f"--screenshot={picture}", "--window-size=800,1500")
    found = colors(picture)
    # The bars of the rate, two thirds of the area below the outcomes, and the bar of the conflicts.
    assert found[ACCEPTED] > 60_000
    assert found[REJECTED] > 20_000
    assert found[255, 255, 255] > 300_000


#: Text that is cut off or too small to read, and elements that make the page wider than the window.
_FAULTS = """
[...document.querySelectorAll('svg text, td, p, h1, h2')].filter(each => {
    const box = each.getBoundingClientRect();
    const scale = each.getScreenCTM ? each.getScreenCTM().a : 1;
    const size = parseFloat(getComputedStyle(each).fontSize) * scale;
    return box.height && (size < 10 || box.left < 0 || box.right > innerWidth + 1);
}).map(each => each.textContent.slice(0, 40))
"""
_CONTRAST = """
(() => {
    const light = text => text.match(/[\\d.]+/g).slice(0, 3).reduce((sum, each) => sum + Number(each), 0);
    const page = getComputedStyle(document.body);
    return Math.abs(light(page.color) - light(page.backgroundColor));
})()
"""


@without_browser
async def test_the_page_is_readable_on_a_phone_in_light_and_dark(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(
        render(
            report(
                reasons=(
                    ReasonCount(
                        state=State.REJECTED,
                        reason="dateOfBirth: " + "x" * 90,
                        count=2600,
                        lines=("a-long-name-of-a-file.csv:7", "b.csv:9", "b.csv:11"),
                    ),
                ),
                warnings=(CellWarning("phone", "digits lost", 3, [2, 3, 4]),),
                withheld={"unsubscribed": 12345},
                pending_reasons={"NotSent: no connection": 3},
            )
        ),
        encoding="utf-8",
    )
    async with browser(tmp_path / "profile") as window:
        for width in (390, 1280):
            for dark in (False, True):
                await window.show(width=width, dark=dark)
                await window.open(page.as_uri())
                assert await window.run(_FAULTS) == []
                assert await window.run("document.documentElement.scrollWidth") <= width
                assert await window.run(_CONTRAST) > 400
        assert "12,345 rows have no in unsubscribed" in await window.run("document.body.innerText")
        assert window.errors == []
        assert {url.partition(":")[0] for url in window.requested} == {"file"}
