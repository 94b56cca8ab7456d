"""Leads: find, create, update, merge, delete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from publitrac_async.checks import refuse
from publitrac_async.errors import Problem
from publitrac_async.marketo import building, records, responses
from publitrac_async.marketo.models import Action, LeadInput, MarketoLead, RecordResult, VisitorData
from publitrac_async.marketo.operations import (
    ASSOCIATE_LEAD,
    DELETE_LEADS,
    GET_LEAD_BY_ID,
    GET_LEADS_BY_FILTER_TYPE,
    MERGE_LEADS,
    PUSH_LEAD,
    SUBMIT_FORM,
    SYNC_LEADS,
    SYNC_NEW_LEADS,
    UPDATE_LEAD_PARTITION,
)
from publitrac_async.marketo.paging import MarketoPager
from publitrac_async.marketo.records import PreparedLead
from publitrac_async.marketo.sending import MarketoBase
from publitrac_async.marketo.structuring import structure_lead, structure_result

_SYNC: Final = {
    "createOrUpdate": SYNC_LEADS,
    "updateOnly": SYNC_LEADS,
    "createOnly": SYNC_NEW_LEADS,
    "createDuplicate": SYNC_NEW_LEADS,
}


class LeadOperations(MarketoBase):
    """The operations about leads.

    Calls with many records are split by 300 records and 1 MB and sent one after the other. If one of them
    fails, the error's ``done`` has the results of the records before it.
    """

    async def get_lead_by_id(self, lead_id: int, *, fields: Iterable[str] = ()) -> MarketoLead:
        """One lead ("Get Lead by Id").

        Args:
            lead_id: Marketo's number of the lead.
            fields: REST names of what to return; id, e-mail, names and dates by default. ``"ecids"`` are
                the Experience Cloud IDs.

        Raises:
            LeadNotFound: there is none.
        """
        name = GET_LEAD_BY_ID.name
        return await self._send(
            GET_LEAD_BY_ID,
            responses.one_lead,
            query=building.names(fields, name),
            path={"leadId": building.lead_id(lead_id, name, "leadId")},
        )

    def get_leads_by_filter_type(
        self,
        filter_type: str,
        filter_values: Iterable[str | int],
        *,
        fields: Iterable[str] = (),
        batch_size: int | None = None,
        next_page_token: str | None = None,
    ) -> MarketoPager[MarketoLead]:
        """The leads whose field has one of these values ("Get Leads by Filter Type").

        More than 300 values are asked for in several calls, in their order.

        Args:
            filter_type: REST name of the field: ``"email"``, ``"id"``, ``"cookies"``, or another one that
                `describe2` lists as searchable.
            filter_values: values; one that is repeated counts once.
            fields: REST names of what to return; id, e-mail, names and dates by default.
            batch_size: leads on a page, at most (and by default) 300.
            next_page_token: go on from here, with the same values.

        Raises:
            ValidationError: there is no value, or one holds a comma, which Marketo cannot tell from the
                comma between values. Also if more than 1,000 leads match (code 1003) or the field is not
                searchable (1011).
        """
        name = GET_LEADS_BY_FILTER_TYPE.name
        building.name_of_field(filter_type, name)
        query = (
            ("filterType", filter_type),
            *building.names(fields, name),
            *building.page_size(batch_size, name),
        )
        values = building.filter_values(filter_values, name)
        return self._pager_of_values(
            GET_LEADS_BY_FILTER_TYPE, structure_lead, values, start=next_page_token, query=query
        )

    async def sync_leads(
        self,
        leads: Iterable[LeadInput | PreparedLead],
        *,
        action: Action | None = None,
        lookup_field: str | None = None,
        partition_name: str | None = None,
        async_processing: bool | None = None,
        repeat_timeouts: bool = True,
    ) -> list[RecordResult]:
        """Create or update leads ("Sync Leads").

        While a call with a key is under way, no other may write the same key: Marketo can create
        duplicates then. The calls that this method makes follow each other.

        Args:
            leads: values by REST names. Company fields cannot be updated here (code 1021).
            action: ``"createOrUpdate"`` (the default), ``"createOnly"``, ``"updateOnly"``,
                ``"createDuplicate"``.
            lookup_field: what tells which lead is meant, ``email`` by default.
            partition_name: with ``createOrUpdate`` and ``createOnly``.
            async_processing: let Marketo respond before it has processed the leads.
            repeat_timeouts: repeat a call that took Marketo too long (code 604). Where you halve such a call,
                repeating it first only takes time.

        Returns:
            What became of each lead, in input order.

        Raises:
            ValidationError: a value cannot be sent, or the options do not go together.
            OutcomeUnknown: the answer is lost. With ``createOnly`` and ``createDuplicate`` nothing is sent
                again then.
        """
        name = SYNC_LEADS.name
        chosen = action or "createOrUpdate"
        if chosen not in _SYNC:
            refuse([Problem(f"must be one of {', '.join(_SYNC)}", field="action")], name)
        if partition_name is not None and chosen not in ("createOrUpdate", "createOnly"):
            problem = Problem("can only be given with createOrUpdate and createOnly", field="partitionName")
            refuse([problem], name)
        head = {
            "action": action,
            "lookupField": lookup_field,
            "partitionName": partition_name,
            "asyncProcessing": async_processing,
        }
        batches = records.batches(leads, name, head=head, check=records.sync_check(chosen))
        build = responses.results if repeat_timeouts else responses.results_or_timeout
        return await self._send_batches(_SYNC[chosen], structure_result, batches, read=build)

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
    ) -> list[RecordResult]:
        """Create or update leads, with an activity in a program for each ("Push Lead to Marketo").

        Args:
            leads: values by REST names; also ``mktToken`` (with ``lookup_field="mktToken"``), the value of
                ``mkt_tok`` in a link that was clicked, and ``cookies``.
            program_name: the program that the activities belong to.
            lookup_field: what tells which lead is meant, ``email`` by default.
            source: stands in the activity, for triggers and filters.
            reason: stands in the activity, for triggers and filters.
            partition_name: named by Marketo's schema, not by its page.
            program_status: named by Marketo's schema, not by its page.

        Returns:
            What became of each lead, in input order.

        Raises:
            ValidationError: the program's name is missing, or a value cannot be sent.
            OutcomeUnknown: the answer is lost; nothing is sent again, since that would add activities.
        """
        name = PUSH_LEAD.name
        if not program_name.strip():
            refuse([Problem("is required", field="programName")], name)
        head = {
            "programName": program_name,
            "lookupField": lookup_field,
            "source": source,
            "reason": reason,
            "partitionName": partition_name,
            "programStatus": program_status,
        }
        batches = records.batches(leads, name, head=head, check=records.ascii_problem)
        return await self._send_batches(PUSH_LEAD, structure_result, batches)

    async def submit_form(
        self,
        *,
        form_id: int,
        lead_form_fields: LeadInput,
        program_id: int | None = None,
        visitor_data: VisitorData | None = None,
        cookie: str | None = None,
    ) -> RecordResult:
        """Fill in a form of Marketo's for a lead ("Submit Form").

        Where several leads have the e-mail address, the one that was changed last is updated.

        Args:
            form_id: number of the form.
            lead_form_fields: values by REST names. Every field must be on the form; ``email`` is required.
            program_id: the lead is added to it; it must be in the form's workspace.
            visitor_data: the visit.
            cookie: value of the visitor's ``_mkto_trk`` cookie; without it a new lead has no history.

        Raises:
            ValidationError: the e-mail address is missing, or a value does not fit the form.
            OutcomeUnknown: the answer is lost; nothing is sent again, since that would add an activity.
        """
        name = SUBMIT_FORM.name
        record = building.form_record(lead_form_fields, visitor_data, cookie, name)
        head = {
            "formId": building.lead_id(form_id, name, "formId"),
            "programId": None if program_id is None else building.lead_id(program_id, name, "programId"),
        }
        batches = records.split([record], [lead_form_fields], head, name)
        return (await self._send_batches(SUBMIT_FORM, structure_result, batches))[0]

    async def merge_leads(
        self, winner_id: int, loser_ids: Iterable[int], *, merge_in_crm: bool | None = None
    ) -> None:
        """Merge leads into one ("Merge Leads"). This cannot be undone.

        Args:
            winner_id: the lead that stays. Its values win, unless they are empty.
            loser_ids: the leads that are merged into it, at most 25.
            merge_in_crm: merge in the CRM as well; only with Salesforce.

        Raises:
            ValidationError: there are no or too many leads to merge, or the winner is among them.
            LeadNotFound: one does not exist.
            OutcomeUnknown: the answer is lost; the leads may be merged.
        """
        name = MERGE_LEADS.name
        winner = building.lead_id(winner_id, name, "leadId")
        query = building.merged(winner, loser_ids, name)
        if merge_in_crm is not None:
            query += (("mergeInCRM", "true" if merge_in_crm else "false"),)
        await self._send(MERGE_LEADS, responses.done, query=query, path={"leadId": winner})

    async def associate_lead(self, lead_id: int, cookie: str) -> None:
        """Connect what a visitor did with a lead ("Associate Lead").

        Args:
            lead_id: Marketo's number of the lead.
            cookie: value of the visitor's ``_mkto_trk`` cookie, as the browser sent it.

        Raises:
            LeadNotFound: there is no such lead.
            ValidationError: not the value of such a cookie (code 1012).
        """
        name = ASSOCIATE_LEAD.name
        await self._send(
            ASSOCIATE_LEAD,
            responses.done,
            query=(("cookie", building.cookie_value(cookie, name)),),
            path={"leadId": building.lead_id(lead_id, name, "leadId")},
        )

    async def delete_leads(self, ids: Iterable[int]) -> list[RecordResult]:
        """Delete leads ("Delete Leads").

        Args:
            ids: Marketo's numbers of the leads.

        Returns:
            What became of each, in input order. One that is gone already is skipped with code 1004; after
            a lost answer the call is repeated, so it may have been this call that deleted it.
        """
        name = DELETE_LEADS.name
        batches = records.batches(building.lead_ids(ids, name), name)
        return await self._send_batches(DELETE_LEADS, structure_result, batches)

    async def update_lead_partition(self, assignments: Mapping[int, str]) -> list[RecordResult]:
        """Move leads to partitions ("Update Lead Partition").

        Args:
            assignments: name of the partition by number of the lead.

        Returns:
            What became of each, in the order of `assignments`.
        """
        name = UPDATE_LEAD_PARTITION.name
        inputs: list[dict[str, Any]] = [
            {"id": building.lead_id(each, name), "partitionName": partition}
            for each, partition in assignments.items()
        ]
        return await self._send_batches(
            UPDATE_LEAD_PARTITION, structure_result, records.batches(inputs, name)
        )
