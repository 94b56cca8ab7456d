"""A sandbox in a thread: for tests without an event loop, and for those whose loop is busy elsewhere."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from publitrac_async.cli.vendors import SERVICES
from publitrac_async.sandbox import Fault, Sandbox
from tests.support.four_vendors import CLIENTS


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "publitrac-sandbox"]


def call(sandbox, method="getLead", **parameters):
    credentials = {"apikey": sandbox.api_key, "username": sandbox.username, "password": sandbox.password}
    return httpx.get(
        f"{sandbox.base_url}/api",
        params={"method": method, **credentials, **parameters},
        trust_env=False,
        verify=False,
    )


def test_it_serves_blocking_callers_until_the_end_of_the_block():
    with Sandbox(rate_limit=None).serve_in_thread() as sandbox:
        assert len(threads()) == 1
        sandbox.seed(leads=[{"email": "a@example.com", "firstName": "Ada"}])
        assert "Ada" in call(sandbox, email="a@example.com").text
        url = sandbox.base_url

    assert threads() == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False, verify=False)


async def test_it_serves_while_the_loop_of_the_caller_is_blocked():
    with Sandbox().serve_in_thread() as sandbox:
        assert call(sandbox).status_code == 200
        status = await asyncio.to_thread(lambda: call(sandbox).status_code)
        assert status == 200


def test_it_works_with_trio_and_every_other_loop():
    seen = []

    def elsewhere(sandbox):
        seen.append(asyncio.run(asyncio.to_thread(call, sandbox)).status_code)

    with Sandbox().serve_in_thread() as sandbox, ThreadPoolExecutor(2) as pool:
        list(pool.map(elsewhere, [sandbox, sandbox]))
    assert seen == [200, 200]


def test_faults_that_break_connections_work_in_a_thread():
    with Sandbox().serve_in_thread() as sandbox:
        sandbox.inject(Fault("drop"))
        with pytest.raises(httpx.RemoteProtocolError):
            call(sandbox)
        assert call(sandbox).status_code == 200


def test_a_port_in_use_is_an_error_in_the_calling_thread():
    with Sandbox().serve_in_thread() as first:
        port = int(first.base_url.rpartition(":")[2])
        with pytest.raises(OSError, match=str(port)), Sandbox(port=port).serve_in_thread():
            pass
    assert threads() == []


def test_an_error_inside_of_the_block_ends_the_thread():
    with pytest.raises(ZeroDivisionError), Sandbox().serve_in_thread():
        1 / 0  # noqa: B018
    assert threads() == []


def test_a_call_that_hangs_does_not_hold_up_the_end():
    with ThreadPoolExecutor(1) as pool:
        with Sandbox().serve_in_thread() as sandbox:
            sandbox.inject(Fault("delay", seconds=3600))
            waiting = pool.submit(call, sandbox)
            while not sandbox.received():
                threading.Event().wait(0.001)
        assert isinstance(waiting.exception(timeout=30), httpx.TransportError)


def test_two_sandboxes_at_once():
    with Sandbox().serve_in_thread() as one, Sandbox().serve_in_thread() as two:
        one.seed(leads=[{"email": "a@example.com"}])
        assert call(two).status_code == 200
        assert (len(one.leads()), len(two.leads())) == (1, 0)
        assert (len(one.received()), len(two.received())) == (0, 1)


def test_operations_from_other_threads_while_calls_arrive():
    errors = []
    with Sandbox(rate_limit=None, processing_delay=0).serve_in_thread() as sandbox:
        over = threading.Event()

        def operate():
            try:
                number = 0
                while not over.is_set():
                    number += 1
                    sandbox.seed(leads=[{"email": f"{threading.get_ident()}-{number}@example.com"}])
                    sandbox.leads()
                    sandbox.contents()
                    sandbox.inject(Fault("status", times=1))
                    sandbox.clear_faults()
                    sandbox.advance(1)
                    sandbox.revoke_tokens()
                    sandbox.process_now()
                    if number % 5 == 0:
                        sandbox.reset()
            except Exception as error:  # noqa: BLE001
                errors.append(error)

        operators = [threading.Thread(target=operate) for _ in range(3)]
        for operator in operators:
            operator.start()
        statuses = {call(sandbox, "getLeads").status_code for _ in range(40)}
        over.set()
        for operator in operators:
            operator.join()

    assert errors == []
    assert statuses <= {200, 503}


class TestReceived:
    async def test_calls_by_method_and_key(self, sandbox, v1, v2):
        token = await v2.token()
        await v2.sync(token, {"leadInfo": {"email": "a@example.com", "firstName": "Ada"}})
        await v2.sync(token, {"leadInfo": {"email": "b@example.com"}})
        await v1("getLead", email="a@example.com")

        (call,) = sandbox.received("delayedSync", "a@example.com")
        assert call.document == {"leadInfo": {"email": "a@example.com", "firstName": "Ada"}}
        assert (call.verb, call.path, call.status) == ("POST", "/v2/lead/delayedSync", 200)
        assert b"success" in call.response
        assert len(sandbox.received("delayedSync")) == 2
        assert len(sandbox.received(key="a@example.com")) == 2
        assert len(sandbox.received(api="v1")) == 1
        assert len(sandbox.received()) == 4
        assert not sandbox.received("deleteLead")

    async def test_xml_and_parameters_are_understood(self, sandbox, v1):
        await v1(
            "addWebVisitHistory",
            "<request><webvisitleadhistory><url>u</url></webvisitleadhistory></request>",
            email="a@example.com",
        )
        await v1("getLead", email="a@example.com")

        visit, read = sandbox.received(api="v1")
        assert visit.document == {"webvisitleadhistory": {"url": "u"}}
        assert visit.content.parameters == {"email": "a@example.com"}
        assert read.document is None
        assert read.content.parameters == {"email": "a@example.com"}

    @pytest.mark.parametrize(
        "content", [b"<", b"<a/><b/>", b"{", b"[" * 100_000, b"<!DOCTYPE a><a/>", b"\xff"]
    )
    async def test_unreadable_content_is_none(self, sandbox, v2, http, content):
        await http.post("/v2/lead/delayedSync", content=content, headers={"Token": await v2.token()})

        (call,) = sandbox.received("delayedSync")
        assert call.document is None
        assert call.content.body == content

    async def test_the_repr_of_no_arrivals_lists_other_calls(self, sandbox, v1):
        assert repr(sandbox.received("delayedSync")) == "<no delayedSync; nothing arrived>"
        for _ in range(2):
            await v1("getLead", email="a@example.com")

        assert repr(sandbox.received("delayedSync", "b@example.com")) == (
            "<no delayedSync of b@example.com; arrived: getLead a@example.com (2 times)>"
        )
        assert repr(sandbox.received("getLead")) == "<2 x getLead>"

    async def test_old_contents_are_dropped(self, in_process):
        with Sandbox(journal_contents=2, rate_limit=None) as sandbox:
            v1 = in_process(sandbox)
            for _ in range(5):
                await v1.send("getLead", email="a@example.com")

            kept = [call.content is not None and call.response is not None for call in sandbox.received()]
            assert kept == [False, False, False, True, True]


def test_the_environment_names_every_vendor():
    with Sandbox().serve_in_thread() as sandbox:
        names = set(sandbox.environment)
    assert {"PUBLITRAC_BASE_URL", "MARKETO_CLIENT_ID", "VITEC_PASSWORD_M30011"} <= names
    assert {name.partition("_")[0] for name in names} == {service.prefix for service in SERVICES}


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_finds_the_sandbox_by_the_environment(client):
    with Sandbox().serve_in_thread() as sandbox:
        assert sandbox.base_url in repr(client.from_env(sandbox.environment))
