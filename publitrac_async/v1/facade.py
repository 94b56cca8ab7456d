"""The façade of API v1."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

import xmltodict

from publitrac_async.checks import check_email, check_page
from publitrac_async.converters import lead_from_wire
from publitrac_async.errors import (
    ConfigurationError,
    LeadNotFound,
    Problem,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.models import Lead
from publitrac_async.pagination import Page, Pager
from publitrac_async.transport.auth import Authenticator
from publitrac_async.transport.operation import Answer, Call, Operation, OperationClass
from publitrac_async.transport.pipeline import Transport
from publitrac_async.v1 import building
from publitrac_async.v1.answers import read_reply
from publitrac_async.v1.operations import GET_LEAD, GET_LEAD_BY_EXTERNAL_ID, GET_LEADS, SYNC_LEAD, operation
from publitrac_async.v1.query import Condition
from publitrac_async.v1.reading import children, number_of

T = TypeVar("T")


class V1:
    """PUBLITRAC API v1, reached as ``client.v1``.

    Names are the vendor's methods in snake_case. Every method raises the errors of
    `publitrac_async.errors`; what is listed with a method is what is particular to it.
    """

    def __init__(
        self, transport: Transport, credentials: Authenticator, *, has_credentials: bool = True
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._has_credentials = has_credentials

    def get_leads(self, *conditions: Condition, page: int = 1) -> Pager[Lead]:
        """Search leads ("Get leads").

        Args:
            *conditions: all have to hold, as far as the documents' sample shows; none means all leads.
            page: page to begin with, from 1; a page has 100 leads.

        Returns:
            A pager: await it for the first page, or iterate over it for all leads.
        """
        check_page(page, GET_LEADS.name)
        query = building.search(conditions)
        fetch = partial(self._page_of_leads, GET_LEADS, (("query", query),))
        return Pager(fetch, start=page, key=_lead_id)

    async def get_lead(self, email: str) -> Lead:
        """The lead with this e-mail address ("Get lead").

        Raises:
            LeadNotFound: there is none.
            ValidationError: `email` has not the shape of an address.
        """
        check_email(email, GET_LEAD.name)
        return await self._one_lead(GET_LEAD, ("email", email))

    async def get_lead_by_external_id(self, external_id: str | int) -> Lead:
        """The lead with this id of your own system ("Get lead by external id"), its ``crm_lead_id``.

        Raises:
            LeadNotFound: there is none.
            ValidationError: the id is empty.
        """
        text = str(external_id)
        if not text.strip():
            problem = Problem("an external id is required", code=9003, field="externalId")
            raise ValidationError(str(problem), problems=[problem], operation=GET_LEAD_BY_EXTERNAL_ID.name)
        return await self._one_lead(GET_LEAD_BY_EXTERNAL_ID, ("externalId", text))

    async def sync_lead(
        self,
        lead: Lead,
        *,
        use_token: bool = False,
        merge_anonymous: bool = False,
        custom_unicity_keys: Iterable[str] = (),
    ) -> None:
        """Create a lead, or update the one that matches ("Sync lead").

        By default the e-mail address decides which lead matches; `custom_unicity_keys` come before
        `use_token`, which comes before the address. Only fields that are set are sent.

        Args:
            lead: with an e-mail address.
            use_token: find the lead, anonymous ones included, by ``lead.token``.
            merge_anonymous: merge the history of the anonymous visitor with ``lead.token`` into the lead.
            custom_unicity_keys: vendor names of fields that have to match all together; the documents
                do not show how they are written, see `building.sync_lead`.

        Raises:
            ValidationError: a value is missing or does not fit; seen here or by the service.
            Conflict: several leads match.
        """
        query = building.sync_lead(
            lead,
            use_token=use_token,
            merge_anonymous=merge_anonymous,
            custom_unicity_keys=custom_unicity_keys,
        )
        await self._send(SYNC_LEAD, (("query", query),), _done)

    async def call(
        self,
        method: str,
        params: Mapping[str, str] | None = None,
        xml: str | None = None,
        *,
        repeat: bool = False,
    ) -> dict[str, Any]:
        """Call any method by the vendor's name, for what this package has no function for.

        Args:
            method: ``"getLead"``, ...
            params: parameters besides the credentials.
            xml: the `query` document. With it the call is a POST, without it a GET.
            repeat: a second execution does no harm, so the call may be repeated after a lost answer.
                GET calls are always repeated.

        Returns:
            The children of `<response>` as nested dicts; ``lead``, ``campaign``, ``opportunity`` and
            ``error`` are always lists.

        Raises:
            ValidationError: the method's name is not one, or a text cannot be sent.
        """
        if not (method.isascii() and method.isalnum()):
            problem = Problem("letters and digits only", field="method")
            raise ValidationError(str(problem), problems=[problem])
        verb = "GET" if xml is None else "POST"
        kind = OperationClass.APPEND
        if repeat or verb == "GET":
            kind = OperationClass.UPSERT if verb == "POST" else OperationClass.READ
        parameters = [(name, str(value)) for name, value in (params or {}).items()]
        if xml is not None:
            building.check_text("query", xml, method)
            parameters.append(("query", xml))
        return await self._send(operation(method, verb, kind), tuple(parameters), _raw)

    async def _send(
        self, method: Operation, parameters: tuple[tuple[str, str], ...], parse: Callable[[Answer], T]
    ) -> T:
        if not self._has_credentials:
            raise ConfigurationError("API v1 needs username and password", operation=method.name)
        posts = method.verb == "POST"
        call = Call(
            operation=method,
            authenticator=self._credentials,
            query=() if posts else parameters,
            form=parameters if posts else None,
            headers=(("accept", "application/xml"),),
            parse=parse,
        )
        return await self._transport.send(call)

    async def _one_lead(self, method: Operation, parameter: tuple[str, str]) -> Lead:
        return await self._send(method, (parameter,), _one_lead)

    def _page_of_leads(
        self, method: Operation, parameters: tuple[tuple[str, str], ...], page: int
    ) -> Awaitable[Page[Lead]]:
        paged = parameters if page == 1 else (*parameters, ("page", str(page)))
        return self._send(method, paged, partial(_page_of_leads, page=page))


def _lead_id(lead: Lead) -> int | None:
    return lead.id if isinstance(lead.id, int) else None


def _leads(content: dict[str, Any]) -> list[Lead]:
    container = next(iter(children(content, "leads")), None)
    return [lead_from_wire(fields) for fields in children(container, "lead") if isinstance(fields, dict)]


def _one_lead(answer: Answer) -> Lead:
    reply = read_reply(answer)
    leads = _leads(reply.content)
    if not leads:
        raise LeadNotFound("no lead matches", status=answer.status, code=reply.status)
    if len(leads) > 1:
        raise UnexpectedContent(f"{len(leads)} leads came where one was asked for")
    return leads[0]


def _page_of_leads(answer: Answer, *, page: int) -> Page[Lead]:
    content = read_reply(answer).content
    paging = next(iter(children(content, "paging")), None)
    if not isinstance(paging, dict):
        return Page(tuple(_leads(content)), page)
    number = number_of(paging, "page")
    size, total = number_of(paging, "offset"), number_of(paging, "total")
    return Page(tuple(_leads(content)), page if number is None else number, size, total)


def _done(answer: Answer) -> None:
    read_reply(answer)


def _raw(answer: Answer) -> dict[str, Any]:
    read_reply(answer)  # Raises what the answer stands for, and lets nothing hostile through.
    document: dict[str, Any] = xmltodict.parse(
        answer.body, force_list=("lead", "campaign", "opportunity", "error"), disable_entities=True
    )
    content = document["response"]
    return content if isinstance(content, dict) else {}
