"""Points of v2 that reading can settle."""

from __future__ import annotations

import secrets

from publitrac_async.errors import NotFound
from publitrac_async.probe.client import ProbeClient
from publitrac_async.probe.model import Finding, FindingState, ProbeReport
from publitrac_async.transport.secret import Secret, seal


async def read_v2(client: ProbeClient, report: ProbeReport) -> Secret | None:
    """Settle the points of v2 that reading settles, and return a token.

    Raises:
        HarmError: the probe must stop.
    """
    response = await client.request_token()
    token = seal(str(response.content.get("token") or ""), "token", header=True)
    if not response.ok or not isinstance(token, Secret):
        missing = response.raw.status == 404 or isinstance(response.error, NotFound)
        report.add(
            Finding(
                point="v2",
                state=FindingState.SETTLED if missing else FindingState.OPEN,
                summary="there is no v2 at this address" if missing else "the response has no token",
                evidence=(str(response),),
                found={"v2_enabled": False} if missing else {},
            )
        )
        for point in ("token", "processing"):
            report.leave_open(point, report.findings["v2"].summary)
        return None
    report.add(
        Finding(
            point="v2",
            state=FindingState.SETTLED,
            summary="v2 is at this address",
            evidence=(str(response),),
            found={"v2_enabled": True},
        )
    )
    wrong = Secret(secrets.token_urlsafe(18), "token", header=True)
    stale = await client.delayed_sync(wrong, b"{}", case="with an invalid token", may_refuse=True)
    if stale.ok:
        report.leave_open("token", "delayedSync accepted an invalid token")
    else:
        known = stale.refuses_credentials and str(stale.raw.status) in ("200", "401", "403")
        code = {"expired_token_code": stale.status} if stale.status is not None else {}
        report.add(
            Finding(
                point="token",
                state=FindingState.SETTLED if stale.refuses_credentials else FindingState.PARTLY,
                summary=f"HTTP {stale.raw.status}, code {stale.status} for an invalid one",
                evidence=(str(stale),),
                found={**({"expired_token_response": str(stale.raw.status)} if known else {}), **code},
            )
        )
    return token


async def wrong_key(client: ProbeClient, report: ProbeReport) -> None:
    """Request a v2 token once with a wrong key.

    Raises:
        HarmError: the probe must stop.
    """
    before = report.findings.get("token")
    if before is None or before.state is FindingState.OPEN:
        return
    response = await client.request_token(
        Secret(secrets.token_hex(16), "api_key", header=True), may_refuse=True
    )
    known = response.refuses_credentials and str(response.raw.status) in ("200", "401", "403")
    report.add(
        Finding(
            point="token",
            state=before.state,
            summary=f"{before.summary}; a wrong key: HTTP {response.raw.status}",
            evidence=(*before.evidence, f"{response} (wrong key)"),
            found={**before.found, **({"bad_key_response": str(response.raw.status)} if known else {})},
        )
    )
