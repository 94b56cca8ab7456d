"""A client of v1 with scripted responses, and a record of its requests."""

from __future__ import annotations

import contextlib
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import define, field

from publitrac_async import ApiError, Lead, PublitracClient, PublitracError, RetryPolicy, ValidationError
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.steps import run_steps
from publitrac_async.v1 import V1, ClickLink, EmailCampaign, FilledForm, Opportunity, WebVisit
from publitrac_async.v1.responses import read_reply

SAMPLES = Path(__file__).parents[1] / "samples"
EMAIL = "ada@example.com"
LEAD = Lead(email=EMAIL)
_MAIL = EmailCampaign(name="n", from_name="f", from_email=EMAIL, subject="s", text="t")
_DEAL = Opportunity(id="1", name="n", sales_stage="Prospecting", amount=1, probability=1, leads=["a"])
#: A call of each method. Tests fail if a method is missing.
CALLS: Mapping[str, Callable[[Any], Awaitable[Any]]] = {
    "get_leads": lambda v1: v1.get_leads(),
    "get_lead": lambda v1: v1.get_lead(EMAIL),
    "get_lead_by_external_id": lambda v1: v1.get_lead_by_external_id(7),
    "get_lead_by_token_id": lambda v1: v1.get_lead_by_token_id("t"),
    "add_lead": lambda v1: v1.add_lead(LEAD),
    "update_lead": lambda v1: v1.update_lead(LEAD),
    "delete_lead": lambda v1: v1.delete_lead(EMAIL),
    "sync_lead": lambda v1: v1.sync_lead(LEAD),
    "get_view": lambda v1: v1.get_view("v"),
    "get_list": lambda v1: v1.get_list("l"),
    "add_lead_to_list": lambda v1: v1.add_lead_to_list(EMAIL, "l"),
    "add_leads_to_list": lambda v1: v1.add_leads_to_list([EMAIL], "l"),
    "remove_lead_from_list": lambda v1: v1.remove_lead_from_list(EMAIL, "l"),
    "add_web_visit_history": lambda v1: v1.add_web_visit_history(EMAIL, WebVisit()),
    "add_click_link_history": lambda v1: v1.add_click_link_history(EMAIL, ClickLink()),
    "add_fill_form_history": lambda v1: v1.add_fill_form_history(EMAIL, FilledForm(form_name="f")),
    "get_campaigns": lambda v1: v1.get_campaigns(),
    "execute_campaign": lambda v1: v1.execute_campaign(emails=[EMAIL], campaigns=["c"]),
    "add_email_campaign": lambda v1: v1.add_email_campaign(_MAIL, [LEAD]),
    "get_opportunities": lambda v1: v1.get_opportunities(),
    "sync_opportunity": lambda v1: v1.sync_opportunity(_DEAL),
}
DONE = b"<response><status>2000</status><message>Done.</message></response>"


def sample(name: str) -> bytes:
    """Return a file of `tests/samples`."""
    return (SAMPLES / name).read_bytes()


def response(
    content: str = "", *, status: int = 2000, message: str = "", errors: Iterable[str] = ()
) -> bytes:
    """Return a response in the envelope of the documents."""
    lines = "".join(f"<error>{line}</error>" for line in errors)
    failed = f"<errors>{lines}</errors>" if lines else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<response>{content}<status>{status}</status><message>{message}</message>{failed}</response>"
    ).encode()


@define
class Sent:
    """One request as the service sees it."""

    verb: str
    host: str
    path: str
    query: dict[str, str]
    form: dict[str, str]

    @property
    def parameters(self) -> dict[str, str]:
        """Parameters of the method, from query and form."""
        return {
            name: value
            for name, value in (self.query | self.form).items()
            if name not in ("method", "apikey", "username", "password", "query")
        }

    @property
    def document(self) -> Any:
        """The XML in `query`."""
        return tree((self.query | self.form)["query"])


@define
class Service:
    """Returns `responses` in turn, and repeats the last of them; an `httpx.Response` unchanged."""

    responses: list[bytes | httpx.Response]
    sent: list[Sent] = field(factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(
            Sent(
                request.method,
                request.url.host,
                request.url.path,
                dict(urllib.parse.parse_qsl(request.url.query.decode(), True, True)),
                dict(urllib.parse.parse_qsl(request.content.decode(), True)),
            )
        )
        found = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        if isinstance(found, httpx.Response):
            return found
        return httpx.Response(200, content=found, headers={"content-type": "text/xml"})

    @property
    def last(self) -> Sent:
        return self.sent[-1]


@contextlib.asynccontextmanager
async def v1(*responses: bytes | httpx.Response, **options: Any) -> AsyncIterator[tuple[V1, Service]]:
    """Yield `client.v1` and its service."""
    service = Service(list(responses) or [DONE])
    settings: dict[str, Any] = {
        "api_key": "the-key",
        "username": "the-user",
        "password": "the-password",
        "rate_limit": None,
        "retry": RetryPolicy(attempts=1),
        "transport": httpx.MockTransport(service),
    }
    async with PublitracClient(**settings | options) as publitrac:
        yield publitrac.v1, service


def tree(document: bytes | str) -> Any:
    """Return a document as the standard library reads it: name, stripped text, children."""
    return _node(ET.fromstring(document))


def _node(element: ET.Element) -> Any:
    text = (element.text or "").strip(" \t\r\n")
    return (element.tag, text, [_node(child) for child in element])


ADA = Lead(email=EMAIL, first_name="Ada")
LEAD_ELEMENT = ("lead", "", [("email", EMAIL, []), ("firstName", "Ada", [])])
ONE_LEAD = response(f"<leads><lead><id>7</id><email>{EMAIL}</email></lead></leads>", status=2002)


async def refused(method, *args, options=None, **kwargs) -> ValidationError:
    """The error of a call that must not reach the wire."""
    async with v1(**(options or {})) as (client, service):
        with pytest.raises(ValidationError) as caught:
            await getattr(client, method)(*args, **kwargs)
    assert service.sent == []
    assert caught.value.attempts == 0
    return caught.value


def fields_of(error: ValidationError) -> list[str | None]:
    return [problem.field for problem in error.problems]


def error_of(body: bytes, http_status: int = 200, **response: object) -> PublitracError:
    with pytest.raises(PublitracError) as caught:
        run_steps(read_reply(ServiceResponse(http_status, body, **response)))
    return caught.value


def refusal(*errors: str, status: int = 9018, message: str = "failed") -> ApiError:
    error = error_of(response(status=status, message=message, errors=errors))
    assert isinstance(error, ApiError)
    return error
