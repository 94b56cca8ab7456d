"""Build calls of any path of Marketo's API, including those without a method in this package."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from publitrac_async.checks import refuse
from publitrac_async.config import MARKETO_BODY
from publitrac_async.errors import Problem
from publitrac_async.marketo.building import Query
from publitrac_async.marketo.values import is_writable, write_json, write_text
from publitrac_async.transport.operation import Operation, OperationClass

#: Parameters by name; a list is joined by commas. Pairs can repeat a name.
Parameters: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]]

_VERBS: Final = {
    "GET": OperationClass.READ,
    "POST": OperationClass.APPEND,
    "DELETE": OperationClass.UPSERT,
}
_PATH: Final = re.compile(r"/(?:rest|bulk)(?:/[A-Za-z0-9_.~%@:+-]+)+")
#: Segments of Marketo's paths that name a resource or an action, in lower case. Logs and metrics do not show
#: other segments, which may be ids, or names from the account or of persons.
_WORDS: Final = """
rest bulk asset v1 v2 activities activity approve approvedraft associate attributes batch byid byname
bytag campaign campaigns cancel channel channels clone companies company content contents create
customactivities customactivity customobjects delete deletedleads describe describe2 discarddraft domain
domains dynamiccontent email emails emailtemplate emailtemplates enqueue errors export external failures
field fields file files folder folders form forms fullcontent import ismember landingpage
landingpagedomains landingpagerules landingpages landingpagetemplate landingpagetemplates last7days lead
leadchanges leadpartition leads list listmembership lists markasread members membership merge
namedaccountlist namedaccountlists namedaccounts opportunities opportunity pagingtoken partition
partitions program programmembership programmembers programs push redirectrules reorder replace roles
rules salespersons sample schedule schema segmentation segmentations segments sendsample smartcampaign
smartcampaignmembership smartcampaigns smartlist smartlists snippet snippets stage staticlist
staticlists stats status submit submitform tag tags tagtype tagtypes tokens trigger type types unapprove
usage used variable variables versions visibilityrules warnings
"""
_RESOURCES: Final = frozenset(_WORDS.split())


def operation_for(verb: str, path: str, *, idempotent: bool) -> Operation:
    """Return the operation of a path. Its name and path have no ids, because logs and metrics show them.

    Raises:
        ValidationError: the verb or the path is not one of Marketo's.
    """
    kind = _VERBS.get(verb)
    name = f"{verb if kind else 'call'} {_shown(path)}"
    problems = []
    if kind is None:
        problems.append(Problem(f"must be one of {', '.join(_VERBS)}", field="verb"))
    if not _PATH.fullmatch(path) or ".." in path:
        problems.append(
            Problem("must begin with /rest/ or /bulk/, without parameters: pass those as query", field="path")
        )
    refuse(problems, name)
    if idempotent and kind is OperationClass.APPEND:
        kind = OperationClass.UPSERT
    assert kind is not None
    return Operation(name=name, verb=verb, path=_shown(path), operation_class=kind)


def parameters(given: Parameters, operation: str) -> Query:
    """Return parameters as text, without those that are ``None``.

    Raises:
        ValidationError: a value cannot be sent, or one of a list has a comma.
    """
    pairs: Iterable[tuple[str, Any]] = given.items() if isinstance(given, Mapping) else given  # pyright: ignore[reportAssignmentType]  (a mapping is not an iterable of pairs)
    problems: list[Problem] = []
    found: list[tuple[str, str]] = []
    for name, value in pairs:
        if isinstance(value, Mapping):
            text = write_json(value)
            if text is None:
                problems.append(Problem("cannot be written as JSON", field=name))
            else:
                found.append((name, text.decode()))
        elif isinstance(value, list | tuple | set | frozenset | range):
            texts = [write_text(each) for each in value]
            if any("," in text for text in texts):
                problems.append(Problem("has a comma, at which Marketo splits values", field=name))
            elif texts:
                found.append((name, ",".join(texts)))
        elif not is_writable(value):
            problems.append(Problem(f"cannot be written from {type(value).__name__}", field=name))
        elif value is not None:
            found.append((name, write_text(value)))
    refuse(problems, operation)
    return tuple(found)


def body(content: Any, operation: str) -> bytes:
    """Return a body as JSON.

    Raises:
        ValidationError: it cannot be written as JSON, or is larger than a megabyte.
    """
    written = write_json(content)
    if written is None:
        refuse([Problem("has a value that cannot be written as JSON", field="json")], operation)
    assert written is not None
    if len(written) > MARKETO_BODY:
        refuse([Problem(f"is larger than {MARKETO_BODY} bytes", field="json")], operation)
    return written


def _shown(path: str) -> str:
    """Return a path without ids and names."""
    parts = path.partition("?")[0].split("/")
    return "/".join(part if not part or _is_resource(part) else _hidden(part) for part in parts)


def _is_resource(part: str) -> bool:
    return part.removesuffix(".json").lower() in _RESOURCES


def _hidden(part: str) -> str:
    return "{id}.json" if part.endswith(".json") else "{id}"
