"""`VitecClient`: client of Vitec Express Connect, leads for estate agents; with its one operation."""

from __future__ import annotations

import base64
import logging
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Self, Unpack

from publitrac_async.checks import refuse
from publitrac_async.config import (
    TIMEOUT,
    VITEC_BASE_URL,
    VITEC_CONCURRENCY,
    VITEC_RATE,
    Rate,
    RetryPolicy,
    Timeout,
)
from publitrac_async.errors import ConfigurationError, Problem
from publitrac_async.shared.share import Shared, limiter_and_tokens
from publitrac_async.transport.auth import Authorization, StaticCredentials
from publitrac_async.transport.base import BaseClient, ClientOptions
from publitrac_async.transport.boundary import boundary
from publitrac_async.transport.environment import missing_variable, read_variable, read_variables
from publitrac_async.transport.events import Hook
from publitrac_async.transport.limits import RateLimiter
from publitrac_async.transport.operation import Call
from publitrac_async.transport.secret import Secret, all_sealed, seal
from publitrac_async.transport.trace import TraceTarget
from publitrac_async.vitec import codec
from publitrac_async.vitec.checks import check_customer_id, check_person_lead, customer_id_note, length_notes
from publitrac_async.vitec.models import PersonLead
from publitrac_async.vitec.operations import CREATE_PERSON_LEAD, NAME, path_for
from publitrac_async.vitec.responses import read_lead_id

if TYPE_CHECKING:
    import httpx

logger: Final = logging.getLogger("publitrac_async")

_MEDIA_TYPES: Final = {"json": "application/json", "xml": "application/xml"}
_EVERY_CUSTOMER: Final = ""
_ENVIRONMENT: Final = "VITEC_"


class VitecOptions(ClientOptions, total=False):
    """Arguments of `VitecClient`, see there."""

    username: str | Secret
    password: str | Secret | Mapping[str, str | Secret]
    base_url: str
    shared: Shared | None


@boundary
class VitecClient(BaseClient):
    """Client of Vitec Express Connect for marketplaces ("PublicAdvertising").

    Open one for the lifetime of your program and share it; it belongs to the event loop of its first use.

    ::

        async with VitecClient(username=..., password={"M30011": ...}) as vitec:
            lead_id = await vitec.create_person_lead("M30011", lead)

    Args:
        username: user name of the partner.
        password: password of the function group of your leads: one password for every customer, or a mapping
            from customer id to password (``""`` for all others), since Vitec issues one for each customer.
        base_url: the live host by default; ``publitrac_async.vitec.VITEC_TEST_BASE_URL`` is the test host.
            Plain ``http`` is accepted for this machine only.
        rate_limit: requests per second, or a `publitrac_async.Rate`; ``None`` for no limit. Vitec states
            none; the default is careful.
        shared: object such as `SharedRedis`, by which all processes of the account share a rate limit. The
            caller closes it. It excludes `rate_limit` and `limiter`.
        retry: policy for retries of failed calls: only if nothing was sent, or if the service refused because
            of too many calls.
        timeout: limits on the time of a call; a number is its total in seconds, ``None`` no total.
        concurrency: calls in flight at once; ``None`` for as many as `rate_limit` needs.
        transport: any ``httpx.AsyncBaseTransport``, instead of the one on aiohttp. The caller closes it, so
            several clients can share one. Excludes `trust_env`.
        limiter: instead of the limiter for `rate_limit`, which it excludes. The caller closes it.
        hooks: called with every event of `publitrac_async.transport.events`.
        log_failures: log each failed call as a warning, after its retries.
        trust_env: take proxies and ``SSL_CERT_FILE`` from the environment.
        allow_insecure_http: accept plain ``http`` to any host.
        trace: a file to which every exchange is written for a bug report, without credentials and personal
            data; or a `Trace`, which the caller closes.

    Raises:
        ConfigurationError: a credential or setting is unusable, or contradicts another.
    """

    _vendor = "vitec"

    def __init__(
        self,
        *,
        username: str | Secret,
        password: str | Secret | Mapping[str, str | Secret],
        base_url: str = VITEC_BASE_URL,
        rate_limit: Rate | int | None = VITEC_RATE,
        shared: Shared | None = None,
        retry: RetryPolicy | None = None,
        timeout: Timeout | float | None = TIMEOUT,
        concurrency: int | None = VITEC_CONCURRENCY,
        transport: httpx.AsyncBaseTransport | None = None,
        limiter: RateLimiter | None = None,
        hooks: Sequence[Hook] = (),
        log_failures: bool = True,
        trust_env: bool = False,
        allow_insecure_http: bool = False,
        trace: TraceTarget | None = None,
    ) -> None:
        passwords = password if isinstance(password, Mapping) else {_EVERY_CUSTOMER: password}
        customers = list(passwords)
        sealed = [
            seal(username, "username"),
            *(seal(each, f"password of {key}" if key else "password") for key, each in passwords.items()),
        ]
        # From here on no local name holds a bare credential: error trackers record the local names of frames.
        del username, password, passwords
        user, *secrets = all_sealed(*sealed)
        if not secrets:
            raise ConfigurationError("password is an empty mapping: it needs a password for a customer")
        if ":" in user.reveal():
            raise ConfigurationError("username must not have a colon, which HTTP Basic does not allow")
        self._credentials = {
            customer: _basic_credentials(user, secret)
            for customer, secret in zip(customers, secrets, strict=True)
        }
        limiter, _ = limiter_and_tokens(shared, limiter=limiter, rate_limit=rate_limit, default=VITEC_RATE)
        super().__init__(
            base_url=base_url,
            limiter=limiter,
            retry=retry,
            timeout=timeout,
            concurrency=concurrency,
            transport=transport,
            hooks=hooks,
            log_failures=log_failures,
            trust_env=trust_env,
            allow_insecure_http=allow_insecure_http,
            trace=trace,
        )

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None, **options: Unpack[VitecOptions]) -> Self:
        """Return a client with the credentials of the environment.

        Reads ``VITEC_USERNAME``, ``VITEC_BASE_URL``, ``VITEC_PASSWORD``, and for single customers
        ``VITEC_PASSWORD_M30011`` and the like; each also as ``..._FILE`` with the path of a file that holds
        the value.

        Args:
            environment: instead of ``os.environ``.
            **options: further arguments of the constructor; they take precedence over the environment.

        Raises:
            ConfigurationError: a credential is missing, a file cannot be read, or a value is unusable.
        """
        found = read_variables(environment, _ENVIRONMENT, sorted({"username", "base_url"} - options.keys()))
        settings: dict[str, Any] = {**options}
        passwords = settings.pop("password", None) or _passwords(environment)
        del environment
        if isinstance(found, ConfigurationError):
            raise found
        if isinstance(passwords, ConfigurationError):
            raise passwords
        if "base_url" in found:
            settings["base_url"] = found.pop("base_url").reveal()
        settings |= {**found, **({"password": passwords} if passwords else {})}
        for name in ("username", "password"):
            if name not in settings:
                raise missing_variable(f"{_ENVIRONMENT}{name.upper()}")
        return cls(**settings)

    async def create_person_lead(
        self,
        customer_id: str,
        lead: PersonLead,
        *,
        format: Literal["json", "xml"] = "json",  # noqa: A002  (the common term)
    ) -> str:
        """Create a lead for a person ("POST PublicAdvertising/{customerId}/Contact/Person/Lead").

        Vitec looks for the same *person* before it adds one, but according to its documents not for the same
        *lead*: every call creates another lead. So a call is not retried once it may have been sent. After an
        error with ``maybe_applied``, check in Vitec if the lead exists.

        Values longer than Vitec's pages allow are sent, and logged as warnings; see `length_notes`.

        Args:
            customer_id: the customer (an agency or office) that gets the lead, ``"M30011"``.
            lead: the lead, with a person, an e-mail address or telephone number, and a lead source. A
                receiver has exactly one branch.
            format: format of the request; both are equivalent.

        Returns:
            The id of the lead.

        Raises:
            ValidationError: a value is missing or does not fit; checked here or by the service, whose
                messages are in ``problems``.
            ConfigurationError: there is no password for this customer.
            AuthenticationError: user name or password is wrong.
            PermissionDenied: the password is not valid for this customer or function group.
            OutcomeUnknown: the response is lost, the lead may have been created.
            ServerError: the service failed; the lead may have been created.
        """
        check_customer_id(customer_id)
        check_person_lead(lead)
        if format not in _MEDIA_TYPES:
            refuse([Problem('must be "json" or "xml"', field="format")], NAME)
        notes = length_notes(lead)
        if (note := customer_id_note(customer_id)) is not None:
            notes.append(note)
        for note in notes:
            logger.warning("%s: %s", NAME, note, extra={"operation": NAME, "vendor": self._vendor})
        media_type = _MEDIA_TYPES[format]
        call = Call(
            operation=CREATE_PERSON_LEAD,
            path=path_for(customer_id),
            authenticator=self._credentials_for(customer_id),
            content=codec.to_xml(lead) if format == "xml" else codec.to_json(lead),
            content_type=f"{media_type}; charset=utf-8",
            headers=(("accept", media_type),),
            parse=read_lead_id,
        )
        return await self._transport.send(call)

    def _credentials_for(self, customer_id: str) -> StaticCredentials:
        credentials = self._credentials.get(customer_id) or self._credentials.get(_EVERY_CUSTOMER)
        if credentials is None:
            raise ConfigurationError(
                f"there is no password for customer {customer_id}: add it to the mapping password, or set "
                f"VITEC_PASSWORD_{customer_id}",
                operation=NAME,
            )
        return credentials


def _basic_credentials(username: Secret, password: Secret) -> StaticCredentials:
    """Return an authenticator with the same user name and password for every request (RFC 7617, in UTF-8).

    Args:
        username: user name without a colon, which separates it from the password.
        password: password for one customer and function group.

    Raises:
        ConfigurationError: together they are too long for a header.
    """
    pair = f"{username.reveal()}:{password.reveal()}".encode()
    header = Secret(f"Basic {base64.b64encode(pair).decode('ascii')}", "Authorization", header=True)
    headers = (("Authorization", header),)
    return StaticCredentials(Authorization(headers=headers, encoded=(username, password)))


def _passwords(environment: Mapping[str, str] | None) -> dict[str, Secret] | ConfigurationError:
    """Return the passwords in the environment by customer id; the general one has an empty id."""
    prefix = f"{_ENVIRONMENT}PASSWORD"
    variables = os.environ if environment is None else environment
    passwords: dict[str, Secret] = {}
    for name in sorted({name.removesuffix("_FILE") for name in variables if name.startswith(prefix)}):
        secret = read_variable(variables, name)
        if isinstance(secret, ConfigurationError):
            return secret
        if secret is not None:
            passwords[name.removeprefix(prefix).removeprefix("_")] = secret
    return passwords
