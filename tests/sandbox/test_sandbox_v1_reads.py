"""Searching and paging (PUBLITRAC API reference, Get leads)."""

from __future__ import annotations

import pytest

from publitrac_async.sandbox import Sandbox

ALL = "<request><queries></queries></request>"


def queries(*conditions: tuple[str, str, str]) -> str:
    inner = "".join(
        f"<query><field>{field}</field><operator>{operator}</operator><value>{value}</value></query>"
        for field, operator, value in conditions
    )
    return f"<request><queries>{inner}</queries></request>"


def emails(response) -> list[str]:
    return [lead.findtext("email") for lead in response.iter("lead")]


@pytest.fixture
def people(sandbox):
    sandbox.seed(
        leads=[
            {"email": "john@example.com", "firstName": "John", "lastName": "Smith", "score": 5},
            {"email": "johnny@example.com", "firstName": "Johnny", "lastName": "Smith", "score": 40},
            {"email": "zoe@example.org", "firstName": "ZOÉ", "lastName": "Smithson", "carColor": "Red"},
            {"email": "a_b@example.net", "firstName": "50%", "leadSource": "Fair"},
        ]
    )


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([("firstName", "like", "john")], ["john@example.com"]),
        ([("firstName", "like", "john%")], ["john@example.com", "johnny@example.com"]),
        ([("firstName", "like", "%OHN%"), ("score", "=", "40")], ["johnny@example.com"]),
        ([("firstName", "like", "zoé")], ["zoe@example.org"]),
        ([("lastName", "like", "smith%"), ("email", "like", "%.org")], ["zoe@example.org"]),
        ([("email", "like", "a_b@%")], ["a_b@example.net"]),
        ([("email", "like", "_o%")], ["john@example.com", "johnny@example.com", "zoe@example.org"]),
        ([("firstName", "like", "50\\%")], ["a_b@example.net"]),
        ([("carColor", "like", "r%")], ["zoe@example.org"]),
        ([("carColor", "!=", "Red"), ("score", ">", "4")], ["john@example.com", "johnny@example.com"]),
        ([("score", "&lt;", "5")], ["zoe@example.org", "a_b@example.net"]),
        ([("leadSource", "LIKE", "fair")], ["a_b@example.net"]),
        ([("lastName", "=", "")], ["a_b@example.net"]),
        ([("noSuchField", "like", "%")], []),
        ([("firstName", "like", "x" * 60_000)], []),
    ],
)
async def test_conditions_select_the_leads(people, v1, conditions, expected):
    response = await v1("getLeads", queries(*conditions))

    assert emails(response) == expected
    assert response.findtext("paging/total") == str(len(expected))
    assert response.findtext("status") == "2001"


@pytest.mark.parametrize(
    ("field", "operator"), [("firstName", "regexp"), ('first"Name', "like"), ("", "like")]
)
async def test_unsupported_conditions_are_refused(v1, field, operator):
    response = await v1("getLeads", queries((field, operator, "x")))

    assert response.findtext("status") == "9000"
    assert response.find("errors/error") is not None


async def test_250_leads_come_on_three_pages(sandbox, v1):
    sandbox.seed(leads=[{"email": f"{number}@example.com"} for number in range(250)])

    seen: list[str] = []
    for page, items in (("1", "100"), ("2", "100"), ("3", "50"), ("4", "0")):
        response = await v1("getLeads", query=ALL, page=page)
        paging = response.find("paging")
        assert [(child.tag, child.text) for child in paging] == [
            ("page", page),
            ("items", items),
            ("offset", "100"),
            ("total", "250"),
        ]
        seen += emails(response)

    assert seen == [f"{number}@example.com" for number in range(250)]


async def test_the_last_page_again(in_process):
    with Sandbox(page_size=2, page_past_end="last") as sandbox:
        sandbox.seed(leads=[{"email": f"{number}@example.com"} for number in range(3)])

        response = await in_process(sandbox)("getLeads", query=ALL, page="9")

        assert emails(response) == ["2@example.com"]
        assert response.findtext("paging/page") == "2"


@pytest.mark.parametrize("page", ["0", "-1", "x", "", "²", "9" * 30])
async def test_an_invalid_page_number_means_the_first_page(sandbox, v1, page):
    sandbox.seed(leads=[{"email": "a@example.com"}])

    response = await v1("getLeads", query=ALL, page=page)

    assert response.findtext("paging/page") == "1"
    assert emails(response) == ["a@example.com"]


async def test_an_empty_account(v1):
    response = await v1("getLeads", ALL)

    assert response.find("leads") is not None
    assert emails(response) == []
    assert response.findtext("paging/items") == "0"


async def test_get_lead_ignores_case_and_takes_the_oldest(sandbox, v1):
    sandbox.seed(leads=[{"email": "A@Example.com", "firstName": "old"}, {"email": "a@example.com"}])

    response = await v1("getLead", email="a@EXAMPLE.com")

    assert response.findtext("leads/lead/firstName") == "old"


@pytest.mark.parametrize(
    ("method", "parameters", "message"),
    [
        ("getLead", {"email": "nobody@example.com"}, "Get lead failed."),
        ("getLead", {}, "Get lead failed."),
        ("getLeadByExternalId", {"externalId": "nothing"}, "getLeadByExternalId failed."),
        ("getLeadByExternalId", {"externalId": ""}, "getLeadByExternalId failed."),
    ],
)
async def test_unknown_leads_are_not_found(sandbox, v1, errors, method, parameters, message):
    sandbox.seed(leads=[{"token": "_nl-example.com-1282527313351-84730", "isAnonymous": 1}])

    response = await v1(method, **parameters)

    assert (response.findtext("status"), response.findtext("message")) == ("9015", message)
    assert errors(response) == ["9005 - lead not found"]


async def test_not_found_as_an_empty_success(in_process):
    with Sandbox(missing_lead_response="empty") as sandbox:
        response = await in_process(sandbox)("getLead", email="nobody@example.com")

        assert response.findtext("status") == "2002"
        assert len(response.find("leads")) == 0


async def test_values_survive_the_way_through_xml(sandbox, v1):
    value = 'a & b < c > d ]]> "e" \' é 漢 \U0001f600\ttab\nline\rreturn'
    sandbox.seed(leads=[{"email": "a@example.com", "notes": value + "\x00\x0b"}])

    response = await v1("getLead", email="a@example.com")

    assert response.findtext("leads/lead/notes") == value
