"""Write leads: syncLead, addLead, updateLead, deleteLead.

syncLead has a page (PUBLITRAC API reference, Sync Lead). The documents have only the errors of addLead and
updateLead, and only a status of deleteLead; their bodies are assumed to be that of syncLead.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from publitrac_async.sandbox.publitrac.fields import FIELD_BY_NAME
from publitrac_async.sandbox.publitrac.sync import SyncOptions
from publitrac_async.sandbox.publitrac.validation import LeadInput, LeadRefusedError
from publitrac_async.sandbox.publitrac_v1.call import MethodCall, Methods, lead_input
from publitrac_async.sandbox.publitrac_v1.responses import (
    LEAD_EXISTS,
    Envelope,
    FailedError,
    envelope,
    error,
    lead_errors,
    no_lead,
)
from publitrac_async.sandbox.settings import SandboxSettings
from publitrac_async.sandbox.settings.publitrac import OptionsPlace, UnicityKeysShape
from publitrac_async.sandbox.xml import Node

_OPTIONS: Final = frozenset({"useToken", "mergeAnonymous", "customUnicityKeys"})
_ADD_FAILED: Final = 9016
_UPDATE_FAILED: Final = 9017
_SYNC_FAILED: Final = 9018


def sync_lead(call: MethodCall) -> Envelope:
    """Create a lead, or update the one with the same unicity key."""
    request = call.request()
    lead = only_lead(request, _SYNC_FAILED, "Leads synchronization failed.", _OPTIONS)
    try:
        call.account.sync.sync(lead, at=call.account.clock.text(), options=_options(request, call.settings))
    except LeadRefusedError as refused:
        errors = lead_errors(refused.problems, lead)
        raise FailedError(_SYNC_FAILED, "Leads synchronization failed.", errors) from refused
    return envelope(2006, "Leads synchronization successfull.", applied=True)


def add_lead(call: MethodCall) -> Envelope:
    """Create a lead whose e-mail is new."""
    failure = "Create new lead have errors."
    lead = only_lead(call.request(), _ADD_FAILED, failure)
    if call.account.leads.by_email(lead.email) and lead.email:
        text = f"Lead with email address {lead.email} already exists, please use the updateLead() call."
        raise FailedError(_ADD_FAILED, failure, [error(LEAD_EXISTS, text)])
    if problems := call.account.sync.problems(lead):
        raise FailedError(_ADD_FAILED, failure, lead_errors(problems, lead))
    call.account.leads.insert(lead.values, lead.custom, at=call.account.clock.text())
    return envelope(2003, "Create new lead success.", applied=True)


def update_lead(call: MethodCall) -> Envelope:
    """Change the lead that has the e-mail."""
    failure = "Update Lead contain error"
    lead = only_lead(call.request(), _UPDATE_FAILED, failure)
    if problems := call.account.sync.problems(lead):
        raise FailedError(_UPDATE_FAILED, failure, lead_errors(problems, lead, only_email=True))
    found = call.account.leads.by_email(lead.email)
    if not found:
        raise FailedError(_UPDATE_FAILED, failure, [no_lead(lead.email)])
    call.account.sync.update(found[0], lead, at=call.account.clock.text())
    return envelope(2004, "Leads updated successfully.", applied=True)


def delete_lead(call: MethodCall) -> Envelope:
    """Remove the lead with the e-mail from the parameter `email` or from a `<lead>` element."""
    email = call.annex(call.settings.email_parameters, ("lead", "email"))
    found = call.account.leads.by_email(email) if email else []
    if not found:
        raise call.failed("Delete lead failed.", [no_lead(email)])
    call.account.leads.delete(found[0].id)
    return envelope(2005, "Delete lead success.", applied=True)


def only_lead(request: Node, status: int, message: str, options: AbstractSet[str] = frozenset()) -> LeadInput:
    """Return the one lead of a request; one call takes one lead.

    Args:
        request: the `<request>` element.
        status: the status of the failure.
        message: the message of the failure.
        options: names that are options of the method, not fields of the lead.
    """
    leads = list(request.all("lead"))
    if not leads:
        raise FailedError(status, message, ["lead is required"])
    if len(leads) > 1:
        raise FailedError(status, message, ["only one lead is accepted"])
    return lead_input(leads[0], options)


def _options(request: Node, settings: SandboxSettings) -> SyncOptions:
    options = Node("options", children=list(_in_place(request, settings.options_place)))
    return SyncOptions(
        use_token=_is_true(options.value("useToken")),
        merge_anonymous=_is_true(options.value("mergeAnonymous")),
        custom_unicity_keys=tuple(
            name
            for node in options.all("customUnicityKeys")
            for name in _unicity_keys(node, settings.unicity_keys_shape)
        ),
    )


def _in_place(request: Node, place: OptionsPlace) -> Iterator[Node]:
    """Iterate over the elements that may be options: before, after or inside `<lead>`."""
    seen = False
    for child in request.children:
        if child.name == "lead":
            seen = True
            if place in ("any", "inside"):
                yield from child.children
        elif place in ("any", "after" if seen else "before"):
            yield child


def _is_true(option: str) -> bool:
    # The documents write `true` in the sample and 1 in the text.
    return option.strip().lower() in ("1", "true")


def _unicity_keys(node: Node, shape: UnicityKeysShape) -> list[str]:
    """Read field names in the shapes that the settings allow; other shapes are ignored."""
    if not node.children:
        names = [name.strip() for name in node.text.split(",")] if shape in ("any", "text") else []
        return [name for name in names if name]
    as_names = [child.name for child in node.children if _names_field(child)]
    as_children = [child.text.strip() for child in node.children if not _names_field(child)]
    return [
        *(as_names if shape in ("any", "names") else ()),
        *(as_children if shape in ("any", "children") else ()),
    ]


def _names_field(child: Node) -> bool:
    return child.name in FIELD_BY_NAME or not child.text.strip()


METHODS: Final[Methods] = {
    "syncLead": ("POST", sync_lead),
    "addLead": ("", add_lead),
    "updateLead": ("", update_lead),
    "deleteLead": ("", delete_lead),
}
