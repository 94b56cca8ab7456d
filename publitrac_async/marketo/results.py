"""Outcomes of the records of a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from publitrac_async.errors import (
    ApiError,
    AuthenticationError,
    Conflict,
    NotFound,
    PublitracError,
    QuotaExhausted,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.marketo.codes import meaning_of, problems_of, text_of
from publitrac_async.marketo.records import PreparedMarketoLead
from publitrac_async.transport.vendor_messages import shortened


@frozen
class Reason:
    """Reason of a refused record, or a warning.

    Attributes:
        code: Marketo's code, ``"1005"``; empty without one.
        message: Marketo's message. It may quote personal data, so it is in no ``repr``.
    """

    code: str
    message: str = field(default="", repr=False)

    @property
    def text(self) -> str:
        """Description of the code, without values."""
        return meaning_of(self.code, self.message).reason


#: Statuses of accepted records: the documented ones, and a "warning" of Submit Form seen by another client.
_ACCEPTED: Final = frozenset({"created", "updated", "deleted", "warning"})
_SKIPPED: Final = "skipped"


@frozen(kw_only=True)
class Result:
    """Outcome of one record of a call.

    Attributes:
        status: ``"created"``, ``"updated"``, ``"deleted"``, ``"skipped"``; ``None`` without one.
        reasons: reasons of a refusal.
        input: the given record. It may be personal data, so it is in no ``repr``.
        warnings: Marketo's warnings about the call; the same for all records of the call.
        readable: False if the result is not in the documented form, so that the outcome of the record is
            unknown.
    """

    status: str | None = None
    reasons: tuple[Reason, ...] = ()
    input: Any = field(default=None, repr=False, eq=False)
    warnings: tuple[Reason, ...] = field(default=(), eq=False)
    readable: bool = True

    @property
    def ok(self) -> bool:
        """True if the record was accepted, by its documented status."""
        return self.readable and not self.reasons and (self.status or "").lower() in _ACCEPTED

    @property
    def refused(self) -> bool:
        """True if Marketo reports that it did not accept the record."""
        return bool(self.reasons) or (self.status or "").lower() == _SKIPPED

    @property
    def error(self) -> PublitracError | None:
        """Error of a refused record, by its first code; ``None`` if it was accepted.

        `UnexpectedContent` with ``maybe_applied`` means that the outcome is unknown. ``retryable`` means that
        the cause is temporary, so the record may be sent again.
        """
        if self.ok:
            return None
        if not self.readable or not self.refused:
            return UnexpectedContent("Marketo's result for the record is unreadable", maybe_applied=True)
        if not self.reasons:
            return ApiError("Marketo skipped the record without a reason")
        record = self.input.fields if isinstance(self.input, PreparedMarketoLead) else self.input
        problems = [
            problem
            for reason in self.reasons
            for problem in problems_of(
                reason.code, reason.message, record if isinstance(record, Mapping) else ()
            )
        ]
        meaning = meaning_of(self.reasons[0].code)
        kind = meaning.kind
        # Codes of whole calls (no permission, try later) concern only this record here.
        if not issubclass(kind, ValidationError | Conflict | NotFound):
            kind = ApiError
        return kind(
            text_of(problems),
            problems=problems,
            retryable=meaning.retryable or issubclass(meaning.kind, AuthenticationError | QuotaExhausted),
            code=self.reasons[0].code or None,
            vendor_message=shortened(*(reason.message for reason in self.reasons)),
        )


@frozen(kw_only=True)
class RecordResult(Result):
    """Outcome of one lead of a call.

    Attributes:
        id: id of the lead in Marketo, ``None`` without one.
    """

    id: int | None = None


@frozen(kw_only=True)
class FieldResult(Result):
    """Outcome of one field of a call.

    Attributes:
        name: REST name of the field.
    """

    name: str | None = None
