"""syncLead: unicity, options, refusals (PUBLITRAC API reference, Sync Lead and Codes d'erreurs)."""

from __future__ import annotations

import pytest

from publitrac_async.sandbox import Sandbox

TOKEN = "_nl-example.com-1282527313351-84730"


def request(fields: dict[str, str], options: str = "", custom: dict[str, str] | None = None) -> str:
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    if custom is not None:
        inner += "<customFields>"
        inner += "".join(f"<{name}>{value}</{name}>" for name, value in custom.items())
        inner += "</customFields>"
    return f"<request>{options}<lead>{inner}</lead></request>"


async def test_the_email_decides_by_default(sandbox, v1):
    await v1("syncLead", request({"email": "a@example.com", "firstName": "Anna", "crmLeadId": "1"}))
    await v1("syncLead", request({"email": "A@EXAMPLE.com", "lastName": "Ek", "crmLeadId": "2"}))

    (lead,) = sandbox.leads()
    assert (lead["firstName"], lead["lastName"], lead["crmLeadId"]) == ("Anna", "Ek", "2")
    assert lead["originalSourceType"] == "Direct"
    assert lead["status"] == "Active"


async def test_dates_follow_the_clock(sandbox, v1):
    await v1("syncLead", request({"email": "a@example.com"}))
    created = sandbox.lead("a@example.com")
    sandbox.advance(86_400)
    await v1(
        "syncLead", request({"email": "a@example.com", "createdDate": "1999-01-01 00:00:00", "id": "99"})
    )
    updated = sandbox.lead("a@example.com")

    assert created["createdDate"] == created["lastUpdated"] == updated["createdDate"]
    assert updated["lastUpdated"] > created["lastUpdated"]
    assert updated["id"] == created["id"]


async def test_empty_elements_clear(sandbox, v1):
    full = {"email": "a@example.com", "company": "ACME", "score": "9", "unsubscribed": "1", "revenue": "5"}
    await v1("syncLead", request(full, custom={"carColor": "Red", "carMaker": "Saab"}))

    emptied = dict.fromkeys(full, "") | {"email": "a@example.com"}
    await v1("syncLead", request(emptied, custom={"carColor": ""}))

    lead = sandbox.lead("a@example.com")
    assert {name: lead[name] for name in full if name != "email"} == {
        "company": "",
        "score": "0",
        "unsubscribed": "0",
        "revenue": "",
    }
    assert (lead["carColor"], lead["carMaker"]) == ("", "Saab")


async def test_empty_elements_can_be_ignored(in_process):
    with Sandbox(empty_element="ignored") as sandbox:
        sandbox.seed(leads=[{"email": "a@example.com", "company": "ACME", "carColor": "Red"}])
        sync = request({"email": "a@example.com", "company": ""}, custom={"carColor": ""})

        await in_process(sandbox)("syncLead", sync)

        lead = sandbox.lead("a@example.com")
        assert (lead["company"], lead["carColor"]) == ("ACME", "Red")


class TestUseToken:
    OPTION = "<useToken>true</useToken>"

    async def test_finds_an_anonymous_visitor(self, sandbox, v1):
        sandbox.seed(leads=[{"token": TOKEN, "isAnonymous": 1, "keyword": "cars"}])

        await v1("syncLead", request({"email": "a@example.com", "token": TOKEN}, self.OPTION))

        (lead,) = sandbox.leads()
        assert (lead["email"], lead["isAnonymous"], lead["keyword"]) == ("a@example.com", "0", "cars")

    async def test_changes_the_email_of_a_known_lead(self, sandbox, v1):
        sandbox.seed(leads=[{"email": "old@example.com", "token": TOKEN}])

        await v1("syncLead", request({"email": "new@example.com", "token": TOKEN}, self.OPTION))

        assert [lead["email"] for lead in sandbox.leads()] == ["new@example.com"]
        assert sandbox.lead("old@example.com") is None
        assert sandbox.lead("new@example.com") is not None

    async def test_creates_when_no_lead_has_the_token(self, sandbox, v1):
        sandbox.seed(leads=[{"email": "a@example.com"}])

        await v1("syncLead", request({"email": "a@example.com", "token": TOKEN}, self.OPTION))

        assert len(sandbox.leads()) == 2

    async def test_needs_the_token(self, v1, errors):
        response = await v1("syncLead", request({"email": "a@example.com", "token": ""}, self.OPTION))

        assert response.findtext("status") == "9018"
        assert errors(response) == ["Token is required for useToken"]

    @pytest.mark.parametrize("value", ["0", "false", "", "no"])
    async def test_other_values_mean_no(self, sandbox, v1, value):
        sandbox.seed(leads=[{"email": "old@example.com", "token": TOKEN}])

        await v1(
            "syncLead", request({"email": "a@example.com", "token": TOKEN}, f"<useToken>{value}</useToken>")
        )

        assert len(sandbox.leads()) == 2


class TestMergeAnonymous:
    OPTION = "<useToken>0</useToken><mergeAnonymous>1</mergeAnonymous>"

    async def test_swallows_the_visitor(self, sandbox, v1):
        sandbox.seed(leads=[{"email": "a@example.com"}, {"token": TOKEN, "isAnonymous": 1}])

        await v1("syncLead", request({"email": "a@example.com", "token": TOKEN}, self.OPTION))

        (lead,) = sandbox.leads()
        assert (lead["email"], lead["token"]) == ("a@example.com", TOKEN)

    async def test_leaves_other_leads_with_the_token_alone(self, sandbox, v1):
        sandbox.seed(leads=[{"email": "known@example.com", "token": TOKEN}])

        await v1("syncLead", request({"email": "a@example.com", "token": TOKEN}, self.OPTION))

        assert len(sandbox.leads()) == 2

    async def test_needs_the_token(self, v1, errors):
        response = await v1("syncLead", request({"email": "a@example.com"}, self.OPTION))

        assert errors(response) == ["Token is required for mergeAnonymous"]


class TestCustomUnicityKeys:
    SHAPES = (
        "<customUnicityKeys><key>email</key><key>crmLeadId</key></customUnicityKeys>",
        "<customUnicityKeys><email/><crmLeadId>7</crmLeadId></customUnicityKeys>",
        "<customUnicityKeys>email, crmLeadId</customUnicityKeys>",
        "<customUnicityKeys>email</customUnicityKeys><customUnicityKeys>crmLeadId</customUnicityKeys>",
    )

    @pytest.mark.parametrize("keys", SHAPES)
    async def test_all_keys_must_match_one_lead(self, sandbox, v1, keys):
        sandbox.seed(
            leads=[
                {"email": "a@example.com", "crmLeadId": "6"},
                {"email": "a@example.com", "crmLeadId": "7"},
            ]
        )

        await v1(
            "syncLead",
            # useToken ranks lower and is not used.
            request(
                {"email": "a@example.com", "crmLeadId": "7", "city": "Lund"},
                f"<useToken>1</useToken>{keys}",
            ),
        )

        assert [lead["city"] for lead in sandbox.leads()] == ["", "Lund"]

    async def test_custom_fields_can_be_keys(self, sandbox, v1):
        sandbox.seed(leads=[{"email": "old@example.com", "memberNumber": "7"}])
        keys = "<customUnicityKeys><key>memberNumber</key></customUnicityKeys>"

        await v1("syncLead", request({"email": "new@example.com"}, keys, {"memberNumber": "7"}))

        assert [lead["email"] for lead in sandbox.leads()] == ["new@example.com"]

    async def test_empty_values_are_refused(self, sandbox, v1, errors):
        keys = "<customUnicityKeys><key>crmLeadId</key><key>firstName</key></customUnicityKeys>"

        response = await v1("syncLead", request({"email": "a@example.com", "crmLeadId": ""}, keys))

        assert errors(response) == [
            f"9003 - External id is not defined {EMAIL}",
            "The unicity key firstName is empty",
        ]
        assert sandbox.leads() == []


async def test_several_matches_are_refused(sandbox, v1, errors):
    sandbox.seed(leads=[{"email": "a@example.com"}, {"email": "A@example.com"}])

    response = await v1("syncLead", request({"email": "a@example.com", "city": "Lund"}))

    assert response.findtext("status") == "9018"
    assert errors(response) == ["Several leads match the unicity key"]
    assert [lead["city"] for lead in sandbox.leads()] == ["", ""]


EMAIL = "for xml lead->email (a@example.com) "
CRM = "for xml lead->crmId (7) "


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"crmLeadId": "7"}, [f"9001 - Email is required {CRM}"]),
        ({}, ["9001 - Email is required for xml (lead no email no crm id)"]),
        ({"email": "nonsense"}, ["9002 - Email address is invalid for xml lead->email (nonsense) "]),
        (
            {"email": "a@example.com", "score": "ten", "nbrEmployees": "4.5", "revenue": "1e6"},
            [
                f"9006 - Score (ten) must be a valid integer {EMAIL}",
                f"9006 - NbrEmployees (4.5) must be a valid integer {EMAIL}",
                f"9006 - Revenue (1e6) must be a valid integer {EMAIL}",
            ],
        ),
        (
            {
                "email": "a@example.com",
                "doNotCall": "true",
                "unsubscribed": "2",
                "isCustomer": "yes",
                "isAnonymous": "-1",
                "emailInvalid": "no",
                "suspended": "00",
                "blacklisted": " 1",
            },
            [
                f"9007 - DoNotCall (true) must be 0 or 1 {EMAIL}",
                f"9007 - Unsubscribed (2) must be 0 or 1 {EMAIL}",
                f"9007 - IsCustomer (yes) must be 0 or 1 {EMAIL}",
                f"9007 - isAnonymous (-1) must be 0 or 1 {EMAIL}",
                f"9007 - emailInvalid (no) must be 0 or 1 {EMAIL}",
                f"9007 - Suspended (00) must be 0 or 1 {EMAIL}",
                f"9007 - Blacklisted ( 1) must be 0 or 1 {EMAIL}",
            ],
        ),
        (
            {"crmLeadId": "7", "score": "x"},
            [f"9001 - Email is required {CRM}", f"9006 - Score (x) must be a valid integer {CRM}"],
        ),
        (
            {"score": "x", "doNotCall": "x", "nbrEmployees": "x", "revenue": "x"},
            [
                "9001 - Email is required for xml (lead no email no crm id)",
                "9006 - Score (x) must be a valid integer for (lead no email no crm id)",
                "9007 - DoNotCall (x) must be 0 or 1 for (lead no email no crm id)",
                "9006 -NbrEmployees (x) must be a valid integer for (lead no email no crm id)",
                "9006 -Revenue (x) must be a valid integer for (lead no email no crm id)",
            ],
        ),
        (
            {"email": "a@example.com", "dateOfBirth": "24/12/1990"},
            [
                (
                    "dateOfBirth (24/12/1990) must be yyyy-mm-dd or yyyy-mm-dd hh:mm:ss"
                    " lead a@example.com was not created"
                )
            ],
        ),
        (
            {"email": "a@example.com", "carColor": "Red"},
            [f"9008 - Unsupported custom tag (carColor) {EMAIL}"],
        ),
    ],
)
async def test_invalid_leads_are_refused(sandbox, v1, errors, fields, expected):
    response = await v1("syncLead", request(fields))

    assert (response.findtext("status"), response.findtext("message")) == (
        "9018",
        "Leads synchronization failed.",
    )
    assert errors(response) == expected
    assert sandbox.leads() == []
    assert sandbox.journal.count(method="syncLead", applied=True) == 0


@pytest.mark.parametrize("name", ["email", "id", "customFields", "x:y"])
async def test_names_that_cannot_be_custom_fields(v1, errors, name):
    response = await v1("syncLead", request({"email": "a@example.com"}, custom={name: "x"}))

    assert errors(response) == [f"9008 - Unsupported custom tag ({name}) {EMAIL}"]


async def test_only_known_custom_fields_if_set(in_process, errors):
    with Sandbox(custom_fields=["carColor"]) as sandbox:
        v1 = in_process(sandbox)
        known = await v1("syncLead", request({"email": "a@example.com"}, custom={"carColor": "Red"}))
        unknown = await v1("syncLead", request({"email": "a@example.com"}, custom={"carColour": "Blue"}))

        assert known.findtext("status") == "2006"
        assert errors(unknown) == [f"9008 - Unsupported custom tag (carColour) {EMAIL}"]
        assert sandbox.lead("a@example.com")["carColor"] == "Red"


@pytest.mark.parametrize(
    ("email", "valid"),
    [
        ("a+b_c.d@sub.example.co.uk", True),
        ("o'neil@example.com", True),
        ("a@localhost", False),
        ("a@@example.com", False),
        ("a b@example.com", False),
        (" a@example.com", False),
        ("a@example.com ", False),
        ("a@-example.com", False),
        ("a@example..com", False),
        ("é@example.com", False),
        ("x" * 250 + "@example.com", False),
    ],
)
async def test_only_valid_email_addresses_are_synced(v1, email, valid):
    response = await v1("syncLead", request({"email": email}))

    assert (response.findtext("status") == "2006") is valid


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        ("<request></request>", ["lead is required"]),
        (
            "<request><lead><email>a@example.com</email></lead><lead></lead></request>",
            ["only one lead is accepted"],
        ),
    ],
)
async def test_one_lead_a_call(sandbox, v1, errors, xml, expected):
    response = await v1("syncLead", xml)

    assert response.findtext("status") == "9018"
    assert errors(response) == expected
    assert sandbox.leads() == []
