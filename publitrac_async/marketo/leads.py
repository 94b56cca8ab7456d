"""Leads: find, create, update, merge, delete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

from publitrac_async.checks import refuse
from publitrac_async.errors import Problem
from publitrac_async.marketo import building, checks, records, responses
from publitrac_async.marketo.matching import by_id
from publitrac_async.marketo.models import Action, LeadInput, MarketoLead, VisitorData
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
from publitrac_async.marketo.records import PreparedMarketoLead
from publitrac_async.marketo.results import RecordResult
from publitrac_async.marketo.sending import MarketoBase
from publitrac_async.marketo.structuring import structure_lead, structure_result

_SYNC: Final = {
    "createOrUpdate": SYNC_LEADS,
    "updateOnly": SYNC_LEADS,
    "createOnly": SYNC_NEW_LEADS,
    "createDuplicate": SYNC_NEW_LEADS,
}
#: Reads the results of records that have the ids of leads.
_BY_ID: Final = partial(responses.results, match=by_id)


class LeadOperations(MarketoBase):
    """Operations about leads.

    Methods that take many records send them in batches of up to 300 records and 1 MB, one after the other. If
    a batch fails, ``done`` of its error has the results of earlier records.
    """

    async def get_lead_by_id(self, lead_id: int, *, fields: Iterable[str] = ()) -> MarketoLead:
        """Get one lead ("Get Lead by Id").

        Args:
            lead_id: id of the lead in Marketo.
            fields: REST names of the fields to return; id, e-mail, names and dates by default. ``"ecids"``
                are the Experience Cloud IDs.

        Raises:
            LeadNotFound: the lead does not exist.
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
        """Get the leads whose field has one of these values ("Get Leads by Filter Type").

        More than 300 values take several calls, in the order of the values.

        Args:
            filter_type: REST name of the field: ``"email"``, ``"id"``, ``"cookies"``, or another one that
                `describe2` lists as searchable.
            filter_values: values; repeated ones count once.
            fields: REST names of the fields to return; id, e-mail, names and dates by default.
            batch_size: leads on a page; 300 at most, and by default.
            next_page_token: continue from this page, with the same values.

        Raises:
            ValidationError: there is no value; one has a comma, at which Marketo splits values; more than
                1,000 leads match (code 1003); or the field is not searchable (1011).
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
        leads: Iterable[LeadInput | PreparedMarketoLead],
        *,
        action: Action | None = None,
        lookup_field: str | None = None,
        partition_name: str | None = None,
        async_processing: bool | None = None,
        repeat_timeouts: bool = True,
    ) -> list[RecordResult]:
        """Create or update leads ("Sync Leads").

        Two calls that write the same key must not be in flight at once: Marketo may create duplicates. This
        method sends its batches one after the other.

        Args:
            leads: values by REST names. Company fields cannot be updated here (code 1021).
            action: ``"createOrUpdate"`` (the default), ``"createOnly"``, ``"updateOnly"``,
                ``"createDuplicate"``.
            lookup_field: field that identifies the lead, ``email`` by default.
            partition_name: partition of the leads; only with ``createOrUpdate`` and ``createOnly``.
            async_processing: let Marketo respond before it processes the leads.
            repeat_timeouts: retry a call that took Marketo too long (code 604). Turn this off if you send
                the leads of such a call again in smaller calls.

        Returns:
            The outcome of each lead, in input order.

        Raises:
            ValidationError: a value cannot be sent, or the options contradict each other.
            OutcomeUnknown: the response is lost. With ``createOnly`` and ``createDuplicate`` the call is not
                retried.
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
        batches = records.batches(leads, name, head=head, check=checks.sync_check(chosen))
        build = responses.results if repeat_timeouts else responses.results_or_timeout
        # The documents do not state that results contain these ids.
        read = partial(build, match=partial(by_id, strict=False)) if lookup_field == "id" else build
        return await self._send_batches(_SYNC[chosen], structure_result, batches, read=read)

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
            program_name: program of the activities.
            lookup_field: field that identifies the lead, ``email`` by default.
            source: attribute of the activity, for triggers and filters.
            reason: attribute of the activity, for triggers and filters.
            partition_name: partition of the leads. Marketo has it in its schema, but not on its page.
            program_status: status of the leads in the program; likewise.

        Returns:
            The outcome of each lead, in input order.

        Raises:
            ValidationError: the program's name is missing, or a value cannot be sent.
            OutcomeUnknown: the response is lost. The call is not retried, since that would add activities.
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
        batches = records.batches(leads, name, head=head, check=checks.ascii_problem)
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
        """Submit a form of Marketo for a lead ("Submit Form").

        If several leads have the e-mail address, Marketo updates the one that was changed last.

        Args:
            form_id: id of the form.
            lead_form_fields: values by REST names. Every field must be on the form, and ``email`` is
                required.
            program_id: program to add the lead to; it must be in the workspace of the form.
            visitor_data: data of the visit.
            cookie: value of the visitor's ``_mkto_trk`` cookie; without it a new lead has no history.

        Raises:
            ValidationError: the e-mail address is missing, or a value does not fit the form.
            OutcomeUnknown: the response is lost. The call is not retried, since that would add an activity.
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
            winner_id: id of the lead that remains. Its values win, unless they are empty.
            loser_ids: ids of the leads to merge into it, at most 25.
            merge_in_crm: also merge in the CRM; only with Salesforce.

        Raises:
            ValidationError: there are no leads to merge or too many, or the winner is among them.
            LeadNotFound: one of the leads does not exist.
            OutcomeUnknown: the response is lost; the leads may be merged.
        """
        name = MERGE_LEADS.name
        winner = building.lead_id(winner_id, name, "leadId")
        query = building.merged(winner, loser_ids, name)
        if merge_in_crm is not None:
            query += (("mergeInCRM", "true" if merge_in_crm else "false"),)
        await self._send(MERGE_LEADS, responses.done, query=query, path={"leadId": winner})

    async def associate_lead(self, lead_id: int, cookie: str) -> None:
        """Connect the history of a visitor with a lead ("Associate Lead").

        Args:
            lead_id: id of the lead in Marketo.
            cookie: value of the visitor's ``_mkto_trk`` cookie, as the browser sent it.

        Raises:
            LeadNotFound: the lead does not exist.
            ValidationError: `cookie` is not the value of such a cookie (code 1012).
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
            ids: ids of the leads in Marketo.

        Returns:
            The outcome of each lead, in input order. A missing lead is skipped with code 1004. After a lost
            response the call is retried, so an earlier attempt may have deleted it.
        """
        name = DELETE_LEADS.name
        batches = records.batches(building.lead_ids(ids, name), name)
        return await self._send_batches(DELETE_LEADS, structure_result, batches, read=_BY_ID)

    async def update_lead_partition(self, assignments: Mapping[int, str]) -> list[RecordResult]:
        """Move leads to partitions ("Update Lead Partition").

        Args:
            assignments: name of the partition by id of the lead.

        Returns:
            The outcome of each lead, in the order of `assignments`.
        """
        name = UPDATE_LEAD_PARTITION.name
        inputs: list[dict[str, Any]] = [
            {"id": building.lead_id(each, name), "partitionName": partition}
            for each, partition in assignments.items()
        ]
        batches = records.batches(inputs, name)
        return await self._send_batches(UPDATE_LEAD_PARTITION, structure_result, batches, read=_BY_ID)
