"""Campaigns (PUBLITRAC API reference, Get campaigns, Execute campaigns on leads, Add emails campaign)."""

from __future__ import annotations

from typing import Final

from publitrac_async.sandbox.publitrac.campaigns import EMAIL
from publitrac_async.sandbox.publitrac.validation import LeadInput, LeadRefusedError
from publitrac_async.sandbox.publitrac_v1.call import MethodCall, Methods, lead_input, shown_page
from publitrac_async.sandbox.publitrac_v1.lists import MAX_NAME_LENGTH
from publitrac_async.sandbox.publitrac_v1.responses import (
    LIST_FILTERED,
    Envelope,
    envelope,
    error,
    lead_errors,
    no_lead,
)
from publitrac_async.sandbox.xml import Element, Node

MAX_LEADS: Final = 50
"""Leads that one addEmailCampaign takes."""

_EXECUTE_FAILED: Final = "Execute campaigns on leads failed."
_ADD_FAILED: Final = "Lead emails synchronization failed."


def get_campaigns(call: MethodCall) -> Envelope:
    """Return the follow-up campaigns, directly below `<response>` and without paging."""
    store, size = call.account.campaigns, call.settings.page_size
    number = shown_page(call, total=store.count_tracking(), size=size)
    payload = [
        Element("campaign", [Element(name, value) for name, value in campaign.as_dict().items()])
        for campaign in store.tracking_page(number=number, size=size)
    ]
    return envelope(5001, "Get campaigns success.", payload)


def execute_campaign(call: MethodCall) -> Envelope:
    """Add every lead to every campaign; if one of them does not exist, do nothing."""
    request = call.request()
    account = call.account
    # Once each, in the order of the call.
    emails = list(dict.fromkeys(_texts(request, "leads", "lead", "email")))
    names = list(dict.fromkeys(_texts(request, "campaigns", "campaign", "name")))
    leads = {email: account.leads.by_email(email) if email else [] for email in emails}
    campaigns = {name: account.campaigns.find(name) for name in names}
    errors = [no_lead(email) for email in emails if not leads[email]]
    errors += [f"Campaign ({name}) does not exist." for name in names if campaigns[name] is None]
    errors += [
        f"{element} is required" for element, sent in (("lead", emails), ("campaign", names)) if not sent
    ]
    if errors:
        raise call.failed(_EXECUTE_FAILED, errors)
    lead_ids = dict.fromkeys(found[0].id for found in leads.values())
    for campaign in campaigns.values():
        for lead_id in lead_ids:
            assert campaign is not None
            account.campaigns.enter(campaign, lead_id)
    for lead_id in lead_ids:
        account.leads.touch(lead_id)
    return envelope(1100, "Execute campaigns on leads success.", applied=True)


def add_email_campaign(call: MethodCall) -> Envelope:
    """Synchronize leads, create an e-mail, a list and a campaign, and send the e-mail to the leads."""
    request = call.request()
    account = call.account
    name = request.value("information", "name")
    message = request.child("email")
    leads = [lead_input(lead) for group in request.all("leads") for lead in group.all("lead")]
    errors = _campaign_errors(name, message, leads)
    for lead in leads:
        errors += lead_errors(account.sync.problems(lead), lead)
    target = account.lists.find(name)
    if target is not None and target.filtered:
        errors.append(error(LIST_FILTERED, f"List ({name}) is a filtered list."))
    if errors or message is None:
        raise call.failed(_ADD_FAILED, errors)
    with account.transaction():
        lead_ids = dict.fromkeys(_sync(call, lead) for lead in leads)
        target = target or account.lists.create(name)
        campaign = account.campaigns.find(name) or account.campaigns.create(
            {"Name": name, "Type": "Email", "CampaignType": EMAIL}
        )
        email_id = account.campaigns.add_email(campaign, _email_fields(message))
        for lead_id in lead_ids:
            account.lists.add(target, lead_id)
            account.campaigns.enter(campaign, lead_id, email_id)
    return envelope(2001, "Lead emails synchronization successfull.", applied=True)


def _campaign_errors(name: str, message: Node | None, leads: list[LeadInput]) -> list[str]:
    errors: list[str] = []
    if not name:
        errors.append("name is required")
    if len(name) > MAX_NAME_LENGTH:
        errors.append("The campaign name must contain less than 50 characters")
    if message is None:
        errors.append("email is required")
    if not leads:
        errors.append("lead is required")
    if len(leads) > MAX_LEADS:
        errors.append(f"A maximum of {MAX_LEADS} leads can be executed by call")
    return errors


def _sync(call: MethodCall, lead: LeadInput) -> int:
    try:
        return call.account.sync.sync(lead, at=call.account.clock.text())
    except LeadRefusedError as refused:
        raise call.failed(_ADD_FAILED, lead_errors(refused.problems, lead)) from refused


def _email_fields(message: Node) -> dict[str, str]:
    return {
        "fromName": message.value("fromName"),
        "fromEmail": message.value("fromEmail"),
        "subject": message.value("subject"),
        "html": message.value("message", "html"),
        "text": message.value("message", "text"),
        "sendAsSalesRep": message.value("options", "sendAsSalesRep"),
    }


def _texts(request: Node, group: str, element: str, value: str) -> list[str]:
    return [item.value(value) for items in request.all(group) for item in items.all(element)]


METHODS: Final[Methods] = {
    "getCampaigns": ("GET", get_campaigns),
    "executeCampaign": ("POST", execute_campaign),
    "addEmailCampaign": ("", add_email_campaign),
}
