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
#: Values of the options that a vendor has for itself, by name; those that were not given are missing.
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
    """Option that one vendor has for itself.

    Attributes:
        name: name in `OwnOptions`; ``lookup_field`` is ``--lookup-field``.
        help: help text.
        choices: accepted values; empty for any text.
        metavar: placeholder in the help, ``None`` for that of the type.
        of_account: the option is part of the account, so commands without rows take it, too.
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
    """Service behind one or several values of ``--via``.

    Attributes:
        name: name in messages.
        prefix: begins the names of its environment variables: ``VITEC``.
        secrets: names of its credentials, which are variables with this prefix.
        base_url: its address, ``None`` if each account has another one.
        credentials: sentences for the help of `sync` about its credentials.
    """

    name: str
    prefix: str
    secrets: tuple[str, ...]
    base_url: str | None
    credentials: str


def _no_variables(own: OwnOptions) -> Sequence[str]:  # noqa: ARG001  (other vendors use it)
    return ()


@frozen(kw_only=True)
class Vendor:
    """Vendor, by its value of ``--via``.

    Attributes:
        name: value of ``--via``, and `Sink.name` of its sink.
        service: the service.
        help: what happens to leads, for the help of ``--via``.
        rate: default rate of calls, the object that clients take for none given.
        concurrency: calls in flight. More would only make more rows unknown after a kill.
        in_flight: calls of all processes in flight at once, ``None`` for no limit.
        account: environment variable of the credential that identifies the account.
        open_sink: opens a client on a stack and returns its sink. Takes the stack, the options and the
            settings of the client.
        to_record: returns the function that transforms a row for a dry run.
        fields_of: returns the fields of a record's content.
        options: the options that only this vendor has.
        sandbox_settings: returns the arguments of the client for a running sandbox; ``None`` if the sandbox
            does not emulate this vendor.
        account_variables: returns variables that come before `account`, for options of the account.
        verifies: leads can be read back.
        batches: a call has many rows, so calls per second are not rows per second.
        appends: a call must not be repeated: its state must be on the disk before it starts.
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
    sandbox_settings: Callable[[Any], dict[str, Any]] | None = None
    account_variables: Callable[[OwnOptions], Sequence[str]] = _no_variables
    verifies: bool = False
    batches: bool = False
    appends: bool = False
