"""Any sequence of calls, faults, cancellations and clock jumps, against a model of the service's data.

The suite always runs the same examples. `nox -s fuzz` sets ``MODEL_EXAMPLES`` and searches others.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from publitrac_async import Lead, LeadNotFound, PublitracClient, PublitracError, RetryPolicy, Timeout
from publitrac_async.sandbox import Fault, Sandbox
from publitrac_async.v1 import WebVisit
from tests.support.cancel import Moment, cancel_at
from tests.support.clients import check_whole, client

SEARCHED: Final = os.environ.get("MODEL_EXAMPLES")
EXAMPLES: Final = int(SEARCHED or "300")
STEPS: Final = 60

EMAILS: Final = st.sampled_from(["ada@example.com", "bea.b@example.com", "carl+x@example.com"])
CITIES: Final = st.sampled_from(["Lund", "Åre & <Ö>", "]]>", "naïve 😀"])
FAULTS: Final = st.one_of(
    st.builds(
        Fault,
        st.sampled_from(["status", "drop", "html", "cut", "malformed", "empty"]),
        times=st.integers(1, 4),
        after=st.integers(0, 1),
        apply=st.booleans(),
    ),
    st.builds(
        Fault, st.just("cut"), cut_after=st.integers(0, 60), chunked=st.booleans(), reset=st.booleans()
    ),
    st.builds(Fault, st.just("status"), status=st.sampled_from([408, 500, 503]), apply=st.booleans()),
    # These mean that the service did not execute the call.
    st.builds(Fault, st.just("status"), status=st.sampled_from([401, 429])),
    st.builds(Fault, st.sampled_from(["gzip", "revoke_tokens"])),
    st.builds(Fault, st.just("redirect"), location=st.just("https://example.com/")),
    st.builds(Fault, st.just("encoding"), variant=st.sampled_from(["latin-1", "utf-16", "utf-8-bom"])),
)
#: Suspension at which a call is cancelled, if it has as many.
CANCELLED: Final = st.none() | st.tuples(st.integers(0, 12), st.sampled_from(["pending", "late"]))


class Cancelled(Exception):
    """The call was cancelled."""


class Model(RuleBasedStateMachine):
    """The client, the service, and the cities that each lead may have; ``None`` if it does not exist."""

    sandbox: ClassVar[Sandbox]
    runner: ClassVar[asyncio.Runner]

    def __init__(self) -> None:
        super().__init__()
        self.cities: dict[str, set[str | None]] = {}
        self.number = 0

    @initialize()
    def open(self) -> None:
        self.sandbox.reset()
        self.client = self.run(self._opened())

    async def _opened(self) -> PublitracClient:
        return client(
            self.sandbox.base_url,
            api_key=self.sandbox.api_key,
            username=self.sandbox.username,
            password=self.sandbox.password,
            retry=RetryPolicy(attempts=3, base=0, throttle_base=0, cost=0, throttle_cost=0),
            timeout=Timeout(total=20, connect=5, read=5),
            concurrency=2,
        )

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coroutine)

    def call(self, use: Callable[[], Coroutine[Any, Any, Any]], cancelled: tuple[int, Moment] | None) -> Any:
        """Make a call, and wait until the service has handled it.

        Raises:
            PublitracError: the call failed.
            Cancelled: the call was cancelled.
        """

        async def run() -> Any:
            results: list[Any] = []

            async def keep() -> None:
                try:
                    results.append(await use())
                except PublitracError as error:
                    results.append(error)

            async with asyncio.timeout(15):
                if cancelled is None:
                    await keep()
                else:
                    await cancel_at(keep(), *cancelled)
                await self._settled()
            return results

        results = self.run(run())
        self.sandbox.process_now()
        if not results:
            raise Cancelled
        if isinstance(results[0], PublitracError):
            raise results[0]
        return results[0]

    async def _settled(self) -> None:
        """Wait until the service has handled every byte that was sent to it.

        A call that was cancelled may have left bytes that the service has yet to read: connections are
        accepted in order, so this one is the last, and the others end.
        """
        address = urlsplit(self.sandbox.base_url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        await reader.read()
        writer.close()
        pool = self.client._transport._wire._transport._pool  # type: ignore[attr-defined]
        idle = 0 if pool is None else sum(map(len, pool.connector._conns.values()))
        server = self.sandbox._state
        while (
            len(server.connections) > idle
            or server.tasks
            or not all(arrival.done for arrival in self.sandbox.received())
        ):
            await asyncio.sleep(0.001)

    def known(self, email: str) -> set[str | None]:
        return self.cities.setdefault(email, {None})

    @rule(email=EMAILS, city=CITIES, api=st.sampled_from(["v1", "v2"]), cancelled=CANCELLED)
    def upsert(self, email: str, city: str, api: str, cancelled: tuple[int, Moment] | None) -> None:
        lead = Lead(email=email, city=city)
        use = self.client.v1.sync_lead if api == "v1" else self.client.v2.delayed_sync
        before = self.known(email)
        try:
            self.call(lambda: use(lead), cancelled)  # type: ignore[arg-type, return-value]
        except PublitracError as error:
            self.cities[email] = before | {city} if error.maybe_applied else before
        except Cancelled:
            self.cities[email] = before | {city}
        else:
            self.cities[email] = {city}

    @rule(email=EMAILS, cancelled=CANCELLED)
    def append(self, email: str, cancelled: tuple[int, Moment] | None) -> None:
        """An append is applied once if it succeeds, and never more than once."""
        before = len(self.sandbox.received())
        visit = WebVisit(information="/blog", context="Blog", url="https://example.com/")
        certain: int | None = None
        try:
            self.call(lambda: self.client.v1.add_web_visit_history(email, visit), cancelled)
            certain = 1
        except PublitracError as error:
            certain = None if error.maybe_applied else 0
        except Cancelled:
            pass
        applied = sum(arrival.applied for arrival in self.sandbox.received()[before:])
        assert applied <= 1
        assert certain is None or applied == certain

    @rule(email=EMAILS, cancelled=CANCELLED)
    def read(self, email: str, cancelled: tuple[int, Moment] | None) -> None:
        found: str | None = None
        try:
            found = self.call(lambda: self.client.v1.get_lead(email), cancelled).city
        except LeadNotFound:
            pass
        except (PublitracError, Cancelled):
            return
        assert found in self.known(email)
        self.cities[email] = {found}

    @rule(email=EMAILS, cancelled=CANCELLED)
    def delete(self, email: str, cancelled: tuple[int, Moment] | None) -> None:
        before = self.known(email)
        try:
            self.call(lambda: self.client.v1.delete_lead(email), cancelled)
        except LeadNotFound:  # Also if an earlier attempt deleted it.
            self.cities[email] = {None}
        except PublitracError as error:
            self.cities[email] = before | {None} if error.maybe_applied else before
        except Cancelled:
            self.cities[email] = before | {None}
        else:
            self.cities[email] = {None}

    @rule(fault=FAULTS)
    def inject(self, fault: Fault) -> None:
        self.sandbox.inject(fault)

    @rule()
    def heal(self) -> None:
        """Without faults every call succeeds."""
        self.sandbox.clear_faults()
        self.call(lambda: self.client.v2.delayed_sync(Lead(email="eve@example.com", city="Lund")), None)
        self.cities["eve@example.com"] = {"Lund"}

    @rule(seconds=st.sampled_from([1.0, 899.0, 901.0]))
    def advance(self, seconds: float) -> None:
        self.sandbox.advance(seconds)

    @rule()
    def revoke(self) -> None:
        self.sandbox.revoke_tokens()

    @rule()
    def reopen(self) -> None:
        self.run(self.client.aclose())
        self.client = self.run(self._opened())

    @invariant()
    def agrees(self) -> None:
        for email, cities in self.cities.items():
            lead = self.sandbox.lead(email)
            assert (None if lead is None else lead.get("city")) in cities, email

    @invariant()
    def whole(self) -> None:
        if hasattr(self, "client"):
            assert self.client.in_flight == self.client.queued == 0
            self.run(self._whole())

    async def _whole(self) -> None:
        await asyncio.sleep(0)
        check_whole(self.client)
        assert len(asyncio.all_tasks()) == 1

    def teardown(self) -> None:
        if hasattr(self, "client"):
            self.run(self.client.aclose())


@contextmanager
def machine() -> Iterator[type[Model]]:
    with ExitStack() as stack:
        # Client and service take turns in two threads; with the default of 5 ms most of the time is waiting.
        stack.callback(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(0.0002)
        Model.sandbox = stack.enter_context(Sandbox(rate_limit=None).serve_in_thread())
        Model.runner = stack.enter_context(asyncio.Runner())
        yield Model


@pytest.mark.fault("F05", "F16", "F31")
@pytest.mark.slow
@pytest.mark.timeout(1200)  # 18,000 steps take minutes on a busy machine.
def test_any_sequence_of_calls_and_faults() -> None:
    with machine() as model:
        run_state_machine_as_test(
            model,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                derandomize=SEARCHED is None,
                suppress_health_check=list(HealthCheck),
            ),
        )
