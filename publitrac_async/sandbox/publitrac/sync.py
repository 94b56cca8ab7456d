"""Create a lead, or update the stored one that matches (PUBLITRAC API reference, Sync Lead)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

from attrs import frozen

from publitrac_async.sandbox.database import Database
from publitrac_async.sandbox.publitrac.leads import Lead, LeadStore
from publitrac_async.sandbox.publitrac.validation import (
    LeadInput,
    LeadRefusedError,
    Problem,
    email_problems,
    field_problems,
)
from publitrac_async.sandbox.settings.publitrac import EmptyElement

EXTERNAL_ID_NOT_DEFINED = 9003


@frozen
class SyncOptions:
    """Options of syncLead. The documents rank `custom_unicity_keys` over `use_token` over the e-mail."""

    use_token: bool = False
    merge_anonymous: bool = False
    custom_unicity_keys: tuple[str, ...] = ()


class LeadSync:
    """Creates or updates leads, for v1 and v2 alike."""

    def __init__(
        self,
        leads: LeadStore,
        database: Database,
        *,
        custom_fields: AbstractSet[str] | None,
        empty: EmptyElement,
        move_history: Callable[[int, int], None],
    ) -> None:
        """Create the writer of leads.

        Args:
            leads: store of leads.
            database: database, for transactions.
            custom_fields: existing custom fields; None accepts any name.
            empty: the effect of an empty value.
            move_history: moves the history of one lead (first id) to another (second id).
        """
        self._leads = leads
        self._database = database
        self._custom_fields = custom_fields
        self._empty = empty
        self._move_history = move_history

    def sync(self, lead: LeadInput, *, at: str, options: SyncOptions | None = None) -> int:
        """Create or update a lead.

        Args:
            lead: the lead as it was sent.
            at: the time to record.
            options: options of the match; by default the e-mail decides.

        Returns:
            The lead's id.

        Raises:
            LeadRefusedError: the lead is not valid or its unicity key is not usable.
        """
        options = options or SyncOptions()
        problems = self.problems(lead) + _option_problems(lead, options)
        if problems:
            raise LeadRefusedError(problems)
        with self._database.transaction():
            match = self._match(lead, options)
            if match is None:
                lead_id = self._leads.insert(lead.values, lead.custom, at=at)
            else:
                lead_id = match.id
                self.update(match, lead, at=at)
            if options.merge_anonymous and not options.use_token:
                self._merge_anonymous(lead.values["token"], lead_id)
        return lead_id

    def problems(self, lead: LeadInput) -> list[Problem]:
        """Return the problems of a lead that do not depend on the operation."""
        problems = email_problems(lead.email) + field_problems(lead, self._custom_fields)
        if self._empty == "refused":
            sent = {**lead.values, **lead.custom}
            problems += [
                Problem(None, f"{name} must not be empty")
                for name, value in sent.items()
                if not value and name != "email"
            ]
        return problems

    def update(self, stored: Lead, lead: LeadInput, *, at: str) -> None:
        """Write the fields of a lead into a stored one."""
        values: Mapping[str, str] = lead.values
        custom: Mapping[str, str] = lead.custom
        if self._empty == "ignored":
            values = {name: value for name, value in values.items() if value}
            custom = {name: value for name, value in custom.items() if value}
        if stored.values["isAnonymous"] == "1" and lead.email and "isAnonymous" not in values:
            # A visitor with an address is no longer anonymous.
            values = {**values, "isAnonymous": "0"}
        self._leads.update(stored, values, custom, at=at)

    def _match(self, lead: LeadInput, options: SyncOptions) -> Lead | None:
        if options.custom_unicity_keys:
            sent = {**lead.values, **lead.custom}
            matches = self._leads.by_values({name: sent[name] for name in options.custom_unicity_keys})
        elif options.use_token:
            matches = self._leads.by_value("token", lead.values["token"])
        else:
            matches = self._leads.by_email(lead.email)
        if len(matches) > 1:
            raise LeadRefusedError([Problem(None, "Several leads match the unicity key")])
        return matches[0] if matches else None

    def _merge_anonymous(self, token: str, lead_id: int) -> None:
        for visitor in self._leads.by_value("token", token):
            if visitor.id != lead_id and visitor.values["isAnonymous"] == "1":
                self._move_history(visitor.id, lead_id)
                self._leads.delete(visitor.id)


def _option_problems(lead: LeadInput, options: SyncOptions) -> list[Problem]:
    sent = {**lead.values, **lead.custom}
    if options.custom_unicity_keys:
        return [
            Problem(EXTERNAL_ID_NOT_DEFINED, "External id is not defined")
            if name == "crmLeadId"
            else Problem(None, f"The unicity key {name} is empty")
            for name in options.custom_unicity_keys
            if not sent.get(name)
        ]
    if (options.use_token or options.merge_anonymous) and not sent.get("token"):
        option = "useToken" if options.use_token else "mergeAnonymous"
        return [Problem(None, f"Token is required for {option}")]
    return []
