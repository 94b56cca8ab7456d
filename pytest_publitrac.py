"""pytest plugin of publitrac_async: sandboxes as fixtures.

pytest finds it by its entry point. It is a module beside the package, so a test run without these fixtures
does not import the package.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from publitrac_async.sandbox import Sandbox

_SANDBOX = pytest.StashKey["Sandbox"]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "publitrac_sandbox(**options): settings of the fixture publitrac_sandbox in this test",
    )


@pytest.fixture(scope="session")
def publitrac_sandbox_options() -> dict[str, Any]:
    """Return the settings of every sandbox; override this fixture to change them.

    By default a lead that `delayedSync` accepted is processed at once.
    """
    return {"processing_delay": 0}


@pytest.fixture
def publitrac_sandbox(
    request: pytest.FixtureRequest, publitrac_sandbox_options: dict[str, Any]
) -> Iterator[Sandbox]:
    """Yield a sandbox for one test. It listens in a thread, so any kind of test can call it."""
    from publitrac_async.sandbox import Sandbox  # noqa: PLC0415 - only for tests that ask for it

    options = dict(publitrac_sandbox_options)
    for marker in reversed(list(request.node.iter_markers("publitrac_sandbox"))):
        options |= marker.kwargs
    with Sandbox(**options).serve_in_thread() as sandbox:
        request.node.stash[_SANDBOX] = sandbox
        yield sandbox


@pytest.fixture(scope="session")
def publitrac_sandbox_session(publitrac_sandbox_options: dict[str, Any]) -> Iterator[Sandbox]:
    """Yield a sandbox for the whole session (with pytest-xdist, one per worker); `reset()` empties it."""
    from publitrac_async.sandbox import Sandbox  # noqa: PLC0415 - only for tests that ask for it

    with Sandbox(**publitrac_sandbox_options).serve_in_thread() as sandbox:
        yield sandbox


@pytest.fixture
def publitrac_env(publitrac_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Set the environment variables with which `from_env` finds the sandbox of the test, and return them."""
    variables = publitrac_sandbox.environment
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Add the calls that the sandbox received to the report of a failed test."""
    outcome = yield
    report = outcome.get_result()
    sandbox = item.stash.get(_SANDBOX, None)
    if sandbox is not None and report.when == "call" and report.failed:
        report.sections.append(("Calls that the sandbox received", sandbox.journal.text()))
