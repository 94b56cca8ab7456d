"""A vendor of `sync` and `worker`, and the options that choose one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

from attrs import field, frozen

from publitrac_async.bulk import Record, Sink, Verify

#: Sink with its open client, and settings for reading leads back.
OpenSink: TypeAlias = tuple[Sink[Any], Verify | None]


@frozen(kw_only=True)
class SinkOptions:
    """Options that choose the destination of rows; the help of the commands describes them."""

    via: str
    rate: int
    customer: str | None
    lead_source: str | None
    redis: str | None = field(repr=False)
    action: str | None = None
    lookup_field: str | None = None
    partition: str | None = None
    sandbox: bool = False
    verify: bool = False
    verify_rate: float = 0.0
    verify_timeout: float = 0.0


def _no_variables(customer: str | None) -> Sequence[str]:  # noqa: ARG001  (other vendors use it)
    return ()


@frozen(kw_only=True)
class Vendor:
    """Vendor, by its value of ``--via``.

    Attributes:
        name: value of ``--via``.
        service: name of the service.
        rate: default number of calls per `period`.
        period: seconds.
        concurrency: calls in flight. More would only make more rows unknown after a kill.
        account: environment variables of the credential that identifies the account, most specific first.
        open_sink: opens a client on a stack and returns its sink. Takes the stack, the options and the
            settings of the client.
        to_record: returns the function that transforms a row for a dry run.
        fields_of: returns the fields of a record's content.
        customer_account: returns more variables like `account`, for a customer.
        shares_token: the client takes a token store.
        verifies: leads can be read back.
        batches: a call has many rows, so calls per second are not rows per second.
        appends: a call must not be repeated: its state must be on the disk before it starts.
    """

    name: str
    service: str
    rate: int
    period: float = 1.0
    concurrency: int
    account: str
    open_sink: Callable[[AsyncExitStack, SinkOptions, dict[str, Any]], Awaitable[OpenSink]]
    to_record: Callable[[SinkOptions], Callable[[Any], Record[Any]]]
    fields_of: Callable[[Any], Mapping[str, Any]]
    customer_account: Callable[[str | None], Sequence[str]] = _no_variables
    shares_token: bool = False
    verifies: bool = False
    batches: bool = False
    appends: bool = False
