"""Write leads: match, check and apply records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from publitrac_async.sandbox.marketo.account import MarketoAccount
from publitrac_async.sandbox.marketo.envelope import RecordRefusedError
from publitrac_async.sandbox.marketo.fields import Field
from publitrac_async.sandbox.marketo.leads import DEFAULT_PARTITION, Lead

#: Members of a record that are not fields.
_NOT_FIELDS: Final = frozenset({"mktToken", "cookies"})


@frozen
class Rules:
    """Rules for the records of one call."""

    action: str = "createOrUpdate"
    lookup: str = "email"
    partition: str | None = None
    syncs: bool = False
    """True for Sync Leads, which does not update companies."""
    pushes: bool = False
    """True for Push Lead, which accepts `mktToken` and `cookies`."""


class LeadWriter:
    """Writes the records of one call."""

    def __init__(self, account: MarketoAccount, rules: Rules) -> None:
        """Create the writer, which reads the fields once."""
        self._account = account
        self._rules = rules
        self._fields = account.fields.all()

    def write(self, record: Mapping[str, Any]) -> tuple[int, str]:
        """Create or update one lead; return its id and `created` or `updated`.

        Raises:
            RecordRefusedError: the record is refused.
        """
        rules, leads = self._rules, self._account.leads
        values = self._checked(record)
        found = self._found(record) if rules.action != "createDuplicate" else []
        if len(found) > 1:
            raise RecordRefusedError("1007", "Multiple leads match the lookup criteria")
        if found and rules.action == "createOnly":
            raise RecordRefusedError("1005", "Lead already exists")
        if not found and rules.action == "updateOnly":
            raise RecordRefusedError("1004", "Lead not found")
        if found:
            number, status = found[0]["id"], "updated"
            leads.update(number, values)
        else:
            number, status = leads.insert(values, partition=rules.partition or DEFAULT_PARTITION), "created"
        if rules.pushes and isinstance(record.get("cookies"), str):
            leads.associate(number, record["cookies"])
        return number, status

    def _checked(self, record: Mapping[str, Any]) -> dict[str, Any]:
        values = {}
        for name, value in record.items():
            if self._rules.pushes and name in _NOT_FIELDS:
                continue
            field = self._fields.get(name)
            if field is None:
                raise RecordRefusedError("1006", f"Field '{name}' not found")
            if name == "id":
                self._check_id(value)
                continue
            self._check(field, value)
            values[name] = field.stored(value)
        return values

    def _check_id(self, value: Any) -> None:
        if self._rules.action != "updateOnly":
            raise RecordRefusedError("1003", "Invalid data: id can only be given with updateOnly")
        self._fields["id"].check(value)

    def _check(self, field: Field, value: Any) -> None:
        if field.company and self._rules.syncs:
            raise RecordRefusedError("1021", "Company update not allowed")
        if field.read_only:
            raise RecordRefusedError("1003", f"Field '{field.name}' is read-only")
        field.check(value)
        if field.data_type == "email" and isinstance(value, str) and not value.isascii():
            raise RecordRefusedError("1003", "Invalid data: only ASCII characters in an email address")

    def _found(self, record: Mapping[str, Any]) -> list[Lead]:
        lookup = "id" if "id" in record and self._rules.lookup == "email" else self._rules.lookup
        key = record.get(lookup)
        if lookup == "mktToken":
            known = self._account.assets.get("mktToken", str(key))
            if known is None:
                raise RecordRefusedError("1003", "Invalid data: unknown mktToken")
            lead = self._account.leads.get(known["leadId"])
            return [] if lead is None else [lead]
        if key in (None, ""):
            raise RecordRefusedError("1003", f"Invalid data: no value for the lookup field '{lookup}'")
        return self._account.leads.find(lookup, [str(key)], partition=self._rules.partition)
