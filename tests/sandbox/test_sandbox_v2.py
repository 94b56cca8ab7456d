"""v2: token life and delayed processing (PUBLITRAC API V2, Documentation)."""

from __future__ import annotations

import pytest

from publitrac_async.sandbox import Sandbox

LEAD = {"leadInfo": {"email": "a@example.com", "firstName": "Anna"}}


async def test_the_bare_key_logs_in(http, sandbox):
    for header in ({"Authorization": f"Bearer {sandbox.api_key}"}, {"Authorization": "wrong"}, {}):
        response = await http.get("/v2/auth/getToken", headers=header)
        assert response.status_code == 401
        assert response.json()["status"] == "error"


async def test_a_token_lives_from_its_last_use(sandbox, v2):
    token = await v2.token()
    for _ in range(3):
        sandbox.advance(899)
        assert (await v2.sync(token, LEAD)).status_code == 200
    sandbox.advance(901)

    response = await v2.sync(token, LEAD)

    assert response.status_code == 401
    assert sandbox.journal.count(method="delayedSync", applied=True) == 3


async def test_several_tokens_live_at_once(sandbox, v2):
    first, second = await v2.token(), await v2.token()
    assert first != second
    sandbox.advance(600)
    assert (await v2.sync(first, LEAD)).status_code == 200
    sandbox.advance(600)

    assert (await v2.sync(first, LEAD)).status_code == 200
    assert (await v2.sync(second, LEAD)).status_code == 401


async def test_revoked_tokens_are_refused(sandbox, v2):
    token = await v2.token()
    sandbox.revoke_tokens()

    assert (await v2.sync(token, LEAD)).status_code == 401
    assert (await v2.sync(await v2.token(), LEAD)).status_code == 200


@pytest.mark.parametrize(("setting", "status"), [("401", 401), ("403", 403), ("200", 200)])
async def test_response_to_a_stale_token(in_process, setting, status):
    with Sandbox(expired_token_response=setting) as sandbox:
        response = await in_process(sandbox).http.post(
            "/v2/lead/delayedSync", json=LEAD, headers={"Token": "stale"}
        )

        assert response.status_code == status
        assert response.json()["code"] == 401
        assert sandbox.contents()["pending"] == 0


async def test_the_ttl_is_a_setting(in_process):
    with Sandbox(token_ttl=0.5) as sandbox:
        http = in_process(sandbox).http
        issued = await http.get("/v2/auth/getToken", headers={"Authorization": sandbox.api_key})
        sandbox.advance(0.6)
        response = await http.post(
            "/v2/lead/delayedSync", json=LEAD, headers={"Token": issued.json()["token"]}
        )

        assert issued.json()["ttl"] == "0.5"
        assert response.status_code == 401


async def test_a_lead_is_processed_after_the_delay(in_process):
    with Sandbox(processing_delay=60) as sandbox:
        v1 = in_process(sandbox)
        response = await v1.http.get("/v2/auth/getToken", headers={"Authorization": sandbox.api_key})
        headers = {"Token": response.json()["token"]}
        await v1.http.post("/v2/lead/delayedSync", json=LEAD, headers=headers)

        assert sandbox.lead("a@example.com") is None
        assert sandbox.contents()["pending"] == 1
        sandbox.advance(59)
        assert (await v1("getLead", email="a@example.com")).findtext("status") == "9015"
        sandbox.advance(1.5)
        found = await v1("getLead", email="a@example.com")
        assert found.findtext("leads/lead/firstName") == "Anna"
        assert sandbox.contents()["pending"] == 0


async def test_the_lead_bears_the_time_it_was_due(in_process, v2):
    sandbox = v2.sandbox
    await v2.sync(await v2.token(), LEAD)
    sandbox.advance(86_400)

    created = sandbox.lead("a@example.com")["createdDate"]

    assert created < sandbox.clock.text(seconds_ago=80_000)


async def test_process_now_empties_the_queue(sandbox, v2):
    token = await v2.token()
    for number in range(3):
        await v2.sync(token, {"leadInfo": {"email": f"{number}@example.com"}})

    assert sandbox.process_now() == 3
    assert sandbox.process_now() == 0
    assert len(sandbox.leads()) == 3


async def test_the_email_finds_the_lead_and_order_is_kept(sandbox, v2):
    sandbox.seed(leads=[{"email": "A@example.com", "city": "Lund", "carColor": "Red", "carMaker": "Saab"}])
    token = await v2.token()
    for name in ("first", "second", "third"):
        await v2.sync(
            token,
            {
                "leadInfo": {"email": "a@example.com", "firstName": name},
                "leadCustomField": {"carColor": name},
            },
        )
    sandbox.process_now()

    (lead,) = sandbox.leads()
    assert (lead["firstName"], lead["city"]) == ("third", "Lund")
    assert (lead["carColor"], lead["carMaker"]) == ("third", "Saab")


async def test_values_of_any_simple_type(sandbox, v2):
    info = {
        "Email": "a@example.com",
        "score": 12,
        "doNotCall": True,
        "isCustomer": False,
        "revenue": None,
        "crmLeadId": 12387,
        "NOTES": 'é "漢" \n',
    }
    await v2.sync(await v2.token(), {"leadInfo": info, "leadCustomField": {"count": 3, "share": 0.5}})
    sandbox.process_now()

    lead = sandbox.lead("a@example.com")
    names = ("score", "doNotCall", "isCustomer", "revenue", "crmLeadId", "notes", "count", "share")
    assert [lead[name] for name in names] == ["12", "1", "0", "", "12387", 'é "漢" \n', "3", "0.5"]


@pytest.mark.parametrize(
    ("document", "email", "reason"),
    [
        ({}, "", "leadInfo is required"),
        ({"leadInfo": []}, "", "leadInfo is required"),
        ({"leadInfo": {"firstName": "Anna"}}, "", "Email is required"),
        ({"leadInfo": {"email": "bad"}}, "bad", "Email address is invalid"),
        (
            {"leadInfo": {"email": "a@example.com", "score": "ten", "suspended": "yes"}},
            "a@example.com",
            "Score (ten) must be a valid integer; Suspended (yes) must be 0 or 1",
        ),
        (
            {"leadInfo": {"email": "a@example.com", "notes": []}},
            "",
            "notes must be a string, a number or a boolean",
        ),
        (
            {"leadInfo": {"email": "a@example.com"}, "leadCustomField": ["x"]},
            "",
            "leadCustomField must be an object",
        ),
        (
            {"leadInfo": {"email": "a@example.com"}, "leadCustomField": {"car color": "x"}},
            "a@example.com",
            "Unsupported custom tag (car color)",
        ),
        (
            {"leadInfo": {"email": "a@example.com", "carColor": "Red"}},
            "a@example.com",
            "Unsupported custom tag (carColor)",
        ),
    ],
)
async def test_everything_well_formed_is_accepted_and_refused_later(sandbox, v2, document, email, reason):
    response = await v2.sync(await v2.token(), document)

    assert response.json() == {"status": "success", "code": 200}
    sandbox.process_now()
    assert sandbox.leads() == []
    (rejection,) = sandbox.contents()["rejections"]
    assert (rejection["email"], rejection["reason"]) == (email, reason)


async def test_several_leads_with_the_email_are_refused(sandbox, v2):
    sandbox.seed(leads=[{"email": "a@example.com"}, {"email": "a@example.com"}])
    await v2.sync(await v2.token(), LEAD)
    sandbox.process_now()

    (rejection,) = sandbox.contents()["rejections"]
    assert rejection["reason"] == "Several leads match the unicity key"


async def test_names_are_matched_with_case_if_set(in_process):
    with Sandbox(match_v2_names_ignoring_case=False) as sandbox:
        sandbox.publitrac.queue.accept({"leadInfo": {"Email": "a@example.com"}})
        sandbox.process_now()

        assert sandbox.leads() == []
        assert len(sandbox.contents()["rejections"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b'{"leadInfo": {"email": "a@example.com" "firstName": "Anna"}}',
        b"{'leadInfo': {'email': 'a@example.com'}}",
        b'{"leadInfo": {"email": "a@example.com", "score": NaN}}',
        b'{"leadInfo": {"email": "a@example.com", "notes": "\\ud800"}}',
        b'{"leadInfo": {"email": "a@example.com", "notes": "\xff"}}',
        b"[1, 2]",
        b'"text"',
        b"[" * 100_000,
    ],
    ids=lambda body: body[:30].decode("latin-1"),
)
async def test_malformed_json_is_refused(sandbox, v2, http, body):
    response = await http.post("/v2/lead/delayedSync", headers={"Token": await v2.token()}, content=body)

    assert response.status_code == 400
    assert response.json()["status"] == "error"
    assert sandbox.contents()["pending"] == 0


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("POST", "/v2/auth/getToken", 405),
        ("GET", "/v2/lead/delayedSync", 405),
        ("GET", "/v2/lead/sync", 404),
        ("GET", "/v2/", 404),
    ],
)
async def test_other_routes_get_404_or_405(http, verb, path, status):
    response = await http.request(verb, path)

    assert response.status_code == status
    assert response.json()["code"] == status
