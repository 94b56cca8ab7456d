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


@define  # Creating a frozen instance takes twice as long.
class Record(Generic[C]):
    """A row in the form of its sink.

    Attributes:
        key: business key: rows with the same key are the same lead, and the last of them is sent.
        content_hash: hash of everything that is sent, to detect changes.
        content: argument for `Sink.send`. It must be picklable.
    """

    key: str
    content_hash: bytes
    content: C


@frozen
class OwnColumns:
    """Columns of a sink with other fields than PUBLITRAC's. Without a mapping, rows keep these columns.

    Attributes:
        keys: columns that identify a lead; a table must have at least one of them.
        consent: consent columns in lower case; the value is true if a "no" is sent as well.
    """

    keys: frozenset[str]
    consent: Mapping[str, bool]


class CallJournal(Protocol):
    """Journal of the calls that a sink makes for a batch: after a kill only rows in flight are unknown.

    Records are identified by their index in the batch.
    """

    async def begin(self, indexes: Sequence[int]) -> None:
        """Record that a call with these records is about to start. Do not catch the errors it raises."""
        ...

    def end(self, indexes: Sequence[int], errors: Sequence[PublitracError | None]) -> None:
        """Keep the outcomes of a call. The outcomes that `send_in_parts` returns replace them."""
        ...

    def flush(self) -> None:
        """Record the outcomes of the last call before a wait."""
        ...


class Sink(Protocol[C]):
    """A service that receives records, one or several per call.

    Attributes:
        name: name in reports.
        destination: identifies the account of the service; a state store belongs to one destination.
        success_state: state of a row after a success, `State.OK` or `State.ACCEPTED`.
        idempotent: true if a record may be sent twice. Otherwise a record with an unknown outcome is
            reported, but never sent again.
        batch_size: maximum number of records per call.

    A sink may have a method ``queue_length()``, which returns the number of calls in the queue of its client.
    Then a run without a fixed concurrency adapts to the client; otherwise it has 32 calls in flight.

    A sink that makes several calls for a batch has a method ``send_in_parts(contents, journal)``, which the
    run calls instead of `send`. It must begin and end each call in the `CallJournal`.

    A sink whose fields are not PUBLITRAC's has an attribute ``own_columns``, see `OwnColumns`.
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
            One result for each record, in order: ``None`` if the service acknowledged it, or the error.

        Raises:
            PublitracError: the call failed as a whole. Any other exception ends the run, and the outcome of
                the records is unknown.
        """
        ...


def queue_length(client: object) -> int:
    """Return the number of calls in the queue of a client, 0 for a fake without one."""
    return int(getattr(client, "queued", 0))


def content_hash(content: Any) -> bytes:
    """Return a 16-byte hash of `content`, independent of the order of names."""
    return hash_bytes(orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS))


def hash_bytes(content: bytes) -> bytes:
    """Return a 16-byte hash of `content`."""
    return hashlib.blake2b(content, digest_size=16).digest()
