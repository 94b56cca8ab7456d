"""Operations on activities of leads since a time."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any, Final

from publitrac_async.sandbox.marketo.call import MarketoCall
from publitrac_async.sandbox.marketo.envelope import CallRefusedError, page_size, success
from publitrac_async.sandbox.marketo.history import CHANGE, DELETED, NEW_LEAD, TYPES, Activity
from publitrac_async.sandbox.message import Response

_MOST_TYPES: Final = 10
_MOST_LEADS: Final = 30
_SOURCE: Final = "Web service API"


def get_types(_: MarketoCall) -> Response:
    """Get Activity Types."""
    return success([{"id": number, "name": name, "attributes": []} for number, name in TYPES.items()])


def get_paging_token(call: MarketoCall) -> Response:
    """Get Paging Token."""
    text = _required(call, "sinceDatetime")
    try:
        since = datetime.fromisoformat(text)
    except ValueError:
        raise CallRefusedError("704", f"Invalid date format '{text}'") from None
    moment = (since if since.tzinfo else since.replace(tzinfo=UTC)).astimezone(UTC)
    return success(nextPageToken=_token(f"since {moment:%Y-%m-%dT%H:%M:%SZ}"))


def get_activities(call: MarketoCall) -> Response:
    """Get Lead Activities."""
    types = _numbers(call, "activityTypeIds", _MOST_TYPES)
    if not types:
        raise CallRefusedError("1002", "Missing value for the required parameter 'activityTypeIds'")
    return _page(call, types, lambda each: _activity(call, each))


def get_changes(call: MarketoCall) -> Response:
    """Get Lead Changes: changed values and new leads."""
    wanted = _required(call, "fields").split(",")
    known = call.account.fields.all()
    for name in wanted:
        if name not in known:
            raise CallRefusedError("1006", f"Field '{name}' not found")

    def shown(each: Activity) -> dict[str, Any] | None:
        item = _common(each)
        if each.type == CHANGE:
            name = each.document["name"]
            if name not in wanted:
                return None
            item["fields"] = [{"id": known[name].id, **each.document}]
        return item | {"attributes": _attributes(Reason=_SOURCE, Source=_SOURCE)}

    return _page(call, [NEW_LEAD, CHANGE], shown)


def get_deleted_leads(call: MarketoCall) -> Response:
    """Get Deleted Leads."""
    return _page(call, [DELETED], lambda each: _activity(call, each))


def _page(call: MarketoCall, types: list[int], shown: Any) -> Response:
    position = _position(_required(call, "nextPageToken"))
    size = page_size(call.query)
    leads = _numbers(call, "leadIds", _MOST_LEADS)
    if call.query.get("listId", "").isdecimal():
        leads = [lead for lead, _ in call.account.assets.members("list", call.query["listId"])] or [0]
    found: list[dict[str, Any]] = []
    last, more = position, False
    for each in call.account.leads.history.since(position, types, leads):
        item = shown(each)
        if item is not None:
            if len(found) == size:
                more = True
                break
            found.append(item)
        last = each.id
    return success(found, nextPageToken=_token(str(last)), moreResult=more)


def _activity(call: MarketoCall, each: Activity) -> dict[str, Any]:
    item = _common(each)
    document = each.document
    if each.type == CHANGE:
        field = call.account.fields.all().get(document["name"])
        item |= {
            "primaryAttributeValueId": field.id if field else 0,
            "primaryAttributeValue": document["name"],
        }
        named = {"New Value": document["newValue"], "Old Value": document["oldValue"], "Source": _SOURCE}
        return item | {"attributes": _attributes(**named)}
    return item | {"attributes": _attributes(**document)}


def _common(each: Activity) -> dict[str, Any]:
    return {
        "id": each.id,
        "marketoGUID": str(each.id),
        "leadId": each.lead,
        "activityDate": each.moment,
        "activityTypeId": each.type,
    }


def _attributes(**values: Any) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _required(call: MarketoCall, name: str) -> str:
    if not call.query.get(name):
        raise CallRefusedError("1002", f"Missing value for the required parameter '{name}'")
    return call.query[name]


def _numbers(call: MarketoCall, name: str, most: int) -> list[int]:
    texts = [text for value in call.values(name) for text in value.split(",") if text]
    if not all(text.isdecimal() for text in texts):
        raise CallRefusedError("1001", f"Invalid value for '{name}'. Required of type 'Integer'")
    if len(texts) > most:
        raise CallRefusedError("1003", f"Invalid data: more than {most} {name}")
    return [int(text) for text in texts]


def _token(text: str) -> str:
    return base64.b32encode(text.encode()).decode()


def _position(token: str) -> int | str:
    """Return the number of the last activity seen, or the start time."""
    try:
        text = base64.b32decode(token).decode()
        return text.removeprefix("since ") if text.startswith("since ") else int(text)
    except ValueError:
        raise CallRefusedError("1003", "Invalid nextPageToken") from None
