"""Store seed records, without the checks of calls."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from publitrac_async.sandbox.clock import SandboxClock
from publitrac_async.sandbox.publitrac.campaigns import CAMPAIGN_FIELDS, CampaignStore
from publitrac_async.sandbox.publitrac.fields import CUSTOM_FIELDS, FIELD_BY_NAME, is_custom_field_name
from publitrac_async.sandbox.publitrac.history import HistoryStore
from publitrac_async.sandbox.publitrac.leads import Lead, LeadStore
from publitrac_async.sandbox.publitrac.lists import ListStore
from publitrac_async.sandbox.publitrac.opportunities import OPPORTUNITY_FIELDS, OpportunityStore
from publitrac_async.sandbox.publitrac.search import Condition


class Stores(Protocol):
    """The parts of an account that can be seeded."""

    clock: SandboxClock
    leads: LeadStore
    lists: ListStore
    campaigns: CampaignStore
    history: HistoryStore
    opportunities: OpportunityStore


def seed(account: Stores, document: Mapping[str, Any]) -> None:
    """Add records to an account.

    Args:
        account: the account to add them to.
        document: lists of records in the vendor's own names:

            - `leads`: fields; unknown names, and those in `customFields`, are custom fields. `id`,
              `createdDate` and `lastUpdated` may be given.
            - `lists`: `name` and the e-mails of its `leads`.
            - `views`: `name` and `queries`, each with `field`, `operator`, `value`.
            - `campaigns`: a name, or the elements of getCampaigns.
            - `forms`: names.
            - `opportunities`: the elements of getOpportunities, and `leads` as a list of `crmLeadId`.

    Raises:
        ValueError: a part is unknown, or a record cannot be used.
    """
    unknown = set(document) - set(_PARTS)
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))} cannot be seeded; known: {', '.join(_PARTS)}")
    # In the order of the table, because lists and opportunities need their leads.
    for part, seed_one in _PARTS.items():
        for record in document.get(part, ()):
            try:
                seed_one(account, record)
            except sqlite3.IntegrityError as error:
                raise ValueError(f"one of the {part} has the id or name of another one") from error
            except (AttributeError, LookupError, TypeError) as error:
                raise ValueError(f"one of the {part} has the wrong shape: {error}") from error


def seed_text(value: Any) -> str:
    """Return a seeded value as the service stores it: as text, 0/1 for booleans, empty for None.

    Raises:
        ValueError: the value is a list or an object.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError("a seeded value must be a text, a number, a boolean or None")


def _seed_lead(account: Stores, record: Mapping[str, Any]) -> None:
    flat = {name: value for name, value in record.items() if name != CUSTOM_FIELDS}
    flat |= record.get(CUSTOM_FIELDS) or {}
    values: dict[str, str] = {}
    custom: dict[str, str] = {}
    for name, value in flat.items():
        if name in FIELD_BY_NAME:
            values[name] = seed_text(value)
        elif is_custom_field_name(name):
            custom[name] = seed_text(value)
        else:
            raise ValueError(f"{name!r} cannot be the name of a custom field")
    account.leads.insert(values, custom, at=account.clock.text())


def _seed_list(account: Stores, record: Mapping[str, Any]) -> None:
    target = account.lists.find(record["name"]) or account.lists.create(record["name"])
    if target.filtered:
        raise ValueError("a list and a view cannot share a name")
    for email in record.get("leads", ()):
        account.lists.add(target, _found(account.leads.by_email(email), "list").id)


def _seed_view(account: Stores, record: Mapping[str, Any]) -> None:
    conditions = [
        Condition(query["field"], query["operator"], seed_text(query["value"])) for query in record["queries"]
    ]
    if not all(condition.supported for condition in conditions):
        raise ValueError("a view has a query on an unknown field or with an unknown operator")
    if account.lists.find(record["name"]):
        raise ValueError("a list or view with this name exists already")
    account.lists.create(record["name"], conditions)


def _seed_campaign(account: Stores, record: str | Mapping[str, Any]) -> None:
    given: Mapping[str, Any] = {"Name": record} if isinstance(record, str) else record
    account.campaigns.create(_fields(given, CAMPAIGN_FIELDS), given.get("id"))


def _seed_form(account: Stores, record: str) -> None:
    account.history.add_form(seed_text(record))


def _seed_opportunity(account: Stores, record: Mapping[str, Any]) -> None:
    given = {name: value for name, value in record.items() if name != "leads"}
    leads = [
        _found(account.leads.by_value("crmLeadId", seed_text(crm_lead_id)), "opportunity").id
        for crm_lead_id in record.get("leads", ())
    ]
    account.opportunities.create(_fields(given, OPPORTUNITY_FIELDS), leads, given.get("id"))


def _fields(record: Mapping[str, Any], known: Iterable[str]) -> dict[str, str]:
    unknown = set(record) - {"id", *known}
    if unknown:
        raise ValueError(f"unknown elements: {', '.join(sorted(unknown))}")
    return {name: seed_text(value) for name, value in record.items() if name != "id"}


def _found(leads: list[Lead], owner: str) -> Lead:
    if not leads:
        raise ValueError(f"the {owner} names a lead that does not exist")
    return leads[0]


_PARTS: Final[Mapping[str, Callable[[Any, Any], None]]] = {
    "leads": _seed_lead,
    "lists": _seed_list,
    "views": _seed_view,
    "campaigns": _seed_campaign,
    "forms": _seed_form,
    "opportunities": _seed_opportunity,
}
