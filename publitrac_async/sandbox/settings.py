"""Every choice the sandbox leaves open, with its default and where that comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any, Final, Literal, TypedDict

from attrs import Attribute, field, frozen
from attrs.validators import ge, gt, in_, instance_of

OverLimit = Literal["reject", "count"]
HttpRefusal = Literal["401", "403", "200"]
NotFoundAnswer = Literal["error", "empty"]
PagePastEnd = Literal["empty", "last"]
VitecErrorNames = Literal["camel", "pascal"]

VITEC_PASSWORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "M30011": {"PublicAdvertising": "password-of-M30011", "CRM": "crm-password-of-M30011"},
    "M30012": {"PublicAdvertising": "password-of-M30012"},
}
"""Two customers; the first has a password for another function group as well."""


def _require_loopback(_instance: object, _attribute: Attribute[str], host: str) -> None:
    try:
        loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError("The sandbox has no protection of its own and only listens on a loopback address.")


def _require_positive_or_none(_instance: object, attribute: Attribute[Any], value: int | None) -> None:
    if value is not None and value < 1:
        raise ValueError(f"{attribute.name} must be at least 1, or None.")


def _names(names: Iterable[str] | None) -> frozenset[str] | None:
    if isinstance(names, str):
        raise TypeError("custom_fields is a collection of names, not one string.")
    return None if names is None else frozenset(names)


@frozen(kw_only=True)
class SandboxSettings:
    """What a sandbox is told when it is created.

    Defaults follow the vendor's documents. "Undocumented" marks a point on which they are silent: the
    default is the most plausible behaviour, the other values are what a client might meet instead.
    """

    host: str = field(default="127.0.0.1", validator=_require_loopback)
    """Address to listen on; only loopback is accepted."""
    port: int = field(default=0, validator=ge(0))
    """TCP port; 0 takes a free one."""
    database: str = field(default=":memory:", converter=str)
    """SQLite file that keeps the leads across restarts, or `:memory:`."""
    max_request_bytes: int = field(default=8 * 1024 * 1024, validator=gt(0))
    """Largest request body; more is answered with HTTP 413. Undocumented."""

    rate_limit: int | None = field(default=35, validator=_require_positive_or_none)
    """Calls allowed in any sliding second, v1 and v2 together; None for no limit
    (PUBLITRAC API reference, Limitation)."""
    over_limit: OverLimit = field(default="reject", validator=in_(("reject", "count")))
    """What happens to a call over the limit: `reject` sends HTTP 429, `count` lets it through and only
    marks it in the journal. Undocumented."""

    api_key: str = field(default="1234e567-890c-123e-4567-8901b234c56", repr=False)
    """API key for v1 and v2. The defaults are those of the documents' example."""
    username: str = field(default="MyUser", repr=False)
    """User name for v1."""
    password: str = field(default="MyPassw0rd", repr=False)
    """Password for v1."""
    account_token: str = field(default="accountToken", repr=False)
    """The "account token" of e-commerce transactions (PUBLITRAC API reference, E-Commerce Transactions)."""
    custom_fields: frozenset[str] | None = field(default=None, converter=_names)
    """Custom fields that exist in the account; others are refused with 9008. None accepts any name."""

    token_ttl: float = field(default=900, validator=gt(0))
    """Seconds a v2 token lives after its last use (PUBLITRAC API V2, Authentification)."""
    stale_token_answer: HttpRefusal = field(default="401", validator=in_(("401", "403", "200")))
    """HTTP status for a bad or expired v2 token; `200` carries an error body. Undocumented."""
    processing_delay: float = field(default=0.2, validator=ge(0))
    """Seconds after which a lead sent to `delayedSync` is processed ("a little later")."""
    match_v2_names_ignoring_case: bool = field(default=True, validator=instance_of(bool))
    """Whether v2 takes `Email` for `email`. Undocumented; a client in production relies on it."""

    page_size: int = field(default=100, validator=gt(0))
    """Leads and campaigns on a page (samples of getLeads, getView, getList; undocumented for campaigns)."""
    opportunity_page_size: int = field(default=200, validator=gt(0))
    """Opportunities on a page (sample of getOpportunities)."""
    page_past_end: PagePastEnd = field(default="empty", validator=in_(("empty", "last")))
    """What a page behind the last one holds: nothing, or the last page again. Undocumented."""
    not_found_answer: NotFoundAnswer = field(default="error", validator=in_(("error", "empty")))
    """What getLead and getLeadByExternalId return for an unknown lead: 9015 with a 9005 error, or success
    without a lead. Undocumented."""
    bad_credentials_answer: HttpRefusal = field(default="401", validator=in_(("401", "403", "200")))
    """HTTP status for wrong v1 credentials. Undocumented."""
    failure_http_status: int = field(default=200, validator=ge(200))
    """HTTP status that carries a 9xxx status. Undocumented."""
    failure_status: int = field(default=9000, validator=ge(1000))
    """v1 status of a failure for which the documents name none."""
    strict_verbs: bool = field(default=False, validator=instance_of(bool))
    """Whether a v1 method is refused (HTTP 405) with another verb than its page lists. Undocumented."""
    empty_tag_clears: bool = field(default=True, validator=instance_of(bool))
    """Whether an empty element or value clears the field of an existing lead; otherwise it is ignored.
    Undocumented."""
    partial_list_additions: bool = field(default=True, validator=instance_of(bool))
    """Whether addLeadsToList adds the leads it found when others are missing. Undocumented."""
    get_list_unclosed: bool = field(default=False, validator=instance_of(bool))
    """Whether getList leaves out `</response>`, as the sample in the documents does."""
    transaction_path: str = "/ecommerce/transaction"
    """Path of the e-commerce transaction; the documents give no URL."""

    vitec_username: str = field(default="marketplace", repr=False)
    """The partner's user name at Vitec."""
    vitec_passwords: Mapping[str, Mapping[str, str]] = field(default=VITEC_PASSWORDS, repr=False)
    """Vitec's passwords by customer and function group; leads belong to `PublicAdvertising`."""
    vitec_marketplace: str = "Marketplace"
    """What Vitec puts in front of the name of a new lead source."""
    vitec_error_names: VitecErrorNames = field(default="camel", validator=in_(("camel", "pascal")))
    """Whether Vitec's JSON errors say `message` or `Message`. Undocumented."""

    marketo_client_id: str = field(default="client-id-of-the-custom-service", repr=False)
    """Client id of Marketo's custom service."""
    marketo_client_secret: str = field(default="client-secret-of-the-custom-service", repr=False)
    """Client secret of Marketo's custom service."""
    marketo_token_life: float = field(default=3600, validator=gt(0))
    """Seconds Marketo's token lives after it was issued (Authentication)."""
    marketo_rate_limit: int | None = field(default=100, validator=_require_positive_or_none)
    """Calls Marketo allows in any 20 seconds; None for no limit (code 606)."""
    marketo_concurrency: int | None = field(default=10, validator=_require_positive_or_none)
    """Calls Marketo handles at once; None for no limit (code 615)."""
    marketo_daily_quota: int | None = field(default=None, validator=_require_positive_or_none)
    """Calls Marketo allows from midnight to midnight, Central Time; None for no limit (code 607)."""
    marketo_url_bytes: int = field(default=8 * 1024, validator=gt(0))
    """Longest path and query of a GET to Marketo; more is answered with HTTP 414."""
    marketo_body_bytes: int = field(default=1024 * 1024, validator=gt(0))
    """Largest body to Marketo; more is answered with HTTP 413."""


class SandboxOptions(TypedDict, total=False):
    """The keyword arguments of `Sandbox`: the fields of `SandboxSettings`, all optional."""

    host: str
    port: int
    database: str
    max_request_bytes: int
    rate_limit: int | None
    over_limit: OverLimit
    api_key: str
    username: str
    password: str
    account_token: str
    custom_fields: Iterable[str] | None
    token_ttl: float
    stale_token_answer: HttpRefusal
    processing_delay: float
    match_v2_names_ignoring_case: bool
    page_size: int
    opportunity_page_size: int
    page_past_end: PagePastEnd
    not_found_answer: NotFoundAnswer
    bad_credentials_answer: HttpRefusal
    failure_http_status: int
    failure_status: int
    strict_verbs: bool
    empty_tag_clears: bool
    partial_list_additions: bool
    get_list_unclosed: bool
    transaction_path: str
    vitec_username: str
    vitec_passwords: Mapping[str, Mapping[str, str]]
    vitec_marketplace: str
    vitec_error_names: VitecErrorNames
    marketo_client_id: str
    marketo_client_secret: str
    marketo_token_life: float
    marketo_rate_limit: int | None
    marketo_concurrency: int | None
    marketo_daily_quota: int | None
    marketo_url_bytes: int
    marketo_body_bytes: int
