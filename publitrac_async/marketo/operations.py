"""Table of the operations of Marketo's lead database, for comparison with the vendor's page ("Leads")."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from publitrac_async.config import MARKETO_PERIOD, MARKETO_READ_MARGIN, Timeout
from publitrac_async.transport.budget import SHORT_BODY
from publitrac_async.transport.operation import Operation, OperationClass

READ, UPSERT, APPEND = OperationClass.READ, OperationClass.UPSERT, OperationClass.APPEND


def _operation(name: str, verb: str, path: str, operation_class: OperationClass) -> Operation:
    return Operation(name=name, verb=verb, path=path, operation_class=operation_class)


#: Calls of Identity do not count towards a limit.
GET_TOKEN: Final = evolve(_operation("Identity", "GET", "/identity/oauth/token", READ), max_body=SHORT_BODY)

DESCRIBE: Final = _operation("Describe Lead", "GET", "/rest/v1/leads/describe.json", READ)
DESCRIBE2: Final = _operation("Describe Lead2", "GET", "/rest/v1/leads/describe2.json", READ)
GET_LEAD_BY_ID: Final = _operation("Get Lead by Id", "GET", "/rest/v1/lead/{leadId}.json", READ)
GET_LEADS_BY_FILTER_TYPE: Final = _operation("Get Leads by Filter Type", "GET", "/rest/v1/leads.json", READ)
#: createOrUpdate and updateOnly: idempotent.
SYNC_LEADS: Final = _operation("Sync Leads", "POST", "/rest/v1/leads.json", UPSERT)
#: createOnly and createDuplicate: Marketo refuses a second call, or creates the leads again.
SYNC_NEW_LEADS: Final = _operation("Sync Leads", "POST", "/rest/v1/leads.json", APPEND)
GET_LEAD_FIELD_BY_NAME: Final = _operation(
    "Get Lead Field by Name", "GET", "/rest/v1/leads/schema/fields/{fieldApiName}.json", READ
)
GET_LEAD_FIELDS: Final = _operation("Get Lead Fields", "GET", "/rest/v1/leads/schema/fields.json", READ)
#: A field can never be deleted; Marketo refuses a second call.
CREATE_LEAD_FIELDS: Final = _operation(
    "Create Lead Fields", "POST", "/rest/v1/leads/schema/fields.json", APPEND
)
UPDATE_LEAD_FIELD: Final = _operation(
    "Update Lead Field", "POST", "/rest/v1/leads/schema/fields/{fieldApiName}.json", UPSERT
)
#: Every call writes an activity for each record.
PUSH_LEAD: Final = _operation("Push Lead", "POST", "/rest/v1/leads/push.json", APPEND)
SUBMIT_FORM: Final = _operation("Submit Form", "POST", "/rest/v1/leads/submitForm.json", APPEND)
#: Marketo refuses a second call, since the merged leads no longer exist.
MERGE_LEADS: Final = _operation("Merge Leads", "POST", "/rest/v1/leads/{leadId}/merge.json", APPEND)
ASSOCIATE_LEAD: Final = _operation("Associate Lead", "POST", "/rest/v1/leads/{leadId}/associate.json", UPSERT)
GET_LEADS_BY_LIST_ID: Final = _operation(
    "Get Leads by List Id", "GET", "/rest/v1/list/{listId}/leads.json", READ
)
GET_LISTS_BY_LEAD_ID: Final = _operation(
    "Get Lists by Lead Id", "GET", "/rest/v1/leads/{leadId}/listMembership.json", READ
)
GET_LEADS_BY_PROGRAM_ID: Final = _operation(
    "Get Leads by Program Id", "GET", "/rest/v1/leads/programs/{programId}.json", READ
)
GET_PROGRAMS_BY_LEAD_ID: Final = _operation(
    "Get Programs by Lead Id", "GET", "/rest/v1/leads/{leadId}/programMembership.json", READ
)
GET_SMART_CAMPAIGNS_BY_LEAD_ID: Final = _operation(
    "Get Smart Campaigns by Lead Id", "GET", "/rest/v1/leads/{leadId}/smartCampaignMembership.json", READ
)
DELETE_LEADS: Final = _operation("Delete Leads", "POST", "/rest/v1/leads/delete.json", UPSERT)
UPDATE_LEAD_PARTITION: Final = _operation(
    "Update Lead Partition", "POST", "/rest/v1/leads/partitions.json", UPSERT
)

#: Marketo's timeouts of calls in seconds ("Timeouts").
SERVER_SECONDS: Final[dict[str, float]] = {
    SYNC_LEADS.name: 90,
    PUSH_LEAD.name: 90,
    MERGE_LEADS.name: 180,
    ASSOCIATE_LEAD.name: 60,
    UPDATE_LEAD_PARTITION.name: 60,
    GET_LEADS_BY_FILTER_TYPE.name: 60,
    GET_LEADS_BY_LIST_ID.name: 60,
}
#: Marketo's timeout of all other calls.
_DEFAULT_SECONDS: Final = 30.0


def timeout_of(operation: Operation) -> Timeout:
    """Return the timeout of an operation: a little longer than Marketo's, with time for one retry."""
    read = SERVER_SECONDS.get(operation.name, _DEFAULT_SECONDS) + MARKETO_READ_MARGIN
    return Timeout(total=2 * read + 2 * MARKETO_PERIOD, read=read)


def as_post(operation: Operation) -> Operation:
    """Return the POST that is equivalent to a GET, for parameters too long for a URL."""
    return evolve(operation, verb="POST", path=f"{operation.path}?_method=GET")
