"""Events in the life of a call, for hooks. They are frozen and hold only names and numbers.

::

    CallStarted
      QueueLeft                 a slot is free (see `concurrency`)
      ┌ AttemptStarted          credentials are ready
      │   RequestSent           the connection is open, the rate limiter permits it
      │ AttemptEnded
      │   RetryScheduled        another attempt after a pause
      └───┘
    CallEnded                   always, exactly once, however the call ends

A token request emits attempts with the name of its operation and a separate id, and ends in `TokenRenewed`.
It has no `CallStarted` and no `CallEnded`: these count the calls of your program. Bulk runs emit further
events, from `RunStarted` to `RunEnded`, for the hooks of their `Monitor`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Protocol, TypeAlias, runtime_checkable

from attrs import frozen


class CallOutcome(enum.StrEnum):
    """The end of a call."""

    SUCCESS = "success"  #: it returned a result
    FAILED = "failed"  #: it raised an error
    CANCELLED = "cancelled"  #: the caller cancelled it


@frozen(kw_only=True)
class CallEvent:
    """Base class of all events.

    Attributes:
        call_id: the same in all events, log records and the error of one call; unique across processes.
        operation: the vendor's name of the operation.
        vendor: name of the vendor, such as ``"publitrac"``.
        host: host name of the service.
        port: port of the service.
        method: HTTP method; empty for a call that was refused before a request was built.
        path: path of the operation as the documents write it, without values and query; empty likewise.
    """

    call_id: str = ""
    operation: str = ""
    vendor: str = ""
    host: str = ""
    port: int = 443
    method: str = ""
    path: str = ""


@frozen(kw_only=True)
class CallStarted(CallEvent):
    """A call entered the queue."""


@frozen(kw_only=True)
class QueueLeft(CallEvent):
    """A call left the client's queue and is in flight now.

    Attributes:
        queue_wait: seconds it waited for one of the slots that a fixed `concurrency` allows.
        limiter_wait: seconds it waited for a slot if the client adapts the number of slots to the rate limit:
            such a wait is a wait for the limit.
    """

    queue_wait: float
    limiter_wait: float = 0.0


@frozen(kw_only=True)
class AttemptStarted(CallEvent):
    """An attempt started; its credentials are ready.

    Attributes:
        attempt: number of the attempt within its call, from 1.
        token_wait: seconds it waited for credentials, a token request included.
    """

    attempt: int
    token_wait: float = 0.0


@frozen(kw_only=True)
class RequestSent(CallEvent):
    """A request is about to be written: the connection is open and the rate limiter permits it.

    Attributes:
        attempt: number of the attempt within its call, from 1.
        limiter_wait: seconds that the rate limit delayed it; in the first attempt including those of
            `QueueLeft`.
        connection_wait: seconds it waited for a connection, new or pooled; 0 for an injected transport,
            which connects later.
    """

    attempt: int
    limiter_wait: float
    connection_wait: float = 0.0


@frozen(kw_only=True)
class AttemptEnded(CallEvent):
    """An attempt ended.

    Attributes:
        attempt: number of the attempt within its call, from 1.
        elapsed: seconds of the whole attempt; the sum of the three that follow.
        connection_wait: seconds it waited for a connection.
        limiter_wait: seconds it waited for the rate limiter.
        response_time: seconds from the first byte of the request to the end of the response, including its
            conversion; 0 if nothing was sent.
        status: HTTP status, ``None`` without a response.
        error: name of the error class, ``None`` for success.
        code: the vendor's code of the error.
    """

    attempt: int
    elapsed: float
    connection_wait: float = 0.0
    limiter_wait: float = 0.0
    response_time: float = 0.0
    status: int | None = None
    error: str | None = None
    code: int | str | None = None


@frozen(kw_only=True)
class RetryScheduled(CallEvent):
    """A call will be retried after a wait.

    Attributes:
        attempt: number of the attempt that failed, from 1.
        wait: seconds until the next one, without the wait for the rate limiter.
        error: class of the error that it failed with.
    """

    attempt: int
    wait: float
    error: str


@frozen(kw_only=True)
class TokenRenewed(CallEvent):
    """A token request succeeded.

    Attributes:
        ttl: seconds the token lives.
        elapsed: seconds the token request took, with its retries.
    """

    ttl: float
    elapsed: float = 0.0


@frozen(kw_only=True)
class CallEnded(CallEvent):
    """A call ended: the last event of each call, also if it failed or was cancelled in the queue.

    The waits are sums over all attempts. With ``response_time`` they add up to ``elapsed``, except for the
    client's own processing time.

    Attributes:
        outcome: how it ended.
        attempts: attempts begun; 0 for a call that never left the queue or was refused at once.
        elapsed: seconds from `CallStarted`.
        queue_wait: seconds in the queue for one of the slots that a fixed `concurrency` allows.
        token_wait: seconds of waiting for credentials.
        connection_wait: seconds of waiting for connections.
        limiter_wait: seconds that the rate limit delayed the call, in the queue and before each request.
        response_time: seconds from the first byte of each request to the end of its response.
        retry_wait: seconds of backoff between attempts.
        status: HTTP status of the last response, ``None`` without one.
        error: name of the class of the exception that the caller got, ``None`` for success.
        code: the vendor's code of the error.
        maybe_applied: the call failed, but may have taken effect at the service.
    """

    outcome: CallOutcome
    attempts: int
    elapsed: float
    queue_wait: float
    token_wait: float = 0.0
    connection_wait: float = 0.0
    limiter_wait: float = 0.0
    response_time: float = 0.0
    retry_wait: float = 0.0
    status: int | None = None
    error: str | None = None
    code: int | str | None = None
    maybe_applied: bool = False


@frozen(kw_only=True)
class RunEvent:
    """Base class of the events of bulk runs.

    Attributes:
        run_id: the same in all events of a run or chunk; unique across processes.
        sink: name of the destination.
    """

    run_id: str = ""
    sink: str = ""


@frozen(kw_only=True)
class RunStarted(RunEvent):
    """A bulk run began.

    Attributes:
        source: name of the source, such as that of its file.
    """

    source: str


@frozen(kw_only=True)
class RowsCompleted(RunEvent):
    """Rows of a bulk run have an outcome, or will be sent again.

    Attributes:
        outcomes: rows by state, such as ``"accepted"``.
    """

    outcomes: Mapping[str, int]


@frozen(kw_only=True)
class RunEnded(RunEvent):
    """A bulk run ended, once for each `RunStarted`.

    Attributes:
        outcomes: all rows by state; empty if the run raised.
        elapsed: seconds.
        stopped: True if the run ended before its last row.
        error: name of the class of the exception that the run raised, ``None`` without one.
    """

    outcomes: Mapping[str, int]
    elapsed: float
    stopped: bool = False
    error: str | None = None


@frozen(kw_only=True)
class ChunkStarted(RunEvent):
    """A worker began a chunk of a run on several hosts.

    Attributes:
        job: id of the run, the same for all its chunks.
        chunk: number of the chunk.
    """

    job: str
    chunk: int


@frozen(kw_only=True)
class ChunkEnded(RunEvent):
    """A worker ended a chunk, once for each `ChunkStarted`.

    Attributes:
        job: id of the run.
        chunk: number of the chunk.
        outcomes: rows by state, of those for which this worker called the service.
        elapsed: seconds.
        stopped: True if the chunk ended before its last row.
        error: name of the class of the exception that ended the chunk, ``None`` without one.
    """

    job: str
    chunk: int
    outcomes: Mapping[str, int]
    elapsed: float
    stopped: bool = False
    error: str | None = None


#: Any event of a call.
Event: TypeAlias = (
    CallStarted
    | QueueLeft
    | AttemptStarted
    | RequestSent
    | AttemptEnded
    | RetryScheduled
    | TokenRenewed
    | CallEnded
)


#: Any event of a bulk run.
AnyRunEvent: TypeAlias = RunStarted | RowsCompleted | RunEnded | ChunkStarted | ChunkEnded


@runtime_checkable
class HeaderHook(Protocol):
    """A hook that also adds header fields to requests, such as ``traceparent``."""

    def request_headers(self, event: AttemptStarted, /) -> Iterable[tuple[str, str]]:
        """Return names and values of header fields, which are sent to the vendor with the request."""
        ...


class RunHook(Protocol):
    """A callable that gets every event of bulk runs, under the conditions of `Hook`."""

    def __call__(self, event: AnyRunEvent, /) -> None:
        """Handle `event`."""


class Hook(Protocol):
    """A callable that gets every event. It runs in the event loop, in the task of the call.

    It must not block. The client logs exceptions of a hook; no call fails because of them.
    """

    def __call__(self, event: Event, /) -> None:
        """Handle `event`."""
