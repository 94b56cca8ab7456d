"""Campaigns, opportunities and transactions (PUBLITRAC API reference)."""

from __future__ import annotations

import json

import httpx
import pytest

from publitrac_async.sandbox import Sandbox


def execute(emails: list[str], names: list[str]) -> str:
    leads = "".join(f"<lead><email>{email}</email></lead>" for email in emails)
    campaigns = "".join(f"<campaign><name>{name}</name></campaign>" for name in names)
    return f"<request><leads>{leads}</leads><campaigns>{campaigns}</campaigns></request>"


def entries(sandbox: Sandbox) -> dict[str, list[str]]:
    return {campaign["Name"]: campaign["entries"] for campaign in sandbox.contents()["campaigns"]}


class TestGetCampaigns:
    async def test_pages_without_paging(self, in_process):
        with Sandbox(page_size=2) as sandbox:
            sandbox.seed(campaigns=["one", "two", "three"])
            v1 = in_process(sandbox)

            pages = [await v1("getCampaigns", page=str(number)) for number in (1, 2, 3)]

            names = [[found.findtext("Name") for found in page.iter("campaign")] for page in pages]
            assert names == [["one", "two"], ["three"], []]
            assert [child.tag for child in pages[2]] == ["status", "message"]

    async def test_defaults_of_a_seeded_name(self, sandbox, v1):
        sandbox.seed(campaigns=["one"])

        (campaign,) = (await v1("getCampaigns")).iter("campaign")

        assert campaign.findtext("CampaignType") == "CAMPAIGNTRACKING"
        token = campaign.findtext("Token")
        assert token.startswith("CMP-")
        seconds = int(token.removeprefix("CMP-")[:8], 16)
        assert abs(seconds - sandbox.clock.timestamp()) < 60
        assert len(token) == 17


class TestExecuteCampaign:
    @pytest.fixture
    def campaigns(self, sandbox):
        sandbox.seed(leads=[{"email": "a@example.com"}, {"email": "b@example.com"}], campaigns=["X", "Y"])
        return sandbox

    async def test_every_lead_into_every_campaign_once(self, campaigns, v1):
        await v1(
            "executeCampaign",
            execute(["b@example.com", "a@example.com", "B@example.com", "b@example.com"], ["X", "Y", "X"]),
        )

        expected = ["b@example.com", "a@example.com"]
        assert entries(campaigns) == {"X": expected, "Y": expected}

    async def test_every_call_counts(self, campaigns, v1):
        for _ in range(2):
            await v1("executeCampaign", execute(["a@example.com"], ["X"]))

        assert entries(campaigns)["X"] == ["a@example.com"] * 2

    async def test_only_the_first_lead_with_an_email(self, campaigns, v1):
        campaigns.seed(leads=[{"email": "a@example.com", "city": "second"}])

        await v1("executeCampaign", execute(["a@example.com"], ["X"]))

        assert entries(campaigns)["X"] == ["a@example.com"]

    @pytest.mark.parametrize(
        ("emails", "names", "expected"),
        [
            (["a@example.com", "x@example.com"], ["X"], ["9005 - Lead (x@example.com) does not exist."]),
            (["a@example.com"], ["X", "Z"], ["Campaign (Z) does not exist."]),
            ([], [], ["lead is required", "campaign is required"]),
            ([""], ["X"], ["9005 - Lead email address is required"]),
        ],
    )
    async def test_all_or_nothing(self, campaigns, v1, errors, emails, names, expected):
        response = await v1("executeCampaign", execute(emails, names))

        assert response.findtext("status") == "9000"
        assert errors(response) == expected
        assert entries(campaigns) == {"X": [], "Y": []}


def email_campaign(name: str, emails: list[str], extra: str = "") -> str:
    leads = "".join(f"<lead><email>{email}</email>{extra}</lead>" for email in emails)
    return (
        f"<request><information><name>{name}</name></information>"
        f"<email><subject>S</subject></email><leads>{leads}</leads></request>"
    )


class TestAddEmailCampaign:
    async def test_a_known_campaign_is_used_again(self, sandbox, v1):
        sandbox.seed(leads=[{"email": "a@example.com", "city": "Lund"}])
        await v1("addEmailCampaign", email_campaign("N", ["a@example.com"]))
        await v1("addEmailCampaign", email_campaign("n", ["b@example.com", "a@example.com"]))

        contents = sandbox.contents()
        assert entries(sandbox) == {"N": ["a@example.com", "b@example.com", "a@example.com"]}
        assert contents["lists"] == [{"name": "N", "leads": ["a@example.com", "b@example.com"]}]
        assert [email["recipients"] for email in contents["emails"]] == [
            ["a@example.com"],
            ["b@example.com", "a@example.com"],
        ]
        assert sandbox.lead("a@example.com")["city"] == "Lund"

    async def test_get_works_too(self, sandbox, http, v1):
        xml = email_campaign("N", ["a@example.com"])
        response = await http.get(
            "/api", params={"method": "addEmailCampaign", **v1.credentials, "query": xml}
        )

        assert b"<status>2001</status>" in response.content
        assert entries(sandbox) == {"N": ["a@example.com"]}

    async def test_it_is_no_follow_up_campaign(self, v1):
        await v1("addEmailCampaign", email_campaign("N", ["a@example.com"]))

        assert (await v1("getCampaigns")).find("campaign") is None

    async def test_one_call_takes_50_leads(self, sandbox, v1):
        emails = [f"{number}@example.com" for number in range(50)]

        response = await v1("addEmailCampaign", email_campaign("x" * 49, emails))

        assert response.findtext("status") == "2001"
        assert len(sandbox.leads()) == 50

    @pytest.mark.parametrize(
        ("xml", "expected"),
        [
            (
                email_campaign("N", [f"{number}@example.com" for number in range(51)]),
                ["A maximum of 50 leads can be executed by call"],
            ),
            (
                email_campaign("x" * 50, ["a@example.com"]),
                ["The campaign name must contain less than 50 characters"],
            ),
            (email_campaign("", ["a@example.com"]), ["name is required"]),
            (email_campaign("N", []), ["lead is required"]),
            (
                "<request><information><name>N</name></information></request>",
                ["email is required", "lead is required"],
            ),
            (
                email_campaign("N", ["a@example.com", "bad"]),
                ["9002 - Email address is invalid for xml lead->email (bad) "],
            ),
            (
                email_campaign("N", ["a@example.com"], "<score>x</score>"),
                ["9006 - Score (x) must be a valid integer for xml lead->email (a@example.com) "],
            ),
            (
                email_campaign("N", ["a@example.com", "twice@example.com"]),
                ["Several leads match the unicity key"],
            ),
            (email_campaign("View", ["a@example.com"]), ["9012 - List (View) is a filtered list."]),
        ],
    )
    async def test_errors_leave_nothing_behind(self, sandbox, v1, errors, xml, expected):
        sandbox.seed(
            leads=[{"email": "twice@example.com"}, {"email": "twice@example.com"}],
            views=[{"name": "View", "queries": []}],
        )
        before = sandbox.contents()

        response = await v1("addEmailCampaign", xml)

        assert response.findtext("status") == "9000"
        assert errors(response) == expected
        assert sandbox.contents() == before


def opportunity(**changes: str | None) -> str:
    fields = {
        "id": "O1",
        "name": "Deal",
        "salesStage": "Prospecting",
        "amount": "100",
        "probability": "50",
    } | changes
    leads = fields.pop("leads", "7")
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items() if value is not None)
    ids = "".join(f"<leadId>{lead}</leadId>" for lead in (leads or "").split())
    return f"<request><opportunity>{inner}<leads>{ids}</leads></opportunity></request>"


class TestOpportunities:
    @pytest.fixture
    def crm(self, sandbox):
        sandbox.seed(leads=[{"email": "a@example.com", "crmLeadId": "7"}, {"crmLeadId": "8"}])
        return sandbox

    async def test_the_id_decides(self, crm, v1):
        await v1("syncOpportunity", opportunity(description="first", leads="7 8"))
        created = crm.contents()["opportunities"][0]
        crm.advance(3600)
        await v1("syncOpportunity", opportunity(name="Better deal", leads="8"))
        await v1("syncOpportunity", opportunity(id="O2"))

        first, second = crm.contents()["opportunities"]
        assert (first["Name"], first["Description"], first["leads"]) == ("Better deal", "first", ["8"])
        assert first["Created_Date"] == created["Created_Date"] < first["Last_Updated"]
        assert (second["External_id"], second["leads"]) == ("O2", ["7"])
        assert crm.journal.count(method="syncOpportunity", key="O1") == 2

    async def test_all_sales_stages(self, crm, v1):
        stages = ["Needs Analysis", "Value Proposition", "Id. Decision Makers", "Perception Analysis"]
        stages += ["Proposal/Price Quote", "Negotiation/Review", "Qualification", "Prospecting"]
        for stage in stages:
            response = await v1("syncOpportunity", opportunity(salesStage=stage))
            assert response.findtext("status") == "5002"
        for stage in ("Closed Won", "Closed Lost"):
            response = await v1("syncOpportunity", opportunity(salesStage=stage, dateClosed="2012-08-20"))
            assert response.findtext("status") == "5002"

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"id": None}, ["9003 - External id is not defined"]),
            ({"name": "", "salesStage": None}, ["name is required", "salesStage is required"]),
            ({"salesStage": "Won"}, ["salesStage (Won) is invalid"]),
            ({"amount": "9.5"}, ["9006 - Amount (9.5) must be a valid integer"]),
            ({"amount": None}, ["9006 - Amount () must be a valid integer"]),
            ({"salesStage": "Closed Won"}, ["dateClosed is required"]),
            ({"dateClosed": "2012/08/20"}, ["dateClosed (2012/08/20) must be yyyy-mm-dd"]),
            ({"probability": "0"}, ["probability (0) must be an integer from 1 to 100"]),
            ({"probability": "101"}, ["probability (101) must be an integer from 1 to 100"]),
            ({"probability": None}, ["probability () must be an integer from 1 to 100"]),
            ({"leads": "7 9"}, ["9005 - Lead (9) does not exist."]),
            ({"leads": ""}, ["leads is required"]),
            ({"stage": "x"}, ["Unknown element (stage)"]),
        ],
    )
    async def test_invalid_opportunities_are_refused_with_reasons(self, crm, v1, errors, changes, expected):
        response = await v1("syncOpportunity", opportunity(**changes))

        assert response.findtext("status") == "9000"
        assert errors(response) == expected
        assert crm.contents()["opportunities"] == []

    async def test_needs_an_opportunity(self, v1, errors):
        assert errors(await v1("syncOpportunity", "<request/>")) == ["opportunity is required"]

    async def test_pages_of_200(self, sandbox, v1):
        sandbox.seed(opportunities=[{"External_id": str(number)} for number in range(201)])

        first, second = [await v1("getOpportunities", page=page) for page in ("1", "2")]

        assert len(list(first.iter("opportunity"))) == 200
        assert [found.findtext("External_id") for found in second.iter("opportunity")] == ["200"]
        assert second.findtext("paging/page").strip() == "2"
        assert second.findtext("paging/page") != "2"
        assert (second.findtext("paging/offset"), second.findtext("paging/total")) == ("200", "201")


DOCUMENT = {"id": "1", "token": "accountToken", "email": "a@example.com", "total": "40", "items": []}


class TestTransaction:
    async def send(self, http: httpx.AsyncClient, document: object, **changes: str) -> httpx.Response:
        text = document if isinstance(document, str) else json.dumps(document)
        parameters = {"transaction": text, "token": "accountToken", "email": "a@example.com"} | changes
        return await http.post("/ecommerce/transaction", data=parameters)

    async def test_the_same_id_is_an_update(self, sandbox, http):
        sandbox.seed(leads=[{"email": "a@example.com"}])
        for total in ("40", "50"):
            response = await self.send(http, {**DOCUMENT, "total": total})
            assert response.status_code == 200

        (transaction,) = sandbox.contents()["transactions"]
        assert transaction["total"] == "50"
        assert "token" not in transaction
        assert sandbox.journal.count(method="transaction", key="a@example.com", applied=True) == 2

    @pytest.mark.parametrize(
        ("document", "changes", "status"),
        [
            (DOCUMENT, {"token": "wrong"}, 401),
            (DOCUMENT, {"email": "b@example.com"}, 400),
            ({**DOCUMENT, "email": "x@example.com"}, {"email": "x@example.com"}, 404),
            ({**DOCUMENT, "token": "other"}, {}, 400),
            ({**DOCUMENT, "id": ""}, {}, 400),
            ({**DOCUMENT, "total": 40}, {}, 400),
            ({**DOCUMENT, "items": [{"price": 10}]}, {}, 400),
            ({**DOCUMENT, "items": "none"}, {}, 400),
            ({**DOCUMENT, "info": "\ud800"}, {}, 400),
            ("nonsense", {}, 400),
            ([], {}, 400),
        ],
    )
    async def test_invalid_transactions_are_refused(self, sandbox, http, document, changes, status):
        sandbox.seed(leads=[{"email": "a@example.com"}])

        response = await self.send(http, document, **changes)

        assert response.status_code == status
        assert sandbox.contents()["transactions"] == []

    async def test_transactions_take_post_only(self, http):
        response = await http.get("/ecommerce/transaction")

        assert (response.status_code, response.headers["allow"]) == (405, "POST")

    async def test_the_path_and_the_token_are_settings(self, in_process):
        with Sandbox(transaction_path="/shop", account_token="mine") as sandbox:
            sandbox.seed(leads=[{"email": "a@example.com"}])
            response = await in_process(sandbox).http.post(
                "/shop",
                data={
                    "transaction": json.dumps({**DOCUMENT, "token": "mine"}),
                    "token": "mine",
                    "email": "a@example.com",
                },
            )

            assert response.status_code == 200
