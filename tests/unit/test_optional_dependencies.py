"""An optional dependency is imported in one file only, which reports when it is missing.

click is also imported by the options that commands share, and by the rules between them.
"""

from __future__ import annotations

import ast
import pkgutil
import tomllib
from collections import defaultdict
from pathlib import Path

import publitrac_async

PACKAGE = Path(publitrac_async.__file__).parent
ONLY_IN = {
    "click": {"cli/account.py", "cli/commands.py", "cli/options.py", "cli/rules.py"},
    "docket": {"bulk/distributed/docket.py"},
    "opentelemetry": {"opentelemetry.py"},
    "rich": {"cli/bar.py"},
    "python_calamine": {"bulk/sources/xlsx.py"},
    "xlsxwriter": {"bulk/report/workbook.py", "cli/workbook.py"},
    "duckdb": {"bulk/sources/parquet.py"},
    "uvicorn": {"sandbox/server.py"},
    "redis": {"shared/redis/client.py", "shared/redis/connection.py"},
    "aiohttp": {"transport/aiohttp_transport.py", "transport/pool.py"},
    "xmltodict": {"v1/building.py", "vitec/codec.py"},
}


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports anywhere, except for type checking."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def test_each_optional_dependency_is_imported_in_its_file_alone() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        for name in imported(path) & ONLY_IN.keys():
            found[name].add(path.relative_to(PACKAGE).as_posix())
    assert {name: files for name, files in ONLY_IN.items() if name in found} == dict(found)


def test_the_contract_of_the_sandbox_names_every_room_of_the_client() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        each for each in project["tool"]["importlinter"]["contracts"] if "independent witness" in each["name"]
    )
    rooms = {name for _, name, _ in pkgutil.iter_modules([str(PACKAGE)], "publitrac_async.")}
    exempt = {"publitrac_async.__main__", "publitrac_async.sandbox", "publitrac_async.version"}
    assert {*contract["forbidden_modules"]} == rooms - exempt
