"""Where leads go: the interface the engine knows, and the sinks of PUBLITRAC v1 and v2."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import orjson
from attrs import frozen

from publitrac_async.bulk.rows import State
from publitrac_async.checks import check_lead
from publitrac_async.converters import lead_from_mapping, lead_to_wire
from publitrac_async.errors import PublitracError
from publitrac_async.models import Lead
from publitrac_async.v1 import V1
from publitrac_async.v2 import V2, PreparedLead

R = TypeVar("R")


@frozen
class Prepared(Generic[R]):
    """A row that is fit to be sent.

    Attributes:
        key: the business key: rows with the same one mean the same lead, and the last of them counts.
        payload: digest of everything that will be sent, to tell whether it has changed.
        record: what `Sink.send` takes. It is pickled in between.
    """

    key: str
    payload: bytes
    record: R


class Sink(Protocol[R]):
    """A service that takes records, one or several in a call.

    Attributes:
        name: in reports.
        destination: tells one account of one service from others; a ledger belongs to one destination.
        acknowledges: what a success means, `State.OK` or `State.ACCEPTED`.
        repeatable: sending a record again does no harm. If not, a record whose outcome is unknown is never
            sent again, only reported.
        batch_size: records a call takes at most.
    """

    name: str
    destination: str
    acknowledges: State
    repeatable: bool
    batch_size: int

    def prepare(self, fields: Mapping[str, Any] | Lead) -> Prepared[R]:
        """Make a row into a record, as far as this can be done without the service.

        Raises:
            ValidationError: it cannot be accepted.
        """
        ...

    async def send(self, records: Sequence[R]) -> Sequence[PublitracError | None]:
        """Send records in one call.

        Returns:
            For each record, in order: ``None`` if it was taken, or why it was not.

        Raises:
            PublitracError: the call as a whole failed.
        """
        ...


class LeadSink(abc.ABC, Generic[R]):
    """What the sinks of PUBLITRAC share: their key is the e-mail address, and a call takes one lead."""

    name: str
    acknowledges: State
    repeatable = True
    batch_size = 1

    def __init__(self, destination: str | None = None) -> None:
        self.destination: str = f"{self.name} {destination or 'PUBLITRAC'}"

    @abc.abstractmethod
    def prepare(self, fields: Mapping[str, Any] | Lead) -> Prepared[R]:
        """Make a row into a lead, and check what the operation requires.

        Raises:
            ValidationError: with every problem found.
        """

    async def send(self, records: Sequence[R]) -> Sequence[PublitracError | None]:
        """Send one lead."""
        for lead in records:
            await self._send(lead)
        return [None] * len(records)

    @abc.abstractmethod
    async def _send(self, record: R) -> None:
        """Send a lead, or raise the reason why it was not taken."""


class DelayedSync(LeadSink[PreparedLead]):
    """``v2.delayed_sync``: the service queues the lead and processes it a little later.

    Args:
        v2: façade of an open client.
        destination: name of the account, so that a ledger is not used for another by mistake.
    """

    name = "v2"
    acknowledges = State.ACCEPTED

    def __init__(self, v2: V2, *, destination: str | None = None) -> None:
        super().__init__(destination)
        self._v2 = v2

    def prepare(self, fields: Mapping[str, Any] | Lead) -> Prepared[PreparedLead]:
        """Make a row into a lead as it is sent, and check what the operation requires.

        Raises:
            ValidationError: with every problem found.
        """
        lead = as_lead(fields)
        prepared = self._v2.prepare(lead)
        return Prepared(_key(lead), _hash(prepared.body), prepared)

    async def _send(self, record: PreparedLead) -> None:
        await self._v2.delayed_sync(record)


class SyncLead(LeadSink[Lead]):
    """``v1.sync_lead``: the service processes the lead before it answers.

    Args:
        v1: façade of an open client.
        destination: name of the account, so that a ledger is not used for another by mistake.
    """

    name = "v1"
    acknowledges = State.OK

    def __init__(self, v1: V1, *, destination: str | None = None) -> None:
        super().__init__(destination)
        self._v1 = v1

    def prepare(self, fields: Mapping[str, Any] | Lead) -> Prepared[Lead]:
        """Make a row into a lead, and check what the operation requires.

        Raises:
            ValidationError: with every problem found.
        """
        return prepare_lead(fields, "syncLead")

    async def _send(self, record: Lead) -> None:
        await self._v1.sync_lead(record)


def prepare_lead(fields: Mapping[str, Any] | Lead, operation: str = "delayedSync") -> Prepared[Lead]:
    """Make a row into a lead for PUBLITRAC, and check what needs no service.

    Raises:
        ValidationError: with every problem found.
    """
    lead = as_lead(fields)
    check_lead(lead, operation)
    return Prepared(_key(lead), digest(lead_to_wire(lead, operation)), lead)


def as_lead(fields: Mapping[str, Any] | Lead) -> Lead:
    """The lead that a row stands for.

    Raises:
        ValidationError: values that do not fit their field.
    """
    return fields if isinstance(fields, Lead) else lead_from_mapping(fields)


def as_sink(sink: Sink[Any] | V1 | V2) -> Sink[Any]:
    """A sink, from a façade where one was given."""
    match sink:
        case V1():
            return SyncLead(sink)
        case V2():
            return DelayedSync(sink)
        case _:
            return sink


def digest(content: Any) -> bytes:
    """16 bytes that stand for `content`, whatever the order of its names."""
    canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return _hash(canonical)


def _key(lead: Lead) -> str:
    assert isinstance(lead.email, str)
    # PUBLITRAC compares addresses without regard to case, as mail servers do.
    return lead.email.casefold()


def _hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
