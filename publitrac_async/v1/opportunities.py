"""Read and write opportunities."""

from __future__ import annotations

import re
from collections.abc import Hashable
from datetime import date, datetime
from functools import partial
from typing import Any, Final

from publitrac_async.checks import refuse
from publitrac_async.config import READ_AHEAD
from publitrac_async.errors import Problem
from publitrac_async.pagination import Page, Pager
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.steps import Steps
from publitrac_async.v1.building import Request, mandatory, request, text_of_number, text_problem
from publitrac_async.v1.leads import done
from publitrac_async.v1.models import SALES_STAGES, Opportunity, OpportunityRecord
from publitrac_async.v1.operations import GET_OPPORTUNITIES, SYNC_OPPORTUNITY
from publitrac_async.v1.reading import page_of, records_of
from publitrac_async.v1.records import record_from_wire, record_to_wire
from publitrac_async.v1.responses import read_reply
from publitrac_async.v1.sending import V1Base

#: The sample of syncOpportunity has 20/08/2012, so responses may, too.
_DAY_FIRST: Final = re.compile(r"\s*(\d{2})/(\d{2})/(\d{4})\s*")
_CLOSED: Final = frozenset({"Closed Won", "Closed Lost"})


class OpportunityOperations(V1Base):
    """Operations on opportunities."""

    def get_opportunities(self, *, page: int = 1, read_ahead: int = READ_AHEAD) -> Pager[OpportunityRecord]:
        """Get the opportunities of the account ("Get opportunities").

        The documents say "by lead", but the request takes no lead, and the response has none.

        Args:
            page: first page, from 1; a page has 200 opportunities.
            read_ahead: maximum pages to fetch ahead; 0 to fetch each on demand, see `Pager`.
        """
        return self._pager(GET_OPPORTUNITIES, search, page, opportunity_key, read_ahead)

    async def sync_opportunity(self, opportunity: Opportunity) -> None:
        """Create an opportunity, or update the one with this ``id`` ("Sync opportunity").

        Args:
            opportunity: the opportunity, with id, name, sales stage, amount, probability and leads, and with
                a closing date if it is closed.
        """
        await self._send(sync(opportunity))


def search(page: int) -> Request[Page[OpportunityRecord]]:
    """Build the request of getOpportunities, for all opportunities of the account: it takes no lead."""
    parameters = {} if page == 1 else {"page": str(page)}
    return request(GET_OPPORTUNITIES, partial(_page, page=page), parameters)


def sync(opportunity: Opportunity) -> Request[None]:
    """Build the request of syncOpportunity."""
    name = SYNC_OPPORTUNITY.name
    fields = record_to_wire(opportunity, name)
    leads = [text_of_number(lead) for lead in opportunity.leads]
    refuse(_problems(opportunity, leads), name)
    if isinstance(opportunity.date_closed, datetime):
        fields["dateClosed"] = fields["dateClosed"][: len("yyyy-mm-dd")]
    return request(SYNC_OPPORTUNITY, done, document={"opportunity": fields | {"leads": {"leadId": leads}}})


def _problems(opportunity: Opportunity, leads: list[object]) -> list[Problem]:
    """Check the rules of the annex ("Objet opportunité", "Champs obligatoires")."""
    stage = opportunity.sales_stage
    probability: object = opportunity.probability  # Untyped callers may pass another type.
    needed: dict[str, object] = {
        "id": opportunity.id,
        "name": opportunity.name,
        "salesStage": stage,
        "amount": opportunity.amount,
        "probability": probability,
        "leads": leads,
    }
    if stage in _CLOSED:
        needed["dateClosed"] = opportunity.date_closed
    problems = mandatory(needed)
    if stage not in ("", *SALES_STAGES):
        reason = f"must be one of {', '.join(SALES_STAGES)}"
        problems.append(Problem(reason, field="salesStage", value=stage))
    if isinstance(probability, int) and not 1 <= probability <= 100:
        problems.append(Problem("must be from 1 to 100", field="probability", value=probability))
    problems += [problem for lead in leads for problem in mandatory({"leadId": lead})]
    problems += [problem for lead in leads if lead and (problem := text_problem("leadId", lead))]
    return problems


def opportunity_key(opportunity: OpportunityRecord) -> Hashable | None:
    """Return the key that identifies an opportunity."""
    return opportunity.id if isinstance(opportunity.id, int) else (opportunity.external_id or None)


def _page(response: ServiceResponse, *, page: int) -> Steps[Page[OpportunityRecord]]:
    content = (yield from read_reply(response)).content
    records = [
        record_from_wire(OpportunityRecord, _with_iso_date(fields))
        for fields in records_of(content.children, "opportunities", "opportunity", page=page)
    ]
    return page_of(content, records, page)


def _with_iso_date(fields: dict[str, Any]) -> dict[str, Any]:
    name = next((name for name in fields if name.lower().replace("_", "") == "dateclosed"), None)
    closed = fields.get(name) if name else None
    match = _DAY_FIRST.fullmatch(closed) if isinstance(closed, str) else None
    if name is None or match is None:
        return fields
    day, month, year = map(int, match.groups())
    try:
        return fields | {name: date(year, month, day).isoformat()}
    except ValueError:  # The record keeps a value that is not a date unchanged.
        return fields
