"""The built wheel in empty environments: its content, imports, exports, and messages about missing extras."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "aiohttp",
    "httpx",
    "click",
    "rich",
    "starlette",
    "uvicorn",
    "fastapi",
    "redis",
    "docket",
    "lxml",
    "sqlite3",
    "publitrac_async.cli",
    "publitrac_async.sandbox",
    "publitrac_async.bulk",
    "publitrac_async.shared.redis",
    "publitrac_async.marketo",
    "publitrac_async.vitec",
}


def run(*command: str | Path, check: bool = True, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], check=check, cwd=cwd, capture_output=True, text=True, timeout=600
    )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, cwd=folder)
    return next(folder.glob("*.whl"))


def environment(folder: Path, requirement: str) -> Path:
    """An empty environment with the wheel in it; the interpreter's path."""
    venv.create(folder)
    python = folder / "bin" / "python"
    pip(python, "install", "--quiet", "--no-compile", requirement)
    return python


def pip(python: Path, *arguments: str) -> None:
    """Run the pip of this environment for another one."""
    options = ("--python", python, "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", *options, *arguments, cwd=python.parent)


@pytest.fixture(scope="session")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(tmp_path_factory.mktemp("bare"), str(wheel))


@pytest.fixture(scope="session")
def full(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(tmp_path_factory.mktemp("full"), f"{wheel}[cli,sandbox]")


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "publitrac_async",
        "pytest_publitrac.py",
    }
    assert "publitrac_async/py.typed" in names


def test_the_import_is_light(bare: Path, tmp_path: Path) -> None:
    code = "import json, sys; import publitrac_async; print(json.dumps(sorted(sys.modules)))"
    modules = set(json.loads(run(bare, "-W", "error", "-c", code, cwd=tmp_path).stdout))
    assert "publitrac_async.v1" in modules
    assert modules & HEAVY == set()


def test_every_exported_name_is_there(bare: Path, tmp_path: Path) -> None:
    code = (
        "import publitrac_async as p\n"
        "assert len(p.__all__) == len(set(p.__all__)), 'twice'\n"
        "missing = [name for name in p.__all__ if not hasattr(p, name)]\n"
        "assert not missing, missing\n"
        "import types\n"
        "public = {n for n, v in vars(p).items() if n[0] != '_' and not isinstance(v, types.ModuleType)}\n"
        "extra = public - set(p.__all__) - {'annotations'}\n"
        "assert not extra, extra\n"
    )
    run(bare, "-c", code, cwd=tmp_path)


def test_the_dependencies_of_all_extras_agree(full: Path) -> None:
    pip(full, "check")


def test_without_the_cli_extra_one_line_says_what_to_install(bare: Path, tmp_path: Path) -> None:
    done = run(bare, "-m", "publitrac_async", "doctor", check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "publitrac_async[cli" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_without_the_sandbox_extra_the_import_says_what_to_install(bare: Path, tmp_path: Path) -> None:
    done = run(bare, "-c", "import publitrac_async.sandbox", check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "publitrac_async[sandbox]" in done.stderr.strip().splitlines()[-1]


def test_the_command_is_installed(full: Path, tmp_path: Path) -> None:
    version = run(full, "-c", "import publitrac_async as p; print(p.__version__)", cwd=tmp_path)
    printed = run(full.parent / "publitrac-async", "version", cwd=tmp_path).stdout
    assert version.stdout.strip() in printed


def test_doctor_runs_from_the_wheel(full: Path, tmp_path: Path) -> None:
    printed = run(full, "-W", "error", "-m", "publitrac_async", "doctor", cwd=tmp_path).stdout.lower()
    for word in ("expat", "aiohttp", "httpx", "python"):
        assert word in printed
