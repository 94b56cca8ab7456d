"""The control side over HTTP: the operations of `Sandbox` for other languages."""

from __future__ import annotations

import pytest


async def test_seed_and_leads(http, sandbox):
    response = await http.post(
        "/_sandbox/seed",
        json={"leads": [{"email": "a@example.com", "isCustomer": True, "score": 3, "carColor": None}]},
    )

    assert (response.status_code, response.json()) == (200, {"done": True})
    (lead,) = sandbox.leads()
    assert (lead["isCustomer"], lead["score"], lead["carColor"]) == ("1", "3", "")
    assert (await http.get("/_sandbox/leads")).json() == {"leads": [lead]}
    assert (await http.get("/_sandbox/leads", params={"email": "A@example.com"})).json() == {"leads": [lead]}
    assert (await http.get("/_sandbox/leads", params={"email": "b@example.com"})).json() == {"leads": []}
    assert (await http.get("/_sandbox/contents")).json() == sandbox.contents()


@pytest.mark.parametrize(
    "document",
    [
        {"nonsense": []},
        {"leads": [{"car color": "Red"}]},
        {"leads": [{"email": ["a@example.com"]}]},
        {"leads": [{"email": "a@example.com", "id": 1}, {"email": "b@example.com", "id": 1}]},
        {"leads": ["a@example.com"]},
        {"leads": 5},
        {"lists": [{"name": "L", "leads": ["nobody@example.com"]}]},
        {"lists": [{"leads": []}]},
        {"lists": [{"name": "V"}], "views": [{"name": "V", "queries": []}]},
        {"views": [{"name": "V", "queries": [{"field": "email", "operator": "is", "value": "x"}]}]},
        {"views": [{"name": "V", "queries": [{"field": "email"}]}]},
        {"views": [{"name": "V", "queries": []}, {"name": "v", "queries": []}]},
        {"campaigns": [{"Name": "C", "nonsense": 1}]},
        {"campaigns": [{"Name": "C", "id": 1}, {"Name": "D", "id": 1}]},
        {"forms": [["F"]]},
        {"opportunities": [{"Name": "O", "leads": ["nothing"]}]},
        {"opportunities": [{"name": "O"}]},
        [],
    ],
)
async def test_unusable_seeds_change_nothing(http, sandbox, document):
    response = await http.post("/_sandbox/seed", json=document)

    assert response.status_code == 400
    assert "error" in response.json()
    contents = sandbox.contents()
    assert not any(contents.values())


async def test_python_seeds_are_checked_too(sandbox):
    with pytest.raises(ValueError, match="custom field"):
        sandbox.seed(leads=[{"email": "a@example.com"}, {"x y": "z"}])
    assert sandbox.leads() == []


async def test_nested_custom_fields_can_be_seeded(sandbox):
    sandbox.seed(leads=[{"email": "a@example.com", "customFields": {"carColor": "Red"}}])

    assert sandbox.lead("a@example.com")["carColor"] == "Red"


async def test_the_clock_is_read_and_advanced(http, sandbox):
    before = (await http.get("/_sandbox/clock")).json()
    after = (await http.post("/_sandbox/clock", json={"advance": 86_400})).json()

    assert before["offset"] == 0
    assert after["offset"] == sandbox.clock.offset == 86_400
    assert after["now"] > before["now"]


@pytest.mark.parametrize("document", [{"advance": -1}, {"advance": "x"}, {"advance": None}, {}, {"back": 1}])
async def test_unusable_times_leave_the_clock(http, sandbox, document):
    assert (await http.post("/_sandbox/clock", json=document)).status_code == 400
    assert sandbox.clock.offset == 0


async def test_faults_are_injected_listed_and_cleared(http, sandbox, v1):
    fault = {"kind": "status", "status": 418, "times": 2, "headers": [["x-a", "b"]]}

    await http.post("/_sandbox/faults", json=fault)

    (listed,) = (await http.get("/_sandbox/faults")).json()["faults"]
    assert listed.items() >= {"kind": "status", "status": 418, "times": 2}.items()
    response = await v1.send("getLead")
    assert (response.status_code, response.headers["x-a"]) == (418, "b")
    await http.delete("/_sandbox/faults")
    assert (await v1.send("getLead")).status_code == 200
    assert (await http.post("/_sandbox/faults", json={"kind": "x"})).status_code == 400


async def test_the_journal_is_read_after_a_number(http, sandbox, v1):
    for _ in range(3):
        await v1.send("getLead", email="a@example.com")

    document = (await http.get("/_sandbox/journal", params={"after": 1})).json()

    assert document["busiest_second"] == sandbox.journal.busiest_second()
    assert [arrival["sequence"] for arrival in document["arrivals"]] == [2, 3]
    assert document["arrivals"][0]["key"] == "a@example.com"
    assert (await http.get("/_sandbox/journal", params={"after": "x"})).status_code == 400


async def test_process_and_revoke(http, sandbox, v2):
    token = await v2.token()
    await v2.sync(token, {"leadInfo": {"email": "a@example.com"}})

    assert (await http.post("/_sandbox/process")).json() == {"processed": 1}
    assert sandbox.lead("a@example.com") is not None
    await http.post("/_sandbox/revoke_tokens")
    assert (await v2.sync(token, {"leadInfo": {}})).status_code == 401


async def test_reset_returns_to_the_initial_state(http, sandbox, v1, v2):
    token = await v2.token()
    await v2.sync(token, {"leadInfo": {"email": "b@example.com"}})
    await v2.sync(token, {"leadInfo": {"email": "bad"}})
    sandbox.process_now()
    sandbox.seed(leads=[{"email": "a@example.com"}])
    await v2.sync(token, {"leadInfo": {"email": "c@example.com"}})
    await http.post("/_sandbox/faults", json={"kind": "drop"})
    sandbox.advance(60)

    await http.post("/_sandbox/reset")

    assert len(sandbox.journal.arrivals) == 0
    assert sandbox.contents() | {"leads": []} == sandbox.contents()
    assert sandbox.contents()["rejections"] == []
    assert sandbox.contents()["pending"] == 0
    assert sandbox.clock.offset == 0
    assert sandbox.faults.faults == []
    assert (await v2.sync(token, {"leadInfo": {}})).status_code == 401
    assert [arrival.sequence for arrival in sandbox.journal.arrivals] == [1]
    sandbox.seed(leads=[{"email": "a@example.com"}])
    assert sandbox.lead("a@example.com")["id"] == "1"


@pytest.mark.parametrize(
    ("verb", "path", "content", "status"),
    [
        ("GET", "reset", b"", 404),
        ("POST", "nonsense", b"", 404),
        ("POST", "", b"", 404),
        ("POST", "seed", b"{", 400),
        ("POST", "seed?vendor=nobody", b"{}", 400),
        ("GET", "contents?vendor=nobody", b"", 400),
        ("POST", "seed", b"\xff", 400),
    ],
)
async def test_unusable_calls_are_refused_with_a_reason(http, verb, path, content, status):
    response = await http.request(verb, f"/_sandbox/{path}", content=content)

    assert response.status_code == status
    assert "error" in response.json()
