"""Operations that read leads: by id, by filter, by list, by program; and memberships of a lead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from publitrac_async.sandbox.marketo.call import MarketoCall
from publitrac_async.sandbox.marketo.envelope import CallRefusedError, page, success
from publitrac_async.sandbox.marketo.leads import Lead
from publitrac_async.sandbox.message import Response

DEFAULT_FIELDS: Final = ("id", "email", "updatedAt", "createdAt", "firstName", "lastName")
MOST_VALUES: Final = 300
MOST_MATCHES: Final = 1000
_PARTITION: Final = "leadPartitionId"


def get_lead_by_id(call: MarketoCall) -> Response:
    """Get Lead by Id."""
    wanted = _wanted(call)
    lead = call.account.leads.get(call.number("leadId"))
    return success([] if lead is None else [_shown(call, lead, wanted)])


def get_leads_by_filter(call: MarketoCall) -> Response:
    """Get Leads by Filter Type."""
    filter_type = call.query.get("filterType", "")
    for name in ("filterType", "filterValues"):
        if not call.query.get(name):
            raise CallRefusedError("1002", f"Missing value for the required parameter '{name}'")
    field = call.account.fields.all().get(filter_type)
    if filter_type != "cookies" and (field is None or not field.searchable):
        raise CallRefusedError("1011", f"Field '{filter_type}' not supported")
    # Values are split after decoding: a comma inside a value cannot be escaped.
    values = [value.strip() for value in call.query["filterValues"].split(",")]
    if len(values) > MOST_VALUES:
        raise CallRefusedError("1003", f"Invalid data: more than {MOST_VALUES} filterValues")
    if filter_type == _PARTITION:
        named = {str(number): name for name, number in call.account.partitions().items()}
        found = call.account.leads.find("partitionName", [named[each] for each in values if each in named])
    else:
        found = call.account.leads.find(filter_type, values)
    if len(found) > MOST_MATCHES:
        raise CallRefusedError("1003", "Too many results match the filter")
    wanted = _wanted(call)
    return page([_shown(call, lead, wanted) for lead in found], call.query, style="more")


def get_leads_by_list_id(call: MarketoCall) -> Response:
    """Get Leads by List Id."""
    members = _members(call, "list", "listId")
    wanted = _wanted(call)
    return page([_shown(call, lead, wanted) for lead, _ in members], call.query, style="token")


def get_leads_by_program_id(call: MarketoCall) -> Response:
    """Get Leads by Program Id."""
    program = int(call.path["programId"]) if call.path["programId"].isdecimal() else 0
    members = _members(call, "program", "programId")
    wanted = _wanted(call)
    items = [
        {**_shown(call, lead, wanted), "membership": _program(program, membership)}
        for lead, membership in members
    ]
    return page(items, call.query, style="token")


def get_list_membership(call: MarketoCall) -> Response:
    """Get Lists by Lead Id."""
    lead = call.lead()
    items = [
        {"listId": key, "createdAt": membership["createdAt"], "updatedAt": membership["updatedAt"]}
        for key, membership in call.account.assets.memberships("list", lead["id"])
    ]
    return page(items, call.query, style="both")


def get_program_membership(call: MarketoCall) -> Response:
    """Get Programs by Lead Id."""
    lead = call.lead()
    if call.query.get("filterType", "programId") != "programId":
        raise CallRefusedError("1011", f"Field '{call.query['filterType']}' not supported")
    values = call.query.get("filterValues")
    wanted = None if values is None else set(values.split(","))
    items = [
        _program(key, membership)
        for key, membership in call.account.assets.memberships("program", lead["id"])
        if (wanted is None or str(key) in wanted) and _in_range(call, membership)
    ]
    return page(items, call.query, style="both")


def get_smart_campaign_membership(call: MarketoCall) -> Response:
    """Get Smart Campaigns by Lead Id."""
    lead = call.lead()
    items = [
        {
            "smartCampaignId": key,
            "createdAt": membership["createdAt"],
            "updatedAt": membership["updatedAt"],
        }
        for key, membership in call.account.assets.memberships("campaign", lead["id"])
        if _in_range(call, membership)
    ]
    return page(items, call.query, style="both")


def _members(call: MarketoCall, kind: str, name: str) -> list[tuple[Lead, dict[str, Any]]]:
    number = call.number(name)
    if call.account.assets.get(kind, number) is None:
        raise CallRefusedError("1013", f"Object '{number}' not found")
    pairs = (
        (call.account.leads.get(lead), content) for lead, content in call.account.assets.members(kind, number)
    )
    return [(lead, content) for lead, content in pairs if lead is not None]


def _wanted(call: MarketoCall) -> Mapping[str, Any]:
    """Return the requested fields, each with its value in a lead without one: false for a flag."""
    text = call.query.get("fields")
    if not text:
        return dict.fromkeys(DEFAULT_FIELDS)
    known = call.account.fields.all()
    wanted: dict[str, Any] = {}
    for name in ("id", *text.split(",")):
        if name not in known and name not in ("ecids", "cookies"):
            raise CallRefusedError("1006", f"Field '{name}' not found")
        wanted[name] = False if name in known and known[name].data_type == "boolean" else None
    return wanted


def _shown(call: MarketoCall, lead: Lead, wanted: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: empty if lead.get(name) is None else lead[name] for name, empty in wanted.items()}
    if _PARTITION in shown:
        shown[_PARTITION] = call.account.partitions().get(lead["partitionName"])
    return shown


def _program(key: int, membership: Mapping[str, Any]) -> dict[str, Any]:
    """Return a membership in the form of responses; three members exist in engagement programs only."""
    shown = {
        "id": key,
        "progressionStatus": membership.get("progressionStatus", "Member"),
        "isExhausted": membership.get("isExhausted", False),
        "acquiredBy": membership.get("acquiredBy", False),
        "reachedSuccess": membership.get("reachedSuccess", False),
        "membershipDate": membership.get("membershipDate", membership["createdAt"]),
        "updatedAt": membership["updatedAt"],
    }
    optional = ("progressionStatusType", "stream", "nurtureCadence")
    return shown | {name: membership[name] for name in optional if name in membership}


def _in_range(call: MarketoCall, membership: Mapping[str, Any]) -> bool:
    changed = _comparable(membership["updatedAt"])
    earliest, latest = call.query.get("earliestUpdatedAt"), call.query.get("latestUpdatedAt")
    return (earliest is None or changed >= _comparable(earliest)) and (
        latest is None or changed <= _comparable(latest)
    )


def _comparable(text: str) -> str:
    """Return a time in UTC in one form, so that texts compare as times do."""
    return text.replace("+00:00", "Z").replace("+0000", "Z")
