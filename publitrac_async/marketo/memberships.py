"""Memberships: leads in lists and programs, and the lists, programs and smart campaigns of a lead."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial

from publitrac_async.marketo import building
from publitrac_async.marketo.models import (
    ListMembership,
    MarketoLead,
    ProgramMembership,
    SmartCampaignMembership,
)
from publitrac_async.marketo.operations import (
    GET_LEADS_BY_LIST_ID,
    GET_LEADS_BY_PROGRAM_ID,
    GET_LISTS_BY_LEAD_ID,
    GET_PROGRAMS_BY_LEAD_ID,
    GET_SMART_CAMPAIGNS_BY_LEAD_ID,
)
from publitrac_async.marketo.paging import MarketoPager
from publitrac_async.marketo.sending import MarketoBase
from publitrac_async.marketo.structuring import structure, structure_lead


class MembershipOperations(MarketoBase):
    """Operations about memberships."""

    def get_leads_by_list_id(
        self,
        list_id: int,
        *,
        fields: Iterable[str] = (),
        batch_size: int | None = None,
        next_page_token: str | None = None,
    ) -> MarketoPager[MarketoLead]:
        """Get the leads of a static list ("Get Leads by List Id").

        Args:
            list_id: id of the list: 1001 if the address of its page in Marketo ends in ``ST1001A1``.
            fields: REST names of the fields to return; id, e-mail, names and dates by default.
            batch_size: leads on a page; 300 at most, and by default.
            next_page_token: continue from this page.

        Raises:
            NotFound: the list does not exist.
        """
        name = GET_LEADS_BY_LIST_ID.name
        return self._pager(
            GET_LEADS_BY_LIST_ID,
            structure_lead,
            start=next_page_token,
            query=building.names(fields, name) + building.page_size(batch_size, name),
            path={"listId": building.lead_id(list_id, name, "listId")},
        )

    def get_lists_by_lead_id(
        self, lead_id: int, *, batch_size: int | None = None, next_page_token: str | None = None
    ) -> MarketoPager[ListMembership]:
        """Get the static lists of a lead ("Get Lists by Lead Id").

        Args:
            lead_id: id of the lead in Marketo.
            batch_size: lists on a page; 300 at most, and by default.
            next_page_token: continue from this page.

        Raises:
            LeadNotFound: the lead does not exist.
        """
        name = GET_LISTS_BY_LEAD_ID.name
        return self._pager(
            GET_LISTS_BY_LEAD_ID,
            partial(structure, kind=ListMembership),
            start=next_page_token,
            query=building.page_size(batch_size, name),
            path={"leadId": building.lead_id(lead_id, name, "leadId")},
        )

    def get_leads_by_program_id(
        self,
        program_id: int,
        *,
        fields: Iterable[str] = (),
        batch_size: int | None = None,
        next_page_token: str | None = None,
    ) -> MarketoPager[MarketoLead]:
        """Get the leads of a program, each with its ``membership`` ("Get Leads by Program Id").

        Args:
            program_id: id of the program.
            fields: REST names of the fields to return; id, e-mail, names and dates by default.
            batch_size: leads on a page; 300 at most, and by default.
            next_page_token: continue from this page.

        Raises:
            NotFound: the program does not exist.
        """
        name = GET_LEADS_BY_PROGRAM_ID.name
        return self._pager(
            GET_LEADS_BY_PROGRAM_ID,
            structure_lead,
            start=next_page_token,
            query=building.names(fields, name) + building.page_size(batch_size, name),
            path={"programId": building.lead_id(program_id, name, "programId")},
        )

    def get_programs_by_lead_id(
        self,
        lead_id: int,
        *,
        program_ids: Iterable[int] = (),
        earliest_updated_at: datetime | None = None,
        latest_updated_at: datetime | None = None,
        batch_size: int | None = None,
        next_page_token: str | None = None,
    ) -> MarketoPager[ProgramMembership]:
        """Get the programs of a lead ("Get Programs by Lead Id").

        Args:
            lead_id: id of the lead in Marketo.
            program_ids: only these programs, at most 300 (``filterType=programId``).
            earliest_updated_at: only memberships changed at this time or later; UTC unless it has a zone.
            latest_updated_at: only memberships changed at this time or before; UTC unless it has a zone.
            batch_size: programs on a page; 300 at most, and by default.
            next_page_token: continue from this page.

        Raises:
            LeadNotFound: the lead does not exist.
        """
        name = GET_PROGRAMS_BY_LEAD_ID.name
        return self._pager(
            GET_PROGRAMS_BY_LEAD_ID,
            partial(structure, kind=ProgramMembership),
            start=next_page_token,
            query=building.page_size(batch_size, name)
            + building.programs(program_ids, name)
            + building.updated(earliest_updated_at, latest_updated_at),
            path={"leadId": building.lead_id(lead_id, name, "leadId")},
        )

    def get_smart_campaigns_by_lead_id(
        self,
        lead_id: int,
        *,
        earliest_updated_at: datetime | None = None,
        latest_updated_at: datetime | None = None,
        batch_size: int | None = None,
        next_page_token: str | None = None,
    ) -> MarketoPager[SmartCampaignMembership]:
        """Get the smart campaigns of a lead ("Get Smart Campaigns by Lead Id").

        Args:
            lead_id: id of the lead in Marketo.
            earliest_updated_at: only memberships changed at this time or later; UTC unless it has a zone.
            latest_updated_at: only memberships changed at this time or before; UTC unless it has a zone.
            batch_size: campaigns on a page; 300 at most, and by default.
            next_page_token: continue from this page.

        Raises:
            LeadNotFound: the lead does not exist.
        """
        name = GET_SMART_CAMPAIGNS_BY_LEAD_ID.name
        return self._pager(
            GET_SMART_CAMPAIGNS_BY_LEAD_ID,
            partial(structure, kind=SmartCampaignMembership),
            start=next_page_token,
            query=building.page_size(batch_size, name)
            + building.updated(earliest_updated_at, latest_updated_at),
            path={"leadId": building.lead_id(lead_id, name, "leadId")},
        )
