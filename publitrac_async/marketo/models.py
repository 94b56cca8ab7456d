"""What travels to and from Marketo. Names are Marketo's in snake_case."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final, Literal, TypeAlias

from attrs import field, frozen

from publitrac_async.errors import ApiError, Conflict, NotFound, Problem, ValidationError
from publitrac_async.marketo.codes import meaning_of
from publitrac_async.models import UNSET, Flag, Text

#: Statuses of a record that was taken: the documented ones, and "warning", which a peer met at submitForm.
#: Others are not believed.
_TAKEN: Final = frozenset(
    {"created", "updated", "deleted", "added", "removed", "memberof", "notmemberof", "warning"}
)

#: What a field of a lead can hold. ``None`` and ``""`` both empty it.
Value: TypeAlias = str | int | float | bool | date | None
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
        membership_date: when the lead became a member.
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
        fields: every field that came, by its REST name, as JSON has it: dates are text. Fields that were
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
        """When the lead was created."""
        return _moment(self.fields.get("createdAt"))

    @property
    def updated_at(self) -> datetime | None:
        """When the lead was last changed."""
        return _moment(self.fields.get("updatedAt"))


@frozen
class Reason:
    """Why a record was not taken.

    Attributes:
        code: Marketo's, ``"1005"``.
        message: Marketo's words. They may quote personal data, so they are in no ``repr``.
    """

    code: str
    message: str = field(default="", repr=False)

    @property
    def text(self) -> str:
        """What the code means, in words that hold no value."""
        return meaning_of(self.code).reason


@frozen(kw_only=True)
class RecordResult:
    """What became of one record.

    Attributes:
        id: the lead's, ``None`` where there is none.
        status: ``"created"``, ``"updated"``, ``"deleted"``, ``"skipped"``; ``None`` where Marketo gives none.
        reasons: why it was not taken.
    """

    id: int | None = None
    status: str | None = None
    reasons: tuple[Reason, ...] = ()

    @property
    def ok(self) -> bool:
        """Return True if the record was taken: it has a status that Marketo documents, and no reason."""
        return not self.reasons and self.status in _TAKEN

    @property
    def error(self) -> ApiError | None:
        """Why the record was not taken, as the error that its first code stands for; ``None`` if it was."""
        if self.ok:
            return None
        problems = [Problem(reason.text, code=reason.code, text=reason.message) for reason in self.reasons]
        if not problems:
            return ApiError("skipped without a reason", maybe_applied=self.status not in (None, "skipped"))
        kind = meaning_of(self.reasons[0].code).kind
        # What else a code means for a whole call (no permission, later) is about this one record here.
        if not issubclass(kind, ValidationError | Conflict | NotFound):
            kind = ApiError
        text = "; ".join(dict.fromkeys(problem.reason for problem in problems))
        return kind(text, problems=problems, code=self.reasons[0].code)


@frozen(kw_only=True)
class AttributeAccess:
    """How a field is reached through one of Marketo's APIs."""

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
    """What Describe Lead2 says.

    Attributes:
        name: ``"API Lead"``.
        searchable_fields: what `get_leads_by_filter_type` can filter by; each is one name, or several that
            only count together.
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
    """What is to change about a field; what is unset stays.

    Of a standard field only description, `is_html_encoding_in_email` and `is_sensitive` can change, and
    `is_hidden` only of a field that was created through the API.
    """

    display_name: Text = UNSET
    description: Text = UNSET
    is_hidden: Flag = UNSET
    is_html_encoding_in_email: Flag = UNSET
    is_sensitive: Flag = UNSET


@frozen(kw_only=True)
class FieldResult:
    """What became of a field.

    Attributes:
        name: its REST name.
        status: ``"created"`` or ``"updated"``.
        reasons: why it was not taken.
    """

    name: str | None = None
    status: str | None = None
    reasons: tuple[Reason, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the field was created or updated."""
        return not self.reasons and self.status not in (None, "skipped")


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


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None
