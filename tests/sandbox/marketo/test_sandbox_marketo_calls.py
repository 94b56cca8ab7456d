"""The emulated operations, called without the client."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

COOKIE = "id:063-GJP-217&token:_mch-marketo.com-1594662481190-60776"
FORM = {"email": "a@x.com"}
MOMENT = "2016-05-17T19:32:44Z"


async def test_sync_leads_as_on_the_page(sandbox, rest, sample):
    response = await rest.post("leads.json", sample("sync_leads_request"))
    assert response["result"] == [{"id": number, "status": "created"} for number in (1, 2, 3)]
    again = await rest.post("leads.json", sample("sync_leads_request"))
    assert [item["status"] for item in again["result"]] == ["skipped"] * 3
    assert again["result"][0]["reasons"] == [{"code": "1005", "message": "Lead already exists"}]
    assert [lead["firstName"] for lead in sandbox.contents("marketo")["leads"]] == [
        "Kataldar-1",
        "Kataldar-2",
        "Kataldar-3",
    ]


async def test_the_effect_of_each_action(sandbox, rest):
    async def sync(action, *records, **more):
        response = await rest.post("leads.json", {"action": action, "input": list(records), **more})
        return [item.get("reasons", [{"code": item["status"]}])[0]["code"] for item in response["result"]]

    lead = {"email": "A@x.com"}
    assert await sync("updateOnly", lead) == ["1004"]
    assert await sync("createOrUpdate", lead, {"email": "a@X.com", "city": "Oslo"}) == ["created", "updated"]
    assert await sync("createDuplicate", lead) == ["created"]
    assert await sync("createOrUpdate", lead) == ["1007"]
    assert await sync("createOnly", lead) == ["1007"]
    assert await sync("updateOnly", {"id": 2, "city": "Rome"}) == ["updated"]
    assert await sync("createOnly", {"id": 2}) == ["1003"]
    assert await sync("updateOnly", {"email": "b@x.com"}, {"city": "x"}, lookupField="id") == ["1003", "1003"]
    assert [lead.get("city") for lead in sandbox.contents("marketo")["leads"]] == ["Oslo", "Rome"]


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"email": "a@x.com", "nothing": 1}, "1006"),
        ({"email": "a@x.com", "leadScore": "many"}, "1003"),
        ({"email": "a@x.com", "unsubscribed": "perhaps"}, "1003"),
        ({"email": "a@x.com", "dateOfBirth": "yesterday"}, "1003"),
        ({"email": "a@x.com", "firstName": 7}, "1003"),
        ({"email": "a@x.com", "createdAt": MOMENT}, "1003"),
        ({"email": "bad"}, "1003"),
        ({"email": "é@x.com"}, "1003"),
        ({"firstName": "Anna"}, "1003"),
    ],
)
async def test_a_record_that_is_not_taken(rest, record, code):
    response = await rest.post("leads.json", {"input": [record, {"email": "b@x.com"}]})
    skipped, created = response["result"]
    assert (skipped["status"], skipped["reasons"][0]["code"]) == ("skipped", code)
    assert created["status"] == "created"


async def test_null_and_empty_text_both_store_null(sandbox, rest):
    await rest.post("leads.json", {"input": [{"email": "a@x.com", "city": "Oslo", "state": "Oslo"}]})
    await rest.post("leads.json", {"input": [{"email": "a@x.com", "city": None, "state": ""}]})
    (lead,) = sandbox.contents("marketo")["leads"]
    assert (lead["city"], lead["state"]) == (None, None)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({}, "1002"),
        ({"input": []}, "1002"),
        ({"input": [{"email": f"{number}@x.com"} for number in range(301)]}, "1003"),
        ({"input": [7]}, "609"),
        ([], "609"),
        ({"input": [{}], "action": "upsert"}, "1001"),
        ({"input": [{}], "lookupfield": "email"}, "1003"),
        ({"input": [{}], "lookupField": "firstName"}, "1011"),
        ({"input": [{}], "partitionName": "Nowhere"}, "1008"),
        ({"input": [{}], "partitionName": "Default", "action": "updateOnly"}, "1003"),
    ],
)
async def test_a_sync_that_is_refused_as_a_whole(rest, document, code):
    assert await rest.code("leads.json", document) == code


async def test_partitions_hold_their_own_leads(sandbox, rest):
    sandbox.marketo.seed({"partitions": ["Europe"], "leads": [{"email": "a@x.com"}]})
    document = {"partitionName": "Europe", "input": [{"email": "a@x.com"}]}
    assert (await rest.post("leads.json", document))["result"] == [{"id": 2, "status": "created"}]
    moved = await rest.post(
        "leads/partitions.json",
        {
            "input": [
                {"id": 1, "partitionName": "Europe"},
                {"id": 9, "partitionName": "Europe"},
                {"id": 2, "partitionName": "Mars"},
            ]
        },
    )
    assert [item["status"] for item in moved["result"]] == ["updated", "skipped", "skipped"]
    assert [item["reasons"][0]["code"] for item in moved["result"][1:]] == ["1004", "1008"]
    assert [lead["partitionName"] for lead in sandbox.contents("marketo")["leads"]] == ["Europe", "Europe"]


async def test_reading_by_id_and_by_filter(sandbox, rest):
    sandbox.marketo.seed(
        {"leads": [{"id": 50, "email": "a@x.com"}, {"id": 70, "email": "b@x.com", "city": "Oslo"}]}
    )
    (lead,) = (await rest.get("lead/70.json"))["result"]
    assert list(lead) == ["id", "email", "updatedAt", "createdAt", "firstName", "lastName"]
    (lead,) = (await rest.get("lead/70.json", fields="city,ecids"))["result"]
    assert lead == {"id": 70, "city": "Oslo", "ecids": None}
    assert (await rest.get("lead/1.json"))["result"] == []
    found = await rest.get("leads.json", filterType="id", filterValues="70,50,1")
    assert [lead["id"] for lead in found["result"]] == [50, 70]
    assert "nextPageToken" not in found
    assert (await rest.get("leads.json", filterType="email", filterValues="B@X.COM"))["result"][0]["id"] == 70
    assert (await rest.get("leads.json", filterType="email", filterValues="c@x.com"))["result"] == []
    assert await rest.code("leads.json", filterType="city", filterValues="Oslo") == "1011"
    assert await rest.code("leads.json", filterType="email") == "1002"
    assert (
        await rest.code("leads.json", filterType="id", filterValues=",".join(map(str, range(301)))) == "1003"
    )
    assert await rest.code("lead/70.json", fields="nothing") == "1006"
    assert await rest.code("lead/x.json") == "1001"


async def test_more_than_a_thousand_matches_are_refused(sandbox, rest):
    field = {"displayName": "Tag", "name": "tag", "dataType": "string"}
    sandbox.marketo.seed({"fields": [field], "leads": [{"tag": "a"}] * 1001})
    assert await rest.code("leads.json", filterType="tag", filterValues="a") == "1003"


async def test_a_long_query_in_the_body_of_a_post(sandbox, rest):
    sandbox.marketo.seed({"leads": [{"email": "a+b@x.com"}]})
    values = ",".join(["a+b@x.com", *(f"{'x' * 60}{number}@x.com" for number in range(200))])
    query = {"filterType": "email", "filterValues": values}
    assert (await rest.send("GET", "leads.json", params=query)).status_code == 414
    response = await rest.send("POST", "leads.json?_method=GET", data=query)
    assert [lead["email"] for lead in response.json()["result"]] == ["a+b@x.com"]
    assert (await rest.send("POST", f"leads.json?{urlencode({'_method': 'GET'})}")).json()["errors"]


async def test_a_body_of_more_than_a_megabyte(rest):
    record = {"email": "a@x.com", "city": "x" * 1_100_000}
    response = await rest.send("POST", "leads.json", json={"input": [record]})
    assert response.status_code == 413


async def test_fields_are_described_alike_by_all_calls(rest, sample):
    described = (await rest.get("leads/describe.json"))["result"]
    assert sample("describe_response")["result"][0] in described
    (second,) = (await rest.get("leads/describe2.json"))["result"]
    assert second["name"] == "API Lead"
    assert ["email"] in second["searchableFields"]
    assert {field["name"] for field in second["fields"]} == {field["rest"]["name"] for field in described}
    shown = sample("get_lead_field_by_name_response")["result"]
    assert (await rest.get("leads/schema/fields/email.json"))["result"] == shown
    response = await rest.post("leads/schema/fields.json", sample("create_lead_fields_request"))
    assert response["result"] == sample("create_lead_fields_response")["result"]
    response = await rest.post("leads/schema/fields/acmeAccessCode.json", sample("update_lead_field_request"))
    assert response["result"] == sample("update_lead_field_response")["result"]
    assert await rest.code("leads/schema/fields/nothing.json") == "1006"
    (field,) = (await rest.get("leads/schema/fields/acmeAccessCode.json"))["result"]
    assert field["isApiCreated"]
    assert field["isHtmlEncodingInEmail"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "1abc"}, "1003"),
        ({"name": "email"}, "1017"),
        ({"displayName": "Email Address"}, "1017"),
        ({"displayName": "A/B"}, "1003"),
        ({"dataType": "text"}, "1001"),
        ({"dataType": ""}, "1002"),
        ({"length": 7}, "1006"),
    ],
)
async def test_a_field_that_cannot_be_created(rest, change, code):
    field = {"displayName": "Acme", "name": "acme", "dataType": "string"} | change
    (skipped,) = (await rest.post("leads/schema/fields.json", {"input": [field]}))["result"]
    assert (skipped["status"], skipped["reasons"][0]["code"]) == ("skipped", code)


async def test_properties_of_a_field_that_cannot_change(rest):
    for name, change in (("email", {"displayName": "E-mail"}), ("email", {"dataType": "string"})):
        (skipped,) = (await rest.post(f"leads/schema/fields/{name}.json", {"input": [change]}))["result"]
        assert (skipped["status"], skipped["reasons"][0]["code"]) == ("skipped", "1003")


async def test_no_more_than_a_hundred_fields(rest):
    fields = [{"displayName": f"F {n}", "name": f"f{n}", "dataType": "string"} for n in range(101)]
    result = (await rest.post("leads/schema/fields.json", {"input": fields}))["result"]
    assert [item["status"] for item in result] == ["created"] * 100 + ["skipped"]


async def test_push_writes_an_activity_for_each_record(sandbox, rest, sample):
    request = sample("push_leads_request")
    sandbox.marketo.seed(
        {
            "programs": [{"id": 7, "name": "Big Blue Thing Product Launch"}],
            "leads": [{"email": "thelma@x.com"}],
            "mktTokens": {"<tokenValue>": 1},
        }
    )
    response = await rest.post("leads/push.json", request)
    assert [item["status"] for item in response["result"]] == ["created", "created"]
    assert response["warnings"] == []
    again = await rest.post("leads/push.json", {**request, "input": [*request["input"], {"nothing": 1}]})
    assert [item.get("status") for item in again["result"]] == ["updated", "updated", None]
    assert again["result"][2] == {"reasons": [{"code": "1006", "message": "Field 'nothing' not found"}]}
    by_token = await rest.post("leads/push.json", sample("push_leads_token_request"))
    assert by_token["result"] == [{"id": 1, "status": "updated"}] * 2
    activities = sandbox.contents("marketo")["activities"]
    assert len(activities) == 6
    assert activities[0] == {
        "leadId": 2,
        "type": "Push Lead to Marketo",
        "programId": 7,
        "source": "Cool Sales Site",
        "reason": "Downloaded pricing sheet",
    }
    assert await rest.code("leads/push.json", {"input": [{}], "programName": "Nowhere"}) == "1013"
    assert await rest.code("leads/push.json", {"input": [{}]}) == "1002"


async def test_a_form_updates_the_lead_changed_last(sandbox, rest, sample):
    request = sample("submit_form_request")
    field = {"displayName": "PMCF", "name": "pMCFField", "dataType": "string"}
    names = ["firstName", "lastName", "email", "pMCFField"]
    sandbox.marketo.seed(
        {
            "fields": [field],
            "forms": [{"id": 1029, "fields": names}],
            "programs": [{"id": 7, "name": "P"}],
            "leads": [{"email": "marge.simpson@fox.com"}, {"email": "marge.simpson@fox.com"}],
        }
    )
    response = await rest.post("leads/submitForm.json", {**request, "programId": 7})
    assert response["result"] == [{"id": 2, "status": "updated"}]
    contents = sandbox.contents("marketo")
    assert contents["leads"][1]["pMCFField"] == "PMCF value"
    assert contents["activities"][0]["queryString"] == "Unsubscribed=yes"
    assert [lead["id"] for lead in (await rest.get("leads/programs/7.json"))["result"]] == [2]
    found = await rest.get("leads.json", filterType="cookies", filterValues=COOKIE)
    assert [lead["id"] for lead in found["result"]] == [2]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"formId": 1}, "1013"),
        ({"programId": 9}, "1013"),
        ({"input": [{}, {}]}, "1003"),
        ({"input": [{}]}, "1002"),
        ({"input": [{"leadFormFields": {"firstName": "A"}}]}, "1002"),
        ({"input": [{"leadFormFields": {"email": "a@x.com", "city": "Oslo"}}]}, "1006"),
        ({"input": [{"leadFormFields": {"email": "a@x.com", "firstName": None}}]}, "1003"),
        (
            {"input": [{"leadFormFields": FORM, "visitorData": {"leadClientIpAddress": "::1"}}]},
            "1003",
        ),
        ({"input": [{"leadFormFields": FORM, "visitorData": {"pageUrl": "x"}}]}, "1003"),
        ({"input": [{"leadFormFields": FORM, "cookie": "x"}]}, "1012"),
        ({"input": [{"leadFormFields": FORM, "cookies": COOKIE}]}, "1003"),
    ],
)
async def test_a_form_that_is_refused(sandbox, rest, change, code):
    sandbox.marketo.seed({"forms": [{"id": 7, "fields": ["email", "firstName"]}]})
    record = {"leadFormFields": {"email": "a@x.com"}}
    assert await rest.code("leads/submitForm.json", {"formId": 7, "input": [record]} | change) == code
    assert sandbox.contents("marketo")["leads"] == []


async def test_merged_leads_fill_gaps_of_the_winner(sandbox, rest):
    sandbox.marketo.seed(
        {
            "leads": [
                {"email": "a@x.com", "city": "Oslo"},
                {"email": "b@x.com", "city": "Rome", "phone": "1"},
                {"email": "c@x.com"},
            ],
            "lists": [{"id": 7, "leads": [2]}],
        }
    )
    response = await rest.post("leads/1/merge.json", leadIds="2,3")
    assert "result" not in response
    (lead,) = sandbox.contents("marketo")["leads"]
    assert (lead["email"], lead["city"], lead["phone"]) == ("a@x.com", "Oslo", "1")
    assert [item["listId"] for item in (await rest.get("leads/1/listMembership.json"))["result"]] == [7]
    assert await rest.code("leads/1/merge.json", verb="POST") == "1003"
    assert await rest.code("leads/1/merge.json", verb="POST", leadId=2) == "1004"
    assert await rest.code("leads/1/merge.json", verb="POST", leadId=1) == "1004"
    ids = ",".join(map(str, range(2, 28)))
    assert await rest.code("leads/1/merge.json", verb="POST", leadIds=ids) == "1080"
    assert await rest.code("leads/1/merge.json", verb="POST", leadId=2, mergeInCRM="true") == "703"
    in_the_body = await rest.send("POST", "leads/1/merge.json", data={"leadId": "2"})
    assert in_the_body.json()["errors"][0]["code"] == "1003"


async def test_a_cookie_is_associated_with_a_lead(sandbox, rest):
    sandbox.marketo.seed({"leads": [{"email": "a@x.com"}]})
    assert "result" not in await rest.post("leads/1/associate.json", cookie=COOKIE)
    assert await rest.code("leads/1/associate.json", verb="POST", cookie="x") == "1012"
    assert await rest.code("leads/2/associate.json", verb="POST", cookie=COOKIE) == "1004"
    # An `&` that is not encoded ends the value.
    response = await rest.send("POST", f"leads/1/associate.json?cookie={COOKIE}")
    assert response.json()["errors"][0]["code"] in ("1003", "1012")


async def test_deleted_leads_are_skipped_the_second_time(sandbox, rest, sample):
    sandbox.marketo.seed({"leads": [{"id": 235, "email": "a@x.com"}, {"id": 766, "email": "b@x.com"}]})
    response = await rest.post("leads/delete.json", sample("delete_leads_request"))
    assert response["result"] == sample("delete_leads_response")["result"]
    again = await rest.post("leads/delete.json", sample("delete_leads_request"))
    assert [item["reasons"][0]["code"] for item in again["result"]] == ["1004", "1004"]
    response = await rest.send("POST", "leads/delete.json", content=b"{}")
    assert response.json()["errors"][0]["code"] == "612"


async def test_memberships_of_a_lead_are_listed(sandbox, rest):
    membership = {"leadId": 1, "progressionStatus": "Visited", "stream": "One", "updatedAt": MOMENT}
    sandbox.marketo.seed(
        {
            "leads": [{"email": "a@x.com"}],
            "lists": [{"id": 3379, "leads": [{"leadId": 1, "createdAt": MOMENT, "updatedAt": MOMENT}]}],
            "programs": [{"id": 1044, "leads": [membership]}, {"id": 1045, "leads": [1]}],
            "campaigns": [{"id": 3746, "leads": [1]}],
        }
    )
    response = await rest.get("leads/1/listMembership.json")
    assert response["result"] == [{"listId": 3379, "createdAt": MOMENT, "updatedAt": MOMENT}]
    assert response["moreResult"] is False
    for path in ("list/3379/leads.json", "lists/3379/leads.json", "leads/programs/1044.json"):
        response = await rest.get(path)
        assert [lead["id"] for lead in response["result"]] == [1]
        assert "moreResult" not in response
    shown = response["result"][0]["membership"]
    assert (shown["progressionStatus"], shown["stream"], shown["updatedAt"]) == ("Visited", "One", MOMENT)

    async def programs(**query):
        result = (await rest.get("leads/1/programMembership.json", **query))["result"]
        return [item["id"] for item in result]

    assert await programs() == [1044, 1045]
    assert await programs(filterType="programId", filterValues="1045,7") == [1045]
    assert await programs(latestUpdatedAt="2016-12-31T00:00:00Z") == [1044]
    assert await programs(earliestUpdatedAt="2016-12-31T00:00:00+00:00") == [1045]
    assert await rest.code("leads/1/programMembership.json", filterType="name") == "1011"
    campaigns = await rest.get("leads/1/smartCampaignMembership.json")
    assert [item["smartCampaignId"] for item in campaigns["result"]] == [3746]
    for path in ("listMembership", "programMembership", "smartCampaignMembership"):
        assert await rest.code(f"leads/9/{path}.json") == "1004"
    for path in ("list/9/leads.json", "leads/programs/9.json"):
        assert await rest.code(path) == "1013"


async def test_pages_follow_by_token(sandbox, rest):
    sandbox.marketo.seed(
        {"leads": [{"email": f"{n}@x.com"} for n in range(7)], "lists": [{"id": 1, "leads": range(1, 8)}]}
    )
    seen, query = [], {"batchSize": 3}
    while True:
        response = await rest.get("list/1/leads.json", **query)
        seen.append([lead["id"] for lead in response["result"]])
        if "nextPageToken" not in response:
            break
        query["nextPageToken"] = response["nextPageToken"]
    assert seen == [[1, 2, 3], [4, 5, 6], [7]]
    assert await rest.code("list/1/leads.json", batchSize=301) == "1003"
    assert await rest.code("list/1/leads.json", batchSize=3, nextPageToken="x") == "1003"
    assert await rest.code("list/1/leads.json", batchSize=2, nextPageToken=query["nextPageToken"]) == "1003"
    fields = await rest.get("leads/schema/fields.json", batchSize=5)
    assert fields["moreResult"] is True


@pytest.mark.parametrize(
    ("verb", "path", "code"),
    [
        ("PUT", "leads.json", "605"),
        ("PUT", "lead/1.json", "605"),
        ("GET", "leads/push.json", "605"),
        ("GET", "nothing.json", "610"),
    ],
)
async def test_records_that_do_not_exist(rest, verb, path, code):
    assert await rest.code(path, verb=verb) == code


async def test_parameters_that_an_operation_does_not_have_are_ignored(rest):
    await rest.get("leads/describe.json", fields="id")
    await rest.get("leads.json", filterType="id", filterValues="1", batchsize="1")
