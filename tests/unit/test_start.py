"""Modules that an import loads, and those that the first client loads, in separate processes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.four_vendors import CLIENTS

#: Packages that `import publitrac_async` may load besides the standard library.
LIGHT = {
    "aiolimiter",
    "attr",
    "attrs",
    "cattrs",
    "orjson",
    "publitrac_async",
    "typing_extensions",
    "xmltodict",
}
#: Packages of the other vendors.
NEIGHBOURS = {kind.__module__.split(".")[1] for kind in CLIENTS} - {"client"}
ROOMS = {"bulk", "cli", "redis", "sandbox"} | NEIGHBOURS
#: Modules that no client needs. Not click and rich: httpx loads them if they are installed.
NEVER = {"duckdb", "fastapi", "lxml", "python_calamine", "redis", "starlette", "uvicorn"}


def loaded(program: str) -> tuple[set[str], set[str]]:
    """Modules that `program` loads: packages outside the standard library, and modules of this package."""
    lines = (
        "import json, sys",
        "before = set(sys.modules)",
        program,
        "print(json.dumps(sorted(set(sys.modules) - before)))",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], check=True, capture_output=True, text=True, timeout=60
    )
    modules = set(json.loads(done.stdout))
    packages = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
    packages = {
        name for name in packages if not name.startswith("_sysconfigdata")
    }  # also of the standard library
    return packages, {name for name in modules if name.startswith("publitrac_async.")}


def rooms(modules: set[str]) -> set[str]:
    return {name.split(".")[1] for name in modules} & ROOMS


def test_the_package_loads_neither_httpx_nor_aiohttp_nor_an_extra() -> None:
    packages, modules = loaded("import publitrac_async")
    assert packages - LIGHT == set()
    assert rooms(modules) == set()
    assert "publitrac_async.transport.pipeline" in modules


@pytest.mark.parametrize(
    ("room", "others"),
    [*((room, set()) for room in sorted(NEIGHBOURS)), ("bulk", NEIGHBOURS)],
)
def test_a_room_loads_no_more_than_it_needs(room: str, others: set[str]) -> None:
    packages, modules = loaded(f"import publitrac_async.{room}")
    assert packages - LIGHT == set()
    assert rooms(modules) == {room} | others


def test_leads_do_without_a_transport() -> None:
    packages, _ = loaded("from publitrac_async import *\nLead(email='a@example.com')")
    assert packages - LIGHT == set()


def test_the_first_client_loads_httpx_and_aiohttp() -> None:
    packages, modules = loaded("import publitrac_async\npublitrac_async.PublitracClient(api_key='key')")
    assert packages >= {"aiohttp", "httpx"}
    assert packages & NEVER == set()
    assert rooms(modules) == set()


def test_a_setting_that_is_unusable_is_refused_before() -> None:
    program = (
        "import publitrac_async as p\n"
        "try:\n"
        "    p.PublitracClient(api_key='key', concurrency=0)\n"
        "except p.ConfigurationError:\n"
        "    pass\n"
        "else:\n"
        "    raise AssertionError"
    )
    packages, _ = loaded(program)
    assert packages - LIGHT == set()
