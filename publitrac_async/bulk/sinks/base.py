"""The interface of a sink."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import orjson
from attrs import define, frozen

from publitrac_async.bulk.rows import State
from publitrac_async.errors import PublitracError
from publitrac_async.models import Lead

C = TypeVar("C")


@define  # A frozen one takes twice the time.
class Record(Generic[C]):
    """A row in the form of its sink.

    Attributes:
        key: business key: rows with the same key are the same lead, and the last of them counts.
        content_hash: hash of everything that is sent, to detect changes.
        content: argument for `Sink.send`. It is pickled in between.
    """

    key: str
    content_hash: bytes
    content: C


@frozen
class OwnColumns:
    """Columns of a sink whose fields are not PUBLITRAC's. Without a mapping its rows keep their columns.

    Attributes:
        keys: columns of which a table must have one.
        consent: columns of consent in lower case, each with True if a no is sent as well.
    """

    keys: frozenset[str]
    consent: Mapping[str, bool]


class CallJournal(Protocol):
    """Records the calls that a sink makes for a batch, so that a kill affects only those in flight.

    Records are named by their index in the batch.
    """

    async def begin(self, places: Sequence[int]) -> None:
        """Record that a call with these records is about to start. Let all its errors pass."""
        ...

    def end(self, places: Sequence[int], errors: Sequence[PublitracError | None]) -> None:
        """Note the outcomes of a call. Those that `send_in_parts` returns count in the end."""
        ...

    def flush(self) -> None:
        """Record the outcomes of the last call before a wait."""
        ...


class Sink(Protocol[C]):
    """A service that takes records, one or several per call.

    Attributes:
        name: name in reports.
        destination: identifies the account of the service; a state store belongs to one destination.
        success_state: state of a row after a success, `State.OK` or `State.ACCEPTED`.
        idempotent: true if a record may be sent again. Otherwise a record with an unknown outcome is only
            reported, never sent again.
        batch_size: maximum number of records per call.

    A sink may have a method ``queue_length()``, which returns the number of calls in the queue of its client.
    Then a run without a fixed concurrency has as many calls in flight as the client allows, otherwise 32.

    A sink that makes several calls for a batch has a method ``send_in_parts(contents, journal)``, which the
    run calls in place of `send`. It names each call to the `CallJournal`, before and after.
    """

    name: str
    destination: str
    success_state: State
    idempotent: bool
    batch_size: int

    def to_record(self, fields: Mapping[str, Any] | Lead) -> Record[C]:
        """Transform a row into a record, and check it as far as possible without the service.

        Raises:
            ValidationError: the row cannot be sent.
        """
        ...

    async def send(self, contents: Sequence[C]) -> Sequence[PublitracError | None]:
        """Send records in one call.

        Args:
            contents: `Record.content` of each.

        Returns:
            For each record, in order: ``None`` if the service acknowledged it, or the error.

        Raises:
            PublitracError: the call failed as a whole.
        """
        ...


def content_hash(content: Any) -> bytes:
    """Return a 16-byte hash of `content`, independent of the order of names."""
    return hash_bytes(orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS))


def hash_bytes(content: bytes) -> bytes:
    """Return a 16-byte hash of `content`."""
    return hashlib.blake2b(content, digest_size=16).digest()
