"""Records of requests and responses. Names are Marketo's in snake_case."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

from attrs import frozen

from publitrac_async.models import UNSET, Flag, Text

#: Value of a field of a lead. ``None`` and ``""`` both empty the field. Datetimes are sent to the second with
#: their zone; without a zone they are UTC. Enum members are sent as their value.
Value: TypeAlias = str | int | float | bool | Decimal | date | UUID | Enum | None
#: Lead to write: values by the REST names of its fields (`MarketoClient.describe2` lists them).
LeadInput: TypeAlias = Mapping[str, Value]

Action: TypeAlias = Literal["createOrUpdate", "createOnly", "updateOnly", "createDuplicate"]
DataType: TypeAlias = Literal[
    "boolean", "currency", "date", "datetime", "email", "float", "integer", "percent", "phone", "score",
    "string", "url",
]  # fmt: skip


@frozen(kw_only=True)
class ProgramMembership:
    """Membership of a lead in a program.

    Attributes:
        id: id of the program.
        progression_status: name of the status.
        progression_status_type: type of the status.
        is_exhausted: all content was sent; engagement programs only.
        acquired_by: the program acquired the lead.
        reached_success: the lead reached a success status.
        membership_date: start of the membership.
        updated_at: last change.
        stream: stream of an engagement program.
        nurture_cadence: cadence of an engagement program.
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
    """Lead returned by Marketo.

    Attributes:
        id: id in Marketo.
        fields: every field of the response by its REST name, with its JSON value: dates are text. A requested
            field that is missing in the response has no value in Marketo.
        membership: membership in the program, if leads of a program were requested.
    """

    id: int
    fields: Mapping[str, Any]
    membership: ProgramMembership | None = None

    @property
    def email(self) -> str | None:
        """E-mail address."""
        return self.fields.get("email")

    @property
    def first_name(self) -> str | None:
        """First name."""
        return self.fields.get("firstName")

    @property
    def last_name(self) -> str | None:
        """Last name."""
        return self.fields.get("lastName")

    @property
    def created_at(self) -> datetime | None:
        """Time of creation."""
        return read_time(self.fields.get("createdAt"))

    @property
    def updated_at(self) -> datetime | None:
        """Time of the last change."""
        return read_time(self.fields.get("updatedAt"))


@frozen(kw_only=True)
class AttributeAccess:
    """Name of a field in one of Marketo's APIs."""

    name: str
    read_only: bool | None = None


@frozen(kw_only=True)
class LeadAttribute:
    """Field of leads in Describe Lead.

    Attributes:
        id: id in Marketo.
        display_name: name in the user interface.
        data_type: ``"string"``, ``"integer"``, ``"date"``, ...
        length: maximum characters, ``None`` if not applicable.
        rest: name in the REST API, ``None`` if it is not available there.
        soap: name in the former SOAP API.
    """

    id: int
    display_name: str
    data_type: str
    length: int | None = None
    rest: AttributeAccess | None = None
    soap: AttributeAccess | None = None


@frozen(kw_only=True)
class SchemaField:
    """Field of leads in Describe Lead2.

    Attributes:
        name: REST name.
        display_name: name in the user interface.
        data_type: ``"string"``, ``"integer"``, ``"date"``, ...
        length: maximum characters, ``None`` if not applicable.
        updateable: the field can be written.
        crm_managed: the connected CRM owns the field.
    """

    name: str
    display_name: str | None = None
    data_type: str | None = None
    length: int | None = None
    updateable: bool | None = None
    crm_managed: bool | None = None


@frozen(kw_only=True)
class LeadSchema:
    """Fields of leads, and keys to search by ("Describe Lead2").

    Attributes:
        name: ``"API Lead"``.
        searchable_fields: keys for `get_leads_by_filter_type`; each is one name, or several that form a key
            together.
        fields: all fields.
    """

    name: str
    searchable_fields: tuple[tuple[str, ...], ...] = ()
    fields: tuple[SchemaField, ...] = ()


@frozen(kw_only=True)
class LeadField:
    """Field of leads with all its metadata.

    Attributes:
        name: REST name.
        display_name: name in the user interface.
        data_type: ``"string"``, ``"integer"``, ``"date"``, ...
        description: free text.
        length: maximum characters, ``None`` if not applicable.
        is_hidden: the field is hidden.
        is_html_encoding_in_email: the value is HTML-encoded in e-mails.
        is_sensitive: the field holds sensitive data.
        is_custom: the field is not a standard field of Marketo.
        is_api_created: the field was created through the API.
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
    """Custom field to create. It can never be deleted, only hidden.

    Attributes:
        display_name: unique, without special characters.
        name: REST name, unique: a letter, then letters, digits and underscores.
        data_type: one of `DataType`.
        description: free text.
        is_hidden: the field is hidden.
        is_html_encoding_in_email: the value is HTML-encoded in e-mails.
        is_sensitive: the field holds sensitive data.
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
    """Changes of a field; unset attributes remain unchanged.

    Of a standard field only description, `is_html_encoding_in_email` and `is_sensitive` can change.
    `is_hidden` can change only for a field created through the API.
    """

    display_name: Text = UNSET
    description: Text = UNSET
    is_hidden: Flag = UNSET
    is_html_encoding_in_email: Flag = UNSET
    is_sensitive: Flag = UNSET


@frozen(kw_only=True)
class ListMembership:
    """Membership of a lead in a static list."""

    list_id: int
    created_at: datetime | None = None
    updated_at: datetime | None = None


@frozen(kw_only=True)
class SmartCampaignMembership:
    """Membership of a lead in a smart campaign."""

    smart_campaign_id: int
    created_at: datetime | None = None
    updated_at: datetime | None = None


@frozen(kw_only=True)
class VisitorData:
    """Visit of a form. Filters and triggers can use it.

    Attributes:
        page_url: address of the page.
        query_string: query string of the page.
        lead_client_ip_address: IPv4 address of the visitor.
        user_agent_string: user agent of the visitor's browser.
    """

    page_url: str | None = None
    query_string: str | None = None
    lead_client_ip_address: str | None = None
    user_agent_string: str | None = None


#: Some APIs of Marketo write the zone twice ("Field Types").
_ZONE_TWICE: Final = re.compile(r"Z\+0000$")


def read_time(value: Any) -> datetime | None:
    """Return a time of a response; ``None`` if it is invalid. A time without a zone is UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(_ZONE_TWICE.sub("Z", value.strip()))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
