"""No frame of a traceback shows a credential or personal data, whatever ends a call, in whatever place."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import httpx
import pytest

from publitrac_async import Lead, PublitracClient, PublitracError, Timeout, ValidationError
from publitrac_async.frames import clear_frames
from publitrac_async.transport.aiohttp_transport import AiohttpTransport
from publitrac_async.transport.masking import shape_of
from publitrac_async.transport.pool import Exchange
from tests.support.canaries import Transcript, find
from tests.support.cancel import cancel_at
from tests.support.four_vendors import CANARIES, CARRIERS, OPTIONS, SENDS, publitrac, serving
from tests.support.four_vendors import respond as respond_well
from tests.support.wire import Peer, RawServer, Seen, http


async def failure_of(transcript: Transcript, running: Coroutine[Any, Any, Any]) -> BaseException | None:
    """Record the exception that a call ends with."""
    try:
        await running
    except (Exception, asyncio.CancelledError, Stop) as error:  # noqa: BLE001  (all of them are recorded)
        transcript.add_error(error)
        return error
    return None


@pytest.mark.parametrize(
    ("send", "carrier"),
    [
        *((send, "default") for send in SENDS),
        *(
            (send, carrier)
            for send in ("v1_query", "v1_body", "v2")
            for carrier in CARRIERS
            if carrier != "default"
        ),
    ],
)
@pytest.mark.fault("F36")
async def test_cancelled_at_every_suspension(send: str, carrier: str) -> None:
    transcript, at = Transcript(), 0
    async with CARRIERS[carrier]() as (url, transport):

        async def call() -> None:
            async with transport() as own:
                error = await failure_of(transcript, SENDS[send](url, transport=own, **OPTIONS))  # type: ignore[arg-type]
            if error is not None:
                raise error

        while await cancel_at(call(), at, "pending"):
            at += 1
    assert at >= 1
    assert "CancelledError" in "".join(transcript.texts)
    transcript.check(CANARIES)


@pytest.mark.parametrize(
    ("how", "moment"),
    [
        *((how, "head") for how in ("total", "read", "asyncio.timeout", "task group", "cancel")),
        *((how, "body") for how in ("read", "cancel")),
    ],
)
@pytest.mark.parametrize("send", SENDS)
@pytest.mark.fault("F36")
async def test_out_of_time(send: str, how: str, moment: str) -> None:
    transcript = Transcript()

    async def stall(seen: Seen, peer: Peer) -> None:
        if moment == "body":
            await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n<resp")
        await asyncio.Event().wait()

    seconds = {"total": Timeout(total=0.05), "read": Timeout(total=None, read=0.05)}
    async with RawServer(stall) as server:
        options = OPTIONS | {"timeout": seconds.get(how, Timeout(total=20))}

        async def call() -> None:
            running = SENDS[send](server.url, **options)
            match how:
                case "asyncio.timeout":
                    async with asyncio.timeout(0.05):
                        await running
                case "task group":
                    async with asyncio.TaskGroup() as group:
                        group.create_task(running)  # type: ignore[arg-type]
                        await asyncio.sleep(0.05)
                        raise RuntimeError("of the program")
                case "cancel":
                    task = asyncio.create_task(running)  # type: ignore[arg-type]
                    await asyncio.sleep(0.05)
                    task.cancel()
                    await task
                case _:
                    await running

        assert await failure_of(transcript, call()) is not None
    transcript.check(CANARIES)


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


class Fails:
    """A custom limiter that fails."""

    async def acquire(self) -> None:
        await asyncio.sleep(0)
        raise RuntimeError("of the program")

    def pause(self, seconds: float) -> None: ...


class FailsAtOnce(Fails):
    def acquire(self) -> Any:
        raise RuntimeError("of the program")


class Stop(BaseException):
    """An exception that ends the call even if a hook raises it."""


def stops(event: object) -> None:
    raise Stop


def broken(request: httpx.Request) -> httpx.Response:
    raise AssertionError("unexpected request")


class Breaks(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        raise RuntimeError("of the program")


class BreaksWithTexts(httpx.AsyncBaseTransport):
    """A custom transport that reads the request, and fails while it handles a failure."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        texts = [str(request.url), str(request.headers), (await request.aread()).decode()]
        try:
            self._fail(texts)
        except KeyError:
            await asyncio.sleep(0)
            self._fail(texts, RuntimeError("of the program"))
        raise NotImplementedError

    def _fail(self, texts: list[str], error: Exception | None = None) -> None:
        request = str(texts)
        raise error or KeyError(len(request))


class Closes(httpx.AsyncByteStream):
    async def __aiter__(self) -> Any:
        yield b"<resp"
        raise RuntimeError("of the program")


OTHERS: dict[str, Callable[[], dict[str, Any]]] = {
    "a limiter that fails": lambda: {"limiter": Fails()},
    "a limiter that fails at once": lambda: {"limiter": FailsAtOnce()},
    "a hook that stops the task": lambda: {"hooks": [stops]},
    "a mistake in a mock": lambda: {"transport": httpx.MockTransport(broken)},
    "a transport that fails": lambda: {"transport": Breaks()},
    "a transport that fails with texts": lambda: {"transport": BreaksWithTexts()},
    "a body that fails": lambda: {
        "transport": httpx.MockTransport(lambda _: httpx.Response(200, stream=Closes()))
    },
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("send", SENDS)
@pytest.mark.fault("F33")
async def test_others_that_fail(send: str, other: str) -> None:
    transcript = Transcript()
    async with serving() as server:
        error = await failure_of(transcript, SENDS[send](server.url, **OPTIONS | OTHERS[other]()))  # type: ignore[arg-type]
    assert error is not None
    assert error.__traceback__ is not None, "files and lines stay"
    transcript.check(CANARIES)


@pytest.mark.parametrize("send", SENDS)
async def test_errors_of_refused_connections_show_no_secret(send: str) -> None:
    transcript = Transcript()
    assert isinstance(await failure_of(transcript, SENDS[send](closed_port(), **OPTIONS)), PublitracError)  # type: ignore[arg-type]
    transcript.check(CANARIES)


@pytest.mark.parametrize("carrier", [AiohttpTransport, httpx.AsyncHTTPTransport])
@pytest.mark.parametrize("send", SENDS)
async def test_memory_that_runs_out(
    send: str, carrier: Callable[[], httpx.AsyncBaseTransport], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*data: object, **options: object) -> None:
        del data, options
        raise MemoryError

    transcript = Transcript()
    monkeypatch.setattr(Exchange, "write", fails)
    monkeypatch.setattr("publitrac_async.transport.http.Body", fails)
    async with serving() as server, carrier() as own:
        error = await failure_of(transcript, SENDS[send](server.url, transport=own, **OPTIONS))  # type: ignore[arg-type]
    assert isinstance(error, MemoryError)
    transcript.check(CANARIES)


async def test_calls_refused_before_anything_is_sent() -> None:
    transcript = Transcript()

    def wrong() -> Lead:
        return Lead(email=CANARIES.email, custom_fields={"a": CANARIES.first_name + "\x00"})

    async with publitrac("https://vendor.test") as client:
        for refused in (
            client.v1.sync_lead(wrong()),
            client.v2.delayed_sync(wrong()),
            client.v1.get_lead(CANARIES.email + "\x00"),
            client.v1.call("getLead", {"email": CANARIES.email + "\ud800"}),
        ):
            assert isinstance(await failure_of(transcript, refused), ValidationError)  # type: ignore[arg-type]
        with pytest.raises(PublitracError) as caught:
            client.v1.get_list(CANARIES.first_name, page=0)
        transcript.add_error(caught.value)
    transcript.check(CANARIES)


@pytest.fixture
def events() -> Iterator[list[str]]:
    """The event that Sentry would send, with its defaults."""
    import sentry_sdk
    from sentry_sdk.transport import Transport

    sent: list[str] = []

    class Captures(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            sent.append(envelope.serialize().decode())

    sentry_sdk.init(dsn="https://x@sentry.invalid/1", transport=Captures)
    yield sent
    sentry_sdk.flush()
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)


@pytest.mark.parametrize("send", SENDS)
async def test_sentry_with_its_defaults(send: str, events: list[str]) -> None:
    import sentry_sdk

    async def stall(seen: Seen, peer: Peer) -> None:
        await asyncio.Event().wait()

    async with RawServer(stall) as server:
        try:
            async with asyncio.timeout(0.05):
                await SENDS[send](server.url, **OPTIONS)
        except TimeoutError as error:
            sentry_sdk.capture_exception(error)
    sentry_sdk.flush()
    assert any("TimeoutError" in event for event in events)
    find(CANARIES.credentials + CANARIES.personal, events)


async def test_frames_of_the_program_keep_their_names() -> None:
    async def program(value: str) -> None:
        transport = httpx.MockTransport(broken)
        async with PublitracClient(api_key="k", transport=transport, limiter=Fails()) as client:
            await client.v2.get_token()
            print(value)  # noqa: T201  (keeps the name alive)

    with pytest.raises(RuntimeError) as caught:
        await program("seen")
    names = {entry.name: entry.frame.f_locals for entry in caught.traceback}
    assert names["program"]["value"] == "seen"
    assert "self" in names["acquire"]
    assert not names["_attempts"]


def test_errors_of_a_group_are_cleared() -> None:
    with pytest.raises(AttributeError) as caught:
        shape_of(7)  # type: ignore[arg-type]
    frame = caught.traceback[-1].frame.raw
    assert frame.f_locals == {"text": 7}
    clear_frames(ExceptionGroup("group", [caught.value]))
    assert frame.f_locals == {}


async def test_an_error_that_the_program_handles_keeps_its_names() -> None:
    """It is the context of the error of a call that is made meanwhile."""

    def fail(value: str) -> None:
        raise ValueError(len(value))

    async def read(request: httpx.Request) -> httpx.Response:
        raise NotImplementedError

    handled: BaseException | None = None
    async with publitrac("https://vendor.test", transport=httpx.MockTransport(read)) as client:
        try:
            fail("seen")
        except ValueError as own:
            handled = own
            with pytest.raises(NotImplementedError) as caught:
                await client.v1.get_lead("a@example.com")
    assert caught.value.__context__ is handled
    assert handled is not None
    assert handled.__traceback__ is not None
    assert handled.__traceback__.tb_next is not None
    assert handled.__traceback__.tb_next.tb_frame.f_locals == {"value": "seen"}


async def test_a_task_of_a_transport_that_failed_continues() -> None:
    """Its frame is in the traceback of the error, and alive."""

    class Failing(httpx.AsyncBaseTransport):
        ended = None

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            future = asyncio.get_running_loop().create_future()
            self.task = asyncio.create_task(self.read(future, str(request.url)))
            await future
            raise NotImplementedError

        async def read(self, future: asyncio.Future[None], url: str) -> None:
            try:
                raise RuntimeError("of the program")
            except RuntimeError as error:
                future.set_exception(error)
                await asyncio.sleep(0.001)
                self.ended = url

    transport = Failing()
    async with PublitracClient(api_key="k", transport=transport) as client:
        with pytest.raises(RuntimeError):
            await client.v2.get_token()
        await transport.task
    assert transport.ended


def quoting(seen: Seen, status: str = "200 OK", headers: str = "") -> bytes:
    body = f"{seen.target} {seen.headers} ".encode() + seen.body
    return http(body, status, "application/json", headers)


async def cut(seen: Seen, peer: Peer) -> None:
    await peer.write(quoting(seen)[:-5])
    peer.close()


async def spoilt(seen: Seen, peer: Peer) -> None:
    await peer.write(b"HTTP/1.1 200 OK\r\n" + seen.body + b"\r\n\r\n")
    peer.close()


FAILURES: dict[str, Callable[[Seen, Peer], Any]] = {
    "cut": cut,
    "spoilt": spoilt,
    **{
        status: lambda seen, _, status=status: quoting(seen, status, "Retry-After: 0\r\n")
        for status in ("200 OK", "401 X", "422 X", "503 X")
    },
    "gzip": lambda seen, _: quoting(seen, headers="Content-Encoding: gzip\r\n"),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("send", SENDS)
@pytest.mark.fault("F36")
async def test_responses_that_quote_the_request(send: str, failure: str) -> None:
    transcript = Transcript()

    async def respond(seen: Seen, peer: Peer) -> bytes | None:
        # Tokens are issued, so that the call itself fails.
        if seen.path.endswith(("/getToken", "/oauth/token")):
            return http(respond_well(seen.method, seen.path), content_type="application/json")
        result = FAILURES[failure](seen, peer)
        return await result if asyncio.iscoroutine(result) else result  # type: ignore[no-any-return]

    async with RawServer(respond) as server:
        error = await failure_of(transcript, SENDS[send](server.url, **OPTIONS))  # type: ignore[arg-type]
    assert isinstance(error, PublitracError)
    transcript.check(CANARIES)
