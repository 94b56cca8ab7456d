"""`copy-to-marketo` between the two sides of one sandbox, over real sockets."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from publitrac_async.sandbox import Sandbox
from tests.integration.cli.conftest import Beside

MAPPING = """
[fields]
email = "email"
firstName = "firstName"
crm_lead_id = "publitracExternalId"

[custom_fields]
carColor = "carColor"
"""
FIELDS = [
    {"displayName": "Publitrac External Id", "name": "publitracExternalId", "dataType": "string"},
    {"displayName": "Car Color", "name": "carColor", "dataType": "string"},
]


@pytest.fixture
def copy(sandbox: Sandbox, beside: Beside, monkeypatch: pytest.MonkeyPatch) -> Beside:
    monkeypatch.setenv("MARKETO_BASE_URL", f"{sandbox.base_url}/rest")
    monkeypatch.setenv("MARKETO_CLIENT_ID", sandbox.settings.marketo_client_id)
    monkeypatch.setenv("MARKETO_CLIENT_SECRET", sandbox.settings.marketo_client_secret)
    return partial(beside, "copy-to-marketo")


async def test_leads_are_selected_mapped_and_copied_once(
    sandbox: Sandbox, copy: Beside, tmp_path: Path
) -> None:
    sandbox.marketo.seed({"fields": FIELDS, "leads": [{"email": "LEAD7@example.com", "city": "Oslo"}]})
    sandbox.seed(
        leads=[
            {
                "email": f"lead{number}@example.com",
                "firstName": "Åsa",
                "lastName": "Smith" if number < 320 else "Lund",
                "crmLeadId": f"crm-{number}",
                "customFields": {"carColor": "Red"},
            }
            for number in range(330)
        ]
    )
    mapping, store = tmp_path / "marketo.toml", tmp_path / "copy.sqlite"
    mapping.write_text(MAPPING, encoding="utf-8")
    options = ("--where", "lastName", "like", "smith%", "--mapping", mapping, "--state", store)

    done = await copy(*options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("PUBLITRAC to Marketo by marketo: 320 rows in ")
    summary = json.loads((tmp_path / "copy.results" / "latest" / "summary.json").read_text(encoding="utf-8"))
    assert summary["source"] == "PUBLITRAC"
    stored = {lead["email"].lower(): lead for lead in sandbox.contents("marketo")["leads"]}
    assert set(stored) == {f"lead{number}@example.com" for number in range(320)}
    copied = {"id": 1, "firstName": "Åsa", "publitracExternalId": "crm-7", "carColor": "Red", "city": "Oslo"}
    assert stored["lead7@example.com"].items() >= copied.items()
    assert not stored["lead7@example.com"].get("lastName")

    sandbox.seed(leads=[{"email": "new@example.com", "lastName": "Smithson"}])
    before = sandbox.journal.count(method="syncLead", api="marketo")
    assert (await copy(*options)).returncode == 0
    assert sandbox.journal.count(method="syncLead", api="marketo") == before + 1
    assert len(sandbox.contents("marketo")["leads"]) == 321


async def test_without_a_mapping_the_fields_that_both_have_are_copied(sandbox: Sandbox, copy: Beside) -> None:
    sandbox.marketo.seed({"leads": [{"email": "twice@example.com"}, {"email": "twice@example.com"}]})
    sandbox.seed(
        leads=[
            {"email": "twice@example.com"},
            {"email": "once@example.com", "mobile": "+46 70", "jobTitle": "Countess", "company": "Acme"},
        ]
    )
    done = await copy()
    assert done.returncode == 3, done.stderr
    assert "several leads match" in done.stdout
    (once,) = [lead for lead in sandbox.contents("marketo")["leads"] if lead["email"] == "once@example.com"]
    assert once.items() >= {"mobilePhone": "+46 70", "title": "Countess"}.items()
    assert "company" not in once


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('[fields]\nemail = "email"\nshoe_size = "size"\n', "shoe_size is not a native field"),
        ('[fields]\nemail = "mail"\n', 'must have email = "email"'),
        ('[fields]\nemail = "email"\nfax = "phone"\nphone = "phone"\n', "phone: a field of Marketo can"),
        ('[fields]\nemail = "email"\nfax = ""\n', "is empty"),
        ('[fields]\nemail = "email"\n[constants]\ncity = "Lund"\n', "fields, custom_fields and consent only"),
        ('[fields]\nemail = "email"\n[consent]\nunsubscribed = "both"\n', "unsubscribed is not mapped"),
        ('[fields]\nemail = "email"\n[consent]\nemail = "yes"\n', "must be 'one-way' or 'both'"),
    ],
)
async def test_a_mapping_that_cannot_be_right_is_refused_before_any_call(
    sandbox: Sandbox, copy: Beside, tmp_path: Path, content: str, complaint: str
) -> None:
    sandbox.seed(leads=[{"email": "a@example.com"}])
    mapping = tmp_path / "marketo.toml"
    mapping.write_text(content, encoding="utf-8")
    done = await copy("--mapping", mapping)
    assert (done.returncode, done.stdout) == (2, "")
    first, *more = done.stderr.splitlines()
    assert complaint in first
    assert all(line.startswith("Next: ") for line in more)
    assert sandbox.contents("marketo")["leads"] == []
    assert sandbox.journal.count() == 0


async def test_two_selections_exclude_each_other(copy: Beside) -> None:
    done = await copy("--view", "Hot leads", "--list", "Fair 2026")
    assert done.returncode == 2
    assert "exclude each other" in done.stderr


async def test_a_copy_reverts_no_opt_out_unless_the_mapping_does(
    sandbox: Sandbox, copy: Beside, tmp_path: Path
) -> None:
    sandbox.seed(leads=[{"email": "out@example.com"}, {"email": "gone@example.com", "unsubscribed": "1"}])
    sandbox.marketo.seed(
        {"leads": [{"email": "out@example.com", "unsubscribed": True}, {"email": "gone@example.com"}]}
    )

    def consent() -> list[bool | None]:
        return [lead.get("unsubscribed") for lead in sandbox.contents("marketo")["leads"]]

    assert (await copy()).returncode == 0
    assert consent() == [True, True]
    mapping = tmp_path / "marketo.toml"
    mapping.write_text(
        '[fields]\nemail = "email"\nunsubscribed = "unsubscribed"\n[consent]\nunsubscribed = "both"\n',
        encoding="utf-8",
    )
    assert (await copy("--mapping", mapping)).returncode == 0
    assert consent() == [False, True]


async def test_settings_of_a_copy(sandbox: Sandbox, copy: Beside, tmp_path: Path) -> None:
    sandbox.marketo.seed({"partitions": ["Europe"], "leads": [{"email": "a@example.com"}]})
    sandbox.seed(leads=[{"email": "a@example.com"}, {"email": "b@example.com"}])
    options = ("--action", "createOnly", "--partition", "Europe", "--rate", "90/20")
    done = await copy(*options)
    assert done.returncode == 0, done.stderr
    leads = sandbox.contents("marketo")["leads"]
    assert [lead["partitionName"] for lead in leads] == ["Default", "Europe", "Europe"]
    for options in (
        ("--lookup-field", "externalId"),
        ("--lookup-field", "id"),
        ("--partition", "Europe", "--action", "updateOnly"),
    ):
        done = await copy(*options)
        assert (done.returncode, done.stdout) == (2, "")
        assert all(line.startswith("Next: ") for line in done.stderr.splitlines()[1:])
