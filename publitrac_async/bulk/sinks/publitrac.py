"""Sinks of PUBLITRAC v1 and v2."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, Generic

from publitrac_async.bulk.fields import Fields
from publitrac_async.bulk.rows import State
from publitrac_async.bulk.sinks.base import C, Record, Sink, content_hash, hash_bytes, queue_length
from publitrac_async.checks import check_lead
from publitrac_async.converters import (
    FIELD_TYPES,
    NATIVE_FIELDS,
    fields_to_wire,
    lead_from_mapping,
    lead_to_wire,
)
from publitrac_async.errors import PublitracError
from publitrac_async.models import Lead, Text
from publitrac_async.protocols import V1Api, V2Api
from publitrac_async.v1 import V1
from publitrac_async.v2 import V2, PreparedLead
from publitrac_async.v2.codec import write_body


class PublitracSink(abc.ABC, Generic[C]):
    """Base class of the sinks of PUBLITRAC: the key is the e-mail address, and a call takes one lead."""

    name: str
    success_state: State
    idempotent = True
    batch_size = 1

    def __init__(self, api: V1Api | V2Api, destination: str | None) -> None:
        self.destination: str = f"{self.name} {destination or 'PUBLITRAC'}"
        self._api = api

    @abc.abstractmethod
    def to_record(self, fields: Mapping[str, Any] | Lead) -> Record[C]:
        """Transform a row into a record; see `Sink.to_record`.

        Raises:
            ValidationError: the row cannot be sent; lists every problem.
        """

    def queue_length(self) -> int:
        """Return the number of calls in the client's queue."""
        return queue_length(self._api)

    async def send(self, contents: Sequence[C]) -> Sequence[PublitracError | None]:
        """Send one lead; see `Sink.send`."""
        for lead in contents:
            await self._send(lead)
        return [None] * len(contents)

    @abc.abstractmethod
    async def _send(self, content: C) -> None:
        """Send a lead.

        Raises:
            PublitracError: the call failed.
        """


class PublitracV2Sink(PublitracSink[bytes | Lead]):
    """``v2.delayed_sync``: the service queues the lead and processes it shortly after.

    Args:
        v2: façade of an open client.
        destination: name of the account, so that a state store is not used for another account.
    """

    name = "v2"
    success_state = State.ACCEPTED

    def __init__(self, v2: V2Api, *, destination: str | None = None) -> None:
        super().__init__(v2, destination)
        self._v2 = v2

    def to_record(self, fields: Mapping[str, Any] | Lead) -> Record[bytes | Lead]:
        """Transform a row into a record; see `Sink.to_record`.

        Raises:
            ValidationError: the row cannot be sent; lists every problem.
        """
        if isinstance(fields, Fields) and fields.checked and not fields.cleared:
            wire = fields_to_wire(fields)
            if wire is not None:
                body = write_body(*wire)
                return Record(fields["email"].casefold(), hash_bytes(body), body)
        lead = as_lead(fields)
        body = self._v2.prepare(lead).body
        return Record(_key(lead), hash_bytes(body), body)

    async def _send(self, content: bytes | Lead) -> None:
        # A record made by `publitrac_record` has a lead as its content.
        await self._v2.delayed_sync(content if isinstance(content, Lead) else PreparedLead(content))


class PublitracV1Sink(PublitracSink[Lead]):
    """``v1.sync_lead``: the service processes the lead before it responds.

    Args:
        v1: façade of an open client.
        destination: name of the account, so that a state store is not used for another account.
    """

    name = "v1"
    success_state = State.OK

    def __init__(self, v1: V1Api, *, destination: str | None = None) -> None:
        super().__init__(v1, destination)
        self._v1 = v1

    def to_record(self, fields: Mapping[str, Any] | Lead) -> Record[Lead]:
        """Transform a row into a record; see `Sink.to_record`.

        Raises:
            ValidationError: the row cannot be sent; lists every problem.
        """
        return publitrac_record(fields, "syncLead")

    async def _send(self, content: Lead) -> None:
        await self._v1.sync_lead(content)


def publitrac_record(fields: Mapping[str, Any] | Lead, operation: str = "delayedSync") -> Record[Lead]:
    """Transform a row into a record for PUBLITRAC, without a client.

    Args:
        fields: the row.
        operation: the vendor's name of the operation, for errors.

    Raises:
        ValidationError: the row cannot be sent; lists every problem.
    """
    lead = as_lead(fields)
    if not (isinstance(fields, Fields) and fields.checked):
        check_lead(lead, operation)
    return Record(_key(lead), content_hash(lead_to_wire(lead, operation)), lead)


def as_lead(fields: Mapping[str, Any] | Lead) -> Lead:
    """Return the lead of a row.

    Raises:
        ValidationError: a value does not fit its field.
    """
    if isinstance(fields, Lead):
        return fields
    if not isinstance(fields, Fields):
        return lead_from_mapping(fields)
    values: dict[str, Any] = {}
    custom: dict[str, Any] = {}
    for name, value in fields.items():
        attribute = NATIVE_FIELDS.get(name)
        if attribute is None:
            custom[name] = value
        else:
            values[attribute] = value
    for name in fields.cleared - fields.keys():
        attribute = NATIVE_FIELDS.get(name)
        if attribute is None:
            custom[name] = ""
        else:
            values[attribute] = "" if FIELD_TYPES[name] == Text else None
    return Lead(**values, custom_fields=custom)


def as_sink(sink: Sink[Any] | V1 | V2) -> Sink[Any]:
    """Return `sink`, or the sink of a façade of PUBLITRAC."""
    match sink:
        case V1():
            return PublitracV1Sink(sink)
        case V2():
            return PublitracV2Sink(sink)
        case _:
            return sink


def _key(lead: Lead) -> str:
    assert isinstance(lead.email, str)
    # PUBLITRAC ignores the case of addresses, like mail servers.
    return lead.email.casefold()
