"""Lists, views and history (PUBLITRAC API reference and Codes d'erreurs)."""

from __future__ import annotations

import pytest

from publitrac_async.sandbox import Sandbox

FILTERED = (
    "9012 - You are trying to insert a lead inside a filtered list, "
    "this operation is only permitted on static lists."
)


@pytest.fixture
def filled(sandbox):
    sandbox.seed(
        leads=[{"email": "a@example.com", "city": "Lund"}, {"email": "b@example.com"}],
        lists=[{"name": "Static", "leads": ["a@example.com"]}],
        views=[{"name": "View", "queries": [{"field": "city", "operator": "=", "value": "Lund"}]}],
    )
    return sandbox


def members(sandbox: Sandbox, name: str = "Static") -> list[str]:
    return next(found["leads"] for found in sandbox.contents()["lists"] if found["name"] == name)


def add_leads(name: str, *emails: str) -> str:
    leads = "".join(f"<lead><email>{email}</email></lead>" for email in emails)
    return f"<request><list><name>{name}</name></list><leads>{leads}</leads></request>"


class TestRead:
    async def test_a_view_follows_its_leads(self, filled, v1):
        assert (await v1("getView", viewName="View")).findtext("paging/total") == "1"
        await v1("syncLead", "<request><lead><email>b@example.com</email><city>Lund</city></lead></request>")

        response = await v1("getView", viewName="view")

        assert [lead.findtext("email") for lead in response.iter("lead")] == [
            "a@example.com",
            "b@example.com",
        ]
        assert response.findtext("message") == "Get leads success."

    async def test_a_static_list_has_its_leads(self, filled, v1):
        response = await v1("getList", listName="Static")

        assert [lead.findtext("email") for lead in response.iter("lead")] == ["a@example.com"]
        assert (response.findtext("status"), response.findtext("message")) == ("2001", "Get list success.")

    @pytest.mark.parametrize(
        ("method", "parameters", "status", "expected"),
        [
            ("getView", {"viewName": "Nothing"}, "9010", "9010 - View (Nothing) does not exist."),
            ("getView", {"viewName": "Static"}, "9010", "9010 - View (Static) does not exist."),
            ("getView", {}, "9010", "9010 - View name is required"),
            ("getList", {"listName": "Nothing"}, "9009", "9009 - List (Nothing) does not exist."),
            ("getList", {"listName": "View"}, "9009", "9009 - List (View) does not exist."),
            ("getList", {}, "9009", "9009 - List name is required"),
        ],
    )
    async def test_unknown_lists_are_refused_with_reasons(
        self, filled, v1, errors, method, parameters, status, expected
    ):
        response = await v1(method, **parameters)

        assert response.findtext("status") == status
        assert errors(response) == [expected]


class TestAddLeadToList:
    async def test_list_and_lead_are_taken_as_parameters(self, filled, v1):
        response = await v1("addLeadToList", listName="Static", email="b@example.com")

        assert (response.findtext("status"), response.findtext("message")) == (
            "2009",
            "Add lead to list success.",
        )
        assert members(filled) == ["a@example.com", "b@example.com"]

    @pytest.mark.parametrize(
        "xml",
        [
            "<request><list><name>Static</name></list><lead><email>b@example.com</email></lead></request>",
            add_leads("Static", "b@example.com"),
        ],
    )
    async def test_list_and_lead_are_taken_as_xml(self, filled, v1, xml):
        await v1("addLeadToList", xml)

        assert members(filled) == ["a@example.com", "b@example.com"]

    async def test_twice_is_once(self, filled, v1):
        for _ in range(2):
            await v1("addLeadToList", listName="Static", email="a@example.com")

        assert members(filled) == ["a@example.com"]

    @pytest.mark.parametrize(
        ("name", "email", "expected"),
        [
            ("Nothing", "a@example.com", ["9009 - List (Nothing) does not exist."]),
            ("View", "a@example.com", [FILTERED]),
            ("Static", "c@example.com", ["9005 - Lead (c@example.com) does not exist."]),
            ("", "", ["9009 - List name is required", "9005 - Lead email address is required"]),
        ],
    )
    async def test_invalid_additions_are_refused_with_reasons(
        self, filled, v1, errors, name, email, expected
    ):
        response = await v1("addLeadToList", listName=name, email=email)

        assert (response.findtext("status"), response.findtext("message")) == (
            "9013",
            "Add lead to list failed.",
        )
        assert errors(response) == expected
        assert members(filled) == ["a@example.com"]


class TestAddLeadsToList:
    async def test_the_list_is_created(self, filled, v1):
        await v1("addLeadsToList", add_leads("New", "a@example.com", "b@example.com", "a@example.com"))

        assert members(filled, "New") == ["a@example.com", "b@example.com"]

    async def test_found_leads_are_added_when_others_are_missing(self, filled, v1, errors):
        response = await v1("addLeadsToList", add_leads("Static", "x@example.com", "b@example.com"))

        assert errors(response) == ["9005 - (x@example.com) Leads not found."]
        assert members(filled) == ["a@example.com", "b@example.com"]
        assert filled.journal.arrivals[-1].applied is True
        assert filled.journal.arrivals[-1].key == "x@example.com,b@example.com"

    async def test_nothing_is_added_if_the_setting_forbids_it(self, in_process):
        with Sandbox(partial_list_additions=False) as sandbox:
            sandbox.seed(leads=[{"email": "a@example.com"}])
            await in_process(sandbox)("addLeadsToList", add_leads("New", "a@example.com", "x@example.com"))

            assert sandbox.contents()["lists"] == []
            assert sandbox.journal.arrivals[-1].applied is False

    @pytest.mark.parametrize(
        ("xml", "expected"),
        [
            (add_leads("View", "a@example.com"), [FILTERED]),
            (add_leads("", "a@example.com"), ["9009 - List name is required"]),
            (add_leads("x" * 50, "a@example.com"), ["The list name must contain less than 50 characters"]),
            (add_leads("New"), ["lead is required"]),
            (add_leads("New", ""), ["9005 - () Leads not found."]),
        ],
    )
    async def test_invalid_additions_create_no_list(self, filled, v1, errors, xml, expected):
        response = await v1("addLeadsToList", xml)

        assert (response.findtext("status"), response.findtext("message")) == (
            "9013",
            "Add Leads To List failed.",
        )
        assert errors(response) == expected
        assert [found["name"] for found in filled.contents()["lists"]] == ["Static"]

    async def test_49_characters_are_less_than_50(self, filled, v1):
        response = await v1("addLeadsToList", add_leads("é" * 49, "a@example.com"))

        assert response.findtext("status") == "2009"


class TestRemoveLeadFromList:
    async def test_a_lead_is_removed_any_number_of_times(self, filled, v1):
        for _ in range(2):
            response = await v1("removeLeadFromList", listName="Static", email="a@example.com")
            assert (response.findtext("status"), response.findtext("message")) == (
                "2008",
                "Remove lead from list success.",
            )
        assert members(filled) == []
        assert filled.lead("a@example.com") is not None

    @pytest.mark.parametrize(
        ("name", "email", "expected"),
        [
            ("", "", ["9009 - List name is required", "9005 - Lead email address is required"]),
            ("Nothing", "x@example.com", ["9009 - List does not exist.", "9005 - Lead does not exist."]),
            ("View", "a@example.com", [FILTERED]),
        ],
    )
    async def test_invalid_removals_are_refused_with_reasons(self, filled, v1, errors, name, email, expected):
        response = await v1("removeLeadFromList", listName=name, email=email)

        assert (response.findtext("status"), response.findtext("message")) == (
            "9014",
            "Remove lead from list failed.",
        )
        assert errors(response) == expected


class TestHistory:
    VISIT = "<request><webvisitleadhistory><url>/a?b=1&amp;c=2</url></webvisitleadhistory></request>"

    async def test_every_call_appends(self, filled, v1):
        before = filled.lead("a@example.com")["lastUpdated"]
        filled.advance(3600)
        for _ in range(2):
            await v1("addWebVisitHistory", self.VISIT, email="A@example.com")

        entries = filled.contents()["history"]
        assert [entry["fields"] for entry in entries] == [{"url": "/a?b=1&c=2"}] * 2
        assert filled.lead("a@example.com")["lastUpdated"] == entries[-1]["at"] > before

    @pytest.mark.parametrize(
        ("email", "xml", "expected"),
        [
            ("", VISIT, ["9005 - Lead email address is required"]),
            ("x@example.com", VISIT, ["9005 - Lead (x@example.com) does not exist."]),
            ("x" * 38 + "@example.com", VISIT, ["Email must contain less than 50 characters"]),
            (
                "a@example.com",
                VISIT.replace("url>", "uri>"),
                ["Unknown element (uri)"],
            ),
        ],
    )
    async def test_invalid_entries_are_refused_with_reasons(self, filled, v1, errors, email, xml, expected):
        response = await v1("addWebVisitHistory", xml, email=email)

        assert (response.findtext("status"), response.findtext("message")) == (
            "9000",
            "Add web page history failed.",
        )
        assert errors(response) == expected
        assert filled.contents()["history"] == []

    @pytest.mark.parametrize("method", ["addWebVisitHistory", "addClickLinkHistory", "addFillFormHistory"])
    async def test_the_root_must_be_the_right_one(self, filled, v1, method):
        response = await v1(method, "<request><history/></request>", email="a@example.com")

        assert response.findtext("status") == "9011"

    async def test_the_form_must_exist(self, filled, v1, errors):
        xml = "<request><fillformleadhistory><formName>Contact</formName></fillformleadhistory></request>"

        refused = await v1("addFillFormHistory", xml, email="a@example.com")
        filled.seed(forms=["Contact"])
        accepted = await v1("addFillFormHistory", xml, email="a@example.com")

        assert errors(refused) == ["Form (Contact) does not exist."]
        assert accepted.findtext("status") == "3004"

    async def test_merging_a_visitor_moves_the_history(self, sandbox, v1):
        token = "_nl-example.com-1282527313351-84730"
        sandbox.seed(leads=[{"email": "v@example.com", "token": token, "isAnonymous": 1}])
        await v1("addWebVisitHistory", self.VISIT, email="v@example.com")

        await v1(
            "syncLead",
            f"<request><mergeAnonymous>1</mergeAnonymous><lead><email>a@example.com</email>"
            f"<token>{token}</token></lead></request>",
        )

        (entry,) = sandbox.contents()["history"]
        assert entry["email"] == "a@example.com"
        assert len(sandbox.leads()) == 1
