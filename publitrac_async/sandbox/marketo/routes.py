"""Every operation of the REST API, by verb and path (Marketo REST API, Leads, Lists, Activities)."""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from publitrac_async.sandbox.marketo import activities, lists, reads, schema, writes
from publitrac_async.sandbox.marketo.call import Run


@frozen
class Route:
    """One operation.

    Attributes:
        method: its name in Marketo's description.
        verb: the HTTP method.
        path: its path, with a group for each placeholder.
        run: executes it.
        repeats: parameters that Marketo's pages repeat.
    """

    method: str
    verb: str
    path: re.Pattern[str]
    run: Run
    repeats: frozenset[str] = frozenset()


def _route(method: str, verb: str, path: str, run: Run, *repeats: str) -> Route:
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", re.escape(path).replace(r"\{", "{").replace(r"\}", "}"))
    return Route(method, verb, re.compile(pattern), run, frozenset(repeats))


ROUTES: Final = (
    _route("describe", "GET", "/rest/v1/leads/describe.json", schema.describe),
    _route("describe2", "GET", "/rest/v1/leads/describe2.json", schema.describe2),
    _route("getLeadById", "GET", "/rest/v1/lead/{leadId}.json", reads.get_lead_by_id),
    _route("getLeadsByFilter", "GET", "/rest/v1/leads.json", reads.get_leads_by_filter),
    _route("syncLead", "POST", "/rest/v1/leads.json", writes.sync_lead),
    _route("getLeadFields", "GET", "/rest/v1/leads/schema/fields.json", schema.get_lead_fields),
    _route("createLeadField", "POST", "/rest/v1/leads/schema/fields.json", schema.create_lead_field),
    _route(
        "getLeadFieldByName",
        "GET",
        "/rest/v1/leads/schema/fields/{fieldApiName}.json",
        schema.get_lead_field_by_name,
    ),
    _route(
        "updateLeadField",
        "POST",
        "/rest/v1/leads/schema/fields/{fieldApiName}.json",
        schema.update_lead_field,
    ),
    _route("pushToMarketo", "POST", "/rest/v1/leads/push.json", writes.push_to_marketo),
    _route("submitForm", "POST", "/rest/v1/leads/submitForm.json", writes.submit_form),
    _route("mergeLeads", "POST", "/rest/v1/leads/{leadId}/merge.json", writes.merge_leads),
    _route("associateLead", "POST", "/rest/v1/leads/{leadId}/associate.json", writes.associate_lead),
    _route("getLeadsByListId", "GET", "/rest/v1/list/{listId}/leads.json", reads.get_leads_by_list_id),
    _route("getLeadsByListId", "GET", "/rest/v1/lists/{listId}/leads.json", reads.get_leads_by_list_id),
    _route(
        "getListMembership", "GET", "/rest/v1/leads/{leadId}/listMembership.json", reads.get_list_membership
    ),
    _route(
        "getLeadsByProgramId",
        "GET",
        "/rest/v1/leads/programs/{programId}.json",
        reads.get_leads_by_program_id,
    ),
    _route(
        "getProgramMembership",
        "GET",
        "/rest/v1/leads/{leadId}/programMembership.json",
        reads.get_program_membership,
    ),
    _route(
        "getSmartCampaignMembership",
        "GET",
        "/rest/v1/leads/{leadId}/smartCampaignMembership.json",
        reads.get_smart_campaign_membership,
    ),
    _route("deleteLeads", "POST", "/rest/v1/leads/delete.json", writes.delete_leads, "id"),
    # The path of earlier versions, which released clients still use.
    _route("deleteLeads", "DELETE", "/rest/v1/leads.json", writes.delete_leads, "id"),
    _route("updatePartitions", "POST", "/rest/v1/leads/partitions.json", writes.update_partitions),
    _route("getLeadPartitions", "GET", "/rest/v1/leads/partitions.json", schema.get_lead_partitions),
    _route("getLists", "GET", "/rest/v1/lists.json", lists.get_lists, "id", "name"),
    _route("getListById", "GET", "/rest/v1/lists/{listId}.json", lists.get_list),
    _route("addLeadsToList", "POST", "/rest/v1/lists/{listId}/leads.json", lists.add_leads, "id"),
    _route("removeLeadsFromList", "DELETE", "/rest/v1/lists/{listId}/leads.json", lists.remove_leads, "id"),
    _route(
        "areLeadsMemberOfList", "GET", "/rest/v1/lists/{listId}/leads/ismember.json", lists.is_member, "id"
    ),
    _route("getAllActivityTypes", "GET", "/rest/v1/activities/types.json", activities.get_types),
    _route(
        "getActivitiesPagingToken", "GET", "/rest/v1/activities/pagingtoken.json", activities.get_paging_token
    ),
    _route(
        "getLeadActivities",
        "GET",
        "/rest/v1/activities.json",
        activities.get_activities,
        "activityTypeIds",
    ),
    _route("getLeadChanges", "GET", "/rest/v1/activities/leadchanges.json", activities.get_changes),
    _route("getDeletedLeads", "GET", "/rest/v1/activities/deletedleads.json", activities.get_deleted_leads),
)
"""Every operation. A fixed path precedes one with a placeholder that would match it, too."""
