"""`Sandbox`: the emulated vendors behind a real server on a loopback port."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, Unpack

try:
    from uvicorn import Config
    from uvicorn.protocols.http.h11_impl import H11Protocol
    from uvicorn.server import ServerState
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        "the sandbox needs an extra: pip install 'publitrac_async[sandbox]'"
    ) from _error

from publitrac_async.sandbox.app import SandboxApp
from publitrac_async.sandbox.assembly import assemble
from publitrac_async.sandbox.core import SandboxCore
from publitrac_async.sandbox.gate import PREFIX, Gate
from publitrac_async.sandbox.journal import Received
from publitrac_async.sandbox.settings import SandboxOptions, SandboxSettings
from publitrac_async.sandbox.thread import entered_in_thread

_silent = logging.getLogger(f"{__name__}.connection")
_silent.disabled = True

_MAX_HEAD_BYTES = 128 * 1024
"""Large enough for a getLeads query in the URL; h11's default is 16 KiB."""

_ON_THIS_MACHINE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - no address to listen on
"""Wildcard addresses, and the addresses that clients call instead."""

_BACKLOG = 1024
"""Connections that may wait to be accepted: a burst of hundreds must not be delayed by TCP's retry timers."""


class _Protocol(H11Protocol):
    """uvicorn's HTTP protocol without its logging: an access log would have credentials."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        super().__init__(config, server_state, app_state)
        self.logger = _silent
        self.access_logger = _silent
        self.access_log = False


class Sandbox(SandboxCore):
    """An emulated PUBLITRAC for tests and trials, Marketo and Vitec beside it.

    ```python
    async with Sandbox(rate_limit=35) as sandbox:
        sandbox.seed(leads=[{"email": "anna@example.com", "firstName": "Anna"}])
        ...  # send calls to sandbox.base_url
        assert sandbox.journal.busiest_second() <= 35
    ```

    `async with` runs a server in the current event loop, `serve_in_thread` runs one in a thread. `with` opens
    the sandbox without a server, for in-process use of `app`. Methods may be called from any thread. A
    sandbox can be entered only once.
    """

    def __init__(self, **options: Unpack[SandboxOptions]) -> None:
        """Create a sandbox and open its database.

        Args:
            options: the fields of `SandboxSettings`.

        Raises:
            ValueError: a value cannot be used, such as an address that other machines can reach.
            TypeError: an option is unknown.
        """
        super().__init__(SandboxSettings(**options))
        self.app: SandboxApp = assemble(self)
        self._server: asyncio.Server | None = None
        self._state = ServerState()

    @property
    def api_key(self) -> str:
        """The API key that is accepted."""
        return self.settings.api_key

    @property
    def username(self) -> str:
        """The v1 user name that is accepted."""
        return self.settings.username

    @property
    def password(self) -> str:
        """The v1 password that is accepted."""
        return self.settings.password

    @property
    def base_url(self) -> str:
        """The URL of the sandbox, such as `http://127.0.0.1:54321`.

        Raises:
            RuntimeError: the server is not running.
        """
        if self._server is None or not self._server.sockets:
            raise RuntimeError("the sandbox is not running: use `async with` or `serve_in_thread`")
        host, port = self._server.sockets[0].getsockname()[:2]
        host = _ON_THIS_MACHINE.get(str(host), str(host))
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def inspector_url(self) -> str:
        """URL of the page that shows the sandbox.

        Raises:
            RuntimeError: the server does not run.
        """
        return f"{self.base_url}{PREFIX}"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables with which `from_env` of each client finds the sandbox.

        Raises:
            RuntimeError: the server does not run.
        """
        return self.environment_at(self.base_url)

    def seed(
        self,
        *,
        leads: Iterable[Mapping[str, Any]] = (),
        lists: Iterable[Mapping[str, Any]] = (),
        views: Iterable[Mapping[str, Any]] = (),
        campaigns: Iterable[str | Mapping[str, Any]] = (),
        forms: Iterable[str] = (),
        opportunities: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Add records to the PUBLITRAC account, without the checks that calls go through.

        Args:
            leads: leads by the vendor's field names; other names are custom fields. `id`, `createdDate` and
                `lastUpdated` may be given.
            lists: static lists: `name`, and the e-mails of the `leads` on it.
            views: filtered lists: `name`, and `queries` with `field`, `operator` and `value`.
            campaigns: names, or the elements of getCampaigns.
            forms: names of forms.
            opportunities: the elements of getOpportunities, and `leads` as a list of `crmLeadId`.

        Raises:
            ValueError: a record cannot be used; then nothing is added.
        """
        self.publitrac.seed(
            {
                "leads": leads,
                "lists": lists,
                "views": views,
                "campaigns": campaigns,
                "forms": forms,
                "opportunities": opportunities,
            }
        )

    def lead(self, email: str) -> dict[str, str] | None:
        """Return the oldest lead with an e-mail by vendor names, None if it does not exist."""
        return next(iter(self.publitrac.found_leads(email)), None)

    def leads(self) -> list[dict[str, str]]:
        """Return every lead by vendor names, oldest first."""
        return self.publitrac.found_leads()

    def received(
        self, method: str | None = None, key: str | None = None, *, api: str | None = None
    ) -> Received:
        """Return the calls that arrived and match every given value, oldest first.

        ```python
        assert sandbox.received("delayedSync", "anna@example.com")
        ```

        Args:
            method: the vendor's name for the operation.
            key: the e-mail of the lead, or the requested id or name.
            api: the name of an API, such as `v1`.

        Returns:
            A sequence of `Arrival`. The `document` of an arrival is its content.
        """
        return self.journal.received(method, key, api=api)

    @contextmanager
    def serve_in_thread(self) -> Iterator[Self]:
        """Listen in a thread with a separate event loop, until the `with` block ends.

        Tests with and without `async`, and programs with another event loop, can call it the same way.

        ```python
        with Sandbox().serve_in_thread() as sandbox:
            ...  # send calls to sandbox.base_url
        ```

        Raises:
            OSError: the port cannot be used.
        """
        with entered_in_thread(self):
            yield self

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def __enter__(self) -> Self:
        """Open the sandbox for in-process use."""
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the database."""
        self.close()

    async def __aenter__(self) -> Self:
        """Start listening."""
        config = Config(
            Gate(self.app, self.settings.allowed_hosts),
            log_config=None,
            lifespan="off",
            interface="asgi3",
            ws="none",
            proxy_headers=False,
            h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
        )
        config.load()
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: _Protocol(config, self._state, {}),
                self.settings.host,
                self.settings.port,
                backlog=_BACKLOG,
            )
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening, abort open connections, close the database."""
        assert self._server is not None
        self._server.close()
        for connection in list(self._state.connections):
            connection.transport.abort()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()
        # Aborted transports close their sockets in the next turn of the loop.
        await asyncio.sleep(0)
        self.close()


async def serve_forever(
    *, started: Callable[[Sandbox], None] | None = None, **options: Unpack[SandboxOptions]
) -> None:
    """Run a sandbox until this coroutine is cancelled. Prints nothing.

    Args:
        started: called once with the running sandbox, for example to print `base_url`.
        options: the fields of `SandboxSettings`.
    """
    async with Sandbox(**options) as sandbox:
        if started is not None:
            started(sandbox)
        await asyncio.Event().wait()
