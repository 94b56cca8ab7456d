"""Façade of API v2."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable

from attrs import field, frozen

from publitrac_async.errors import AuthenticationError, PermissionDenied
from publitrac_async.many import LeadOutcome, send_many
from publitrac_async.models import Accepted, Lead
from publitrac_async.transport.auth import Authorization, SlidingToken, StaticCredentials, Token, TokenStore
from publitrac_async.transport.boundary import boundary
from publitrac_async.transport.limits import RateLimiter
from publitrac_async.transport.operation import Call
from publitrac_async.transport.pipeline import Transport
from publitrac_async.transport.secret import Secret
from publitrac_async.v2 import codec
from publitrac_async.v2.operations import DELAYED_SYNC, GET_TOKEN
from publitrac_async.v2.responses import read_accepted, read_token

_ACCEPT = (("accept", "application/json"),)


@frozen
class PreparedLead:
    """Lead that was checked and encoded for ``lead/delayedSync``, to be sent now or later.

    The same lead always gives the same bytes, so a comparison detects changes.

    Attributes:
        body: body of the request, JSON.
    """

    body: bytes = field(repr=False)


@boundary
class V2:
    """PUBLITRAC API v2, available as ``client.v2``. Programs do not construct it.

    The token is requested on first use, kept while valid, and renewed once for all callers.
    """

    def __init__(
        self,
        transport: Transport,
        api_key: Secret,
        *,
        limiter: RateLimiter | None = None,
        token_store: TokenStore | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._limiter = limiter
        self._clock = clock
        # The bare key, without a scheme such as "Bearer" ("Authentification", header Authorization).
        self._api_key = StaticCredentials(Authorization(headers=(("Authorization", api_key),)))
        # The documents do not show the response to a stale token. 401, 403, or these codes in the JSON count.
        self._token = SlidingToken(
            self._request_token,
            header="Token",
            store=token_store,
            reauthenticate_on=(AuthenticationError, PermissionDenied),
            clock=clock,
        )

    @property
    def queued(self) -> int:
        """Number of calls in the client's queue."""
        return self._transport.reporter.queued

    def prepare(self, lead: Lead) -> PreparedLead:
        """Check and encode a lead for `delayed_sync`, without sending it.

        Args:
            lead: the lead, identified by its e-mail address.

        Raises:
            ValidationError: the e-mail address or another value is missing or cannot be written.
        """
        return PreparedLead(codec.lead_body(lead))

    async def delayed_sync(self, lead: Lead | PreparedLead) -> Accepted:
        """Submit a lead for processing ("Synchronize a lead", ``lead/delayedSync``).

        A little later, the service creates the lead or updates the one with this e-mail address. Its response
        confirms that the lead was accepted, not that it was processed: to check that, read it back through
        `v1.get_lead`. Only fields that are set are sent.

        Args:
            lead: the lead, identified by its e-mail address; or the result of `prepare`.

        Raises:
            ValidationError: the e-mail address or another value is missing or cannot be written.
            AuthenticationError: the service refused the API key, or a fresh token.
        """
        return await self._transport.send(self._call(lead), limiter=self._limiter)

    def delayed_sync_many(
        self, leads: Iterable[Lead] | AsyncIterable[Lead]
    ) -> AsyncGenerator[LeadOutcome[Accepted], None]:
        """Submit many leads as fast as the rate limit allows, and yield each outcome as soon as it is known.

        ::

            async for outcome in publitrac.v2.delayed_sync_many(leads):
                if not outcome.ok:
                    print(outcome.position, outcome.error)

        A lead is taken from `leads` once the previous request is sent: at most 256 are in memory, and other
        calls of the client get their turn. Leads with the same address are sent one after the other, in
        order. Leaving the loop cancels the calls in flight. Nothing is kept on disk: for a run that must
        survive a kill use `publitrac_async.bulk.sync_leads`.

        Args:
            leads: any iterable, or an asynchronous one.

        Raises:
            ClientStateError: the client was closed meanwhile.
            ConfigurationError: the client cannot send leads.
        """
        return send_many(leads, self._sync)

    async def _sync(self, lead: Lead | PreparedLead, on_sent: Callable[[], None] | None = None) -> Accepted:
        return await self._transport.send(self._call(lead, on_sent), limiter=self._limiter)

    def _call(self, lead: Lead | PreparedLead, on_sent: Callable[[], None] | None = None) -> Call[Accepted]:
        return Call(
            operation=DELAYED_SYNC,
            authenticator=self._token,
            content=lead.body if isinstance(lead, PreparedLead) else codec.lead_body(lead),
            content_type="application/json",
            headers=_ACCEPT,
            parse=read_accepted,
            on_sent=on_sent,
        )

    async def get_token(self) -> Token:
        """Return the current token, requested if necessary ("Authentification", ``auth/getToken``).

        The client manages its token automatically. This method is for programs that call other routes of v2.
        """
        return await self._token.token()

    async def aclose(self) -> None:
        """Cancel the token request in flight."""
        await self._token.aclose()

    async def _request_token(self) -> Token:
        call = Call(operation=GET_TOKEN, authenticator=self._api_key, headers=_ACCEPT, parse=read_token)
        requested_at = self._clock()
        value, ttl = await self._transport.request_token(
            call, limiter=self._limiter, confirm=self._token.confirm_request
        )
        return Token(value=value, ttl=ttl, expires_at=requested_at + ttl)
