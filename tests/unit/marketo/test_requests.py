"""Every operation with all its parameters, against a strict table of verbs, paths, names and keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from publitrac_async import LeadNotFound
from publitrac_async.marketo import LeadFieldUpdate, MarketoClient, NewLeadField, VisitorData
from publitrac_async.marketo import operations as table
from publitrac_async.transport.base import BaseClient
from publitrac_async.transport.operation import Operation, OperationClass
from tests.support.clock import virtual
from tests.support.marketo import refused, result, sample, serving

Run = Callable[[MarketoClient], Awaitable[Any]]

RECORD = {"id": 1, "status": "updated"}
FIELD = {"name": "acme", "status": "created"}
LEAD = {"id": 7}
COOKIE = "id:287-GTJ-838&token:_mch-marketo.com-1396310362214-46169"
PAGED = {"batchSize": "3", "nextPageToken": "PS5V====="}
SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
UNTIL = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=-8)))
RANGE = {"earliestUpdatedAt": "2026-01-02T03:04:05+00:00", "latestUpdatedAt": "2026-01-02T03:04:05-08:00"}
PAGES: dict[str, Any] = {"batch_size": 3, "next_page_token": "PS5V====="}

# Name, call, verb, path, query, body.
ROWS: list[tuple[str, Run, str, str, dict[str, str], Any, Any]] = [
    (
        "describe", lambda m: m.describe(),
        "GET", "/rest/v1/leads/describe.json", {}, None, result(),
    ),
    (
        "describe2", lambda m: m.describe2(),
        "GET", "/rest/v1/leads/describe2.json", {}, None, result({"name": "API Lead"}),
    ),
    (
        "get_lead_by_id", lambda m: m.get_lead_by_id(7, fields=["email", "ecids"]),
        "GET", "/rest/v1/lead/7.json", {"fields": "email,ecids"}, None, result(LEAD),
    ),
    (
        "get_leads_by_filter_type",
        lambda m: m.get_leads_by_filter_type("email", ["a@x.com", "b+c@x.com"], fields=["id"], **PAGES),
        "GET", "/rest/v1/leads.json",
        {"filterType": "email", "filterValues": "a@x.com,b+c@x.com", "fields": "id", **PAGED}, None, result(),
    ),
    (
        "sync_leads",
        lambda m: m.sync_leads(
            [
                {
                    "email": "a@x.com", "n": 1, "f": 1.5, "b": True, "none": None, "d": date(2026, 1, 2),
                    "t": SINCE,
                }
            ],
            action="createOnly", lookup_field="email", partition_name="Europe", async_processing=False,
        ),
        "POST", "/rest/v1/leads.json", {},
        {
            "action": "createOnly", "lookupField": "email", "partitionName": "Europe",
            "asyncProcessing": False,
            "input": [
                {
                    "email": "a@x.com", "n": 1, "f": 1.5, "b": True, "none": None, "d": "2026-01-02",
                    "t": "2026-01-02T03:04:05+00:00",
                }
            ],
        }, result(RECORD),
    ),
    (
        "sync_leads with nothing but leads", lambda m: m.sync_leads([{"email": "a@x.com"}]),
        "POST", "/rest/v1/leads.json", {}, {"input": [{"email": "a@x.com"}]}, result(RECORD),
    ),
    (
        "get_lead_field_by_name", lambda m: m.get_lead_field_by_name("email"),
        "GET", "/rest/v1/leads/schema/fields/email.json", {}, None, result({"name": "email"}),
    ),
    (
        "get_lead_fields", lambda m: m.get_lead_fields(**PAGES),
        "GET", "/rest/v1/leads/schema/fields.json", PAGED, None, result(),
    ),
    (
        "create_lead_fields",
        lambda m: m.create_lead_fields(
            [
                NewLeadField(
                    display_name="Acme", name="acme", data_type="string", description="d", is_hidden=False,
                    is_html_encoding_in_email=True, is_sensitive=False,
                )
            ]
        ),
        "POST", "/rest/v1/leads/schema/fields.json", {},
        {
            "input": [
                {
                    "displayName": "Acme", "name": "acme", "dataType": "string", "description": "d",
                    "isHidden": False, "isHtmlEncodingInEmail": True, "isSensitive": False,
                }
            ]
        }, result(FIELD),
    ),
    (
        "update_lead_field",
        lambda m: m.update_lead_field(
            "acme",
            LeadFieldUpdate(
                display_name="Acme", description=None, is_hidden=True, is_html_encoding_in_email=True,
                is_sensitive=True,
            ),
        ),
        "POST", "/rest/v1/leads/schema/fields/acme.json", {},
        {
            "input": [
                {
                    "displayName": "Acme", "description": None, "isHidden": True,
                    "isHtmlEncodingInEmail": True, "isSensitive": True,
                }
            ]
        }, result(FIELD),
    ),
    (
        "push_leads",
        lambda m: m.push_leads(
            [{"mktToken": "t", "cookies": COOKIE}], program_name="P", lookup_field="mktToken", source="s",
            reason="r", partition_name="Europe", program_status="Influenced",
        ),
        "POST", "/rest/v1/leads/push.json", {},
        {
            "programName": "P", "lookupField": "mktToken", "source": "s", "reason": "r",
            "partitionName": "Europe", "programStatus": "Influenced",
            "input": [{"mktToken": "t", "cookies": COOKIE}],
        }, result(RECORD),
    ),
    (
        "submit_form",
        lambda m: m.submit_form(
            form_id=1029, program_id=3, lead_form_fields={"email": "a@x.com"}, cookie=COOKIE,
            visitor_data=VisitorData(
                page_url="https://x.com/", query_string="a=b", lead_client_ip_address="192.0.2.1",
                user_agent_string="Mozilla/5.0",
            ),
        ),
        "POST", "/rest/v1/leads/submitForm.json", {},
        {
            "formId": 1029, "programId": 3,
            "input": [
                {
                    "leadFormFields": {"email": "a@x.com"},
                    "visitorData": {
                        "pageURL": "https://x.com/", "queryString": "a=b", "leadClientIpAddress": "192.0.2.1",
                        "userAgentString": "Mozilla/5.0",
                    },
                    "cookie": COOKIE,
                }
            ],
        }, result(RECORD),
    ),
    (
        "merge_leads, one", lambda m: m.merge_leads(7, [1324]),
        "POST", "/rest/v1/leads/7/merge.json", {"leadId": "1324"}, None, sample("merge_leads_response"),
    ),
    (
        "merge_leads, several", lambda m: m.merge_leads(7, [1, 2], merge_in_crm=True),
        "POST", "/rest/v1/leads/7/merge.json", {"leadIds": "1,2", "mergeInCRM": "true"}, None,
        sample("merge_leads_response"),
    ),
    (
        "associate_lead", lambda m: m.associate_lead(7, COOKIE),
        "POST", "/rest/v1/leads/7/associate.json", {"cookie": COOKIE}, None,
        sample("associate_lead_response"),
    ),
    (
        "get_leads_by_list_id", lambda m: m.get_leads_by_list_id(1001, fields=["email", "id"], **PAGES),
        "GET", "/rest/v1/list/1001/leads.json", {"fields": "email,id", **PAGED}, None, result(),
    ),
    (
        "get_lists_by_lead_id", lambda m: m.get_lists_by_lead_id(7, **PAGES),
        "GET", "/rest/v1/leads/7/listMembership.json", PAGED, None, result(),
    ),
    (
        "get_leads_by_program_id", lambda m: m.get_leads_by_program_id(1044, fields=["email"], **PAGES),
        "GET", "/rest/v1/leads/programs/1044.json", {"fields": "email", **PAGED}, None, result(),
    ),
    (
        "get_programs_by_lead_id",
        lambda m: m.get_programs_by_lead_id(
            7, program_ids=[1, 2], earliest_updated_at=SINCE, latest_updated_at=UNTIL, **PAGES
        ),
        "GET", "/rest/v1/leads/7/programMembership.json",
        {"filterType": "programId", "filterValues": "1,2", **RANGE, **PAGED}, None, result(),
    ),
    (
        "get_smart_campaigns_by_lead_id",
        lambda m: m.get_smart_campaigns_by_lead_id(
            7, earliest_updated_at=SINCE.replace(tzinfo=None), latest_updated_at=UNTIL, **PAGES
        ),
        "GET", "/rest/v1/leads/7/smartCampaignMembership.json", {**RANGE, **PAGED}, None, result(),
    ),
    (
        "delete_leads", lambda m: m.delete_leads([235]),
        "POST", "/rest/v1/leads/delete.json", {}, {"input": [{"id": 235}]}, result(RECORD),
    ),
    (
        "update_lead_partition", lambda m: m.update_lead_partition({7: "Europe"}),
        "POST", "/rest/v1/leads/partitions.json", {}, {"input": [{"id": 7, "partitionName": "Europe"}]},
        result(RECORD),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("run", "verb", "path", "query", "body", "reply"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_the_request_is_complete(
    run: Run, verb: str, path: str, query: dict[str, str], body: Any, reply: Any
) -> None:
    @virtual
    async def main() -> None:
        async with serving(reply) as (marketo, service):
            await run(marketo)
        (sent,) = service.sent
        assert (sent.verb, sent.path, dict(sent.query)) == (verb, path, query)
        assert len(sent.query) == len(query)
        assert sent.headers["authorization"] == "Bearer token-1"
        assert sent.headers["accept"] == "application/json"
        if verb == "POST":
            assert sent.headers["content-type"] == "application/json"
        if body is None:
            assert sent.body == b""
        else:
            assert sent.json == body

    main()


def test_the_table_of_requests_has_every_operation() -> None:
    paths = {
        (row.verb, row.path)
        for row in vars(table).values()
        if isinstance(row, Operation) and row is not table.GET_TOKEN
    }
    assert len(paths) == 20
    concrete = {(row[2], row[3]) for row in ROWS}
    assert len(concrete) == 20
    public = {name for name in set(dir(MarketoClient)) - set(dir(BaseClient)) if not name.startswith("_")}
    public -= {"from_env", "call"}
    assert {row[0].split()[0].rstrip(",") for row in ROWS} == public


@pytest.mark.parametrize(
    ("operation", "seconds"),
    [
        (table.SYNC_LEADS, 90),
        (table.SYNC_NEW_LEADS, 90),
        (table.PUSH_LEAD, 90),
        (table.MERGE_LEADS, 180),
        (table.ASSOCIATE_LEAD, 60),
        (table.UPDATE_LEAD_PARTITION, 60),
        (table.GET_LEADS_BY_FILTER_TYPE, 60),
        (table.GET_LEADS_BY_LIST_ID, 60),
        (table.DESCRIBE, 30),
        (table.SUBMIT_FORM, 30),
        (table.GET_LEADS_BY_PROGRAM_ID, 30),
    ],
)
def test_the_client_listens_a_little_longer_than_the_server_works(operation: Operation, seconds: int) -> None:
    timeout = table.timeout_of(operation)
    assert timeout.read == seconds + 5
    assert timeout.total is not None
    assert timeout.total > 2 * timeout.read


def test_the_classes_of_operations() -> None:
    rows = [row for row in vars(table).values() if isinstance(row, Operation)]
    appends = {row.name for row in rows if row.operation_class is OperationClass.APPEND}
    assert appends == {"Sync Leads", "Create Lead Fields", "Push Lead", "Submit Form", "Merge Leads"}
    assert all((row.verb == "GET") is (row.operation_class is OperationClass.READ) for row in rows)


@virtual
async def test_timeouts_of_operations_travel_with_the_call_unless_the_client_has_its_own() -> None:
    async with serving(result(RECORD)) as (marketo, service):
        await marketo.sync_leads([{"email": "a@x.com"}])
        assert service.sent[0].timeout["read"] == 95
    async with serving(result(RECORD), timeout=10) as (marketo, service):
        await marketo.sync_leads([{"email": "a@x.com"}])
        assert service.sent[0].timeout["read"] == 20


@virtual
async def test_a_cookie_is_encoded_once_however_it_comes() -> None:
    encoded = "id%3A287-GTJ-838%26token%3A_mch-marketo.com-1396310362214-46169"
    async with serving(sample("associate_lead_response")) as (marketo, service):
        await marketo.associate_lead(7, COOKIE)
        await marketo.associate_lead(7, encoded)
    assert service.sent[0].target == service.sent[1].target
    assert service.sent[0].target.count("%26") == 1
    assert "&" not in service.sent[0].target
    assert dict(service.sent[0].query) == {"cookie": COOKIE}


@virtual
async def test_a_cookie_as_filter_value_is_one_parameter() -> None:
    async with serving(result()) as (marketo, service):
        await marketo.get_leads_by_filter_type("cookies", [COOKIE])
    assert dict(service.sent[0].query) == {"filterType": "cookies", "filterValues": COOKIE}


@virtual
async def test_spans_and_hooks_see_no_lead_id() -> None:
    events: list[Any] = []
    async with serving(refused("1004"), hooks=[events.append]) as (marketo, _):
        with pytest.raises(LeadNotFound) as caught:
            await marketo.associate_lead(4711, COOKIE)
    assert "4711" not in str(caught.value)
    assert "4711" not in repr(events)


@pytest.mark.parametrize("path", ["", "/", "/rest", "/rest/", "/identity"])
def test_the_address_as_marketo_shows_it(path: str) -> None:
    @virtual
    async def main() -> None:
        async with serving(result(), base_url=f"https://123-abc-456.mktorest.com{path}") as (
            marketo,
            service,
        ):
            await marketo.describe()
        assert service.sent[0].path == "/rest/v1/leads/describe.json"
        assert service.token_requests[0].path == "/identity/oauth/token"

    main()
