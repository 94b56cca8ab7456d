"""Settings of the emulated Marketo."""

from __future__ import annotations

from typing import TypedDict

from attrs import field, frozen
from attrs.validators import gt

from publitrac_async.sandbox.settings.checks import require_positive_or_none


@frozen(kw_only=True, slots=False)
class MarketoSettings:
    """Choices for Marketo.

    Attributes:
        marketo_client_id: the client id of the custom service.
        marketo_client_secret: the client secret of the custom service.
        marketo_token_life: lifetime of a token in seconds after its issue (Authentication).
        marketo_rate_limit: calls allowed in any 20 seconds; None for no limit (code 606).
        marketo_concurrency: calls handled at once; None for no limit (code 615).
        marketo_daily_quota: calls allowed from midnight to midnight, Central Time; None for no limit
            (code 607).
        marketo_url_bytes: the longest path and query of a GET; more is refused with HTTP 414.
        marketo_body_bytes: the largest body; more is refused with HTTP 413.
    """

    marketo_client_id: str = field(default="client-id-of-the-custom-service", repr=False)
    marketo_client_secret: str = field(default="client-secret-of-the-custom-service", repr=False)
    marketo_token_life: float = field(default=3600, validator=gt(0))
    marketo_rate_limit: int | None = field(default=100, validator=require_positive_or_none)
    marketo_concurrency: int | None = field(default=10, validator=require_positive_or_none)
    marketo_daily_quota: int | None = field(default=None, validator=require_positive_or_none)
    marketo_url_bytes: int = field(default=8 * 1024, validator=gt(0))
    marketo_body_bytes: int = field(default=1024 * 1024, validator=gt(0))


class MarketoOptions(TypedDict, total=False):
    """The fields of `MarketoSettings`, all optional."""

    marketo_client_id: str
    marketo_client_secret: str
    marketo_token_life: float
    marketo_rate_limit: int | None
    marketo_concurrency: int | None
    marketo_daily_quota: int | None
    marketo_url_bytes: int
    marketo_body_bytes: int
