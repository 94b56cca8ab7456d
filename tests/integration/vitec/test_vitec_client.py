"""`VitecClient` against the emulated Vitec: requests, responses, and secrets that stay hidden."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from publitrac_async import (
    AuthenticationError,
    ConfigurationError,
    PermissionDenied,
    PublitracError,
    Secret,
    ValidationError,
)
from publitrac_async.sandbox import Fault, Sandbox
from publitrac_async.vitec import (
    VITEC_BASE_URL,
    VITEC_TEST_BASE_URL,
    Address,
    Agent,
    Email,
    LeadSource,
    Marketing,
    Office,
    Receiver,
    Telephone,
    UserGroup,
    UtmTag,
    VitecClient,
)
from tests.support.vitec import NUMBER, lead, person, sample
from tests.support.vitec_clients import CUSTOMER, client
from tests.support.wire import Peer, RawServer, Seen, http

FULL = lead(
    person=person(
        address=Address(street_address="Storgatan 1", zip_code="111 22", city="Stockholm"),
        is_foreign_social_security_number=False,
        telephone=Telephone(home="08-1", work="08-2", cell="070-3", other="4"),
        email=Email(email_address="anna@example.com", email_address2="a2@example.com"),
    ),
    receiver=Receiver(agent=Agent(id="a1", email="agent@example.com", office=Office(id="o1"))),
    marketing=Marketing(
        referrer="https://x.example/?a=1&b=2", utm_tags=[UtmTag(name="utm_source", value="<g>")]
    ),
    message="Hej!\r\nRad två",
)


async def test_json_and_xml_make_the_same_lead(vitec: VitecClient, sandbox: Sandbox) -> None:
    first = await vitec.create_person_lead(CUSTOMER, FULL)
    second = await vitec.create_person_lead(CUSTOMER, FULL, format="xml")

    contents = sandbox.contents("vitec")
    assert [stored["id"] for stored in contents["leads"]] == [first, second]
    as_json, as_xml = ({**stored, "id": "", "sentAt": ""} for stored in contents["leads"])
    assert as_json == as_xml
    (contact,) = contents["contacts"]
    expected = {
        "firstName": "Anna",
        "lastName": "Åström",
        "socialSecurityNumber": NUMBER,
        "isForeignSocialSecurityNumber": False,
        "address": {"streetAddress": "Storgatan 1", "zipCode": "111 22", "city": "Stockholm"},
        "email": {"emailAddress": "anna@example.com", "emailAddress2": "a2@example.com"},
        "telephone": {"home": "08-1", "work": "08-2", "cell": "070-3", "other": "4"},
    }
    assert {name: contact[name] for name in expected} == expected
    assert as_json["message"] == "Hej!\r\nRad två"
    assert as_json["marketing"] == {
        "referrer": "https://x.example/?a=1&b=2",
        "utmTags": [{"name": "utm_source", "value": "<g>"}],
    }
    assert as_json["assignedTo"]["agent"]["office"] == {"id": "o1"}


async def test_xml_alone_keeps_every_part_of_the_person(vitec: VitecClient, sandbox: Sandbox) -> None:
    """The order matters: the service silently ignores anything that arrives too late."""
    await vitec.create_person_lead(CUSTOMER, FULL, format="xml")
    (contact,) = sandbox.contents("vitec")["contacts"]
    assert set(contact) - {"id", "customerId"} == {
        "address",
        "email",
        "firstName",
        "isForeignSocialSecurityNumber",
        "lastName",
        "socialSecurityNumber",
        "telephone",
    }
    assert list(contact["telephone"].values()) == ["4", "070-3", "08-1", "08-2"]


@pytest.mark.parametrize(
    "receiver",
    [
        Receiver(agent=Agent(email="agent@example.com")),
        Receiver(user_group=UserGroup(id="g1")),
        Receiver(office=Office(id="o1", customer_id="M30011")),
        None,
    ],
)
@pytest.mark.parametrize("spoken", ["json", "xml"])
async def test_every_kind_of_receiver_is_accepted(
    vitec: VitecClient, receiver: Receiver | None, spoken: Any
) -> None:
    assert await vitec.create_person_lead(CUSTOMER, lead(receiver=receiver), format=spoken) == "L1"


async def test_the_same_lead_twice_is_two_leads(vitec: VitecClient, sandbox: Sandbox) -> None:
    assert await vitec.create_person_lead(CUSTOMER, lead()) != await vitec.create_person_lead(
        CUSTOMER, lead()
    )
    assert len(sandbox.contents("vitec")["contacts"]) == 1


async def test_a_password_for_each_customer(vitec: VitecClient, sandbox: Sandbox) -> None:
    await vitec.create_person_lead("M30011", lead())
    await vitec.create_person_lead("M30012", lead())
    assert [stored["customerId"] for stored in sandbox.contents("vitec")["leads"]] == ["M30011", "M30012"]
    with pytest.raises(ConfigurationError, match="no password for customer M30013"):
        await vitec.create_person_lead("M30013", lead())
    assert sandbox.journal.count(api="vitec") == 2


async def test_one_password_for_every_customer(sandbox: Sandbox) -> None:
    async with client(sandbox.base_url, password=Secret("password-of-M30011")) as vitec:
        await vitec.create_person_lead("M30011", lead())
        with pytest.raises(PermissionDenied, match="customer or function group") as denied:
            await vitec.create_person_lead("M30012", lead())
    assert (denied.value.status, denied.value.attempts, denied.value.maybe_applied) == (403, 1, False)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"password": "wrong"}, AuthenticationError),
        ({"username": "somebody"}, AuthenticationError),
        ({"password": "crm-password-of-M30011"}, PermissionDenied),
    ],
)
async def test_refused_credentials_are_typed_errors(
    sandbox: Sandbox, options: dict[str, Any], kind: type[Exception]
) -> None:
    async with client(sandbox.base_url, **options) as vitec:
        with pytest.raises(kind):
            await vitec.create_person_lead(CUSTOMER, lead())
    assert sandbox.journal.count(api="vitec") == 1


@pytest.mark.parametrize("names", ["camel", "pascal"])
@pytest.mark.parametrize("spoken", ["json", "xml"])
async def test_the_service_refuses_leads_that_only_it_can_check(names: Any, spoken: Any) -> None:
    long = lead(person=person(first_name="x" * 41, address=Address(city="y" * 26)))
    async with Sandbox(vitec_error_names=names) as sandbox, client(sandbox.base_url) as vitec:
        with pytest.raises(ValidationError) as caught:
            await vitec.create_person_lead(CUSTOMER, long, format=spoken)
    error = caught.value
    assert [problem.field for problem in error.problems] == ["person.firstName", "person.address.city"]
    assert error.problems[0].text == "Får innehålla högst 40 tecken"
    assert (error.status, error.maybe_applied) == (400, False)


async def test_nothing_is_sent_that_cannot_be_accepted(vitec: VitecClient, sandbox: Sandbox) -> None:
    for wrong in (
        lead(person=person(email=None)),
        lead(lead_source=LeadSource(name="")),
        lead(receiver=Receiver()),
    ):
        with pytest.raises(ValidationError):
            await vitec.create_person_lead(CUSTOMER, wrong)
    with pytest.raises(ValidationError, match="format"):
        await vitec.create_person_lead(CUSTOMER, lead(), format="text")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="customerId"):
        await vitec.create_person_lead("", lead())
    assert sandbox.journal.count(api="vitec") == 0


async def test_lengths_and_customer_ids_are_warnings(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    passwords = {"m1": {"PublicAdvertising": "word"}}
    async with (
        Sandbox(vitec_passwords=passwords) as sandbox,
        client(sandbox.base_url, password="word", log_failures=False) as vitec,
    ):
        with pytest.raises(ValidationError):
            await vitec.create_person_lead("m1", lead(person=person(last_name="Åström" * 7)))
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    operation = "PublicAdvertising/{customerId}/Contact/Person/Lead"
    assert warnings == [
        f"{operation}: person.lastName: longer than 40 characters",
        f"{operation}: customerId: not a capital letter and a number, such as M30011",
    ]


async def seen_by(respond: Callable[[Seen, Peer], Awaitable[bytes]], customer: str, **options: Any) -> Seen:
    async with RawServer(respond) as server, client(server.url, **options) as vitec:
        with contextlib.suppress(PublitracError):
            await vitec.create_person_lead(customer, lead())
        (seen,) = server.seen
        return seen


async def created(seen: Seen, peer: Peer) -> bytes:
    return http(b'"42"')


async def test_the_request_has_path_headers_and_credentials() -> None:
    seen = await seen_by(created, CUSTOMER)
    assert (seen.method, seen.target) == ("POST", "/PublicAdvertising/M30011/Contact/Person/Lead")
    assert seen.headers["content-type"] == "application/json; charset=utf-8"
    assert seen.headers["accept"] == "application/json"
    pair = base64.b64encode(b"marketplace:password-of-M30011").decode()
    assert seen.headers["authorization"] == f"Basic {pair}"


@pytest.mark.parametrize("transport", [None, httpx.AsyncHTTPTransport])
async def test_a_customer_id_is_one_segment_of_the_path(transport: Any) -> None:
    async with AsyncExitStack() as stack:
        options = {}
        if transport is not None:
            options["transport"] = await stack.enter_async_context(transport())
        seen = await seen_by(created, "M1/../x?y#ö%", password="x", **options)
    assert seen.target == "/PublicAdvertising/M1%2F..%2Fx%3Fy%23%C3%B6%25/Contact/Person/Lead"


async def test_passwords_travel_as_utf8() -> None:
    seen = await seen_by(created, CUSTOMER, username="köpare", password="lösen:ord")
    encoded = seen.headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(encoded).decode() == "köpare:lösen:ord"


async def test_an_injected_transport() -> None:
    requests = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, content=sample("response.xml"))

    async with client(VITEC_BASE_URL, transport=httpx.MockTransport(respond)) as vitec:
        assert await vitec.create_person_lead(CUSTOMER, lead(), format="xml") == "sample string 1"
    (request,) = requests
    assert (
        str(request.url) == "https://connect.maklare.vitec.net/PublicAdvertising/M30011/Contact/Person/Lead"
    )
    assert request.headers["accept"] == "application/xml"


def test_live_and_test_host() -> None:
    assert repr(client(VITEC_BASE_URL)) == "VitecClient(https://connect.maklare.vitec.net)"
    assert repr(client(VITEC_TEST_BASE_URL)) == "VitecClient(https://connect-qa.maklare.vitec.net)"


@pytest.mark.parametrize(
    "options",
    [
        {"username": ""},
        {"username": "a:b"},
        {"username": "a\nb"},
        {"password": ""},
        {"password": {}},
        {"password": {"M1": "good", "M2": ""}},
        {"password": {"M1": "c4n4ry\0"}},
        {"password": "c4n4ry" * 600},
        {"base_url": "http://connect.maklare.vitec.net"},
    ],
)
def test_settings_that_cannot_work(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        client(options.pop("base_url", VITEC_BASE_URL), **options)
    assert "c4n4ry" not in str(caught.value)


@pytest.mark.parametrize(
    "fault",
    [
        None,
        Fault("drop"),
        Fault("html", body=f"<html>{NUMBER} anna@example.com", status=400),
        Fault("status", status=400, body=f'{{"modelState": {{"Person": ["{NUMBER} anna@example.com"]}}}}'),
        Fault("status", status=500, body=sample("error_500.json").decode() + NUMBER),
        Fault("malformed"),
    ],
)
async def test_no_log_error_or_event_holds_a_secret_or_the_person(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, fault: Fault | None
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    if fault:
        sandbox.inject(fault)
    async with client(sandbox.base_url, hooks=[lambda event: shown.append(repr(event))]) as vitec:
        for sent in (FULL, lead(person=person(social_security_number=NUMBER * 3))):
            try:
                await vitec.create_person_lead(CUSTOMER, sent)
            except PublitracError as error:
                shown += [str(error), repr(error), repr(error.args)]
                assert (error.__cause__, error.__context__) == (None, None)  # noqa: PT017  (not always raised)
        shown += [repr(vitec), repr(vars(vitec))]
    pair = base64.b64encode(b"marketplace:password-of-M30011").decode()
    own = [record.getMessage() for record in caplog.records if record.name.startswith("publitrac_async")]
    assert shown
    assert own
    everything = "\n".join([*shown, *own])
    for hidden in (NUMBER, "anna@example.com", "Anna", "Åström", "password-of", pair, "LeadService"):
        assert hidden not in everything


async def test_credentials_that_the_service_quotes_are_masked() -> None:
    async def respond(seen: Seen, peer: Peer) -> bytes:
        words = f"no {seen.headers['authorization']} marketplace password-of-M30011"
        return http(json.dumps({"modelState": {"Person": [words]}}).encode(), "400 Bad Request")

    async with RawServer(respond) as server, client(server.url) as vitec:
        with pytest.raises(ValidationError) as caught:
            await vitec.create_person_lead(CUSTOMER, lead())
    assert caught.value.problems[0].text == "no ********** ********** **********"


def test_the_environment_has_passwords_by_customer(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("of-a-file\n", encoding="utf-8")
    environment = {
        "VITEC_USERNAME": "marketplace",
        "VITEC_PASSWORD": "of-all-others",
        "VITEC_PASSWORD_M30011_FILE": str(file),
        "VITEC_PASSWORD_M30012": "of-M30012",
        "VITEC_BASE_URL": VITEC_TEST_BASE_URL,
    }
    vitec = VitecClient.from_env(environment)
    assert repr(vitec) == f"VitecClient({VITEC_TEST_BASE_URL})"
    found = {
        key: base64.b64decode(credentials._authorization.headers[0][1].reveal().removeprefix("Basic "))
        for key, credentials in vitec._credentials.items()
    }
    assert found == {
        "": b"marketplace:of-all-others",
        "M30011": b"marketplace:of-a-file",
        "M30012": b"marketplace:of-M30012",
    }
    assert repr(VitecClient.from_env({}, username="a", password="b")) == f"VitecClient({VITEC_BASE_URL})"


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({}, "VITEC_USERNAME"),
        ({"VITEC_USERNAME": "a"}, "VITEC_PASSWORD"),
        ({"VITEC_PASSWORD": "b"}, "VITEC_USERNAME"),
    ],
)
def test_an_environment_without_credentials(environment: dict[str, str], missing: str) -> None:
    with pytest.raises(ConfigurationError, match=f"neither {missing} nor {missing}_FILE"):
        VitecClient.from_env(environment)


async def test_a_password_for_all_other_customers(sandbox: Sandbox) -> None:
    words = {"M30011": "password-of-M30011", "": "password-of-M30012"}
    async with client(sandbox.base_url, password=words) as vitec:
        await vitec.create_person_lead("M30011", lead())
        await vitec.create_person_lead("M30012", lead())
