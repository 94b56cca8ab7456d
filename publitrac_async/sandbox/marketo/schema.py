"""Operations on fields."""

from __future__ import annotations

from typing import Any

from publitrac_async.sandbox.marketo.call import MarketoCall
from publitrac_async.sandbox.marketo.envelope import CallRefusedError, RecordRefusedError, page, success
from publitrac_async.sandbox.marketo.fields import Field
from publitrac_async.sandbox.message import Response


def describe(call: MarketoCall) -> Response:
    """Describe Lead."""
    result = []
    for field in call.account.fields.all().values():
        item: dict[str, Any] = {
            "id": field.id,
            "displayName": field.display_name,
            "dataType": field.described_type,
        }
        if field.length is not None:
            item["length"] = field.length
        item["rest"] = {"name": field.name, "readOnly": field.read_only}
        if not field.custom:
            item["soap"] = {"name": field.name[:1].upper() + field.name[1:], "readOnly": field.read_only}
        result.append(item)
    return success(result)


def describe2(call: MarketoCall) -> Response:
    """Describe Lead2."""
    fields = call.account.fields.all().values()
    items = []
    for field in fields:
        item: dict[str, Any] = {
            "name": field.name,
            "displayName": field.display_name,
            "dataType": field.described_type,
        }
        if field.length is not None:
            item["length"] = field.length
        items.append({**item, "updateable": not field.read_only, "crmManaged": False})
    # Cookies are not a field, but leads can be searched by them.
    searchable = [*([field.name] for field in fields if field.searchable), ["cookies"]]
    return success([{"name": "API Lead", "searchableFields": searchable, "fields": items}])


def get_lead_partitions(call: MarketoCall) -> Response:
    """Get Lead Partitions."""
    return success([{"id": number, "name": name} for name, number in call.account.partitions().items()])


def get_lead_field_by_name(call: MarketoCall) -> Response:
    """Get Lead Field by Name."""
    return success([_shown(_field(call))])


def get_lead_fields(call: MarketoCall) -> Response:
    """Get Lead Fields."""
    return page([_shown(field) for field in call.account.fields.all().values()], call.query, style="both")


def create_lead_field(call: MarketoCall) -> Response:
    """Create Lead Fields."""
    result: list[dict[str, Any]] = []
    for record in call.records(call.document(), known=frozenset()):
        try:
            call.account.fields.create(record)
        except RecordRefusedError as refused:
            result.append({"name": record.get("name"), "status": "skipped", "reasons": refused.reasons})
        else:
            result.append({"name": record["name"], "status": "created"})
    return success(result, applied=any(item["status"] == "created" for item in result))


def update_lead_field(call: MarketoCall) -> Response:
    """Update Lead Field."""
    records = call.records(call.document(), known=frozenset())
    if len(records) != 1:
        raise CallRefusedError("1003", "Invalid data: exactly one record is allowed")
    field = _field(call)
    try:
        call.account.fields.update(field.name, records[0])
    except RecordRefusedError as refused:
        return success([{"name": field.name, "status": "skipped", "reasons": refused.reasons}])
    return success([{"name": field.name, "status": "updated"}], applied=True)


def _field(call: MarketoCall) -> Field:
    name = call.path["fieldApiName"]
    field = call.account.fields.all().get(name)
    if field is None:
        raise CallRefusedError("1006", f"Field '{name}' not found")
    return field


def _shown(field: Field) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "displayName": field.display_name,
        "name": field.name,
        "description": field.description,
        "dataType": field.data_type,
    }
    if field.length is not None:
        shown["length"] = field.length
    shown |= {
        "isHidden": field.hidden,
        "isHtmlEncodingInEmail": field.encoded,
        "isSensitive": field.sensitive,
        "isCustom": field.custom,
    }
    return {**shown, "isApiCreated": True} if field.custom else shown
