"""Calls in the forms that other clients send: Marketo accepts them as well."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("where", ["url", "form", "both"])
async def test_a_get_as_post_has_its_method_in_the_url_or_in_the_form(sandbox, rest, where):
    sandbox.marketo.seed({"leads": [{"email": "a+b@x.com"}], "lists": [{"id": 7, "leads": [1]}]})
    query = {"filterType": "email", "filterValues": "a+b@x.com"}
    form = query | ({} if where == "url" else {"_method": "GET"})
    end = "" if where == "form" else "?_method=GET"
    response = (await rest.send("POST", f"leads.json{end}", data=form)).json()
    assert [lead["email"] for lead in response["result"]] == ["a+b@x.com"]
    response = (await rest.send("POST", f"list/7/leads.json{end}", data={**form, "listId": "7"})).json()
    assert [lead["id"] for lead in response["result"]] == [1]


async def test_a_form_without_the_method_is_no_get(rest):
    response = (await rest.send("POST", "leads.json", data={"filterType": "id", "filterValues": "1"})).json()
    assert response["errors"][0]["code"] == "612"


@pytest.mark.parametrize(
    "target",
    ["lead/1.json?fields=email&fields=firstName", "leads.json?filterType=id&filterValues=1&filterValues=2"],
)
async def test_a_repeated_parameter_is_refused_rather_than_half_read(sandbox, rest, target):
    sandbox.marketo.seed({"leads": [{"email": "a@x.com"}]})
    (error,) = (await rest.send("GET", target)).json()["errors"]
    assert error["code"] == "1003"
    assert "more than once" in error["message"]


async def test_a_merge_with_repeated_ids_merges_nothing(sandbox, rest):
    sandbox.marketo.seed({"leads": [{"email": f"{n}@x.com"} for n in range(3)]})
    response = (await rest.send("POST", "leads/1/merge.json?leadIds=2&leadIds=3")).json()
    assert response["success"] is False
    assert len(sandbox.contents("marketo")["leads"]) == 3


@pytest.mark.parametrize("form", ["repeated", "commas", "body"])
async def test_ids_of_lists_and_of_deleting(sandbox, rest, form):
    sandbox.marketo.seed({"leads": [{"email": f"{n}@x.com"} for n in range(3)], "lists": [{"id": 7}]})

    async def send(verb, path, *ids):
        if form == "body":
            end, options = "", {"json": {"input": [{"id": number} for number in ids]}}
            if verb == "GET":
                verb, end = "POST", "?_method=GET"
        else:
            pairs = [("id", number) for number in ids]
            end, options = (
                "?" + urlencode(pairs if form == "repeated" else {"id": ",".join(map(str, ids))}),
                {},
            )
        response = (await rest.send(verb, f"{path}{end}", **options)).json()
        return [item.get("reasons", [{"code": item["status"]}])[0]["code"] for item in response["result"]]

    assert await send("POST", "lists/7/leads.json", 1, 2, 99) == ["added", "added", "1004"]
    assert await send("GET", "lists/7/leads/ismember.json", 1, 3, 99) == ["memberof", "notmemberof", "1004"]
    assert await send("DELETE", "lists/7/leads.json", 1, 3, 99) == ["removed", "1015", "1004"]
    assert [lead["id"] for lead in (await rest.get("lists/7/leads.json"))["result"]] == [2]
    assert await send("POST", "leads/delete.json", 1) == ["deleted"]
    assert await send("DELETE", "leads.json", 2, 99) == ["deleted", "1004"]
    assert [lead["id"] for lead in sandbox.contents("marketo")["leads"]] == [3]


async def test_values_that_are_not_ids(sandbox, rest):
    sandbox.marketo.seed({"lists": [{"id": 7}]})
    assert await rest.code("lists/7/leads.json", verb="POST", id="x") == "1001"
    assert await rest.code("lists/8/leads.json", verb="POST", id="1") == "1013"
    assert await rest.code("lists/7/leads.json", {"input": [{"email": "a@x.com"}]}) == "1001"
    ids = ",".join(map(str, range(1, 302)))
    assert await rest.code("lists/7/leads.json", verb="POST", id=ids) == "1003"
    assert (await rest.send("POST", "lists/7/leads.json")).json()["errors"][0]["code"] == "612"


async def test_lists_and_partitions(sandbox, rest):
    sandbox.marketo.seed(
        {"lists": [{"id": 7, "name": "A"}, {"id": 8, "name": "B"}], "partitions": ["Europe"]}
    )
    assert [item["name"] for item in (await rest.get("lists.json"))["result"]] == ["A", "B"]
    assert [item["id"] for item in (await rest.get("lists.json", name="B"))["result"]] == [8]
    assert [item["id"] for item in (await rest.get("lists.json", id="7,9"))["result"]] == [7]
    assert (await rest.get("lists/7.json"))["result"][0]["name"] == "A"
    assert await rest.code("lists/9.json") == "1013"
    partitions = (await rest.get("leads/partitions.json"))["result"]
    assert partitions == [{"id": 1, "name": "Default"}, {"id": 2, "name": "Europe"}]


async def test_a_lead_shows_its_partition_and_is_found_by_it(sandbox, rest):
    sandbox.marketo.seed(
        {
            "partitions": ["Europe"],
            "leads": [{"email": "a@x.com"}, {"email": "b@x.com", "partitionName": "Europe"}],
        }
    )
    query = {"filterType": "leadPartitionId", "filterValues": "2", "fields": "email,leadPartitionId"}
    assert (await rest.get("leads.json", **query))["result"] == [
        {"id": 2, "email": "b@x.com", "leadPartitionId": 2}
    ]
    assert (await rest.get("lead/1.json", fields="leadPartitionId"))["result"][0]["leadPartitionId"] == 1


async def test_leads_can_be_searched_by_every_described_field(rest):
    (schema,) = (await rest.get("leads/describe2.json"))["result"]
    assert ["cookies"] in schema["searchableFields"]
    for (name,) in schema["searchableFields"]:
        await rest.get("leads.json", filterType=name, filterValues="1")


async def test_a_delete_as_post_has_its_method_in_the_url(sandbox, rest):
    sandbox.marketo.seed(
        {"leads": [{"email": f"{n}@x.com"} for n in range(3)], "lists": [{"id": 7, "leads": [1]}]}
    )
    document = {"input": [{"id": 1}]}
    removed = await rest.post("lists/7/leads.json", document, _method="DELETE")
    assert [item["status"] for item in removed["result"]] == ["removed"]
    deleted = await rest.post("leads.json", {"input": [{"id": 1}, {"id": 3}]}, _method="DELETE")
    assert [item["status"] for item in deleted["result"]] == ["deleted", "deleted"]
    assert [lead["id"] for lead in sandbox.contents("marketo")["leads"]] == [2]


async def test_a_wrong_value_is_refused_with_the_message_of_live_instances(rest):
    record = {"email": "a@x.com", "leadScore": "14c"}
    (skipped,) = (await rest.post("leads.json", {"input": [record]}))["result"]
    message = "Invalid value for field 'leadScore' and value '14c'"
    assert skipped["reasons"] == [{"code": "1003", "message": message}]


async def test_values_are_read_in_the_types_of_their_fields(rest):
    written = {
        "email": "a@x.com",
        "leadScore": "7",
        "urgency": "5.40",
        "unsubscribed": "true",
        "emailSuspendedAt": "2020-08-30T07:49:48.123+02:00",
        "dateOfBirth": "2000-01-31",
        "city": "",
    }
    await rest.post("leads.json", {"input": [written]})
    names = ",".join([*written, "blackListed"])
    (lead,) = (await rest.get("lead/1.json", fields=names))["result"]
    assert lead == {
        "id": 1,
        "email": "a@x.com",
        "leadScore": 7,
        "urgency": 5.4,
        "unsubscribed": True,
        "emailSuspendedAt": "2020-08-30T05:49:48Z",
        "dateOfBirth": "2000-01-31",
        "city": None,
        "blackListed": False,
    }


@pytest.mark.parametrize("field", ["company", "website", "annualRevenue", "billingCity", "mainPhone", "site"])
@pytest.mark.parametrize("action", ["createOrUpdate", "createOnly", "updateOnly"])
async def test_fields_of_a_company_are_refused_by_sync_leads(sandbox, rest, field, action):
    sandbox.marketo.seed({"leads": [{"email": "a@x.com"}]})
    document = {"action": action, "input": [{"email": "a@x.com", field: "1"}]}
    (skipped,) = (await rest.post("leads.json", document))["result"]
    assert (skipped["status"], skipped["reasons"][0]["code"]) == ("skipped", "1021")


async def test_a_value_is_no_longer_than_its_field(sandbox, rest):
    records = [{"email": "a@x.com", "firstName": "x" * length} for length in (255, 256)]
    taken, skipped = (await rest.post("leads.json", {"input": records}))["result"]
    assert taken["status"] == "created"
    assert (skipped["status"], skipped["reasons"][0]["code"]) == ("skipped", "1003")


async def test_activities_since_a_time(sandbox, rest):
    sandbox.marketo.seed({"leads": [{"email": "old@x.com"}], "programs": [{"id": 1, "name": "P"}]})
    sandbox.advance(3600)
    now = sandbox.marketo.leads.now()
    token = (await rest.get("activities/pagingtoken.json", sinceDatetime=now))["nextPageToken"]
    await rest.post("leads.json", {"input": [{"email": "a@x.com", "city": "Oslo"}]})
    await rest.post("leads.json", {"input": [{"email": "a@x.com", "city": "Rome", "state": "x"}]})
    await rest.post("leads/push.json", {"programName": "P", "source": "s", "input": [{"email": "a@x.com"}]})
    changes = await rest.get("activities/leadchanges.json", nextPageToken=token, fields="city,email")
    assert [(item["leadId"], item["activityTypeId"]) for item in changes["result"]] == [(2, 12), (2, 13)]
    (change,) = changes["result"][1]["fields"]
    assert (change["name"], change["oldValue"], change["newValue"]) == ("city", "Oslo", "Rome")
    assert changes["moreResult"] is False
    again = await rest.get(
        "activities/leadchanges.json", nextPageToken=changes["nextPageToken"], fields="city"
    )
    assert again["result"] == []
    types = {item["name"]: item["id"] for item in (await rest.get("activities/types.json"))["result"]}
    query = {
        "nextPageToken": token,
        "activityTypeIds": f"{types['New Lead']},{types['Push Lead to Marketo']}",
    }
    first = await rest.get("activities.json", batchSize=1, **query)
    assert (len(first["result"]), first["moreResult"]) == (1, True)
    second = await rest.get("activities.json", **query | {"nextPageToken": first["nextPageToken"]})
    assert [item["activityTypeId"] for item in second["result"]] == [types["Push Lead to Marketo"]]
    assert {"name": "source", "value": "s"} in second["result"][0]["attributes"]
    repeated = await rest.send(
        "GET", f"activities.json?nextPageToken={token}&activityTypeIds=12&activityTypeIds=2"
    )
    assert [item["leadId"] for item in repeated.json()["result"]] == [2]
    assert (await rest.get("activities.json", **query, leadIds=1))["result"] == []
    await rest.post("leads/delete.json", {"input": [{"id": 1}]})
    deleted = await rest.get("activities/deletedleads.json", nextPageToken=token)
    assert [item["leadId"] for item in deleted["result"]] == [1]


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("activities/pagingtoken.json", {}, "1002"),
        ("activities/pagingtoken.json", {"sinceDatetime": "yesterday"}, "704"),
        ("activities.json", {"activityTypeIds": "1"}, "1002"),
        ("activities.json", {"nextPageToken": "ABC"}, "1002"),
        ("activities.json", {"nextPageToken": "ABC", "activityTypeIds": "1"}, "1003"),
        ("activities.json", {"nextPageToken": "ABC", "activityTypeIds": "x"}, "1001"),
        ("activities.json", {"nextPageToken": "ABC", "activityTypeIds": ",".join(["1"] * 11)}, "1003"),
        ("activities/leadchanges.json", {"nextPageToken": "ABC", "fields": "nothing"}, "1006"),
        ("activities/leadchanges.json", {"nextPageToken": "ABC"}, "1002"),
    ],
)
async def test_activities_that_are_refused(rest, path, query, code):
    assert await rest.code(path, **query) == code
