"""The inspector: its files, its view of the state, and the page in a real browser."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from publitrac_async.sandbox import Fault, Sandbox
from tests.support.browser import browser

HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=2</script>\'"&amp;\u202e\x1b[31m'


class TestFiles:
    async def test_the_page_loads_nothing_from_elsewhere(self, http):
        page, style, script = [await http.get(f"/_sandbox/{name}") for name in ("", "page.css", "page.js")]

        assert [response.status_code for response in (page, style, script)] == [200, 200, 200]
        for response in (page, style, script):
            urls = set(re.findall(r"\b(?:https?:)?//[\w.]+", response.text)) - {"http://www.w3.org"}
            assert urls == set()
            assert "url(" not in response.text
        assert "innerHTML" not in script.text
        assert "document.write" not in script.text

    async def test_browsers_are_told_to_be_strict(self, http):
        headers = (await http.get("/_sandbox/")).headers

        assert headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")

    async def test_the_root_leads_browsers_to_it(self, http):
        by_browser = await http.get("/", headers={"Accept": "text/html,*/*;q=0.8"})
        by_client = await http.get("/", headers={"Accept": "application/json"})

        assert (by_browser.status_code, by_browser.headers["location"]) == (302, "/_sandbox/")
        assert by_client.status_code == 404


class TestView:
    async def test_the_state_has_new_arrivals_and_the_queue(self, http, sandbox, v1, v2):
        token = await v2.token()
        await v2.sync(token, {"leadInfo": {"email": "a@example.com"}})
        sandbox.inject(Fault("delay"))
        sandbox.advance(0.1)

        state = (await http.get("/_sandbox/state", params={"after": 1})).json()

        assert [arrival["method"] for arrival in state["new"]] == ["delayedSync"]
        assert state["new"][0]["done"]
        assert (state["arrivals"], state["leads"], state["pending"]) == (2, 0, 1)
        assert state["waiting"][0]["document"] == {"leadInfo": {"email": "a@example.com"}}
        assert 0 <= state["waiting"][0]["due"] <= 0.2
        assert state["faults"][0]["kind"] == "delay"
        assert (await http.get("/_sandbox/state", params={"after": 2})).json()["new"] == []

    async def test_looking_leaves_no_trace(self, http, sandbox):
        before = (await http.get("/_sandbox/state")).json()
        after = (await http.get("/_sandbox/state")).json()

        assert before["revision"] == after["revision"]
        assert len(sandbox.journal.arrivals) == 0

    async def test_an_arrival_shows_content_and_response(self, http, v1):
        await v1("syncLead", "<request><lead><email>a@example.com</email></lead></request>")

        arrival = (await http.get("/_sandbox/arrival", params={"sequence": 1})).json()
        assert arrival["document"] == {"lead": {"email": "a@example.com"}}
        assert "<status>2006</status>" in arrival["response"]
        for sequence in ("0", "2", "x", "-1"):
            assert (await http.get("/_sandbox/arrival", params={"sequence": sequence})).status_code == 400

    async def test_the_view_shows_no_credentials(self, http, sandbox, v1, v2):
        token = await v2.token()
        await v2.sync(token, {"leadInfo": {}})
        await v1("getLead", email="a@example.com")
        await v1.send("syncLead", "<nonsense")

        texts = [(await http.get("/_sandbox/state")).text]
        texts += [(await http.get("/_sandbox/arrival", params={"sequence": n})).text for n in range(1, 5)]
        assert not [
            secret for secret in (token, sandbox.api_key, sandbox.password) if secret in "".join(texts)
        ]

    @pytest.mark.parametrize(
        "content", [b'{"leadInfo": {"email": "\\ud800"}}', b'{"a": NaN}', b"[" * 10**5, b"\xff\x00", b""]
    )
    async def test_hostile_content_remains_valid_json(self, http, v2, content):
        await http.post("/v2/lead/delayedSync", content=content, headers={"Token": await v2.token()})

        response = await http.get("/_sandbox/arrival", params={"sequence": 2})
        assert response.status_code == 200
        json.loads(response.text, parse_constant=pytest.fail)

    async def test_records_are_searched_and_limited(self, http, sandbox):
        sandbox.seed(
            leads=[
                {"email": f"{n}@example.com", "carColor": "Red" if n == 7 else "Blue"} for n in range(250)
            ],
            lists=[{"name": "L", "leads": ["7@example.com"]}],
        )

        async def records(**options):
            return (await http.get("/_sandbox/records", params=options)).json()

        every = await records()
        assert (every["kind"], every["total"], len(every["records"])) == ("leads", 250, 200)
        assert every["records"][0]["email"] == "249@example.com"
        assert [lead["email"] for lead in (await records(search="RED"))["records"]] == ["7@example.com"]
        assert (await records(kind="lists"))["records"] == [{"name": "L", "leads": ["7@example.com"]}]
        assert (await records(kind="lists", search="8@"))["records"] == []
        assert (await records(vendor="vitec"))["kind"] == "leads"
        assert "error" in await records(kind="nonsense")
        assert "error" in await records(vendor="nonsense")

    async def test_the_page_learns_of_every_vendor(self, http, sandbox):
        shown = (await http.get("/_sandbox/vendors", params={"base_url": "http://here"})).json()

        assert shown.keys() == sandbox.vendors.keys()
        assert shown["publitrac"]["kinds"][:2] == ["leads", "lists"]
        assert shown["vitec"]["title"] == "Vitec"
        environment = {name: value for each in shown.values() for name, value in each["environment"].items()}
        assert environment == sandbox.environment_at("http://here")
        for name, vendor in shown.items():
            for kind in vendor["kinds"]:
                answer = await http.get("/_sandbox/records", params={"vendor": name, "kind": kind})
                assert answer.json()["kind"] == kind


async def get_lead(sandbox, email):
    credentials = {"apikey": sandbox.api_key, "username": sandbox.username, "password": sandbox.password}
    async with httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False, verify=False) as http:
        await http.get("/api", params={"method": "getLead", "email": email, **credentials})


@pytest.fixture
def running():
    with Sandbox(processing_delay=600, rate_limit=None).serve_in_thread() as sandbox:
        yield sandbox


async def test_the_page_in_a_browser(running, tmp_path):
    """One browser for the whole test: starting it takes longer than everything else."""
    async with browser(tmp_path / "profile") as page:
        await page.open(running.inspector_url)
        await page.until("document.getElementById('live').textContent === 'live'")
        assert await page.run("document.getElementById('no-arrivals').offsetParent !== null")

        # A request appears without a reload, and a click shows its content.
        running.seed(leads=[{"email": "a@example.com", "firstName": HOSTILE, "notes": HOSTILE}])
        await get_lead(running, "a@example.com")
        await get_lead(running, HOSTILE)
        await page.until("document.querySelectorAll('#arrivals li').length === 2")
        await page.click("#arrivals li:nth-child(2) button")
        await page.until("document.getElementById('detail').innerText.includes('window.hacked')")
        await page.press("Escape")
        await page.until("document.getElementById('detail').hidden")
        assert await page.run("document.activeElement.closest('li').id") == "arrival-1"

        # With the keyboard only: records, the first lead, and back.
        await page.press("2")
        await page.until("document.querySelectorAll('#entries li').length === 1")
        await page.press("j", "Enter")
        await page.until("document.getElementById('entry').innerText.includes('window.hacked')")
        await page.press("Escape", "ArrowRight")
        await page.press("3", "ArrowRight")
        await page.until("!document.getElementById('faults').hidden")

        # Faults, the clock, the queue and seeds reach the sandbox.
        await page.click("#presets button:nth-child(1)")
        await page.until("document.querySelectorAll('#rules li').length === 1")
        assert [fault.status for fault in running.faults.faults] == [503]
        await page.run("document.querySelector('#fault [name=kind]').value = 'delay'")
        await page.run("document.querySelector('#fault [name=kind]').dispatchEvent(new Event('change'))")
        await page.run("document.querySelector('#fault [name=match]').value = 'v1.getLead'")
        await page.click("#fault button[type=submit]")
        await page.until("document.querySelectorAll('#rules li').length === 2")
        assert (running.faults.faults[1].kind, running.faults.faults[1].seconds) == ("delay", 5)
        await page.click("#clear-faults")
        await page.until("document.querySelectorAll('#rules li').length === 0")
        await page.press("5")
        await page.click("#moves button:nth-child(2)")
        await page.until("document.getElementById('offset').textContent.startsWith('15 min')")
        assert running.clock.offset == 900
        await page.click("#sample")
        await page.until("document.getElementById('n-records').textContent === '6'")
        assert running.lead("ada@example.com")["lastName"] == "Lovelace"
        running.publitrac.queue.accept({"leadInfo": {"email": HOSTILE}})
        await page.press("3")
        await page.until("document.querySelectorAll('#waiting li').length === 1")
        await page.click("#process")
        await page.until("document.querySelectorAll('#rejections li').length === 1")

        # The page fits on a phone and follows the theme.
        colours = []
        for dark in (False, True):
            await page.show(width=390, height=760, dark=dark)
            colours.append(await page.run("getComputedStyle(document.body).backgroundColor"))
            for tab in "12345":
                await page.press(tab)
                assert await page.run("document.documentElement.scrollWidth") <= 390
        assert colours[0] != colours[1]

        await page.click("#reset")
        await page.click("#confirm-yes")
        await page.until("document.getElementById('n-records').textContent === '0'")
        assert (running.leads(), len(running.received())) == ([], 0)

        assert await page.run("window.hacked") is None
        assert page.errors == []
        assert {url.split("/_sandbox/")[0] for url in page.requested if not url.startswith("data:")} == {
            running.base_url
        }


async def test_the_page_says_that_the_sandbox_ended(tmp_path):
    async with browser(tmp_path / "profile") as page:
        with Sandbox().serve_in_thread() as sandbox:
            await page.open(sandbox.inspector_url)
            await page.until("document.getElementById('live').textContent === 'live'")
        await page.until("document.getElementById('live').textContent === 'not reachable'")
