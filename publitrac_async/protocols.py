"""Protocols of the façades and clients. A program annotated with them accepts a fake in tests, or a proxy.

The documentation of a method is with its implementation. A protocol cannot inherit the signatures of a class,
so these repeat them; a test compares both.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, Protocol, overload

from publitrac_async.config import READ_AHEAD
from publitrac_async.many import LeadOutcome
from publitrac_async.marketo import (
    Action,
    FieldResult,
    LeadAttribute,
    LeadField,
    LeadFieldUpdate,
    LeadInput,
    LeadSchema,
    ListMembership,
    MarketoLead,
    MarketoPager,
    NewLeadField,
    ProgramMembership,
    RecordResult,
    SmartCampaignMembership,
    VisitorData,
)
from publitrac_async.marketo.raw import Parameters
from publitrac_async.marketo.records import PreparedMarketoLead
from publitrac_async.models import Accepted, Lead
from publitrac_async.pagination import Pager
from publitrac_async.transport.auth import Token
from publitrac_async.transport.secret import Secret
from publitrac_async.v1 import (
    Campaign,
    ClickLink,
    EmailCampaign,
    FilledForm,
    Opportunity,
    OpportunityRecord,
    Transaction,
    WebVisit,
)
from publitrac_async.v1.query import Condition
from publitrac_async.v2 import PreparedLead
from publitrac_async.vitec import PersonLead

__all__ = ["MarketoApi", "PublitracApi", "V1Api", "V2Api", "VitecApi"]


class V1Api(Protocol):
    """The methods of `publitrac_async.v1.V1`, reached as ``client.v1``."""

    def get_leads(
        self, *conditions: Condition, page: int = 1, read_ahead: int = READ_AHEAD
    ) -> Pager[Lead]: ...

    async def get_lead(self, email: str) -> Lead: ...

    async def get_lead_by_external_id(self, external_id: str | int) -> Lead: ...

    async def get_lead_by_token_id(self, token: str) -> Lead: ...

    async def sync_lead(
        self,
        lead: Lead,
        *,
        use_token: bool = False,
        merge_anonymous: bool = False,
        custom_unicity_keys: Iterable[str] = (),
    ) -> None: ...

    def sync_lead_many(
        self,
        leads: Iterable[Lead] | AsyncIterable[Lead],
        *,
        use_token: bool = False,
        merge_anonymous: bool = False,
        custom_unicity_keys: Iterable[str] = (),
    ) -> AsyncGenerator[LeadOutcome[None], None]: ...

    async def add_lead(self, lead: Lead) -> None: ...

    async def update_lead(self, lead: Lead) -> None: ...

    async def delete_lead(self, email: str) -> None: ...

    def get_view(self, view_name: str, *, page: int = 1, read_ahead: int = READ_AHEAD) -> Pager[Lead]: ...

    def get_list(self, list_name: str, *, page: int = 1, read_ahead: int = READ_AHEAD) -> Pager[Lead]: ...

    async def add_lead_to_list(self, email: str, list_name: str) -> None: ...

    async def add_leads_to_list(self, emails: Iterable[str], list_name: str) -> None: ...

    async def remove_lead_from_list(self, email: str, list_name: str) -> None: ...

    async def add_web_visit_history(self, email: str, visit: WebVisit) -> None: ...

    async def add_click_link_history(self, email: str, click: ClickLink) -> None: ...

    async def add_fill_form_history(self, email: str, form: FilledForm) -> None: ...

    def get_campaigns(self, *, page: int = 1) -> Pager[Campaign]: ...

    async def execute_campaign(self, *, emails: Iterable[str], campaigns: Iterable[str]) -> None: ...

    async def add_email_campaign(self, campaign: EmailCampaign, leads: Iterable[Lead]) -> None: ...

    def get_opportunities(
        self, *, page: int = 1, read_ahead: int = READ_AHEAD
    ) -> Pager[OpportunityRecord]: ...

    async def sync_opportunity(self, opportunity: Opportunity) -> None: ...

    async def add_transaction(
        self, transaction: Transaction, *, url: str, token: str | Secret, email: str
    ) -> None: ...

    @overload
    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        xml: str | None = None,
        *,
        verb: Literal["GET", "POST"] | None = None,
        idempotent: bool = False,
        raw: Literal[False] = False,
    ) -> dict[str, Any]: ...

    @overload
    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        xml: str | None = None,
        *,
        verb: Literal["GET", "POST"] | None = None,
        idempotent: bool = False,
        raw: Literal[True],
    ) -> bytes: ...


class V2Api(Protocol):
    """The methods of `publitrac_async.v2.V2`, reached as ``client.v2``."""

    def prepare(self, lead: Lead) -> PreparedLead: ...

    async def delayed_sync(self, lead: Lead | PreparedLead) -> Accepted: ...

    def delayed_sync_many(
        self, leads: Iterable[Lead] | AsyncIterable[Lead]
    ) -> AsyncGenerator[LeadOutcome[Accepted], None]: ...

    async def get_token(self) -> Token: ...


class PublitracApi(Protocol):
    """The façades of `publitrac_async.PublitracClient`."""

    @property
    def v1(self) -> V1Api: ...

    @property
    def v2(self) -> V2Api: ...


class MarketoApi(Protocol):
    """The methods of `publitrac_async.marketo.MarketoClient`."""

    async def get_lead_by_id(self, lead_id: int, *, fields: Iterable[str] = ()) -> MarketoLead: ...

    def get_leads_by_filter_type(
        self,
        filter_type: str,
        filter_values: Iterable[str | int],
        *,
        fields: Iterable[str] = (),
        batch_size: int | None = None,
        next_page_token: str | None = None,
    ) -> MarketoPager[MarketoLead]: ...

    async def sync_leads(
        self,
        leads: Iterable[LeadInput | PreparedMarketoLead],
        *,
        action: Action | None = None,
        lookup_field: str | None = None,
        partition_name: str | None = None,
        async_processing: bool | None = None,
        repeat_timeouts: bool = True,
    ) -> list[RecordResult]: ...

    async def push_leads(
        self,
        leads: Iterable[LeadInput],
        *,
        program_name: str,
        lookup_field: str | None = None,
        source: str | None = None,
        reason: str | None = None,
        partition_name: str | None = None,
        program_status: str | None = None,
    ) -> list[RecordResult]: ...

    async def submit_form(
        self,
        *,
        form_id: int,
        lead_form_fields: LeadInput,
        program_id: int | None = None,
        visitor_data: VisitorData | None = None,
        cookie: str | None = None,
    ) -> RecordResult: ...

    async def merge_leads(
        self, winner_id: int, loser_ids: Iterable[int], *, merge_in_crm: bool | None = None
    ) -> None: ...

    async def associate_lead(self, lead_id: int, cookie: str) -> None: ...

    async def delete_leads(self, ids: Iterable[int]) -> list[RecordResult]: ...

    async def update_lead_partition(self, assignments: Mapping[int, str]) -> list[RecordResult]: ...

    async def describe(self) -> tuple[LeadAttribute, ...]: ...

    async def describe2(self) -> LeadSchema: ...

    async def get_lead_field_by_name(self, name: str) -> LeadField: ...

    def get_lead_fields(
        self, *, batch_size: int | None = None, next_page_token: str | None = None
    ) -> MarketoPager[LeadField]: ...

    async def create_lead_fields(self, fields: Iterable[NewLeadField]) -> list[FieldResult]: ...

    async def update_lead_field(self, name: str, field: LeadFieldUpdate) -> FieldResult: ...

    def get_leads_by_list_id(
        self,
        list_id: int,
        *,
        fields: Iterable[str] = (),
        batch_size: int | None = None,
        next_page_token: str | None = None,
    ) -> MarketoPager[MarketoLead]: ...

    def get_lists_by_lead_id(
        self, lead_id: int, *, batch_size: int | None = None, next_page_token: str | None = None
    ) -> MarketoPager[ListMembership]: ...

    def get_leads_by_program_id(
        self,
        program_id: int,
        *,
        fields: Iterable[str] = (),
        batch_size: int | None = None,
        next_page_token: str | None = None,
    ) -> MarketoPager[MarketoLead]: ...

    def get_programs_by_lead_id(
        self,
        lead_id: int,
        *,
        program_ids: Iterable[int] = (),
        earliest_updated_at: datetime | None = None,
        latest_updated_at: datetime | None = None,
        batch_size: int | None = None,
        next_page_token: str | None = None,
    ) -> MarketoPager[ProgramMembership]: ...

    def get_smart_campaigns_by_lead_id(
        self,
        lead_id: int,
        *,
        earliest_updated_at: datetime | None = None,
        latest_updated_at: datetime | None = None,
        batch_size: int | None = None,
        next_page_token: str | None = None,
    ) -> MarketoPager[SmartCampaignMembership]: ...

    def call(
        self,
        verb: Literal["GET", "POST", "DELETE"],
        path: str,
        *,
        query: Parameters = (),
        json: Any = None,
        form: Parameters | None = None,
        idempotent: bool = False,
        next_page_token: str | None = None,
    ) -> MarketoPager[Any]: ...


class VitecApi(Protocol):
    """The methods of `publitrac_async.vitec.VitecClient`."""

    async def create_person_lead(
        self,
        customer_id: str,
        lead: PersonLead,
        *,
        format: Literal["json", "xml"] = "json",  # noqa: A002  (as in the client)
    ) -> str: ...


def __dir__() -> list[str]:
    return sorted(__all__)
