"""Façade of API v1."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Hashable, Iterable, Mapping
from functools import partial
from typing import Any, Final, Literal, TypeVar, overload
from urllib.parse import quote, urlencode

from attrs import evolve

from publitrac_async.checks import check_page, check_read_ahead, refuse
from publitrac_async.config import MAX_URL, READ_AHEAD
from publitrac_async.errors import ConfigurationError, Problem
from publitrac_async.many import LeadOutcome, send_many
from publitrac_async.models import Lead
from publitrac_async.pagination import Page, Pager
from publitrac_async.transport.auth import Authenticator
from publitrac_async.transport.boundary import boundary
from publitrac_async.transport.operation import Call, ServiceResponse
from publitrac_async.transport.pipeline import Transport
from publitrac_async.transport.secret import Secret, seal
from publitrac_async.transport.steps import Steps
from publitrac_async.v1 import campaigns as campaign_requests
from publitrac_async.v1 import histories, leads, lists, opportunities, transactions
from publitrac_async.v1 import raw as requests
from publitrac_async.v1.building import Request
from publitrac_async.v1.models import (
    Campaign,
    ClickLink,
    EmailCampaign,
    FilledForm,
    Opportunity,
    OpportunityRecord,
    Transaction,
    WebVisit,
)
from publitrac_async.v1.operations import (
    ADD_LEAD,
    ADD_LEAD_TO_LIST,
    GET_CAMPAIGNS,
    GET_LEADS,
    GET_LIST,
    GET_OPPORTUNITIES,
    GET_VIEW,
    REMOVE_LEAD_FROM_LIST,
    UPDATE_LEAD,
    Method,
)
from publitrac_async.v1.query import Condition
from publitrac_async.v1.shapes import V1Shapes

T = TypeVar("T")

#: Length of parameters, in characters, that keeps a URL short in any encoding: 12 bytes at most for each.
_SHORT: Final = 300


def _parse_strictly(
    parse: Callable[[ServiceResponse], T | Steps[T]], response: ServiceResponse
) -> T | Steps[T]:
    return parse(evolve(response, repair=False))


@boundary
class V1:
    """PUBLITRAC API v1, available as ``client.v1``.

    Methods have the vendor's names in snake_case. Every method raises the errors of `publitrac_async.errors`;
    each method lists only its particular errors. Methods that take values raise `ValidationError` before
    anything is sent if a value cannot be sent or breaks a documented rule, and the same error if the service
    refuses them.

    ``documents: annex`` marks methods for which PUBLITRAC's page lists only the errors, and ``documents:
    constant`` the one for which it has only a status number. Their verb and parameters are inferred and
    unverified; `V1Shapes` changes them, and `call` sends any other form.
    """

    def __init__(
        self,
        transport: Transport,
        credentials: Authenticator,
        *,
        has_credentials: bool = True,
        shapes: V1Shapes | None = None,
        repair: bool = True,
    ) -> None:
        self._repair = repair
        self._transport = transport
        self._credentials = credentials
        self._has_credentials = has_credentials
        self._shapes = shapes or V1Shapes()

    @property
    def queued(self) -> int:
        """Number of calls in the client's queue."""
        return self._transport.reporter.queued

    # Leads.

    def get_leads(self, *conditions: Condition, page: int = 1, read_ahead: int = READ_AHEAD) -> Pager[Lead]:
        """Search leads ("Get leads").

        Args:
            *conditions: all have to hold, according to the documents' sample; without conditions all leads
                match.
            page: first page, from 1; a page has 100 leads.
            read_ahead: pages to fetch ahead, at most; 0 to fetch each on demand, see `Pager`.

        Returns:
            A pager: await it for the first page, or iterate over it for all leads.
        """
        return self._pager(
            GET_LEADS, lambda number: leads.search(conditions, number), page, leads.lead_key, read_ahead
        )

    async def get_lead(self, email: str) -> Lead:
        """Get the lead with this e-mail address ("Get lead").

        Raises:
            LeadNotFound: no lead matches.
        """
        return await self._send(leads.by_email(email))

    async def get_lead_by_external_id(self, external_id: str | int) -> Lead:
        """Get the lead with this id in your system, its ``crm_lead_id`` ("Get lead by external id").

        Raises:
            LeadNotFound: no lead matches.
        """
        return await self._send(leads.by_external_id(external_id))

    async def get_lead_by_token_id(self, token: str) -> Lead:
        """Get the lead with this tracking token, the value of the cookie (documents: annex).

        Raises:
            LeadNotFound: no lead matches.
        """
        return await self._send(leads.by_token_id(token, self._shapes))

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
            lead: with an e-mail address, also if another key identifies it.
            use_token: find the lead, anonymous ones included, by ``lead.token``.
            merge_anonymous: merge the history of the anonymous visitor with ``lead.token`` into the lead.
                The documents require `use_token` to be off then.
            custom_unicity_keys: vendor names of fields that all have to match, each with a value in `lead`.
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
        request = leads.sync(
            lead,
            use_token=use_token,
            merge_anonymous=merge_anonymous,
            custom_unicity_keys=custom_unicity_keys,
            shapes=self._shapes,
        )
        await self._send(request, on_sent)

    async def add_lead(self, lead: Lead) -> None:
        """Create a lead (documents: annex). The body is that of `sync_lead`, a guess.

        Raises:
            Conflict: a lead with this address exists; use `update_lead` or `sync_lead`.
        """
        await self._send(leads.write(ADD_LEAD, lead))

    async def update_lead(self, lead: Lead) -> None:
        """Update the lead with this address (documents: annex). The body is that of `sync_lead`, a guess.

        Raises:
            LeadNotFound: no lead matches.
        """
        await self._send(leads.write(UPDATE_LEAD, lead))

    async def delete_lead(self, email: str) -> None:
        """Delete the lead with this address (documents: constant).

        Raises:
            LeadNotFound: no lead matches; with ``maybe_applied`` this call may have deleted it.
        """
        await self._send(leads.delete(email, self._shapes))

    # Lists.

    def get_view(self, view_name: str, *, page: int = 1, read_ahead: int = READ_AHEAD) -> Pager[Lead]:
        """Get the leads of a filtered list ("Get view").

        Args:
            view_name: name of the filtered list.
            page: first page, from 1; a page has 100 leads.
            read_ahead: pages to fetch ahead, at most; 0 to fetch each on demand, see `Pager`.

        Raises:
            NotFound: the view does not exist.
        """
        return self._pager(
            GET_VIEW, lambda number: lists.view(view_name, number), page, leads.lead_key, read_ahead
        )

    def get_list(self, list_name: str, *, page: int = 1, read_ahead: int = READ_AHEAD) -> Pager[Lead]:
        """Get the leads of a static list ("Get list").

        Args:
            list_name: name of the list.
            page: first page, from 1; a page has 100 leads.
            read_ahead: pages to fetch ahead, at most; 0 to fetch each on demand, see `Pager`.

        Raises:
            NotFound: the list does not exist.
        """
        return self._pager(
            GET_LIST, lambda number: lists.members(list_name, number), page, leads.lead_key, read_ahead
        )

    async def add_lead_to_list(self, email: str, list_name: str) -> None:
        """Add a lead to an existing static list (documents: annex).

        Raises:
            LeadNotFound: the lead does not exist.
            NotFound: the list does not exist.
        """
        await self._send(lists.membership(ADD_LEAD_TO_LIST, email, list_name, self._shapes))

    async def add_leads_to_list(self, emails: Iterable[str], list_name: str) -> None:
        """Add leads to a static list, created if missing ("Add leads to list").

        Args:
            emails: of existing leads.
            list_name: fewer than 50 characters.

        Raises:
            LeadNotFound: some leads do not exist: ``[problem.value for problem in error.problems]``. It is
                not documented if the others are added; hence ``error.maybe_applied``.
        """
        await self._send(lists.add_leads(emails, list_name))

    async def remove_lead_from_list(self, email: str, list_name: str) -> None:
        """Remove a lead from a static list (documents: annex).

        Raises:
            LeadNotFound: the lead does not exist.
            NotFound: the list does not exist.
        """
        await self._send(lists.membership(REMOVE_LEAD_FROM_LIST, email, list_name, self._shapes))

    # Histories. A second call adds a second entry, so no call is repeated after a lost response.

    async def add_web_visit_history(self, email: str, visit: WebVisit) -> None:
        """Add a visit to the history of a lead ("Add web visit history").

        Args:
            email: of an existing lead, fewer than 50 characters.
            visit: the visit to record.
        """
        await self._send(histories.web_visit(email, visit))

    async def add_click_link_history(self, email: str, click: ClickLink) -> None:
        """Add a click to the history of a lead ("Add click link history").

        Args:
            email: of an existing lead, fewer than 50 characters.
            click: the click to record.
        """
        await self._send(histories.click_link(email, click))

    async def add_fill_form_history(self, email: str, form: FilledForm) -> None:
        """Add a form to the history of a lead ("Add fill out form history").

        Args:
            email: of an existing lead, fewer than 50 characters.
            form: the form to record; its ``form_name`` has to exist in PUBLITRAC.
        """
        await self._send(histories.fill_form(email, form))

    # Campaigns.

    def get_campaigns(self, *, page: int = 1) -> Pager[Campaign]:
        """Get all follow-up campaigns ("Get campaigns").

        The documents' sample has no paging, although a page can be requested: the pager continues until a
        page has no new campaign.
        """
        return self._pager(GET_CAMPAIGNS, campaign_requests.search, page, campaign_requests.campaign_key)

    async def execute_campaign(self, *, emails: Iterable[str], campaigns: Iterable[str]) -> None:
        """Add leads to automated campaigns ("Execute campaigns on leads"): each lead to each campaign.

        All or nothing: if one lead or campaign does not exist, the service does nothing. The call is never
        split, and never repeated after a lost response.

        Args:
            emails: of leads that exist.
            campaigns: names of existing campaigns.
        """
        await self._send(campaign_requests.execute(emails, campaigns))

    async def add_email_campaign(self, campaign: EmailCampaign, leads: Iterable[Lead]) -> None:
        """Send an e-mail to leads ("Add emails campaign"): creates e-mail, list and campaign.

        An existing campaign of this name is reused. The call is never repeated after a lost response, since
        that could send every e-mail twice.

        Args:
            campaign: the e-mail; its name has fewer than 50 characters.
            leads: at most 50; `email_campaign_calls` splits more into several calls.
        """
        await self._send(campaign_requests.add_email(campaign, leads))

    # Opportunities.

    def get_opportunities(self, *, page: int = 1, read_ahead: int = READ_AHEAD) -> Pager[OpportunityRecord]:
        """Get the opportunities of the account ("Get opportunities").

        The documents say "by lead", but the request takes no lead, and the response has none.

        Args:
            page: first page, from 1; a page has 200 opportunities.
            read_ahead: pages to fetch ahead, at most; 0 to fetch each on demand, see `Pager`.
        """
        return self._pager(
            GET_OPPORTUNITIES, opportunities.search, page, opportunities.opportunity_key, read_ahead
        )

    async def sync_opportunity(self, opportunity: Opportunity) -> None:
        """Create an opportunity, or update the one with this ``id`` ("Sync opportunity").

        Args:
            opportunity: with id, name, sales stage, amount, probability and leads, and with its closing date
                if it is closed.
        """
        await self._send(opportunities.sync(opportunity))

    # E-commerce, and everything else.

    async def add_transaction(
        self, transaction: Transaction, *, url: str, token: str | Secret, email: str
    ) -> None:
        """Record a purchase ("E-Commerce Transactions").

        The call has none of the client's credentials, shares its rate limit, and is not repeated after a lost
        response.

        Args:
            transaction: the purchase. Numbers are sent as text.
            url: address of the form: ask PUBLITRAC, the documents give none. ``https``, or on this machine.
            token: "your account token", which the documents do not explain further.
            email: of the lead.

        Raises:
            ConfigurationError: `url` or `token` is unusable.
        """
        secret = seal(token, "token")
        del token
        if isinstance(secret, ConfigurationError):
            raise secret
        await self._transport.send(transactions.call(transaction, url=url, token=secret, email=email))

    @overload
    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        xml: str | None = None,
        *,
        verb: Literal["GET", "POST"] | None = None,
        repeat: bool = False,
        raw: Literal[False] = False,
    ) -> dict[str, Any]: ...

    @overload
    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        xml: str | None = None,
        *,
        verb: Literal["GET", "POST"] | None = None,
        repeat: bool = False,
        raw: Literal[True],
    ) -> bytes: ...

    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        xml: str | None = None,
        *,
        verb: Literal["GET", "POST"] | None = None,
        repeat: bool = False,
        raw: bool = False,
    ) -> dict[str, Any] | bytes:
        """Call any method by the vendor's name, also those without a function in this package.

        Args:
            method: ``"getLead"``, ...
            params: parameters besides the credentials.
            xml: the `query` document.
            verb: by default the documented one; for unknown methods POST with `xml` and GET without.
            repeat: the call is idempotent, so it may be retried after a lost response. The default is right
                for the methods here; unknown ones are assumed idempotent if their name begins with ``get``.
            raw: return the decompressed body without parsing it, for a response that cannot be read. A
                failure by HTTP status still raises its error.

        Returns:
            The children of `<response>` as nested dicts; ``lead``, ``campaign``, ``opportunity`` and
            ``error`` are always lists. With `raw`, the body.
        """
        if raw:
            return await self._send(requests.raw_call(method, params, xml, verb=verb, repeat=repeat))
        return await self._send(requests.call(method, params, xml, verb=verb, repeat=repeat))

    async def _send(self, request: Request[T], on_sent: Callable[[], None] | None = None) -> T:
        method = request.method
        if not self._has_credentials:
            raise ConfigurationError("API v1 needs username and password", operation=method.name)
        posts = method.verb == "POST"
        if not posts:
            await self._check_length(request)
        call = Call(
            operation=method,
            authenticator=self._credentials,
            query=() if posts else request.parameters,
            form=request.parameters if posts else None,
            headers=(("accept", "application/xml"),),
            parse=request.parse if self._repair else partial(_parse_strictly, request.parse),
            on_sent=on_sent,
        )
        return await self._transport.send(call)

    async def _check_length(self, request: Request[Any]) -> None:
        """Refuse a request whose URL, credentials included, is too long for servers."""
        if sum(len(text) for _, text in request.parameters) < _SHORT:
            return
        length = len(request.method.path) + 1 + len(urlencode(request.parameters, quote_via=quote))
        length += (await self._credentials.authorize()).url_length
        if length > MAX_URL:
            reason = (
                f"the URL would have {length} bytes and servers refuse more than {MAX_URL}: use fewer "
                f'conditions, or v1.call("{request.method.name}", xml=...), which sends them in the body'
            )
            refuse([Problem(reason, field="query")], request.method.name)

    def _pager(
        self,
        method: Method,
        request: Callable[[int], Request[Page[T]]],
        page: int,
        key: Callable[[T], Hashable | None],
        read_ahead: int = 0,
    ) -> Pager[T]:
        check_page(page, method.name)
        check_read_ahead(read_ahead, method.name)
        request(page)  # Checked here, so that errors are raised by this call rather than by the pager.

        def fetch(number: int, on_sent: Callable[[], None] | None = None) -> Awaitable[Page[T]]:
            return self._send(request(number), on_sent)

        return Pager(fetch, start=page, key=key, read_ahead=read_ahead)
