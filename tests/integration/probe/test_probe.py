"""Probes of sandboxes in this process, whose clock moves when the probe waits."""

from __future__ import annotations

import stat
import urllib.parse
from pathlib import Path
from typing import Any

import httpx
import pytest

from publitrac_async import ConfigurationError, Lead, PublitracClient, RetryPolicy
from publitrac_async.probe import FindingState, ProbeReport, probe, write_profile
from publitrac_async.probe.model import POINTS
from publitrac_async.profile import read_profile
from publitrac_async.sandbox import Fault, Sandbox
from tests.support.canaries import find

EMAIL = "probe@example.com"
#: Points that no probe can settle: it would break the limit, or the address is unknown.
NEVER = {"excess", "shared_limit", "transactions"}
#: Together these contain each value of each setting that a probe can find.
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "one": {
        "api_key_parameter": "apiKey",
        "credentials_in": "body",
        "bad_credentials_response": "200",
        "unknown_method_response": "404",
        "expired_token_response": "200",
        "expired_token_code": 403,
        "bad_key_response": "403",
        "processing_delay": 5.0,
        "unicity_keys_shape": "names",
        "options_place": "inside",
        "empty_element": "refused",
        "empty_form": "absent",
        "operators": ["like", "="],
        "conditions_combine": "or",
        "missing_lead_response": "blank",
        "page_past_end": "last",
        "wrong_verb_response": "405",
        "annex_verb": "GET",
        "annex_place": "xml",
        "token_id_parameters": ["token"],
        "partial_list_additions": False,
        "time_zone": "America/Montreal",
    },
    "two": {
        "api_key_parameter": "apikey",
        "credentials_in": "query",
        "bad_credentials_response": "403",
        "unknown_method_response": "400",
        "expired_token_response": "403",
        "bad_key_response": "200",
        "processing_delay": 30.0,
        "unicity_keys_shape": "text",
        "options_place": "after",
        "empty_element": "ignored",
        "empty_form": "self_closing",
        "operators": ["like"],
        "missing_lead_response": "404",
        "page_past_end": "first",
        "wrong_verb_response": "200",
        "annex_verb": "POST",
        "annex_place": "parameters",
        "token_id_parameters": ["tokId"],
        "email_parameters": ["leadEmail"],
        "list_name_parameters": ["name"],
        "time_zone": "Etc/GMT-3",
    },
    "three": {
        "credentials_in": "body",
        "processing_delay": 1.5,
        "unicity_keys_shape": "children",
        "options_place": "before",
        "operators": ["like", "!=", "<", ">"],
        "missing_lead_response": "empty",
        "page_past_end": "error",
        "wrong_verb_response": "200",
        "annex_place": "xml",
    },
    "four": {"missing_lead_response": "9005", "credentials_in": "query", "wrong_verb_response": "405"},
}


class Recorder(httpx.ASGITransport):
    """Notes the parameters and credentials of each request."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox.app)
        self.sent: list[dict[str, str]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        pairs = [*request.url.params.multi_items(), *urllib.parse.parse_qsl(body.decode())]
        self.sent.append(dict(pairs) | {"verb": request.method, "path": request.url.path, **request.headers})
        return await super().handle_async_request(request)


async def run(
    sandbox: Sandbox, *, transport: httpx.AsyncBaseTransport | None = None, **options: Any
) -> ProbeReport:
    """Probe a sandbox without waiting for anything."""

    async def sleep(seconds: float) -> None:
        sandbox.advance(seconds)

    async with PublitracClient(
        api_key=sandbox.api_key,
        username=sandbox.username,
        password=sandbox.password,
        base_url="http://localhost",
        transport=transport or httpx.ASGITransport(sandbox.app),
        rate_limit=None,
        retry=RetryPolicy(attempts=1),
    ) as client:
        return await probe(client, rate_limit=None, clock=sandbox.clock.monotonic, sleep=sleep, **options)


def settled(report: ProbeReport) -> set[str]:
    return {name for name, each in report.findings.items() if each.state is FindingState.SETTLED}


def filled(**settings: Any) -> Sandbox:
    """A sandbox with three pages of leads."""
    sandbox = Sandbox(rate_limit=None, page_size=2, **settings)
    sandbox.seed(leads=[{"email": f"lead{number}@example.com"} for number in range(5)])
    return sandbox


def settings_of(sandbox: Sandbox, names: Any) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        return sorted(value) if isinstance(value, (frozenset, list)) else value

    return {name: plain(getattr(sandbox.settings, name)) for name in names}


@pytest.mark.parametrize("variant", VARIANTS)
async def test_a_profile_names_the_settings_of_the_sandbox(variant: str, tmp_path: Path) -> None:
    with filled(**VARIANTS[variant]) as sandbox:
        report = await run(sandbox, write=EMAIL, with_wrong_credentials=True)
        write_profile(report, tmp_path / "profile.toml")
        found = dict(read_profile(tmp_path / "profile.toml").found)

        assert report.stopped is None
        assert {name for name, each in report.findings.items() if each.state is FindingState.SETTLED} == set(
            POINTS
        ) - NEVER
        assert report.settled >= 14
        assert found.keys() >= VARIANTS[variant].keys() - {"email_parameters", "list_name_parameters"}
        shown = {name: sorted(value) if isinstance(value, list) else value for name, value in found.items()}
        assert shown == settings_of(sandbox, found)
        # The profile makes a sandbox that behaves likewise.
        with filled(**found) as copy:
            assert settings_of(copy, found) == settings_of(sandbox, found)


@pytest.mark.parametrize("variant", ["one", "two", "three"])
async def test_a_client_with_the_profile_makes_calls_that_the_default_one_cannot(
    variant: str, tmp_path: Path
) -> None:
    with filled(**VARIANTS[variant]) as sandbox:
        write_profile(await run(sandbox, write=EMAIL), tmp_path / "profile.toml")
        environment = sandbox.environment_at("http://localhost")
        environment |= {"PUBLITRAC_PROFILE": str(tmp_path / "profile.toml")}
        async with PublitracClient.from_env(
            environment,
            transport=httpx.ASGITransport(sandbox.app),
            rate_limit=None,
        ) as client:
            lead = Lead(email="new@example.com", crm_lead_id="A-1", company="One")
            await client.v1.sync_lead(lead, custom_unicity_keys=["crmLeadId"])
            renamed = Lead(email="newer@example.com", crm_lead_id="A-1")
            await client.v1.sync_lead(renamed, custom_unicity_keys=["crmLeadId"])
            assert (await client.v1.get_lead("newer@example.com")).company == "One"


async def test_v2_that_is_missing() -> None:
    with filled(v2_enabled=False) as sandbox:
        report = await run(sandbox, write=EMAIL, with_wrong_credentials=True)
        assert report.found["v2_enabled"] is False
        assert report.findings["processing"].summary == "there is no v2 at this address"
        assert report.settled == 12


async def test_reading_changes_nothing_and_tries_no_wrong_credentials() -> None:
    with filled() as sandbox:
        transport = Recorder(sandbox)
        before = sandbox.contents()
        report = await run(sandbox, transport=transport)

        assert report.stopped is None
        assert not report.left_behind
        assert report.settled == 7
        assert sandbox.contents() == before
        assert not any(
            arrival.applied for arrival in sandbox.journal.received() if arrival.method != "delayedSync"
        )
        assert not sandbox.contents()["rejections"]
        assert {sent.get("password", sandbox.password) for sent in transport.sent} == {sandbox.password}
        assert all(sent["method"].startswith("get") for sent in transport.sent if "method" in sent)
        assert len(transport.sent) < 40


async def test_the_password_is_wrong_once_and_only_on_request() -> None:
    with filled() as sandbox:
        transport = Recorder(sandbox)
        await run(sandbox, transport=transport, write=EMAIL, with_wrong_credentials=True)

        sent, password, key = transport.sent, sandbox.password, sandbox.api_key
        wrong = [each for each in sent if each.get("password", password) != password]
        keys = [each for each in sent if each.get("authorization", key) != key]
        assert (len(wrong), len(keys)) == (1, 1)
        assert sent[-2:] == [*wrong, *keys]


async def test_the_throwaway_lead_is_deleted_and_others_stay() -> None:
    with filled() as sandbox:
        before = sandbox.contents()["leads"]
        report = await run(sandbox, write=EMAIL)

        assert sandbox.contents()["leads"] == before
        assert [text.partition(" ")[2][:11] for text in report.left_behind] == ["static list"]


async def test_a_lead_that_exists_is_not_touched() -> None:
    with filled() as sandbox:
        before = sandbox.contents()
        report = await run(sandbox, write="lead1@example.com")

        assert report.stopped == (
            "a lead with the address of --write may exist: use an address that no lead has"
        )
        assert sandbox.contents() == before


async def test_a_lead_that_cannot_be_deleted_is_named() -> None:
    with filled() as sandbox:
        sandbox.inject(Fault("status", match="deleteLead", status=400, body="no"))
        report = await run(sandbox, write=EMAIL)
        assert "the lead with the address of --write" in report.left_behind


LOCKED = (
    "<response><status>9000</status><message>Your account is locked after failed attempts"
    "</message></response>"
)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("status", match="getLead", status=429), "HTTP 429"),
        (Fault("status", match="getLead", status=503), "HTTP 503"),
        (Fault("status", match="getLead", status=401, body="Invalid password"), "Invalid password"),
        (Fault("status", match="getLead", status=200, body=LOCKED), "account is locked"),
        (Fault("status", match="getNothingOfThisName", status=200, body=LOCKED), "account is locked"),
        (Fault("drop", match="getLead"), "OutcomeUnknown"),
        (Fault("status", match="delayedSync", status=429), "HTTP 429"),
    ],
)
async def test_the_first_sign_of_harm_ends_the_probe(fault: Fault, reason: str) -> None:
    with filled() as sandbox:
        sandbox.inject(fault)
        report = await run(sandbox, write=EMAIL, with_wrong_credentials=True)

        assert report.stopped is not None
        assert reason in report.stopped
        assert sandbox.journal.received()[-1].fault == fault.kind
        assert report.findings["time_zone"].summary == "not tried: the probe was stopped"
        assert report.findings["key"].state is FindingState.SETTLED


async def test_refused_credentials_end_the_probe_with_the_message_of_the_service() -> None:
    with filled(api_key="another") as sandbox:
        async with PublitracClient(
            api_key="a-key-of-mine",
            username=sandbox.username,
            password=sandbox.password,
            base_url="http://localhost",
            transport=httpx.ASGITransport(sandbox.app),
        ) as client:
            report = await probe(client, rate_limit=None)
        assert report.stopped is not None
        assert report.stopped.endswith('the service says: "Authentication failed.; Authentication failed"')
        assert len(report.times) == 2


async def test_without_a_user_only_v2_is_probed() -> None:
    with filled() as sandbox:
        async with PublitracClient(
            api_key=sandbox.api_key, base_url="http://localhost", transport=httpx.ASGITransport(sandbox.app)
        ) as client:
            report = await probe(client, rate_limit=None, write=EMAIL, with_wrong_credentials=True)
        assert settled(report) == {"v2", "token"}
        assert report.findings["key"].summary == "not tried: v1 needs user name and password"


async def test_an_account_with_a_single_page_or_none() -> None:
    with Sandbox(rate_limit=None, page_past_end="last") as sandbox:
        assert "past_end" in (report := await run(sandbox)).findings
        assert report.findings["past_end"].state is FindingState.OPEN
        assert "conditions_combine" not in report.found
        sandbox.seed(leads=[{"email": "a@example.com"}])
        report = await run(sandbox)
        assert report.findings["past_end"].state is FindingState.PARTLY
        assert "page_past_end" not in report.found


async def test_a_profile_holds_no_secret_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "profile.toml"
    path.write_text("old")
    path.chmod(0o644)
    with filled(password="PWDcnry-ABCDEF", username="USRcnry-GHIJKL", api_key="KEYcnry-MNOPQR") as sandbox:
        report = await run(sandbox, write=EMAIL, with_wrong_credentials=True)
        write_profile(report, path)
        text = path.read_text(encoding="utf-8")
        find([sandbox.password, sandbox.username, sandbox.api_key, EMAIL, "lead1@example.com"], [text])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    profile = read_profile(path)
    assert profile.evidence["key"]["calls"][0] == "getCampaigns with apikey: HTTP 200, status 5001"
    assert profile.probe["base_url"] == "http://localhost"
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_profile_that_cannot_be_written() -> None:
    report = ProbeReport()
    for point in POINTS:
        report.leave_open(point, "not tried")
    with pytest.raises(ConfigurationError, match="the profile cannot be written: No such file"):
        write_profile(report, "/nowhere/profile.toml")
