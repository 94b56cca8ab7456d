"""Operations that write leads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address
from typing import Any, Final

from publitrac_async.sandbox.marketo.call import MarketoCall
from publitrac_async.sandbox.marketo.envelope import CallRefusedError, RecordRefusedError, success
from publitrac_async.sandbox.marketo.sync import LeadWriter, Rules
from publitrac_async.sandbox.message import Response

ACTIONS: Final = ("createOrUpdate", "createOnly", "updateOnly", "createDuplicate")
MOST_MERGED: Final = 25
_COOKIE: Final = re.compile(r"id:[\w-]+&token:_mch-[\w.-]+")
_SYNC: Final = frozenset({"action", "lookupField", "partitionName", "asyncProcessing"})
_PUSH: Final = frozenset({"programName", "lookupField", "source", "reason", "partitionName", "programStatus"})
_VISITOR: Final = frozenset({"pageURL", "queryString", "leadClientIpAddress", "userAgentString"})


def sync_lead(call: MarketoCall) -> Response:
    """Sync Leads."""
    document = call.document()
    records = call.records(document, known=_SYNC)
    action = document.get("action", "createOrUpdate")
    if action not in ACTIONS:
        raise CallRefusedError("1001", f"Invalid value '{action}'. Required of type 'action'")
    partition = _partition(call, document)
    if partition is not None and action not in ("createOrUpdate", "createOnly"):
        raise CallRefusedError("1003", "Invalid data: partitionName does not go with this action")
    writer = LeadWriter(call.account, Rules(action, _lookup(call, document), partition, syncs=True))
    result: list[dict[str, Any]] = []
    for record in records:
        try:
            number, status = writer.write(record)
        except RecordRefusedError as refused:
            result.append({"status": "skipped", "reasons": refused.reasons})
        else:
            result.append({"id": number, "status": status})
    return success(result, applied=any("id" in item for item in result))


def push_to_marketo(call: MarketoCall) -> Response:
    """Push Lead to Marketo. A refused record has no status, as on the vendor's page."""
    document = call.document()
    records = call.records(document, known=_PUSH)
    name = document.get("programName")
    if not isinstance(name, str) or not name:
        raise CallRefusedError("1002", "Missing value for the required parameter 'programName'")
    program = call.account.assets.named("program", name)
    if program is None:
        raise CallRefusedError("1013", f"Program '{name}' not found")
    lookup = document.get("lookupField", "email")
    if lookup != "mktToken":
        lookup = _lookup(call, document)
    rules = Rules("createOrUpdate", lookup, _partition(call, document), pushes=True)
    writer = LeadWriter(call.account, rules)
    result: list[dict[str, Any]] = []
    for record in records:
        try:
            number, status = writer.write(record)
        except RecordRefusedError as refused:
            result.append({"reasons": refused.reasons})
            continue
        result.append({"id": number, "status": status})
        activity = {"type": "Push Lead to Marketo", "programId": int(program[0])}
        optional = {key: document[key] for key in ("source", "reason", "programStatus") if key in document}
        call.account.leads.add_activity(number, activity | optional)
    return success(result, applied=any("id" in item for item in result), warnings=[])


def submit_form(call: MarketoCall) -> Response:
    """Submit Form."""
    document = call.document()
    records = call.records(document, known=frozenset({"formId", "programId"}))
    if len(records) != 1:
        raise CallRefusedError("1003", "Invalid data: exactly one record is allowed")
    form = call.account.assets.get("form", document.get("formId", ""))
    if form is None:
        raise CallRefusedError("1013", f"Form '{document.get('formId')}' not found")
    program = document.get("programId", form.get("program"))
    if program is not None and call.account.assets.get("program", program) is None:
        raise CallRefusedError("1013", f"Program '{program}' not found")
    record = records[0]
    fields, cookie = _form_fields(record, form)
    leads = call.account.leads
    found = leads.find("email", [fields["email"]])
    rules = Rules("updateOnly" if found else "createOnly", "id" if found else "email")
    if found:
        fields = {**fields, "id": leads.last_changed(found)["id"]}
    try:
        number, status = LeadWriter(call.account, rules).write(fields)
    except RecordRefusedError as refused:
        return success([{"status": "skipped", "reasons": refused.reasons}])
    activity = {"type": "Fill Out Form", "formId": document["formId"], **record.get("visitorData", {})}
    leads.add_activity(number, activity)
    if cookie is not None:
        leads.associate(number, cookie)
    if program is not None:
        moment = leads.now()
        call.account.assets.add_member("program", program, number, {"createdAt": moment, "updatedAt": moment})
    return success([{"id": number, "status": status}], applied=True)


def merge_leads(call: MarketoCall) -> Response:
    """Merge Leads: parameters in the query only."""
    text = call.query.get("leadIds") or call.query.get("leadId")
    if not text:
        raise CallRefusedError("1003", "Losing lead ids not specified")
    losers = list(dict.fromkeys(text.split(",")))
    if len(losers) > MOST_MERGED:
        raise CallRefusedError("1080", f"More than {MOST_MERGED} leadIds")
    winner = call.lead()
    if call.query.get("mergeInCRM", "false") == "true":
        raise CallRefusedError("703", "The feature is not enabled for the subscription")
    numbers = []
    for loser in losers:
        lead = call.account.leads.get(int(loser)) if loser.isdecimal() else None
        if lead is None or lead["id"] == winner["id"]:
            raise CallRefusedError("1004", f"Lead '{loser}' not found")
        numbers.append(lead["id"])
    for number in numbers:
        call.account.assets.merge(winner["id"], number)
        call.account.leads.merge(winner["id"], number)
    return success(applied=True)


def associate_lead(call: MarketoCall) -> Response:
    """Associate Lead."""
    lead = call.lead()
    cookie = call.query.get("cookie", "")
    if not _COOKIE.fullmatch(cookie):
        raise CallRefusedError("1012", f"Invalid cookie value '{cookie}'")
    call.account.leads.associate(lead["id"], cookie)
    return success(applied=True)


def delete_leads(call: MarketoCall) -> Response:
    """Delete Leads."""
    result: list[dict[str, Any]] = []
    if call.values("id"):
        records: list[Any] = [{"id": number} for number in call.ids()]
    else:
        records = call.records(call.document(), known=frozenset())
    for record in records:
        number = record.get("id")
        if not isinstance(number, int) or call.account.leads.get(number) is None:
            reasons = RecordRefusedError("1004", "Lead not found").reasons
            result.append({"id": number, "status": "skipped", "reasons": reasons})
            continue
        call.account.leads.delete(number)
        call.account.assets.remove_lead(number)
        result.append({"id": number, "status": "deleted"})
    return success(result, applied=any(item["status"] == "deleted" for item in result))


def update_partitions(call: MarketoCall) -> Response:
    """Update Lead Partition."""
    result: list[dict[str, Any]] = []
    for record in call.records(call.document(), known=frozenset()):
        number, partition = record.get("id"), record.get("partitionName")
        if not isinstance(number, int) or call.account.leads.get(number) is None:
            reasons = RecordRefusedError("1004", "Lead not found").reasons
        elif call.account.assets.get("partition", str(partition)) is None:
            reasons = RecordRefusedError("1008", f"Access denied to partition '{partition}'").reasons
        else:
            call.account.leads.update(number, {"partitionName": partition})
            result.append({"id": number, "status": "updated"})
            continue
        result.append({"id": number, "status": "skipped", "reasons": reasons})
    return success(result, applied=any(item["status"] == "updated" for item in result))


def _lookup(call: MarketoCall, document: Mapping[str, Any]) -> str:
    name = document.get("lookupField", "email")
    field = call.account.fields.all().get(name) if isinstance(name, str) else None
    if field is None or not field.searchable:
        raise CallRefusedError("1011", f"Field '{name}' not supported")
    return field.name


def _partition(call: MarketoCall, document: Mapping[str, Any]) -> str | None:
    name = document.get("partitionName")
    if name is not None and call.account.assets.get("partition", str(name)) is None:
        raise CallRefusedError("1008", f"Access denied to partition '{name}'")
    return None if name is None else str(name)


def _form_fields(record: Mapping[str, Any], form: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return the fields and the cookie of a form's record.

    Raises:
        CallRefusedError: the form does not accept it.
    """
    unknown = set(record) - {"leadFormFields", "visitorData", "cookie"}
    if unknown:
        raise CallRefusedError("1003", f"Invalid data: '{min(unknown)}' is not a parameter")
    fields = record.get("leadFormFields")
    if not isinstance(fields, dict):
        raise CallRefusedError("1002", "Missing value for the required parameter 'leadFormFields'")
    for name, value in fields.items():
        if name not in form["fields"]:
            raise CallRefusedError("1006", f"Field '{name}' not found")
        if value is None:
            raise CallRefusedError("1003", f"Form validation failed for '{name}'")
    if not fields.get("email"):
        raise CallRefusedError("1002", "Missing value for the required parameter 'email'")
    visitor = record.get("visitorData", {})
    if not isinstance(visitor, dict) or set(visitor) - _VISITOR:
        raise CallRefusedError("1003", "Invalid data: visitorData")
    try:
        IPv4Address(visitor.get("leadClientIpAddress", "127.0.0.1"))
    except AddressValueError:
        raise CallRefusedError("1003", "Invalid data: leadClientIpAddress is not an IPv4 address") from None
    cookie = record.get("cookie")
    if cookie is not None and not (isinstance(cookie, str) and _COOKIE.fullmatch(cookie)):
        raise CallRefusedError("1012", f"Invalid cookie value '{cookie}'")
    return dict(fields), cookie
