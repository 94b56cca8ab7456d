"""Operations on static lists and their leads."""

from __future__ import annotations

from typing import Any

from publitrac_async.sandbox.marketo.call import MarketoCall
from publitrac_async.sandbox.marketo.envelope import CallRefusedError, RecordRefusedError, page, success
from publitrac_async.sandbox.message import Response

_FILTERS = ("id", "name")


def get_lists(call: MarketoCall) -> Response:
    """Get Lists, by id or name."""
    wanted = {name: set(call.query[name].split(",")) for name in _FILTERS if call.query.get(name)}
    items = [_shown(key, asset) for key, asset in call.account.assets.all("list")]
    found = [item for item in items if all(str(item[name]) in values for name, values in wanted.items())]
    return page(found, call.query, style="more")


def get_list(call: MarketoCall) -> Response:
    """Get List by Id."""
    return success([_shown(str(_list(call)), call.account.assets.get("list", _list(call)) or {})])


def add_leads(call: MarketoCall) -> Response:
    """Add to List."""
    number = _list(call)
    moment = call.account.leads.now()
    result = []
    for lead in call.ids():
        if call.account.leads.get(lead) is None:
            result.append(_not_found(lead))
            continue
        call.account.assets.add_member("list", number, lead, {"createdAt": moment, "updatedAt": moment})
        result.append({"id": lead, "status": "added"})
    return success(result, applied=any(item["status"] == "added" for item in result))


def remove_leads(call: MarketoCall) -> Response:
    """Remove from List."""
    number = _list(call)
    members = _members(call, number)
    result = []
    for lead in call.ids():
        if call.account.leads.get(lead) is None:
            result.append(_not_found(lead))
        elif lead not in members:
            reasons = RecordRefusedError("1015", "Lead not in list").reasons
            result.append({"id": lead, "status": "skipped", "reasons": reasons})
        else:
            call.account.assets.remove_member("list", number, lead)
            result.append({"id": lead, "status": "removed"})
    return success(result, applied=any(item["status"] == "removed" for item in result))


def is_member(call: MarketoCall) -> Response:
    """Member of List."""
    members = _members(call, _list(call))
    return success(
        [
            _not_found(lead)
            if call.account.leads.get(lead) is None
            else {"id": lead, "status": "memberof" if lead in members else "notmemberof"}
            for lead in call.ids()
        ]
    )


def _list(call: MarketoCall) -> int:
    number = call.number("listId")
    if call.account.assets.get("list", number) is None:
        raise CallRefusedError("1013", f"Object '{number}' not found")
    return number


def _members(call: MarketoCall, number: int) -> set[int]:
    return {lead for lead, _ in call.account.assets.members("list", number)}


def _not_found(lead: int) -> dict[str, Any]:
    reasons = RecordRefusedError("1004", "Lead not found").reasons
    return {"id": lead, "status": "skipped", "reasons": reasons}


def _shown(key: str, asset: dict[str, Any]) -> dict[str, Any]:
    shown = {"id": int(key), "name": asset.get("name", ""), "workspaceName": "Default"}
    return shown | {name: asset[name] for name in ("createdAt", "updatedAt") if name in asset}
