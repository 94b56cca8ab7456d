"""`MarketoClient`: client of the lead database of Marketo Engage."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Final, Literal, Self, Unpack

from publitrac_async.checks import refuse
from publitrac_async.errors import ConfigurationError, Problem
from publitrac_async.marketo import raw, responses
from publitrac_async.marketo.fields import FieldOperations
from publitrac_async.marketo.leads import LeadOperations
from publitrac_async.marketo.memberships import MembershipOperations
from publitrac_async.marketo.paging import MarketoPage, MarketoPager
from publitrac_async.shared.share import Shared
from publitrac_async.transport.auth import TokenStore
from publitrac_async.transport.base import ClientOptions
from publitrac_async.transport.boundary import boundary
from publitrac_async.transport.environment import missing_variable, read_variables
from publitrac_async.transport.secret import Secret

_ENVIRONMENT: Final = "MARKETO_"


class MarketoOptions(ClientOptions, total=False):
    """Arguments of `MarketoClient`, see there."""

    base_url: str | None
    munchkin_id: str | None
    client_id: str | Secret
    client_secret: str | Secret
    shared: Shared | None
    token_store: TokenStore | None


@boundary
class MarketoClient(LeadOperations, FieldOperations, MembershipOperations):
    """Client of Marketo Engage's lead database (REST API, "Leads").

    Open one for the lifetime of your program and share it; it belongs to the event loop of its first use.

    ::

        async with MarketoClient(munchkin_id=..., client_id=..., client_secret=...) as marketo:
            results = await marketo.sync_leads([{"email": "ada@example.com", "firstName": "Ada"}])

    The client requests a token on first use, keeps it while valid, and renews it once for all callers.

    Args:
        base_url: address of your instance, ``https://123-ABC-456.mktorest.com``. The paths that Marketo
            displays after it (``/rest``, ``/rest/v1``, ``/identity``) are removed. Plain ``http`` is accepted
            for this machine only.
        munchkin_id: id of your account, ``123-ABC-456``, instead of `base_url`.
        client_id: client id of the custom service ("LaunchPoint").
        client_secret: client secret of the custom service.
        rate_limit: requests per second, or a `publitrac_async.Rate`; ``None`` for no limit.
            Marketo allows 100 in 20 seconds to all integrations of an instance together and advises 50 for
            one, ``Rate(50, per=20)``, the default.
        shared: object such as `SharedRedis`, by which all processes of the account share limits and token.
            The caller closes it. It has its own rate limit, so it excludes `rate_limit`, and also `limiter`
            and `token_store`.
        retry: policy for retries of failed calls.
        timeout: limits on the time of a call. A number sets the total in seconds; ``None`` means no total. By
            default every operation has Marketo's time limit, see the guide.
        concurrency: calls in flight at once. By default as many as the rate limit needs at Marketo's latency,
            up to 10, which Marketo allows to all integrations together. Code 615 reduces the number.
        transport: any ``httpx.AsyncBaseTransport``, instead of the one on aiohttp. The caller closes it, so
            several clients can share one. Excludes `trust_env`.
        limiter: instead of the limiter for `rate_limit`, which it excludes. The caller closes it.
        token_store: store of the token, instead of one in memory. The caller closes it.
        hooks: called with every event of `publitrac_async.transport.events`.
        log_failures: log each failed call as a warning, after its retries.
        trust_env: take proxies and ``SSL_CERT_FILE`` from the environment.
        allow_insecure_http: accept plain ``http`` to any host.
        trace: a file to which every exchange is written for a bug report, without credentials and personal
            data; or a `Trace`, which the caller closes.

    Raises:
        ConfigurationError: a credential or setting is unusable, or contradicts another.
    """

    @classmethod
    def from_env(
        cls, environment: Mapping[str, str] | None = None, **options: Unpack[MarketoOptions]
    ) -> Self:
        """Return a client with the credentials of the environment.

        Reads ``MARKETO_BASE_URL`` (or, without it, ``MARKETO_MUNCHKIN_ID``), ``MARKETO_CLIENT_ID`` and
        ``MARKETO_CLIENT_SECRET``; each also as ``..._FILE`` with the path of a file that holds the value.

        Args:
            environment: instead of ``os.environ``.
            **options: further arguments of the constructor; they take precedence over the environment.

        Raises:
            ConfigurationError: a credential is missing, a file cannot be read, or a value is unusable.
        """
        addresses = set() if options.keys() & {"base_url", "munchkin_id"} else {"base_url", "munchkin_id"}
        required = {"client_id", "client_secret"} - options.keys()
        found = read_variables(environment, _ENVIRONMENT, sorted(addresses | required))
        del environment
        if isinstance(found, ConfigurationError):
            raise found
        missing = sorted(required - found.keys())
        if addresses and not addresses & found.keys():
            missing.insert(0, "base_url")
        if missing:
            raise missing_variable(f"{_ENVIRONMENT}{missing[0].upper()}")
        if "base_url" in found:
            found.pop("munchkin_id", None)
        settings: dict[str, Any] = {**options}
        settings |= {name: secret.reveal() if name in addresses else secret for name, secret in found.items()}
        return cls(**settings)

    def call(
        self,
        verb: Literal["GET", "POST", "DELETE"],
        path: str,
        *,
        query: raw.Parameters = (),
        json: Any = None,
        form: raw.Parameters | None = None,
        idempotent: bool = False,
        next_page_token: str | None = None,
    ) -> MarketoPager[Any]:
        """Call any path of Marketo's API, including those without a method in this package.

        Token, limits, retries and errors are the same as for every call. Await the pager for one page with
        the items of ``result`` as JSON; iterate over it for all items of all pages. Responses other than JSON
        (files of bulk extracts) are not supported.

        Args:
            verb: HTTP method.
            path: path that begins with ``/rest/`` or ``/bulk/``: ``"/rest/v1/lists/1001/leads.json"``.
            query: parameters. A list is joined by commas; pairs can repeat a name. Dates and other types are
                written as in `sync_leads`.
            json: body, sent as JSON.
            form: body, sent as form fields, as the Asset API takes it.
            idempotent: repeating the POST does no harm, so it may be retried after a lost response. GET and
                DELETE are always idempotent.
            next_page_token: token of the first page. For activities it encodes the start time, see "Get
                Paging Token".

        Raises:
            ValidationError: verb, path or a value cannot be sent.
            ApiError: Marketo refused the call. Refused records are items of the page.
        """
        operation = raw.operation_for(verb, path, idempotent=idempotent)
        if json is not None and form is not None:
            refuse(
                [Problem("cannot be given with form: leave out one of them", field="json")], operation.name
            )
        if verb == "GET" and (json is not None or form is not None):
            refuse([Problem("a GET has no body: pass query", field="verb")], operation.name)
        sent = raw.parameters(query, operation.name)
        content = None if json is None else raw.body(json, operation.name)
        fields = None if form is None else raw.parameters(form, operation.name)

        def fetch(token: str | None) -> Awaitable[MarketoPage[Any]]:
            paged = sent if token is None else (*sent, ("nextPageToken", token))
            return self._send(
                operation, responses.raw_page, query=paged, content=content, form=fields, filled=path
            )

        return MarketoPager(fetch, start=next_page_token)
