"""Everything that is checked, one session each; `nox` alone runs all of it."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nox
from packaging.requirements import Requirement
from packaging.version import Version

PROJECT = nox.project.load_toml("pyproject.toml")
VERSIONS = nox.project.python_versions(PROJECT)

#: Pages whose language is checked, beside that of the code.
PAGES = ("docs", "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")

#: Four tests at a time on two cores: many wait for a program that they started.
AT_ONCE = ("-n", "4", "--dist", "worksteal")
#: Likewise in development mode, but not for the programs that tests start: it has them print to stderr.
AT_ONCE_IN_DEVELOPMENT_MODE = ("--dist", "worksteal", "--tx", "3*popen//python=python -X dev")
#: The packaging tests have a session of their own.
QUICK = ("-m", "not slow", "--ignore=tests/packaging")
#: Slow tests kill processes and wait for leases to end, more than they compute.
SLOW = ("-n", "4", "-m", "slow", "--durations=10")

#: Tests whose result depends on the version of Python: types, parsers, SQLite, loops without sockets.
VERSION_DEPENDENT = ("tests/unit", "tests/samples")
#: Those that depend on it most: event loop, sockets, TLS.
SOCKETS = ("tests/integration/transport",)

nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = False
# Without bytecode every worker compiles the package and its tests again, for 13 seconds, and so do the
# programs that tests start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def _backend() -> str:
    """Return uv if it is there and can install, else virtualenv with pip.

    uv makes an environment in 4 seconds of CPU, pip in 40; `nox[uv]` brings it. It does not read the
    settings of pip, such as another index.
    """
    probe = ("uv", "pip", "install", "--dry-run", "--no-cache", "--reinstall", "--python", sys.executable)
    done = subprocess.run([sys.executable, "-m", *probe, "packaging"], capture_output=True, check=False)  # noqa: S603  (fixed words)
    return "uv" if done.returncode == 0 else "virtualenv"


def _select_all_of_pyenv() -> None:
    """Let pyenv's shims run every version it has, not only the one selected for this folder."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    if "PYENV_VERSION" in os.environ or not root.is_dir():
        return
    current = ".".join(map(str, sys.version_info[:3]))
    others = [
        folder.name
        for folder in sorted(root.iterdir())
        for version in VERSIONS
        if folder.name.startswith(f"{version}.") and folder.name != current
    ]
    os.environ["PYENV_VERSION"] = ":".join([current, *others] if (root / current).is_dir() else others)


def _usable(version: str) -> bool:
    """Whether this Python can be had here; a shim that only says "not found" cannot."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return True
    try:
        subprocess.run([f"python{version}", "-c", ""], check=True, capture_output=True)  # noqa: S603  (a name built from the classifiers)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


nox.options.default_venv_backend = _backend()
_select_all_of_pyenv()
PYTHONS = [version for version in VERSIONS if _usable(version)]
nox.options.sessions = ["lint", "docs", "packaging", *(f"tests-{version}" for version in PYTHONS)]


def _slow() -> list[str]:
    """Return the files with slow tests: to read all others costs each worker 3 seconds of CPU."""
    files = sorted(Path("tests").rglob("test_*.py"))
    return [str(path) for path in files if "pytest.mark.slow" in path.read_text(encoding="utf-8")]


def _group(name: str) -> list[str]:
    return list(nox.project.dependency_groups(PROJECT, name))


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types, import contracts."""
    session.install("-e", ".[all]", *_group("lint"), *_group("test"), "nox")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")
    session.run("python", "tests/support/prose.py", "publitrac_async", *PAGES)
    # Pyright, from a wheel that brings its own runtime.
    python = str(Path(session.bin) / "python")
    checks = (
        ("basedpyright", "--pythonpath", python),
        ("mypy",),
        ("basedpyright", "--verifytypes", "publitrac_async", "--ignoreexternal"),
    )
    with ThreadPoolExecutor(2) as both_cores:
        list(both_cores.map(lambda check: session.run(*check), checks))


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The test suite: whole on the oldest Python, elsewhere what depends on the version.

    On the newest Python the tests over sockets run in development mode, for asyncio's checks of calls from a
    wrong thread; they take 1.3 times as long in it. The unit tests run without it: those with calls by the
    thousand in virtual time take 5 times as long. Something left open fails a test in either mode.
    The Pythons between run the tests of the transport.
    """
    session.install("-e", ".[all]", *_group("test"))
    if session.posargs:
        session.run("python", "-X", "dev", "-m", "pytest", "-q", *session.posargs)
    elif session.python == PYTHONS[0]:
        # The quick tests use the cores while the slow ones wait.
        runs = ((*AT_ONCE, *QUICK), (*SLOW, *_slow()))
        with ThreadPoolExecutor(2) as both:
            list(both.map(lambda options: session.run("pytest", "-q", *options), runs))
    elif session.python == PYTHONS[-1]:
        session.run("pytest", "-q", *AT_ONCE, *QUICK, *VERSION_DEPENDENT)
        session.run("pytest", "-q", *AT_ONCE_IN_DEVELOPMENT_MODE, *QUICK, *SOCKETS)
    else:
        session.run("pytest", "-q", *AT_ONCE, *QUICK, "tests/unit/transport", *SOCKETS)


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """Coverage of the quick tests, branches included."""
    session.install("-e", ".[all]", *_group("test"))
    session.run("pytest", "-q", *AT_ONCE, *QUICK, "--cov")


@nox.session(default=False)
def lowest(session: nox.Session) -> None:
    """The quick tests with the lowest allowed version of every dependency, and without C extensions."""
    lowest = _lowest()
    session.install("-e", ".[all]", *_group("test"), *lowest.values())
    session.run("pytest", "-q", *AT_ONCE, *QUICK, env={"AIOHTTP_NO_EXTENSIONS": "1"})
    # docket wants a newer client of Redis than the limiter, the token and the state store do.
    uninstall = ("uv", "pip", "uninstall") if session.venv_backend == "uv" else ("pip", "uninstall", "--yes")
    session.run(*uninstall, "pydocket")
    session.install(_lowest("redis")["redis"])
    session.run("pytest", "-q", *AT_ONCE, *QUICK, "tests/unit/shared", "tests/integration/shared")


def _lowest(*extras: str) -> dict[str, str]:
    """Pin every dependency to the lowest version that is allowed, by name.

    Args:
        *extras: those that count, by default all.
    """
    project = PROJECT["project"]
    optional = project["optional-dependencies"]
    listed = [
        *project["dependencies"],
        *(each for extra in extras or optional for each in optional[extra]),
    ]
    bounds: dict[str, Version] = {}
    for requirement in map(Requirement, listed):
        for bound in requirement.specifier:
            if bound.operator == ">=":
                version = Version(bound.version)
                bounds[requirement.name] = max(version, bounds.get(requirement.name, version))
    return {name: f"{name}=={version}" for name, version in bounds.items()}


@nox.session
def packaging(session: nox.Session) -> None:
    """The built wheel, in empty environments."""
    session.install("build", "pip", "pytest", "pytest-asyncio", "pytest-timeout")
    session.run("pytest", "-q", "tests/packaging", "--noconftest")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, every warning an error."""
    session.install("-e", ".[all]", *_group("docs"))
    options = ("-nW", "--keep-going", "-q", "-j", "auto", "-b", "html")
    session.run("sphinx-build", *options, "docs", "docs/_build/html")


@nox.session(default=False)
def format(session: nox.Session) -> None:  # noqa: A001  (the session's name on the command line)
    """Bring the code into shape."""
    session.install(*[requirement for requirement in _group("lint") if requirement.startswith("ruff")])
    session.run("ruff", "check", "--fix", ".")
    session.run("ruff", "format", ".")


@nox.session(default=False)
def release(session: nox.Session) -> None:
    """Build and check the files that would be published, and install each of them in an empty environment."""
    session.install("build", "twine")
    folder = Path(session.create_tmp())
    session.run("python", "-m", "build", "--outdir", str(folder))
    files = sorted(folder.glob("publitrac_async-*"))
    session.run("twine", "check", "--strict", *map(str, files))
    for number, file in enumerate(files):
        environment = folder / f"environment{number}"
        session.run("python", "-m", "venv", str(environment))
        python = str(environment / "bin" / "python")
        session.run(python, "-m", "pip", "install", "--quiet", f"{file}[cli,sandbox]", external=True)
        session.run(python, "-m", "publitrac_async", "--version", external=True)
        session.run(python, "-m", "publitrac_async", "sync", "examples/leads.csv", "--sandbox", external=True)
    session.log("now tag the commit and upload: %s", ", ".join(file.name for file in files))


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Feed mutated input to every reader; `nox -s fuzz -- 100000` for 100,000 examples of each quick one."""
    session.install("-e", ".[all]", *_group("test"))
    examples = session.posargs[0] if session.posargs else "20000"
    files = ("tests/fuzz/fuzz_readers.py", "tests/fuzz/fuzz_stored.py")
    session.run("pytest", "-q", *files, "--timeout=0", env={"FUZZ_EXAMPLES": examples})
    sequences = str(min(1000, int(examples)))
    session.run("pytest", "-q", "tests/integration/test_model.py", env={"MODEL_EXAMPLES": sequences})


@nox.session(default=False)
def mutation(session: nox.Session) -> None:
    """Change retry, limiter, token, masking and state file in small ways; list what no test notices."""
    session.install("-e", ".[all]", *_group("test"), "mutmut>=3.8,<4")
    session.run("mutmut", "run", *session.posargs)
    session.run("mutmut", "results")


@nox.session(default=False)
def soak(session: nox.Session) -> None:
    """Run mixed faults for half an hour on each event loop; `nox -s soak -- 60` for a minute."""
    session.install("-e", ".[all]", *_group("test"), "uvloop")
    seconds = session.posargs[0] if session.posargs else "1800"
    session.run("python", "-m", "tests.fuzz.soak", seconds)
    session.run("python", "-m", "tests.fuzz.soak", seconds, "uvloop")
