"""A headless Chromium, driven by its DevTools protocol. Skips the test where no Chromium is installed."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

BINARY = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)
_OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--remote-debugging-port=0", "--no-proxy-server", "about:blank"),
)
_KEYS = {"Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, ""), "ArrowRight": ("ArrowRight", 39, "")}


class Browser:
    """One page of a browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.errors: list[str] = []
        self.requested: list[str] = []

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command and return its result; record errors and requests of the page meanwhile."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            message = json.loads(await self._socket.receive_str(timeout=60))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            params = message.get("params", {})
            if message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(str(params["exceptionDetails"]))
            elif message.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
                self.errors.append(str(params["entry"]))
            elif message.get("method") == "Network.requestWillBeSent":
                self.requested.append(params["request"]["url"])

    async def open(self, url: str) -> None:
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.send(f"{domain}.enable")
        await self.send("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def show(self, *, width: int = 1280, height: int = 800, dark: bool = False) -> None:
        """Set the size of the window, and the light or dark theme."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        await self.send("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])

    async def run(self, code: str) -> Any:
        """Return the value of an expression."""
        result = await self.send("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait until an expression is true."""
        for _ in range(3000):
            if await self.run(f"Boolean({condition})"):
                return
            await asyncio.sleep(0.01)
        text = await self.run("document.body.innerText")
        raise AssertionError(f"never true: {condition}\n{text}\n{self.errors}")

    async def press(self, *keys: str) -> None:
        """Press keys in turn."""
        for key in keys:
            code, number, text = _KEYS.get(key, (key, ord(key[0].upper()), key))
            event = {"key": key, "code": code, "windowsVirtualKeyCode": number}
            await self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **event)
            await self.send("Input.dispatchKeyEvent", type="keyUp", **event)

    async def click(self, selector: str) -> None:
        """Click in the middle of an element, as a mouse does."""
        found = json.dumps(selector)
        await self.until(f"document.querySelector({found})?.offsetParent")
        await self.run(f"document.querySelector({found}).scrollIntoView({{block: 'center'}})")
        box = await self.run(
            f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])"
            f"(document.querySelector({found}).getBoundingClientRect())"
        )
        at = {"x": box[0], "y": box[1], "button": "left", "clickCount": 1}
        await self.send("Input.dispatchMouseEvent", type="mousePressed", **at)
        await self.send("Input.dispatchMouseEvent", type="mouseReleased", **at)


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Browser]:
    """Start a browser that keeps its profile in a folder."""
    if BINARY is None:
        pytest.skip("needs Chromium, and none is installed")
    process = await asyncio.create_subprocess_exec(
        BINARY,
        f"--user-data-dir={folder}",
        *_OPTIONS,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port = await _port(folder / "DevToolsActivePort", process)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as response:
                (target, *_) = [found for found in await response.json() if found["type"] == "page"]
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Browser(socket)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _port(file: Path, process: asyncio.subprocess.Process) -> int:
    for _ in range(3000):
        if file.exists() and (lines := file.read_text().split()):
            return int(lines[0])
        assert process.returncode is None, "Chromium ended at once"
        await asyncio.sleep(0.01)
    raise AssertionError("Chromium does not listen")
