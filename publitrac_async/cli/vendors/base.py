"""A vendor of `sync` and `worker`: its service, its options, its sink."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

from attrs import field, frozen

from publitrac_async.bulk import Record, Sink, Verify
from publitrac_async.bulk.verify import RATE as VERIFY_RATE
from publitrac_async.config import Rate

#: Sink with its open client, and settings for reading leads back.
OpenSink: TypeAlias = tuple[Sink[Any], Verify | None]
#: Values of a vendor's own options by name, without options that were not given.
OwnOptions: TypeAlias = Mapping[str, str]


@frozen(kw_only=True)
class SinkOptions:
    """Options that choose the destination of rows; the help of the commands describes them."""

    via: str
    rate: Rate
    own: OwnOptions
    redis: str | None = field(repr=False)
    sandbox: bool = False
    verify: bool = False
    verify_rate: Rate = VERIFY_RATE
    verify_timeout: float = 0.0


@frozen(kw_only=True)
class VendorOption:
    """An option that only one vendor has.

    Attributes:
        name: name in `OwnOptions`, such as ``lookup_field`` for ``--lookup-field``.
        help: help text.
        choices: accepted values; empty for any text.
        metavar: placeholder in the help, ``None`` for that of the type.
        of_account: true if the option identifies the account, so that commands without rows have it as well.
    """

    name: str
    help: str
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    of_account: bool = False

    @property
    def flag(self) -> str:
        """The option on a command line."""
        return f"--{self.name.replace('_', '-')}"


@frozen(kw_only=True)
class Service:
    """The service for one or several values of ``--via``.

    Attributes:
        name: name in messages.
        prefix: prefix of its environment variables, such as ``VITEC``.
        secrets: names of its credentials, which are variables with this prefix.
        base_url: base URL, ``None`` if each account has its own.
        credentials: sentences about its credentials for the help of `sync`.
    """

    name: str
    prefix: str
    secrets: tuple[str, ...]
    base_url: str | None
    credentials: str


def _no_variables(own: OwnOptions) -> Sequence[str]:  # noqa: ARG001  (other vendors use it)
    return ()


def _no_rate() -> Rate | None:
    return None


@frozen(kw_only=True)
class Vendor:
    """One value of ``--via``.

    Attributes:
        name: value of ``--via``, and `Sink.name` of its sink.
        service: the service.
        help: end of a sentence for the help of ``--via``, such as "queues leads".
        rate: default rate of calls; the same object as the default of the client.
        concurrency: calls in flight per run or chunk. A higher number leaves more rows unknown after a kill.
        in_flight: maximum number of calls in flight of all processes, ``None`` without a limit.
        account: environment variable of the credential that identifies the account.
        open_sink: opens a client on a stack and returns its sink. Its arguments are the stack, the options
            and the settings of the client.
        to_record: returns the function that transforms a row for a dry run.
        fields_of: returns the fields of a record's content.
        options: the options that only this vendor has.
        configured_rate: returns the rate of calls that the environment sets, ``None`` without one.
        sandbox_settings: returns the arguments of the client for a running sandbox; ``None`` if the sandbox
            does not emulate this vendor.
        account_variables: returns the variables that are tried before `account`, by the vendor's own options.
        verifies: true if leads can be read back.
        batches: true if a call has many rows, so that calls per second are not rows per second.
        appends: true if a repeated call would create another lead, so that its state must be on the disk
            before it starts.
    """

    name: str
    service: Service
    help: str
    rate: Rate
    concurrency: int
    in_flight: int | None = None
    account: str
    open_sink: Callable[[AsyncExitStack, SinkOptions, dict[str, Any]], Awaitable[OpenSink]]
    to_record: Callable[[SinkOptions], Callable[[Any], Record[Any]]]
    fields_of: Callable[[Any], Mapping[str, Any]]
    options: tuple[VendorOption, ...] = ()
    configured_rate: Callable[[], Rate | None] = _no_rate
    sandbox_settings: Callable[[Any], dict[str, Any]] | None = None
    account_variables: Callable[[OwnOptions], Sequence[str]] = _no_variables
    verifies: bool = False
    batches: bool = False
    appends: bool = False
