from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType

import pytest

from publitrac_async import PublitracClient
from publitrac_async.sandbox import Sandbox

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(processing_delay=0) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment that `PublitracClient.from_env` reads, pointing at the sandbox."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # Each test has its own shared file.
    monkeypatch.setenv("PUBLITRAC_BASE_URL", sandbox.base_url)
    monkeypatch.setenv("PUBLITRAC_API_KEY", sandbox.api_key)
    monkeypatch.setenv("PUBLITRAC_USERNAME", sandbox.username)
    monkeypatch.setenv("PUBLITRAC_PASSWORD", sandbox.password)


@pytest.fixture
def example() -> Callable[[str], ModuleType]:
    """Loads a new copy of an example."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


class Lifetimes:
    """The clients that were opened, and how often each was closed."""

    def __init__(self) -> None:
        self.clients: list[PublitracClient] = []
        self.closed: list[PublitracClient] = []


@pytest.fixture
def lifetimes(monkeypatch: pytest.MonkeyPatch) -> Lifetimes:
    seen = Lifetimes()
    build, close = PublitracClient.__init__, PublitracClient.aclose

    def counted_build(self: PublitracClient, **options: object) -> None:
        seen.clients.append(self)
        build(self, **options)  # type: ignore[arg-type]

    async def counted_close(self: PublitracClient) -> None:
        seen.closed.append(self)
        await close(self)

    monkeypatch.setattr(PublitracClient, "__init__", counted_build)
    monkeypatch.setattr(PublitracClient, "aclose", counted_close)
    return seen
