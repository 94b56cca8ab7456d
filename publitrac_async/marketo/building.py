"""Build the parameters of calls, and records other than leads."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

import attrs

from publitrac_async.checks import refuse
from publitrac_async.config import MARKETO_MERGED, MARKETO_RECORDS
from publitrac_async.errors import Problem, ValidationError
from publitrac_async.marketo.checks import address_problem, ascii_problem
from publitrac_async.marketo.models import LeadFieldUpdate, NewLeadField, VisitorData
from publitrac_async.marketo.values import value_problems, write_json, write_text, write_time
from publitrac_async.models import Unset, vendor_name

#: Name that is safe in a path and in a list separated by commas.
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

#: Names and values of query parameters.
Query: TypeAlias = tuple[tuple[str, str], ...]


# Ids.


def lead_id(value: Any, operation: str, name: str = "id") -> int:
    """Return `value` if it is an id.

    Raises:
        ValidationError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        refuse([Problem("must be a positive integer", field=name)], operation)
    return int(value)


def lead_ids(ids: Iterable[int], operation: str) -> list[dict[str, int]]:
    """Return the records of calls that take ids.

    Raises:
        ValidationError: one is not an id.
    """
    return [{"id": lead_id(value, operation)} for value in ids]


def merged(winner: int, loser_ids: Iterable[int], operation: str) -> Query:
    """Return the parameter that names the leads to be merged into `winner`.

    Raises:
        ValidationError: no leads or too many, or the winner is among them.
    """
    losers = list(dict.fromkeys(lead_id(each, operation, "leadIds") for each in loser_ids))
    if not 1 <= len(losers) <= MARKETO_MERGED:
        refuse(
            [Problem(f"must be from 1 to {MARKETO_MERGED} leads", code="1080", field="leadIds")], operation
        )
    if winner in losers:
        refuse([Problem("must not contain the winner", field="leadIds")], operation)
    return (("leadId" if len(losers) == 1 else "leadIds", ",".join(map(str, losers))),)


# Fields.


def new_field(field: NewLeadField) -> dict[str, Any]:
    """Return the record of a field to create."""
    return _set_values(field)


def field_update(update: LeadFieldUpdate, operation: str) -> dict[str, Any]:
    """Return the record of a field to change.

    Raises:
        ValidationError: there is no change.
    """
    record = _set_values(update)
    if not record:
        refuse([Problem("must have at least one change", field="input")], operation)
    return record


def _set_values(record: Any) -> dict[str, Any]:
    values = ((vendor_name(name), value) for name, value in attrs.asdict(record).items())
    return {name: value for name, value in values if not isinstance(value, Unset)}


# Forms.


def form_record(
    fields: Mapping[str, Any], visitor: VisitorData | None, cookie: str | None, operation: str
) -> bytes:
    """Return the one record of Submit Form as JSON.

    Raises:
        ValidationError: the e-mail address is missing, a value is ``None`` (refused with code 1003), or
            cannot be written.
    """
    problems = [
        *address_problem(fields.get("email")),
        *(
            Problem("must not be None in a form: leave the field out", field=name)
            for name, value in fields.items()
            if value is None
        ),
        *value_problems(fields, write_json(dict(fields))),
        *ascii_problem(fields),
    ]
    refuse(problems, operation)
    record: dict[str, Any] = {"leadFormFields": dict(fields)}
    if visitor is not None:
        data = {
            "pageURL": visitor.page_url,
            "queryString": visitor.query_string,
            "leadClientIpAddress": visitor.lead_client_ip_address,
            "userAgentString": visitor.user_agent_string,
        }
        record["visitorData"] = {name: value for name, value in data.items() if value is not None}
    if cookie is not None:
        record["cookie"] = cookie_value(cookie, operation)
    written = write_json(record)
    if written is None:
        raise ValidationError("the form has text that cannot be written as JSON", operation=operation)
    return written


def cookie_value(cookie: str, operation: str) -> str:
    """Return the value of a ``_mkto_trk`` cookie.

    Browsers and frameworks return it plain (``id:...&token:...``) or percent-encoded; it is sent encoded
    exactly once.

    Raises:
        ValidationError: it is empty.
    """
    if not cookie.strip():
        refuse([Problem("is required: the value of the _mkto_trk cookie", field="cookie")], operation)
    if "&" not in cookie and "%26" in cookie:
        return urllib.parse.unquote(cookie)
    return cookie


# Parameters.


def names(fields: Iterable[str], operation: str) -> Query:
    """Return the parameter `fields`.

    Raises:
        ValidationError: one is not a name.
    """
    wanted = [fields] if isinstance(fields, str) else list(fields)
    for name in wanted:
        name_of_field(name, operation)
    return (("fields", ",".join(wanted)),) if wanted else ()


def name_of_field(name: str, operation: str) -> str:
    """Return `name` if it is the REST name of a field.

    Raises:
        ValidationError: it is not.
    """
    if not _NAME.fullmatch(name):
        problem = Problem("not the REST name of a field: letters, digits, underscores", field="fields")
        refuse([problem], operation)
    return name


def page_size(batch_size: int | None, operation: str) -> Query:
    """Return the parameter `batchSize`.

    Raises:
        ValidationError: it is not between 1 and 300.
    """
    if batch_size is None:
        return ()
    if not 1 <= batch_size <= MARKETO_RECORDS:
        refuse([Problem(f"must be between 1 and {MARKETO_RECORDS}", field="batchSize")], operation)
    return (("batchSize", str(batch_size)),)


def filter_values(values: Iterable[Any], operation: str) -> list[str]:
    """Return the values of a filter as text, each once, in the order given.

    Raises:
        ValidationError: there are no values; one is empty, or has a comma: Marketo splits the values at
            commas, and documents no way to escape one.
    """
    given = [values] if isinstance(values, str) else values
    texts = list(dict.fromkeys("" if value is None else write_text(value) for value in given))
    problems = []
    if not texts:
        problems.append(Problem("at least one value is required", field="filterValues"))
    for text in texts:
        if not text:
            problems.append(Problem("must not be empty", field="filterValues"))
        elif "," in text:
            reason = "has a comma, at which Marketo splits values; it documents no way to escape one"
            problems.append(Problem(reason, field="filterValues", value=text))
    refuse(problems, operation)
    return texts


def programs(program_ids: Iterable[int], operation: str) -> Query:
    """Return the parameters that select these programs.

    Raises:
        ValidationError: one is not an id, or there are more than 300.
    """
    wanted = [str(lead_id(each, operation, "filterValues")) for each in program_ids]
    if len(wanted) > MARKETO_RECORDS:
        refuse([Problem(f"must be at most {MARKETO_RECORDS} values", field="filterValues")], operation)
    return (("filterType", "programId"), ("filterValues", ",".join(wanted))) if wanted else ()


def updated(earliest: datetime | None, latest: datetime | None) -> Query:
    """Return the parameters that select changes in a period. A time without a zone is UTC."""
    bounds = (("earliestUpdatedAt", earliest), ("latestUpdatedAt", latest))
    return tuple((name, write_time(moment)) for name, moment in bounds if moment is not None)
