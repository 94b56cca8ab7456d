from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from publitrac_async.sandbox import Fault, Sandbox
from tests.support.commands import start_program

from .conftest import EXAMPLES

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are Unix's")

FIELDS = [
    {"displayName": "Publitrac External Id", "name": "publitracExternalId", "dataType": "string"},
    {"displayName": "Car Color", "name": "carColor", "dataType": "string"},
]


async def run(sandbox: Sandbox, store: Path) -> tuple[int | None, str, str]:
    process = await start_program(
        *(EXAMPLES / "copy_to_marketo.py", store),
        cwd=EXAMPLES.parent,
        variables={
            **os.environ,
            "MARKETO_BASE_URL": f"{sandbox.base_url}/rest",
            "MARKETO_CLIENT_ID": sandbox.settings.marketo_client_id,
            "MARKETO_CLIENT_SECRET": sandbox.settings.marketo_client_secret,
        },
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def counts(out: str) -> dict[str, int]:
    lines = (line.split() for line in out.splitlines())
    return {words[1]: int(words[0]) for words in lines if len(words) == 2 and words[0].isdigit()}


async def test_leads_are_copied_with_a_mapping_and_only_changed_ones_are_sent_again(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.marketo.seed({"fields": FIELDS, "leads": [{"email": "LEAD7@example.com", "city": "Oslo"}]})
    leads = [
        {
            "email": f"lead{number}@example.com",
            "firstName": "Åsa",
            "crmLeadId": f"crm-{number}",
            "company": "Acme",
            "mobile": "+46 70",
            "customFields": {"carColor": "Red", "shoeSize": "42"},
        }
        for number in range(450)
    ]
    sandbox.seed(leads=leads)
    code, out, err = await run(sandbox, tmp_path / "copy.sqlite")
    assert (code, err) == (0, "")
    assert counts(out)["ok"] == 450
    assert sandbox.journal.count(method="syncLead", api="marketo") == 2
    stored = {lead["email"].lower(): lead for lead in sandbox.contents("marketo")["leads"]}
    assert len(stored) == 450
    assert (
        stored["lead7@example.com"].items()
        >= {
            "id": 1,
            "firstName": "Åsa",
            "mobilePhone": "+46 70",
            "publitracExternalId": "crm-7",
            "carColor": "Red",
            "city": "Oslo",
        }.items()
    )
    assert {"company", "shoeSize"}.isdisjoint(stored["lead7@example.com"])

    sandbox.seed(leads=[{"email": "new@example.com"}])
    code, out, _ = await run(sandbox, tmp_path / "copy.sqlite")
    assert code == 0
    assert (counts(out)["ok"], counts(out)["skipped"]) == (1, 450)


async def test_leads_that_marketo_refuses_are_named(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.marketo.seed({"leads": [{"email": "twice@example.com"}, {"email": "twice@example.com"}]})
    sandbox.inject(Fault("drop", match="marketo.syncLead", apply=True))
    sandbox.seed(leads=[{"email": "twice@example.com"}, {"email": "once@example.com"}])
    code, out, err = await run(sandbox, tmp_path / "copy.sqlite")
    assert code == 3
    assert (counts(out)["ok"], counts(out)["rejected"]) == (1, 1)
    assert "several leads match" in err
    assert "twice@" not in err
