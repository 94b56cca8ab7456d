"""getLeadByTokenId, addLead, updateLead, deleteLead: documented by their errors (Codes d'erreurs)."""

from __future__ import annotations

import pytest

TOKEN = "_nl-publi-page.com-1282527313351-84730"
DATE = "dateOfBirth (x) must be yyyy-mm-dd or yyyy-mm-dd hh:mm:ss"
EMAIL = "for xml lead->email (a@example.com) "


def request(inner: str) -> str:
    return f"<request><lead>{inner}</lead></request>"


class TestGetLeadByTokenId:
    @pytest.mark.parametrize("parameter", ["tokenId", "tokId", "token"])
    async def test_a_lead_is_found_by_its_cookie(self, sandbox, v1, parameter):
        sandbox.seed(leads=[{"email": "a@example.com", "token": TOKEN}])

        response = await v1("getLeadByTokenId", **{parameter: TOKEN})

        assert response.findtext("status") == "2002"
        assert response.findtext("message") == "getLeadByTokenId success."
        assert response.findtext("leads/lead/email") == "a@example.com"
        assert response.find("paging") is None

    @pytest.mark.parametrize(
        ("token", "expected"),
        [
            ("", "Tok Id is required"),
            ("nonsense", "Tok Id is invalid"),
            (TOKEN[:-1], "Tok Id is invalid"),
            (f"_nl-{'x' * 77}-1282527313351-84730", "Tok Id is invalid"),
            (TOKEN, "9005 - lead not found"),
        ],
    )
    async def test_invalid_cookies_are_refused_with_reasons(self, v1, errors, token, expected):
        response = await v1("getLeadByTokenId", tokenId=token)

        assert response.findtext("status") == "9015"
        assert response.findtext("message") == "getLeadByTokenId failed."
        assert errors(response) == [expected]


class TestAddLead:
    async def test_add_lead_creates_a_lead(self, sandbox, v1):
        response = await v1("addLead", request("<email>a@example.com</email><city>Lund</city>"))

        assert (response.findtext("status"), response.findtext("message")) == (
            "2003",
            "Create new lead success.",
        )
        assert sandbox.lead("a@example.com")["city"] == "Lund"
        assert sandbox.journal.count(method="addLead", key="a@example.com", applied=True) == 1

    async def test_existing_leads_are_refused(self, sandbox, v1, errors):
        sandbox.seed(leads=[{"email": "A@example.com"}])

        response = await v1("addLead", request("<email>a@example.com</email><city>Lund</city>"))

        assert (response.findtext("status"), response.findtext("message")) == (
            "9016",
            "Create new lead have errors.",
        )
        assert errors(response) == [
            "9004 - Lead with email address a@example.com already exists, please use the updateLead() call."
        ]
        assert sandbox.lead("a@example.com")["city"] == ""

    @pytest.mark.parametrize(
        ("inner", "expected"),
        [
            ("", "9001 - Email is required for xml (lead no email no crm id)"),
            ("<crmLeadId>7</crmLeadId>", "9001 - Email is required for xml lead->crmId (7) "),
            ("<email>bad</email>", "9002 - Email address is invalid for xml lead->email (bad) "),
            (
                "<email>a@example.com</email><score>x</score>",
                f"9006 - Score (x) must be a valid integer {EMAIL}",
            ),
            (
                "<email>a@example.com</email><dateOfBirth>x</dateOfBirth>",
                f"{DATE} lead a@example.com was not created",
            ),
        ],
    )
    async def test_invalid_leads_are_refused(self, sandbox, v1, errors, inner, expected):
        response = await v1("addLead", request(inner))

        assert response.findtext("status") == "9016"
        assert errors(response) == [expected]
        assert sandbox.leads() == []

    async def test_needs_a_lead(self, v1, errors):
        assert errors(await v1("addLead", "<request/>")) == ["lead is required"]


class TestUpdateLead:
    async def test_changes_only_the_fields_that_are_sent(self, sandbox, v1):
        sandbox.seed(leads=[{"email": "a@example.com", "city": "Lund", "state": "Skåne"}])

        response = await v1("updateLead", request("<email>a@example.com</email><city>Malmö</city>"))

        assert (response.findtext("status"), response.findtext("message")) == (
            "2004",
            "Leads updated successfully.",
        )
        lead = sandbox.lead("a@example.com")
        assert (lead["city"], lead["state"]) == ("Malmö", "Skåne")

    @pytest.mark.parametrize(
        ("inner", "expected"),
        [
            ("<email>b@example.com</email>", "9005 - Lead (b@example.com) does not exist."),
            (
                "<email>a@example.com</email><revenue>x</revenue>",
                f"9006 - Revenue (x) must be a valid integer {EMAIL}",
            ),
            ("<crmLeadId>7</crmLeadId>", "9001 - Email is required for xml lead->email () "),
            (
                "<email>a@example.com</email><dateOfBirth>x</dateOfBirth>",
                DATE,
            ),
        ],
    )
    async def test_invalid_updates_are_refused_with_reasons(self, sandbox, v1, errors, inner, expected):
        sandbox.seed(leads=[{"email": "a@example.com", "crmLeadId": "7"}])
        before = sandbox.leads()

        response = await v1("updateLead", request(inner))

        assert (response.findtext("status"), response.findtext("message")) == (
            "9017",
            "Update Lead contain error",
        )
        assert errors(response) == [expected]
        assert sandbox.leads() == before


class TestDeleteLead:
    async def test_removes_the_lead_and_its_dependent_records(self, sandbox, v1):
        sandbox.seed(
            leads=[{"email": "a@example.com", "crmLeadId": "7"}, {"email": "b@example.com"}],
            lists=[{"name": "L", "leads": ["a@example.com", "b@example.com"]}],
            opportunities=[{"Name": "O", "leads": ["7"]}],
        )

        response = await v1("deleteLead", email="a@example.com")

        assert response.findtext("status") == "2005"
        contents = sandbox.contents()
        assert [lead["email"] for lead in contents["leads"]] == ["b@example.com"]
        assert contents["lists"] == [{"name": "L", "leads": ["b@example.com"]}]
        assert contents["opportunities"][0]["leads"] == []

    async def test_the_email_may_stand_in_xml(self, sandbox, v1):
        sandbox.seed(leads=[{"email": "a@example.com"}])

        await v1("deleteLead", request("<email>a@example.com</email>"))

        assert sandbox.leads() == []

    async def test_ids_are_not_used_again(self, sandbox, v1):
        sandbox.seed(leads=[{"email": "a@example.com"}])
        first = sandbox.lead("a@example.com")["id"]
        await v1("deleteLead", email="a@example.com")
        sandbox.seed(leads=[{"email": "a@example.com"}])

        assert sandbox.lead("a@example.com")["id"] != first

    @pytest.mark.parametrize(
        ("email", "expected"),
        [
            ("a@example.com", "9005 - Lead (a@example.com) does not exist."),
            ("", "9005 - Lead email address is required"),
        ],
    )
    async def test_unknown_leads_cannot_be_deleted(self, v1, errors, email, expected):
        response = await v1("deleteLead", email=email)

        assert response.findtext("status") == "9000"
        assert errors(response) == [expected]
