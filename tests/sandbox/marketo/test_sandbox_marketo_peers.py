"""Other released clients make their usual calls to the sandbox, if they can be installed."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from publitrac_async.sandbox import Sandbox

COOKIE = "id:063-GJP-217&token:_mch-marketo.com-1594662481190-60776"
NODE_CLIENT = "node-marketo-rest@0.7.8"


@pytest.fixture
def seeded(sandbox: Sandbox) -> Sandbox:
    sandbox.marketo.seed(
        {
            "leads": [{"email": f"p{number}@x.com", "firstName": "A"} for number in range(1, 651)],
            "lists": [{"id": 1001, "name": "Newsletter", "leads": range(1, 641)}],
            "programs": [{"id": 1044, "name": "Webinar", "leads": range(1, 391)}],
            "campaigns": [{"id": 3746, "name": "Welcome", "leads": [1]}],
            "forms": [{"id": 1029, "fields": ["email", "firstName"]}],
            "partitions": ["Europe"],
        }
    )
    return sandbox


async def test_the_client_marketorestpython_works(seeded: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("marketorestpython", reason="marketorestpython is not installed")
    from marketorestpython.client import MarketoClient
    from marketorestpython.helper import http_lib

    # Its own pause between calls, the only use of this name in it.
    monkeypatch.setattr(http_lib, "time", SimpleNamespace(time=lambda: 0.0, sleep=lambda _: None))
    settings = seeded.settings
    client: Any = MarketoClient("000-AAA-000", settings.marketo_client_id, settings.marketo_client_secret)
    client.host = seeded.base_url

    def calls() -> None:
        def run(method: str, **options: Any) -> Any:
            return client.execute(method=method, **options)

        assert any(field["displayName"] == "Email Address" for field in run("describe"))
        assert ["email"] in run("describe2")[0]["searchableFields"]
        assert run("get_lead_by_id", id=1, fields="email,firstName")[0]["email"] == "p1@x.com"
        found = run(
            "get_multiple_leads_by_filter_type",
            filterType="email",
            filterValues=[f"p{number}@x.com" for number in range(1, 301)],
            fields="email",
            batchSize=100,
        )
        assert len(found) == 300
        assert len(run("get_multiple_leads_by_list_id", listId=1001)) == 640
        assert len(run("get_multiple_leads_by_program_id", programId=1044)) == 390
        for action, status in (
            ("createOnly", "created"),
            ("updateOnly", "updated"),
            ("createOrUpdate", "updated"),
        ):
            leads = [{"email": "new@x.com", "city": action}]
            (done,) = run("create_update_leads", leads=leads, action=action, lookupField="email")
            assert done["status"] == status
        (pushed,) = run("push_lead", leads=[{"email": "new@x.com"}], programName="Webinar")
        assert pushed["status"] == "updated"
        assert run("associate_lead", id=1, cookie=COOKIE)
        assert run("merge_lead", id=1, leadIds=[641, 642])
        assert run("get_smart_campaigns_by_lead_id", lead_id=1)[0]["smartCampaignId"] == 3746
        assert [item["status"] for item in run("add_leads_to_list", listId=1001, id=[645, 9999])] == [
            "added",
            "skipped",
        ]
        assert run("member_of_list", listId=1001, id=[645])[0]["status"] == "memberof"
        assert run("remove_leads_from_list", listId=1001, id=[645])[0]["status"] == "removed"
        assert [item["name"] for item in run("get_multiple_lists")] == ["Newsletter"]
        assert [item["name"] for item in run("get_lead_partitions")] == ["Default", "Europe"]
        moved = run("update_leads_partition", input=[{"id": 2, "partitionName": "Europe"}])
        assert moved[0]["status"] == "updated"
        form = {"leadFormFields": {"email": "p2@x.com", "firstName": "B"}}
        assert run("submit_form", formId=1029, input=form)[0]["status"] == "updated"
        changes = run("get_lead_changes", fields=["city"], sinceDatetime="2020-01-01T00:00:00Z")
        assert sum(item["activityTypeId"] == 13 for item in changes) == 2
        pushes = run("get_lead_activities", activityTypeIds=["145"], sinceDatetime="2020-01-01T00:00:00Z")
        assert len(pushes) == 1
        assert run("delete_lead", id=[3])[0]["status"] == "deleted"
        with pytest.raises(Exception, match="1011"):
            run("get_multiple_leads_by_filter_type", filterType="city", filterValues=["x"])

    await asyncio.to_thread(calls)


NODE = """
const Marketo = require('node-marketo-rest');
const [url, id, secret] = process.argv.slice(2);
const marketo = new Marketo({
  endpoint: url + '/rest', identity: url + '/identity', clientId: id, clientSecret: secret
});
const seen = {};
const emails = Array.from({length: 300}, (_, n) => `p${n + 1}@x.com`);
(async () => {
  seen.byId = (await marketo.lead.byId(1, {fields: ['email']})).result[0].email;
  seen.find = (await marketo.lead.find('email', emails)).result.length;
  const created = await marketo.lead.createOrUpdate([{email: 'new@x.com'}], {lookupField: 'email'});
  seen.created = created.result[0].status;
  seen.pushed = (await marketo.lead.push([{email: 'new@x.com'}], {programName: 'Webinar'})).result[0].status;
  seen.described = (await marketo.lead.describe()).result.length > 30;
  seen.partitions = (await marketo.lead.partitions()).result.length;
  seen.list = (await marketo.list.find({id: [1001]})).result[0].name;
  seen.added = (await marketo.list.addLeadsToList(1001, [645])).result[0].status;
  seen.members = 0;
  for (let page = await marketo.list.getLeads(1001); ; page = await page.nextPage()) {
    seen.members += page.result.length;
    if (!page.nextPageToken) break;
  }
  seen.associated = (await marketo.lead.associateLead(1, COOKIE)).success;
  seen.merged = (await marketo.lead.mergeLead(1, [641, 642], {})).success;
  const token = (await marketo.lead.getPageToken('2020-01-01T00:00:00Z')).nextPageToken;
  seen.changes = (await marketo.lead.getChanges(token, {fields: 'email'})).result.length > 100;
  console.log(JSON.stringify(seen));
})().catch(error => { console.error(error); process.exit(1); });
"""


@pytest.mark.slow
async def test_the_client_node_marketo_works(seeded: Sandbox, tmp_path: Any) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("node and npm are not installed")
    install = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(tmp_path), NODE_CLIENT]
    try:
        done = await asyncio.to_thread(subprocess.run, install, capture_output=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install {NODE_CLIENT} within a minute")
    if done.returncode:
        pytest.skip(f"npm cannot install {NODE_CLIENT}")
    program = tmp_path / "calls.js"
    program.write_text(NODE.replace("COOKIE", json.dumps(COOKIE)), encoding="utf-8")
    settings = seeded.settings
    process = await asyncio.create_subprocess_exec(
        node,
        str(program),
        seeded.base_url,
        settings.marketo_client_id,
        settings.marketo_client_secret,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    assert json.loads(output) == {
        "byId": "p1@x.com",
        "find": 300,
        "created": "created",
        "pushed": "updated",
        "described": True,
        "partitions": 2,
        "list": "Newsletter",
        "added": "added",
        "members": 641,
        "associated": True,
        "merged": True,
        "changes": True,
    }
