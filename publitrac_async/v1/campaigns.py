"""Campaigns: read them, add leads, send e-mail campaigns."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Iterator
from functools import partial
from typing import Any

import attrs

from publitrac_async.checks import email_problem, lead_problems, refuse
from publitrac_async.models import Lead
from publitrac_async.pagination import Page, Pager
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.steps import Steps
from publitrac_async.v1.building import Request, mandatory, request, too_long
from publitrac_async.v1.leads import done, lead_element
from publitrac_async.v1.models import Campaign, EmailCampaign
from publitrac_async.v1.operations import ADD_EMAIL_CAMPAIGN, EXECUTE_CAMPAIGN, GET_CAMPAIGNS
from publitrac_async.v1.reading import ENVELOPE, page_of, records_of
from publitrac_async.v1.records import record_from_wire, record_to_wire
from publitrac_async.v1.responses import read_reply
from publitrac_async.v1.sending import V1Base


class CampaignOperations(V1Base):
    """Operations on campaigns."""

    def get_campaigns(self, *, page: int = 1) -> Pager[Campaign]:
        """Get all follow-up campaigns ("Get campaigns").

        The documents' sample has no paging, although a page can be requested: the pager continues until a
        page has no new campaign.

        Args:
            page: first page, from 1.
        """
        return self._pager(GET_CAMPAIGNS, search, page, campaign_key)

    async def execute_campaign(self, *, emails: Iterable[str], campaigns: Iterable[str]) -> None:
        """Add leads to automated campaigns ("Execute campaigns on leads"): each lead to each campaign.

        All or nothing: if one lead or campaign does not exist, the service does nothing. The call is never
        split, and never retried after a lost response.

        Args:
            emails: addresses of existing leads.
            campaigns: names of existing campaigns.
        """
        await self._send(execute(emails, campaigns))

    async def add_email_campaign(self, campaign: EmailCampaign, leads: Iterable[Lead]) -> None:
        """Send an e-mail to leads ("Add emails campaign"): creates e-mail, list and campaign.

        An existing campaign of this name is reused. The call is never retried after a lost response, since
        that could send every e-mail twice.

        Args:
            campaign: the e-mail; its name has fewer than 50 characters.
            leads: at most 50; `email_campaign_calls` splits more into several calls.
        """
        await self._send(add_email(campaign, leads))


def search(page: int) -> Request[Page[Campaign]]:
    """Build the request of getCampaigns."""
    parameters = {} if page == 1 else {"page": str(page)}
    return request(GET_CAMPAIGNS, partial(_page, page=page), parameters)


def execute(emails: Iterable[str], campaigns: Iterable[str]) -> Request[None]:
    """Build the request of executeCampaign. The call is all or nothing, so it is not split."""
    addresses, names = list(emails), list(campaigns)
    problems = mandatory({"leads": addresses, "campaigns": names})
    problems += [problem for address in addresses if (problem := email_problem(address))]
    problems += [problem for name in names for problem in mandatory({"name": name})]
    refuse(problems, EXECUTE_CAMPAIGN.name)
    document = {
        "leads": {"lead": [{"email": address} for address in addresses]},
        "campaigns": {"campaign": [{"name": name} for name in names]},
    }
    return request(EXECUTE_CAMPAIGN, done, document=document)


def add_email(campaign: EmailCampaign, leads: Iterable[Lead]) -> Request[None]:
    """Build the request of addEmailCampaign."""
    method = ADD_EMAIL_CAMPAIGN
    receivers = list(leads)
    fields = record_to_wire(campaign, method.name)
    message = {name: fields[name] for name in ("html", "text") if name in fields}
    problems = mandatory(
        {name: fields.get(name) for name in ("name", "fromName", "fromEmail", "subject")}
        | {"message": "".join(filter(None, message.values())), "leads": receivers}
    )
    if fields.get("fromEmail") and (problem := email_problem(fields["fromEmail"])):
        problems.append(attrs.evolve(problem, field="fromEmail"))
    problems += too_long(method, {"name": fields.get("name"), "leads": receivers})
    problems += [problem for lead in receivers for problem in lead_problems(lead)]
    refuse(problems, method.name)
    email: dict[str, Any] = {name: fields[name] for name in ("fromName", "fromEmail", "subject")}
    email["message"] = message
    if "sendAsSalesRep" in fields:
        email["options"] = {"sendAsSalesRep": "true" if fields["sendAsSalesRep"] else "false"}
    document = {
        "information": {"name": fields["name"]},
        "email": email,
        "leads": {"lead": [lead_element(lead, method) for lead in receivers]},
    }
    return request(method, done, document=document)


def email_campaign_calls(leads: Iterable[Lead]) -> Iterator[tuple[Lead, ...]]:
    """Split the receivers of a large e-mail campaign into calls of 50.

    Each call sends e-mails. If one fails, the previous ones have sent theirs: record your progress. ::

        for receivers in email_campaign_calls(leads):
            await publitrac.v1.add_email_campaign(campaign, receivers)

    Args:
        leads: any number, also from a generator.
    """
    rest = iter(leads)
    while receivers := tuple(itertools.islice(rest, ADD_EMAIL_CAMPAIGN.limits["leads"])):
        yield receivers


def campaign_key(campaign: Campaign) -> Hashable | None:
    """Return the key that identifies a campaign."""
    return campaign.id if isinstance(campaign.id, int) else (campaign.token or campaign.name or None)


def _page(response: ServiceResponse, *, page: int) -> Steps[Page[Campaign]]:
    content = (yield from read_reply(response)).content
    found = content.children
    if "campaigns" not in found:
        # The sample has no element around the campaigns. One named like the vendor's other lists is also
        # read.
        inner = {name: value for name, value in found.items() if name not in ENVELOPE}
        found = {"campaigns": inner, "paging": found.get("paging")}
    campaigns = records_of(found, "campaigns", "campaign", page=page)
    return page_of(content, [record_from_wire(Campaign, fields) for fields in campaigns], page)
