"""Points that reading can settle."""

from __future__ import annotations

import re
import secrets
from typing import Any, Final

from attrs import frozen

from publitrac_async.probe.client import ProbeClient, ProbeResponse
from publitrac_async.probe.model import Finding, FindingState, HarmError, ProbeReport
from publitrac_async.transport.auth import Authorization
from publitrac_async.transport.secret import Secret
from publitrac_async.v1.query import Condition, field
from publitrac_async.v1.reading import children, number_of

OPERATORS: Final = ("like", "=", "!=", "<", ">")
#: Names that a parameter of getLeadByTokenId may have.
_TOKEN_NAMES: Final = ("tokenId", "tokId", "token", "tokenid")
#: A tracking token in the form of the vendor's samples; this one was never issued.
_TOKEN: Final = "_nl-example.com-1000000000000-00000"  # noqa: S105  (no credential)
_EMPTY_PAIR: Final = re.compile(rb"<(\w+)></\1>")
_EMPTY_TAG: Final = re.compile(rb"<\w+\s*/>")


def unknown_address() -> str:
    """Return a random address that no lead has; ``.invalid`` never resolves (RFC 2606)."""
    return f"publitrac-probe-{secrets.token_hex(8)}@example.invalid"


@frozen
class Search:
    """A search with getLeads."""

    conditions: tuple[Condition, ...]

    def document(self) -> str:
        """Return the XML. The values are constants of the probe."""
        parts = [
            f"<query><field>{each.field}</field><operator>{each.operator.replace('<', '&lt;')}</operator>"
            f"<value>{each.value}</value></query>"
            for each in self.conditions
        ]
        return f"<request><queries>{''.join(parts)}</queries></request>"


async def read_points(client: ProbeClient, report: ProbeReport) -> None:
    """Settle the points of v1 that reading settles.

    Raises:
        HarmError: the probe must stop.
    """
    await _spelling_of_the_key(client, report)
    await _post(client, report)
    await unknown_method(client, report)
    first = await client.call("getLeads", xml=Search(()).document())
    await _missing_lead(client, report)
    await _past_end(client, report, first)
    await search_points(client, report, first)
    await _token_parameter(client, report)
    _form_of_empty_elements(report, first)


async def _spelling_of_the_key(client: ProbeClient, report: ProbeReport) -> None:
    responses = {
        name: await client.call("getCampaigns", case=f"with {name}", key_name=name, may_refuse=True)
        for name in ("apikey", "apiKey")
    }
    works = [name for name, response in responses.items() if response.ok]
    refused = [name for name, response in responses.items() if response.refuses_credentials]
    if not works and not refused:
        raise HarmError(f"getCampaigns fails with either spelling of the key: {responses['apikey']}")
    works = works or [name for name in responses if name not in refused]
    if not works:
        message = responses["apikey"].message
        raise HarmError(
            f"v1 refuses the credentials: {responses['apikey']}"
            + (f'; the service says: "{message}"' if message else "")
        )
    client.key_name = works[0]
    report.add(
        Finding(
            point="key",
            state=FindingState.SETTLED,
            summary=f"{' and '.join(works)} {'work' if len(works) > 1 else 'works, the other is refused'}",
            evidence=tuple(map(str, responses.values())),
            found={"api_key_parameter": "either" if len(works) > 1 else works[0]},
            client={"api_key_parameter": works[0]},
        )
    )


async def _post(client: ProbeClient, report: ProbeReport) -> None:
    """Settle the place of credentials, and the response to a wrong verb, with a POST that reads."""
    inside = (await client.authorization()).parameters
    as_form = tuple((name, secret.reveal()) for name, secret in inside)

    async def post(case: str, **options: Any) -> ProbeResponse:
        return await client.call(
            "getCampaigns", verb="POST", case=f"by POST, credentials {case}", may_refuse=True, **options
        )

    both = await post("in both places", form=as_form, place="query")
    query, body = await post("in the query", place="query"), await post("in the body", place="body")
    _wrong_verb(report, both)
    alone = {"query": query, "body": body}
    places = [name for name, response in alone.items() if response.is_like(both)]
    evidence = [both, query, body]
    distinguishable = both.ok or len(places) < 2
    distinguishable &= all(
        response.refuses_credentials for name, response in alone.items() if name not in places
    )
    if not distinguishable and len(places) == 2:
        # The service refuses the verb. Determine if it checks the credentials first.
        nowhere = await post("nowhere", authorization=Authorization())
        evidence.append(nowhere)
        distinguishable = nowhere.refuses_credentials
    if not distinguishable or not places or both.refuses_credentials:
        report.leave_open("credentials", "the service refuses a POST that reads before it checks credentials")
        return
    client.placement = "query" if "query" in places else "body"
    report.add(
        Finding(
            point="credentials",
            state=FindingState.SETTLED,
            summary={2: "query and body both work"}.get(len(places), f"only the {places[0]} works"),
            evidence=tuple(map(str, evidence)),
            found={"credentials_in": "either" if len(places) > 1 else places[0]},
            client={"credentials_in": client.placement},
        )
    )


def _wrong_verb(report: ProbeReport, response: ProbeResponse) -> None:
    outcome = "accepted" if response.ok else str(response.raw.status)
    known = outcome in ("accepted", "405", "200") and not response.refuses_credentials
    report.add(
        Finding(
            point="annex",
            state=FindingState.PARTLY,
            summary=f"a wrong verb is {'accepted' if response.ok else f'refused, HTTP {outcome}'}",
            evidence=(str(response),),
            found={"wrong_verb_response": outcome} if known else {},
        )
    )


async def unknown_method(client: ProbeClient, report: ProbeReport) -> None:
    """Call a method that does not exist."""
    response = await client.call("getNothingOfThisName", may_refuse=True)
    known = not response.ok and str(response.raw.status) in ("200", "400", "404")
    report.add(
        Finding(
            point="refusals",
            state=FindingState.PARTLY,
            summary=f"an unknown method gets HTTP {response.raw.status}; "
            "wrong credentials were not tried (--wrong-credentials)",
            evidence=(str(response),),
            found={"unknown_method_response": str(response.raw.status)} if known else {},
        )
    )


async def wrong_credentials(client: ProbeClient, report: ProbeReport) -> None:
    """Call v1 once with a wrong password, and request a v2 token once with a wrong key."""
    wrong = Secret(f"wrong-{secrets.token_hex(8)}", "password")
    response = await client.call(
        "getCampaigns",
        case="with a wrong password",
        authorization=await client.authorization(password=wrong),
        may_refuse=True,
    )
    before, evidence = report.findings["refusals"], str(response)
    summary, _, _ = before.summary.partition(";")
    known = response.refuses_credentials and str(response.raw.status) in ("200", "401", "403")
    report.add(
        Finding(
            point="refusals",
            state=FindingState.SETTLED if response.refuses_credentials else FindingState.PARTLY,
            summary=f"{summary}; a wrong password gets HTTP {response.raw.status}",
            evidence=(*before.evidence, evidence),
            found={
                **before.found,
                **({"bad_credentials_response": str(response.raw.status)} if known else {}),
            },
        )
    )


async def _missing_lead(client: ProbeClient, report: ProbeReport) -> None:
    response = await client.call("getLead", {"email": unknown_address()}, case="of an unknown address")
    client.missing = response
    found: str | None = None
    if response.raw.status == 404:
        found = "404"
    elif response.ok:
        found = "blank" if response.leads else "empty"
    elif response.status in (9005, 9015):
        found = str(response.status)
    report.add(
        Finding(
            point="missing",
            state=FindingState.SETTLED if found else FindingState.PARTLY,
            summary={
                "empty": "success without a lead",
                "blank": "success with an empty lead",
                "404": "HTTP 404",
            }.get(found or "", f"status {response.status}"),
            evidence=(str(response),),
            found={"missing_lead_response": found} if found else {},
        )
    )


async def _past_end(client: ProbeClient, report: ProbeReport, first: ProbeResponse) -> None:
    paging = next(iter(children(dict(first.content), "paging")), None)
    total, size = number_of(paging, "total"), number_of(paging, "offset")
    if not first.ok or not total or not size:
        report.leave_open("past_end", "getLeads announces no leads and no pages")
        return
    pages = -(-total // size)
    xml = Search(()).document()
    last = (
        first
        if pages == 1
        else await client.call("getLeads", {"page": str(pages)}, xml=xml, case="last page")
    )
    after_last = await client.call("getLeads", {"page": str(pages + 1)}, xml=xml, case="page after the last")
    found: str | None = None
    if not after_last.ok:
        found = "error"
    elif not after_last.leads:
        found = "empty"
    elif _ids(first) != _ids(last):
        ids = _ids(after_last)
        found = "last" if ids == _ids(last) else "first" if ids == _ids(first) else None
    evidence = (str(last), str(after_last))
    if found is None:
        summary = "leads of some page before it" if pages > 1 else "the only page again: first or last"
        report.add(Finding(point="past_end", state=FindingState.PARTLY, summary=summary, evidence=evidence))
        return
    names = {
        "error": "an error",
        "empty": "nothing",
        "last": "the last page again",
        "first": "the first page",
    }
    report.add(
        Finding(
            point="past_end",
            state=FindingState.SETTLED,
            summary=names[found],
            evidence=evidence,
            found={"page_past_end": found},
        )
    )


def _ids(response: ProbeResponse) -> list[object]:
    return [lead.get("id", lead.get("email")) if isinstance(lead, dict) else lead for lead in response.leads]


async def search_points(client: ProbeClient, report: ProbeReport, first: ProbeResponse) -> None:
    """Settle the operators of getLeads, and how conditions combine.

    Args:
        client: sends the searches.
        report: gets the finding.
        first: the first page of all leads.

    Raises:
        HarmError: the probe must stop.
    """
    unknown = unknown_address()
    responses = {
        operator: await client.call(
            "getLeads",
            xml=Search((Condition("email", operator, unknown),)).document(),
            case=f"with {operator}",
        )
        for operator in OPERATORS
    }
    accepted = [operator for operator, response in responses.items() if response.ok]
    both = Search((field("email").like("%"), field("email").like(unknown)))
    combined = await client.call("getLeads", xml=both.document(), case="with two conditions, one never true")
    some = await client.call(
        "getLeads", xml=Search((field("email").like("%"),)).document(), case="with like %"
    )
    ignored = [name for name in ("like", "=") if name in accepted and responses[name].leads]
    found: dict[str, object] = {}
    parts = [f"{', '.join(accepted) or 'none'} accepted"]
    if ignored:
        parts.append(f"{', '.join(ignored)} without effect")
    else:
        found["operators"] = accepted
    refused = [operator for operator in OPERATORS if operator not in accepted]
    parts += [f"{', '.join(refused)} refused"] if refused else []
    if first.ok and some.ok and some.leads and combined.ok:
        found["conditions_combine"] = "or" if combined.leads else "and"
        parts.append(f"conditions combine with {found['conditions_combine']}")
    else:
        parts.append("conditions: unknown, the account has no lead")
    report.add(
        Finding(
            point="operators",
            state=FindingState.SETTLED if len(found) == 2 else FindingState.PARTLY,
            summary="; ".join(parts),
            evidence=tuple(map(str, (*responses.values(), combined))),
            found=found,
        )
    )


async def _token_parameter(client: ProbeClient, report: ProbeReport) -> None:
    """Find the names of getLeadByTokenId's parameter: a wrong name gets another response."""
    works: list[str] = []
    evidence: list[str] = []
    for verb in ("GET", "POST"):
        wrong = await client.call(
            "getLeadByTokenId", {"noSuchParameter": _TOKEN}, verb=verb, case=f"by {verb}, wrong parameter"
        )
        evidence.append(str(wrong))
        for name in _TOKEN_NAMES:
            response = await client.call(
                "getLeadByTokenId", {name: _TOKEN}, verb=verb, case=f"by {verb}, {name}"
            )
            evidence.append(str(response))
            if _signature(response) != _signature(wrong):
                works.append(name)
        if works:
            break
    before = report.findings["annex"]
    shapes = {"token_id_parameter": works[0]} if works else {}
    report.add(
        Finding(
            point="annex",
            state=FindingState.PARTLY,
            summary=f"{before.summary}; getLeadByTokenId takes "
            + (", ".join(works) if works else "none of " + ", ".join(_TOKEN_NAMES)),
            evidence=(*before.evidence, *evidence),
            found={**before.found, **({"token_id_parameters": works} if works else {})},
            client={"v1_shapes": shapes} if shapes else {},
        )
    )


def _signature(response: ProbeResponse) -> tuple[object, ...]:
    return response.raw.status, response.status, response.codes, response.message, response.ok


def _form_of_empty_elements(report: ProbeReport, response: ProbeResponse) -> None:
    found = form_of_empty_elements(response)
    if found is not None:
        report.add(
            Finding(
                point="empty",
                state=FindingState.PARTLY,
                summary=f"empty elements of responses: {found}; their effect needs --write",
                evidence=(str(response),),
                found={"empty_form": found},
            )
        )


def form_of_empty_elements(response: ProbeResponse) -> str | None:
    """Return the form of empty fields in a response with leads, ``None`` if unknown."""
    if not response.ok or not any(isinstance(lead, dict) for lead in response.leads):
        return None
    if _EMPTY_PAIR.search(response.raw.body):
        return "pair"
    return "self_closing" if _EMPTY_TAG.search(response.raw.body) else "absent"
