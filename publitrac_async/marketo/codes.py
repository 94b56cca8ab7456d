"""Table of Marketo's error codes ("Error Codes"): meaning, and effect on retries.

Errors have three levels: HTTP (413, 414, and errors of gateways), the response as a whole, and the single
record. A code of the response means that the call failed; 6xx also means that it was not executed, so any
call may be retried. Codes of the 1000s are documented for records, and also occur for responses.

See https://experienceleague.adobe.com/en/docs/marketo-developer/marketo/rest/error-codes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from attrs import frozen

from publitrac_async.config import MARKETO_PERIOD
from publitrac_async.errors import (
    ApiError,
    AuthenticationError,
    Conflict,
    LeadNotFound,
    NotFound,
    PermissionDenied,
    Problem,
    QuotaExhausted,
    RateLimited,
    ServerError,
    ValidationError,
)
from publitrac_async.marketo.values import write_text
from publitrac_async.transport.vendor_messages import joined


@frozen
class Meaning:
    """Row of the table.

    Attributes:
        kind: class of the error.
        reason: message of the error, without values.
        retryable: the same call may succeed later.
        maybe_applied: the call may have been executed.
        pause: seconds in which the client should send no calls.
    """

    kind: type[ApiError]
    reason: str
    retryable: bool = False
    maybe_applied: bool = False
    pause: float | None = None


UNKNOWN: Final = Meaning(ApiError, "refused with an unknown code")
QUOTA: Final = Meaning(
    QuotaExhausted, "the daily quota is used up; Marketo resets it at midnight, US Central Time"
)

_NO_RESOURCE: Final = "the address matches no resource of Marketo; check base_url"

#: HTTP statuses besides the usual ones. Marketo reports a missing lead or list by code, never by status.
STATUSES: Final = {
    404: Meaning(ApiError, _NO_RESOURCE),
    413: Meaning(ValidationError, "the body is larger than Marketo accepts"),
    414: Meaning(ValidationError, "the URL is longer than Marketo accepts"),
}

CODES: Final = {
    # The response as a whole.
    "500": Meaning(ServerError, "the service failed", retryable=True, maybe_applied=True),
    "502": Meaning(ServerError, "bad gateway, probably a timeout", retryable=True, maybe_applied=True),
    "600": Meaning(AuthenticationError, "the access token is empty"),
    "601": Meaning(AuthenticationError, "the access token is invalid"),
    "602": Meaning(AuthenticationError, "the access token has expired"),
    "603": Meaning(
        PermissionDenied, "the API user lacks the permission, or its address is not on the allowlist"
    ),
    "604": Meaning(ServerError, "the request took too long", retryable=True),
    "605": Meaning(ApiError, "the HTTP method is not supported"),
    "606": Meaning(RateLimited, "too many calls in 20 seconds", retryable=True, pause=MARKETO_PERIOD),
    "607": QUOTA,
    "608": Meaning(ServerError, "the API is temporarily unavailable", retryable=True),
    "609": Meaning(ValidationError, "the body is not valid JSON"),
    "610": Meaning(ApiError, _NO_RESOURCE),
    "611": Meaning(ServerError, "the service had a system error", retryable=True),
    "612": Meaning(ValidationError, "the content type is not accepted"),
    "613": Meaning(ValidationError, "the multipart content is not accepted"),
    "614": Meaning(ServerError, "the subscription is unreachable", retryable=True),
    "615": Meaning(RateLimited, "too many calls at once", retryable=True),
    "616": Meaning(PermissionDenied, "the subscription is of another type"),
    "701": Meaning(ValidationError, "a required value is blank"),
    "702": Meaning(NotFound, "nothing was found"),
    "703": Meaning(PermissionDenied, "the feature is not enabled for the subscription"),
    "704": Meaning(ValidationError, "a date has the wrong format"),
    "709": Meaning(ValidationError, "a business rule is violated"),
    "710": Meaning(NotFound, "the parent folder does not exist"),
    "711": Meaning(ValidationError, "the folder is of the wrong type"),
    "712": Meaning(ValidationError, "person accounts of Salesforce must be merged in Salesforce"),
    "713": Meaning(ServerError, "a resource is temporarily unavailable", retryable=True, maybe_applied=True),
    "714": Meaning(NotFound, "the default record type was not found"),
    "718": Meaning(NotFound, "the external sales person does not exist"),
    "719": Meaning(ServerError, "waiting for a lock took too long", retryable=True, maybe_applied=True),
    # A record, or the response as a whole.
    "1001": Meaning(ValidationError, "a value is of the wrong type"),
    "1002": Meaning(ValidationError, "a required parameter is missing"),
    "1003": Meaning(ValidationError, "the data does not fit the operation, or too many results match"),
    "1004": Meaning(LeadNotFound, "the lead does not exist"),
    "1005": Meaning(Conflict, "the lead exists already"),
    "1006": Meaning(ValidationError, "a field does not exist"),
    "1007": Meaning(Conflict, "several leads match"),
    "1008": Meaning(PermissionDenied, "the API user may not access the partition"),
    "1009": Meaning(ValidationError, "a partition must be named"),
    "1010": Meaning(Conflict, "the lead is in another partition"),
    "1011": Meaning(ValidationError, "the field cannot be used to look leads up"),
    "1012": Meaning(ValidationError, "the cookie value is invalid"),
    "1013": Meaning(NotFound, "the object does not exist"),
    "1014": Meaning(ApiError, "the object could not be created"),
    "1015": Meaning(NotFound, "the lead is not in the list"),
    "1016": Meaning(RateLimited, "too many imports are queued", retryable=True),
    "1017": Meaning(Conflict, "the object exists already"),
    "1018": Meaning(PermissionDenied, "the operation is not allowed while a CRM is connected"),
    "1019": Meaning(RateLimited, "an import into this list is running", retryable=True),
    "1020": Meaning(QUOTA.kind, "no more programs can be cloned today"),
    "1021": Meaning(ValidationError, "company fields cannot be updated through a lead"),
    "1022": Meaning(Conflict, "the object is in use"),
    "1025": Meaning(NotFound, "the program has no such status"),
    "1026": Meaning(PermissionDenied, "custom objects are not enabled"),
    "1027": Meaning(ApiError, "the subscription has the maximum number of activity types"),
    "1028": Meaning(ApiError, "the object has the maximum number of fields"),
    "1029": Meaning(RateLimited, "too many jobs are queued", retryable=True),
    "1035": Meaning(ValidationError, "the filter is not supported"),
    "1036": Meaning(ValidationError, "a key occurs twice in the input"),
    "1037": Meaning(Conflict, "the lead is in or past this status already"),
    "1042": Meaning(ValidationError, "the date is too far in the future"),
    "1048": Meaning(ApiError, "the draft could not be discarded"),
    "1049": Meaning(ValidationError, "the attributes are too long"),
    "1076": Meaning(Conflict, "the CRM refused the merge: it would create a duplicate"),
    "1077": Meaning(ValidationError, "the CRM refused the merge: a field is too long"),
    "1078": Meaning(Conflict, "the CRM refused the merge"),
    "1079": Meaning(Conflict, "the leads share a personalized URL: merge them in Marketo's own interface"),
    "1080": Meaning(ValidationError, "one call can merge at most 25 leads"),
}

#: Codes of a missing lead: "Lead not found", and "No data found" if one was requested.
NO_LEAD: Final = frozenset({"1004", "702"})
NO_FIELD: Final = frozenset({"1006", "702"})

#: "Export daily quota exceeded" and "Job already queued" use the code of a full queue.
_DAILY: Final = "daily quota"
_QUEUED: Final = Meaning(Conflict, "the job is queued already")
#: Real instances refuse a value with the code of invalid data: "Invalid value for field 'x' and value 'y'".
_VALUE: Final = Meaning(ValidationError, "the value is invalid")
#: "12:00 AM CST". In daylight saving time the real reset may be an hour earlier, never later.
_CENTRAL: Final = timezone(timedelta(hours=-6))

_CODE: Final = re.compile(r"[A-Za-z0-9_.\-]{1,40}")
_NAME: Final = r"([A-Za-z_]\w{0,99})"
_QUOTE: Final = r"[\u2018\u2019'\"`]"
#: Patterns of field names in messages: "Field 'x' not found", "Invalid fields [x, y]", "Missing value for the
#: required parameter 'x'", "x cannot be blank", "failed due to `x` length".
_NAMED: Final = (
    re.compile(rf"\b(?:field|parameter) {_QUOTE}{_NAME}{_QUOTE}", re.IGNORECASE),
    re.compile(rf"^{_QUOTE}?{_NAME}{_QUOTE}? cannot be blank", re.IGNORECASE),
    re.compile(rf"\bdue to {_QUOTE}{_NAME}{_QUOTE} (?:length|exceeding)", re.IGNORECASE),
)
_LISTED: Final = re.compile(r"\bfields?:? \[([^\[\]]*)\]", re.IGNORECASE)
#: Limit on the characters of a message to examine.
_MAX_MESSAGE: Final = 64 * 1024
#: "Invalid value 'x'. Required of type 'integer'" names a value, but no field.
_OF_VALUE: Final = re.compile(rf"^Invalid value {_QUOTE}(.*){_QUOTE}\. Required of type", re.DOTALL)
_MARKED: Final = re.compile(rf"(?<=['\"`\u2018\[, ]){_NAME}(?=['\"`\u2019\],])")


def code_of(value: object) -> str:
    """Return a code of a response, ``""`` if it does not look like one: logs and errors show codes."""
    text = "" if value is None else str(value)
    return text if _CODE.fullmatch(text) else ""


def meaning_of(code: str, message: str = "") -> Meaning:
    """Return the row of a code; the message matters only for codes with two meanings."""
    words = message.lower()
    if _DAILY in words:
        return QUOTA
    if code == "1029" and "already queued" in words:
        return _QUEUED
    if code == "1003" and words.startswith("invalid value for field"):
        return _VALUE
    return CODES.get(code, UNKNOWN)


def fields_named(message: str, record: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names of the fields in an error message of Marketo.

    Field names are not personal data, while the rest of a message may be.

    Args:
        message: Marketo's message.
        record: names of the fields of the record. Those in quotes or brackets also count; if `record` is a
            mapping, so does the only field with the value in the message.
    """
    message = message[:_MAX_MESSAGE]
    found = [match[1] for pattern in _NAMED for match in pattern.finditer(message)]
    for match in _LISTED.finditer(message):
        found += [name for each in match[1].split(",") if re.fullmatch(_NAME, name := each.strip(" '\""))]
    found += [match[1] for match in _MARKED.finditer(message) if match[1] in record]
    value = _OF_VALUE.search(message)
    if value is not None and not found and isinstance(record, Mapping):
        matching = [name for name, given in record.items() if write_text(given) == value[1]]
        found = matching if len(matching) == 1 else []
    return tuple(dict.fromkeys(found))


def problems_of(code: str, message: str, record: Collection[str] = ()) -> list[Problem]:
    """Return an error of Marketo as problems, one for each field that it names."""
    reason = meaning_of(code, message).reason
    return [
        Problem(reason, code=code or None, field=name, text=message or None)
        for name in fields_named(message, record) or (None,)
    ]


def text_of(problems: Iterable[Problem]) -> str:
    """Join problems to the message of an error, without codes: the error adds its own."""
    return joined(f"{each.field}: {each.reason}" if each.field else each.reason for each in problems)


def seconds_to_reset(now: float) -> float:
    """Return the seconds until Marketo resets the daily quota.

    Args:
        now: seconds since the epoch.
    """
    moment = datetime.fromtimestamp(now, tz=UTC).astimezone(_CENTRAL)
    midnight = (moment + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight - moment).total_seconds()


def make_error(meaning: Meaning, *, now: float, reason: str = "", **context: Any) -> ApiError:
    """Return the error of a row of the table."""
    retry_after = seconds_to_reset(now) if issubclass(meaning.kind, QuotaExhausted) else meaning.pause
    return meaning.kind(
        reason or meaning.reason,
        retryable=meaning.retryable,
        maybe_applied=meaning.maybe_applied,
        retry_after=retry_after,
        **context,
    )
