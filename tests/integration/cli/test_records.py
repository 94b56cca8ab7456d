"""`campaigns` and `opportunities` over a real socket."""

from __future__ import annotations

import json

from publitrac_async.sandbox import Sandbox
from tests.integration.cli.conftest import Beside

OPPORTUNITY = {"Sales_Stage": "Prospecting", "Amount": "10000", "Probability": "50"}


async def test_campaigns_are_a_table_or_json_lines(sandbox: Sandbox, beside: Beside) -> None:
    sandbox.seed(campaigns=["Spring", {"Name": "A much longer\x9b31m name", "id": "7"}])
    done = await beside("campaigns")
    assert (done.returncode, done.stderr) == (0, "")
    header, *rows = done.stdout.splitlines()
    assert header.startswith("ID")
    column = header.index("NAME")
    assert sorted(row[column:].partition("  ")[0] for row in rows) == ["A much longer 31m name", "Spring"]
    done = await beside("campaigns", "--json")
    found = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert found["A much longer\x9b31m name"]["id"] == 7
    assert "createdDate" in found["Spring"]


async def test_opportunities_of_several_pages(sandbox: Sandbox, beside: Beside) -> None:
    sandbox.seed(
        leads=[{"email": "a@example.com", "crmLeadId": "1"}],
        opportunities=[
            {**OPPORTUNITY, "Name": f"Sale {number}", "External_id": f"S{number}", "leads": ["1"]}
            for number in range(250)
        ],
    )
    done = await beside("opportunities")
    assert (done.returncode, done.stderr) == (0, "")
    header, *rows = done.stdout.splitlines()
    assert header.split("  ")[0] == "ID"
    assert len(rows) == 250
    stage = header.index("STAGE")
    assert {row[stage:].split()[0] for row in rows} == {"Prospecting"}
    done = await beside("opportunities", "--json")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["externalId"] for record in records] == [f"S{number}" for number in range(250)]
    assert (records[0]["amount"], records[0]["probability"]) == (10000, 50)
    assert sandbox.journal.count(method="getOpportunities") == 4


async def test_an_account_without_records_gets_a_message(beside: Beside) -> None:
    for name in ("campaigns", "opportunities"):
        done = await beside(name)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "No records.\n")
        done = await beside(name, "--json")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
