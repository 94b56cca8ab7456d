"""Read and write leads."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Hashable, Iterable
from functools import partial
from typing import Any

from publitrac_async.checks import check_email, check_is_lead, check_lead, lead_problems, refuse
from publitrac_async.config import READ_AHEAD
from publitrac_async.converters import lead_from_wire, lead_to_wire
from publitrac_async.errors import LeadNotFound, Problem, UnexpectedContent
from publitrac_async.many import LeadOutcome, send_many
from publitrac_async.models import Lead
from publitrac_async.pagination import Page, Pager
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.steps import Steps
from publitrac_async.v1.building import Request, mandatory, request, text_of_number
from publitrac_async.v1.elements import LeadReader
from publitrac_async.v1.operations import (
    ADD_LEAD,
    DELETE_LEAD,
    GET_LEAD,
    GET_LEAD_BY_EXTERNAL_ID,
    GET_LEAD_BY_TOKEN_ID,
    GET_LEADS,
    SYNC_LEAD,
    UPDATE_LEAD,
    Method,
)
from publitrac_async.v1.query import Condition
from publitrac_async.v1.reading import page_of, records_of
from publitrac_async.v1.responses import read_reply
from publitrac_async.v1.sending import V1Base
from publitrac_async.v1.shapes import V1Shapes


class LeadOperations(V1Base):
    """Operations on leads."""

    def get_leads(self, *conditions: Condition, page: int = 1, read_ahead: int = READ_AHEAD) -> Pager[Lead]:
        """Search leads ("Get leads").

        Args:
            *conditions: conditions made by `field`. All must hold, according to the documents' sample;
                without conditions all leads match.
            page: first page, from 1; a page has 100 leads.
            read_ahead: maximum pages to fetch ahead; 0 to fetch each on demand, see `Pager`.

        Returns:
            A pager: await it for the first page, or iterate over it for all leads.

        Raises:
            TypeError: a condition was not made by `field`.
        """
        for condition in conditions:
            if not isinstance(condition, Condition):
                raise TypeError(
                    'make a condition by field("lastName").like("smith%") or compare(), not from '
                    f"{type(condition).__name__}"
                )
        return self._pager(GET_LEADS, lambda number: search(conditions, number), page, lead_key, read_ahead)

    async def get_lead(self, email: str) -> Lead:
        """Get the lead with this e-mail address ("Get lead").

        Args:
            email: address of the lead.

        Raises:
            LeadNotFound: no lead matches.
        """
        return await self._send(by_email(email))

    async def get_lead_by_external_id(self, external_id: str | int) -> Lead:
        """Get the lead with this id in your system, its ``crm_lead_id`` ("Get lead by external id").

        Args:
            external_id: id in your system, as text or number.

        Raises:
            LeadNotFound: no lead matches.
        """
        return await self._send(by_external_id(external_id))

    async def get_lead_by_token_id(self, token: str) -> Lead:
        """Get the lead with this tracking token, the value of the cookie (documents: annex).

        Args:
            token: value of the cookie, such as ``_nl-example.com-1282527313351-84730``.

        Raises:
            LeadNotFound: no lead matches.
        """
        return await self._send(by_token_id(token, self._shapes))

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
        `use_token`, which comes before the address. Only fields that are set are sent. If several leads
        match, the service refuses the call; the documents have no code for that, and it raises
        `ValidationError`.

        Args:
            lead: the lead, with an e-mail address even if another key identifies it.
            use_token: find the lead, anonymous ones included, by ``lead.token``.
            merge_anonymous: merge the history of the anonymous visitor with ``lead.token`` into the lead.
                According to the documents, `use_token` must be off then.
            custom_unicity_keys: vendor names of fields that must all match, each with a value in `lead`.
                Their XML form is not documented: see `V1Shapes.unicity_keys`.
        """
        await self._sync(
            lead,
            use_token=use_token,
            merge_anonymous=merge_anonymous,
            custom_unicity_keys=custom_unicity_keys,
        )

    def sync_lead_many(
        self,
        leads: Iterable[Lead] | AsyncIterable[Lead],
        *,
        use_token: bool = False,
        merge_anonymous: bool = False,
        custom_unicity_keys: Iterable[str] = (),
    ) -> AsyncGenerator[LeadOutcome[None], None]:
        """Sync many leads as fast as the rate limit allows, and yield each outcome as soon as it is known.

        ::

            async for outcome in publitrac.v1.sync_lead_many(leads):
                if not outcome.ok:
                    print(outcome.position, outcome.error)

        A lead is taken from `leads` once the previous request is sent: at most 256 are in memory, and other
        calls of the client get their turn. Leads with the same address are sent one after the other, in
        order. Leaving the loop cancels the calls in flight. Nothing is kept on disk: for a run that must
        survive a kill use `publitrac_async.bulk.sync_leads`.

        Args:
            leads: any iterable, or an asynchronous one.
            use_token: as in `sync_lead`, like the options below.
            merge_anonymous: likewise.
            custom_unicity_keys: likewise.

        Raises:
            ClientStateError: the client was closed meanwhile.
            ConfigurationError: the client cannot send leads.
        """
        send = partial(
            self._sync,
            use_token=use_token,
            merge_anonymous=merge_anonymous,
            custom_unicity_keys=tuple(custom_unicity_keys),
        )
        return send_many(leads, send)

    async def _sync(
        self,
        lead: Lead,
        on_sent: Callable[[], None] | None = None,
        *,
        use_token: bool,
        merge_anonymous: bool,
        custom_unicity_keys: Iterable[str],
    ) -> None:
        request = sync(
            lead,
            use_token=use_token,
            merge_anonymous=merge_anonymous,
            custom_unicity_keys=custom_unicity_keys,
            shapes=self._shapes,
        )
        await self._send(request, on_sent)

    async def add_lead(self, lead: Lead) -> None:
        """Create a lead (documents: annex). It sends the body of `sync_lead`, which is a guess.

        Args:
            lead: with an e-mail address, which no other lead has.

        Raises:
            Conflict: a lead with this address exists; use `update_lead` or `sync_lead`.
        """
        await self._send(write(ADD_LEAD, lead))

    async def update_lead(self, lead: Lead) -> None:
        """Update the lead with this address (documents: annex). It sends the body of `sync_lead`, a guess.

        Args:
            lead: with an e-mail address, which identifies it. Only fields that are set are sent.

        Raises:
            LeadNotFound: no lead matches.
        """
        await self._send(write(UPDATE_LEAD, lead))

    async def delete_lead(self, email: str) -> None:
        """Delete the lead with this address (documents: constant).

        Args:
            email: address of the lead.

        Raises:
            LeadNotFound: no lead matches. With ``maybe_applied``, an earlier attempt may have deleted it.
        """
        await self._send(delete(email, self._shapes))


def search(conditions: Iterable[Condition], page: int) -> Request[Page[Lead]]:
    """Build the request of getLeads; without conditions it selects all leads."""
    queries = [
        {"field": condition.field, "operator": condition.operator, "value": condition.value}
        for condition in conditions
    ]
    document = {"queries": {"query": queries} if queries else None}
    return pages(GET_LEADS, page, {}, document)


def pages(
    method: Method, page: int, parameters: dict[str, str], document: dict[str, Any] | None = None
) -> Request[Page[Lead]]:
    """Build a request for a page of leads."""
    if page != 1:
        parameters = parameters | {"page": str(page)}
    return request(method, partial(_page_of_leads, page=page), parameters, document)


def by_email(email: str) -> Request[Lead]:
    """Build the request of getLead."""
    check_email(email, GET_LEAD.name)
    return request(GET_LEAD, one_lead, {"email": email})


def by_external_id(external_id: str | int) -> Request[Lead]:
    """Build the request of getLeadByExternalId."""
    parameters = {"externalId": text_of_number(external_id)}
    refuse(mandatory(parameters, {"externalId": 9003}), GET_LEAD_BY_EXTERNAL_ID.name)
    return request(GET_LEAD_BY_EXTERNAL_ID, one_lead, parameters)


def by_token_id(token: str, shapes: V1Shapes) -> Request[Lead]:
    """Build the request of getLeadByTokenId."""
    parameters = {shapes.token_id_parameter: token}
    refuse(mandatory(parameters), GET_LEAD_BY_TOKEN_ID.name)
    return request(GET_LEAD_BY_TOKEN_ID, one_lead, parameters)


def write(method: Method, lead: Lead) -> Request[None]:
    """Build the request of addLead or updateLead: the body of syncLead without its options."""
    check_lead(lead, method.name)
    return request(method, done, document={"lead": lead_element(lead, method)})


def delete(email: str, shapes: V1Shapes) -> Request[None]:
    """Build the request of deleteLead."""
    check_email(email, DELETE_LEAD.name)
    return request(DELETE_LEAD, done, {shapes.email_parameter: email})


def sync(
    lead: Lead,
    *,
    use_token: bool,
    merge_anonymous: bool,
    custom_unicity_keys: Iterable[str],
    shapes: V1Shapes,
) -> Request[None]:
    """Build the request of syncLead. Options precede `<lead>` and are omitted if unset."""
    element = lead_element(lead, SYNC_LEAD)
    keys = list(custom_unicity_keys)
    values = element | (element.get("customFields") or {})
    problems = lead_problems(lead)
    for option, chosen in (("useToken", use_token), ("mergeAnonymous", merge_anonymous)):
        if chosen and _is_empty(values.get("token")):
            problems.append(Problem(f"{option} needs the visitor's token", field="token"))
    problems += [
        Problem("a unicity key needs a value", field=key) for key in keys if _is_empty(values.get(key))
    ]
    refuse(problems, SYNC_LEAD.name)
    if use_token and merge_anonymous:
        warnings.warn(
            "PUBLITRAC's documents require useToken to be off with mergeAnonymous; both are sent",
            stacklevel=3,
        )
    options: dict[str, Any] = {}
    if use_token:
        options["useToken"] = "true"
    if merge_anonymous:
        options["mergeAnonymous"] = "1"
    if keys:
        options["customUnicityKeys"] = shapes.unicity_keys(keys)
    match shapes.options_place:
        case "before":
            document = options | {"lead": element}
        case "after":
            document = {"lead": element} | options
        case "inside":
            document = {"lead": options | element}
    return request(SYNC_LEAD, done, document=document)


def lead_element(lead: Lead, method: Method) -> dict[str, Any]:
    """Build the children of `<lead>`; requests nest custom fields."""
    check_is_lead(lead)
    native, custom = lead_to_wire(lead, method.name)
    return native | ({"customFields": custom} if custom else {})


def lead_key(lead: Lead) -> Hashable | None:
    """Return the key that identifies a lead of a list."""
    return lead.id if isinstance(lead.id, int) else (lead.email or None)


def one_lead(response: ServiceResponse) -> Steps[Lead]:
    """Read the lead of a response.

    Raises:
        LeadNotFound: the response reports that no lead matches, by an error or an empty `<leads>`: the
            documents do not specify which.
        UnexpectedContent: the response announces leads that it does not contain, or several.
    """
    reply = yield from read_reply(response, LeadReader().read)
    leads = leads_of(reply.content.children, page=1)
    if not leads:
        raise LeadNotFound("no lead matches", status=response.status, code=reply.status)
    if len(leads) > 1:
        raise UnexpectedContent(f"the response has {len(leads)} leads where one is expected")
    return leads[0]


def done(response: ServiceResponse) -> Steps[None]:
    """Read a success without content."""
    yield from read_reply(response)


def _is_empty(value: object) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _page_of_leads(response: ServiceResponse, *, page: int) -> Steps[Page[Lead]]:
    content = (yield from read_reply(response, LeadReader().read)).content
    return page_of(content, leads_of(content.children, page=page), page)


def leads_of(content: dict[str, Any], *, page: int) -> list[Lead]:
    """Read the leads of a response.

    Raises:
        UnexpectedContent: the response has no lead, and does not state that there is none.
    """
    return [
        found if isinstance(found, Lead) else lead_from_wire(found)
        for found in records_of(content, "leads", "lead", page=page)
    ]
