"""Records of requests and responses. Names are Marketo's in snake_case."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

from attrs import field, frozen

from publitrac_async.errors import (
    ApiError,
    Conflict,
    NotFound,
    PublitracError,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.marketo.codes import meaning_of, problems_of, text_of
from publitrac_async.marketo.records import PreparedLead
from publitrac_async.models import UNSET, Flag, Text
from publitrac_async.transport.vendor_words import shortened

#: The value of a field of a lead. ``None`` and ``""`` both empty the field. Datetimes are sent by the second
#: with their zone; one without a zone is UTC. Of an enum member the value is sent.
Value: TypeAlias = str | int | float | bool | Decimal | date | UUID | Enum | None
#: A lead to be written: values by the REST names of its fields (`MarketoClient.describe2` lists them).
LeadInput: TypeAlias = Mapping[str, Value]

Action: TypeAlias = Literal["createOrUpdate", "createOnly", "updateOnly", "createDuplicate"]
DataType: TypeAlias = Literal[
    "boolean", "currency", "date", "datetime", "email", "float", "integer", "percent", "phone", "score",
    "string", "url",
]  # fmt: skip


@frozen(kw_only=True)
class ProgramMembership:
    """A lead's place in a program.

    Attributes:
        id: the program's.
        progression_status: name of the status.
        progression_status_type: type of the status.
        is_exhausted: all content was cast; engagement programs only.
        acquired_by: the program acquired the lead.
        reached_success: the lead reached a success status.
        membership_date: time at which the lead became a member.
        updated_at: last change.
        stream: of an engagement program.
        nurture_cadence: of an engagement program.
    """

    id: int | None = None
    progression_status: str | None = None
    progression_status_type: str | None = None
    is_exhausted: bool | None = None
    acquired_by: bool | None = None
    reached_success: bool | None = None
    membership_date: datetime | None = None
    updated_at: datetime | None = None
    stream: str | None = None
    nurture_cadence: str | None = None


@frozen(kw_only=True)
class MarketoLead:
    """A lead as Marketo returns it.

    Attributes:
        id: Marketo's number.
        fields: every field of the response by its REST name, as JSON has it: dates are text. Fields that were
            asked for and not returned are empty.
        membership: its place in the program, where leads of a program were asked for.
    """

    id: int
    fields: Mapping[str, Any]
    membership: ProgramMembership | None = None

    @property
    def email(self) -> str | None:
        """The e-mail address."""
        return self.fields.get("email")

    @property
    def first_name(self) -> str | None:
        """The first name."""
        return self.fields.get("firstName")

    @property
    def last_name(self) -> str | None:
        """The last name."""
        return self.fields.get("lastName")

    @property
    def created_at(self) -> datetime | None:
        """The time of creation."""
        return read_time(self.fields.get("createdAt"))

    @property
    def updated_at(self) -> datetime | None:
        """The time of the last change."""
        return read_time(self.fields.get("updatedAt"))


@frozen
class Reason:
    """A reason for which a record was not taken, or a warning.

    Attributes:
        code: Marketo's, ``"1005"``; empty if Marketo gave none.
        message: Marketo's words. They may quote personal data, so they are in no ``repr``.
    """

    code: str
    message: str = field(default="", repr=False)

    @property
    def text(self) -> str:
        """The meaning of the code, in words that hold no value."""
        return meaning_of(self.code, self.message).reason


#: Statuses of a record that was taken: those that Marketo documents, and a "warning" that another client has
#: met at Submit Form.
_TAKEN: Final = frozenset({"created", "updated", "deleted", "warning"})
_SKIPPED: Final = "skipped"


@frozen(kw_only=True)
class Result:
    """The fate of one record of a call.

    Attributes:
        status: ``"created"``, ``"updated"``, ``"deleted"``, ``"skipped"``; ``None`` where Marketo gives none.
        reasons: why the record was not taken.
        input: the record as you gave it. It may be personal data, so it is in no ``repr``.
        warnings: what Marketo said of the call besides; the same for all records of the call.
        readable: False if the result is not what Marketo documents, so that the outcome of the record is
            unknown.
    """

    status: str | None = None
    reasons: tuple[Reason, ...] = ()
    input: Any = field(default=None, repr=False, eq=False)
    warnings: tuple[Reason, ...] = field(default=(), eq=False)
    readable: bool = True

    @property
    def ok(self) -> bool:
        """True if the record was taken, by a status that Marketo documents."""
        return self.readable and not self.reasons and self.status in _TAKEN

    @property
    def error(self) -> PublitracError | None:
        """The error for a record that was not taken, by its first code; ``None`` if the record was taken.

        An `UnexpectedContent` with ``maybe_applied`` says that the outcome is unknown.
        """
        if self.ok:
            return None
        if not self.readable or (not self.reasons and self.status != _SKIPPED):
            return UnexpectedContent("Marketo's result for the record cannot be read", maybe_applied=True)
        if not self.reasons:
            return ApiError("skipped without a reason")
        record = self.input.fields if isinstance(self.input, PreparedLead) else self.input
        problems = [
            problem
            for reason in self.reasons
            for problem in problems_of(
                reason.code, reason.message, tuple(record) if isinstance(record, Mapping) else ()
            )
        ]
        kind = meaning_of(self.reasons[0].code).kind
        # What else a code means for a whole call (no permission, later) is about this one record here.
        if not issubclass(kind, ValidationError | Conflict | NotFound):
            kind = ApiError
        return kind(
            text_of(problems),
            problems=problems,
            code=self.reasons[0].code or None,
            vendor_message=shortened(*(reason.message for reason in self.reasons)),
        )


@frozen(kw_only=True)
class RecordResult(Result):
    """The fate of one lead of a call.

    Attributes:
        id: Marketo's number of the lead, ``None`` where there is none.
    """

    id: int | None = None


@frozen(kw_only=True)
class AttributeAccess:
    """The name of a field in one of Marketo's APIs."""

    name: str
    read_only: bool | None = None


@frozen(kw_only=True)
class LeadAttribute:
    """A field of leads as Describe Lead shows it.

    Attributes:
        id: Marketo's number.
        display_name: its name for people.
        data_type: ``"string"``, ``"integer"``, ``"date"``, ...
        length: characters at most, ``None`` where that does not apply.
        rest: its name in the REST API, ``None`` if it cannot be reached there.
        soap: its name in the former SOAP API.
    """

    id: int
    display_name: str
    data_type: str
    length: int | None = None
    rest: AttributeAccess | None = None
    soap: AttributeAccess | None = None


@frozen(kw_only=True)
class SchemaField:
    """A field of leads as Describe Lead2 shows it.

    Attributes:
        name: its REST name.
        display_name: its name for people.
        data_type: ``"string"``, ``"integer"``, ``"date"``, ...
        length: characters at most, ``None`` where that does not apply.
        updateable: it can be written.
        crm_managed: the connected CRM owns it.
    """

    name: str
    display_name: str | None = None
    data_type: str | None = None
    length: int | None = None
    updateable: bool | None = None
    crm_managed: bool | None = None


@frozen(kw_only=True)
class LeadSchema:
    """The fields of leads, and the keys to search leads by ("Describe Lead2").

    Attributes:
        name: ``"API Lead"``.
        searchable_fields: the keys that `get_leads_by_filter_type` can filter by; each is one name, or
            several that only count together.
        fields: all fields.
    """

    name: str
    searchable_fields: tuple[tuple[str, ...], ...] = ()
    fields: tuple[SchemaField, ...] = ()


@frozen(kw_only=True)
class LeadField:
    """A field of leads with all its metadata.

    Attributes:
        name: its REST name.
        display_name: its name for people.
        data_type: ``"string"``, ``"integer"``, ``"date"``, ...
        description: free text.
        length: characters at most, ``None`` where that does not apply.
        is_hidden: it is not shown.
        is_html_encoding_in_email: it is HTML-encoded in e-mails.
        is_sensitive: it holds sensitive data.
        is_custom: it is not one of Marketo's own.
        is_api_created: it was created through the API.
    """

    name: str
    display_name: str | None = None
    data_type: str | None = None
    description: str | None = None
    length: int | None = None
    is_hidden: bool | None = None
    is_html_encoding_in_email: bool | None = None
    is_sensitive: bool | None = None
    is_custom: bool | None = None
    is_api_created: bool | None = None


@frozen(kw_only=True)
class NewLeadField:
    """A custom field to be created. It can never be deleted again, only hidden.

    Attributes:
        display_name: unique, without special characters.
        name: its REST name: unique, a letter first, then letters, digits and underscores.
        data_type: one of `DataType`.
        description: free text.
        is_hidden: it is not shown.
        is_html_encoding_in_email: it is HTML-encoded in e-mails.
        is_sensitive: it holds sensitive data.
    """

    display_name: str
    name: str
    data_type: DataType
    description: Text = UNSET
    is_hidden: Flag = UNSET
    is_html_encoding_in_email: Flag = UNSET
    is_sensitive: Flag = UNSET


@frozen(kw_only=True)
class LeadFieldUpdate:
    """The changes of a field; what is unset stays.

    Of a standard field only description, `is_html_encoding_in_email` and `is_sensitive` can change, and
    `is_hidden` only of a field that was created through the API.
    """

    display_name: Text = UNSET
    description: Text = UNSET
    is_hidden: Flag = UNSET
    is_html_encoding_in_email: Flag = UNSET
    is_sensitive: Flag = UNSET


@frozen(kw_only=True)
class FieldResult(Result):
    """The fate of one field of a call.

    Attributes:
        name: REST name of the field.
    """

    name: str | None = None


@frozen(kw_only=True)
class ListMembership:
    """A lead's place in a static list."""

    list_id: int
    created_at: datetime | None = None
    updated_at: datetime | None = None


@frozen(kw_only=True)
class SmartCampaignMembership:
    """A lead's place in a smart campaign."""

    smart_campaign_id: int
    created_at: datetime | None = None
    updated_at: datetime | None = None


@frozen(kw_only=True)
class VisitorData:
    """The visit in which a form was filled in. Filters and triggers can use it.

    Attributes:
        page_url: address of the page.
        query_string: of the page.
        lead_client_ip_address: IPv4 address of the visitor.
        user_agent_string: of the visitor's browser.
    """

    page_url: str | None = None
    query_string: str | None = None
    lead_client_ip_address: str | None = None
    user_agent_string: str | None = None


#: Some of Marketo's APIs write the zone twice ("Field Types").
_ZONE_TWICE: Final = re.compile(r"Z\+0000$")


def read_time(value: Any) -> datetime | None:
    """Return a time of a response; ``None`` if it is none. A time without a zone is UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(_ZONE_TWICE.sub("Z", value.strip()))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
