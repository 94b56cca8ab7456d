"""The table of codes on its three levels, and the reaction to each kind of response."""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from publitrac_async import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    Conflict,
    LeadNotFound,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    PublitracError,
    QuotaExhausted,
    RateLimited,
    ServerError,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.marketo import MarketoClient, NewLeadField, Reason, RecordResult
from publitrac_async.marketo import responses as reading
from publitrac_async.marketo.codes import CODES, seconds_to_reset
from tests.support.clock import virtual
from tests.support.marketo import refused, response, result, serving

Run = Callable[[MarketoClient], Awaitable[Any]]

DESCRIBE: Run = lambda m: m.describe()  # noqa: E731
PUSH: Run = lambda m: m.push_leads([{"email": "a@x.com"}], program_name="P")  # noqa: E731
UPDATE: Run = lambda m: m.sync_leads([{"email": "a@x.com"}], action="updateOnly")  # noqa: E731
FIELD = NewLeadField(display_name="Acme", name="acme", data_type="string")
APPENDS: dict[str, Run] = {
    "push": PUSH,
    "submit form": lambda m: m.submit_form(form_id=1, lead_form_fields={"email": "a@x.com"}),
    "createOnly": lambda m: m.sync_leads([{"email": "a@x.com"}], action="createOnly"),
    "createDuplicate": lambda m: m.sync_leads([{"email": "a@x.com"}], action="createDuplicate"),
    "merge": lambda m: m.merge_leads(1, [2]),
    "create fields": lambda m: m.create_lead_fields([FIELD]),
}
UPSERTS: dict[str, Run] = {
    "updateOnly": UPDATE,
    "createOrUpdate": lambda m: m.sync_leads([{"email": "a@x.com"}]),
    "delete": lambda m: m.delete_leads([1]),
    "partition": lambda m: m.update_lead_partition({1: "Europe"}),
}
EVERY = APPENDS | UPSERTS | {"read": DESCRIBE}
LOST = [httpx.ReadError("x"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x")]
BAD_GATEWAY = httpx.Response(502, content=b"<html>")
FINAL = ["603", "605", "607", "609", "610", "612", "701", "709", "1003", "1080", "777"]
DONE = result({"id": 1, "name": "acme", "status": "updated"})

RETRIED = {"500", "502", "604", "606", "608", "611", "614", "615", "713", "719", "1016", "1019", "1029"}
#: Adobe documents of 6xx only that they were not executed.
UNSURE = {"500", "502", "713", "719"}
KINDS: dict[type[ApiError], set[str]] = {
    AuthenticationError: {"600", "601", "602"},
    PermissionDenied: {"603", "616", "703", "1008", "1018", "1026"},
    RateLimited: {"606", "615", "1016", "1019", "1029"},
    QuotaExhausted: {"607", "1020"},
    LeadNotFound: {"1004"},
    Conflict: {"1005", "1007", "1010", "1017", "1022", "1037", "1076", "1078", "1079"},
}


def error_of(code: str, message: str = "No.") -> PublitracError:
    with pytest.raises(PublitracError) as caught:
        reading.read(response(refused(code, message=message)), now=lambda: 0.0)
    return caught.value


@pytest.mark.parametrize("code", CODES)
def test_every_code_of_the_table(code: str) -> None:
    error = error_of(code)
    assert error.code == code
    assert error.status == 200
    assert error.retryable is (code in RETRIED)
    assert error.maybe_applied is (code in UNSURE)
    for kind, codes in KINDS.items():
        assert (type(error) is kind) is (code in codes)
    assert "(request e42b#14272d07d78)" in str(error)
    assert type(pickle.loads(pickle.dumps(error))) is type(error)


def test_codes_of_6xx_were_not_executed() -> None:
    assert not any(meaning.maybe_applied for code, meaning in CODES.items() if code.startswith("6"))


@pytest.mark.parametrize("code", ["617", "799", "705", "1099", "42", "abc", "", "x" * 100])
def test_codes_outside_the_table_are_final(code: str) -> None:
    error = error_of(code)
    assert type(error) is ApiError
    assert error.code == (code if len(code) < 41 and code else None)
    assert not error.retryable
    assert not error.maybe_applied


def test_a_code_as_number_is_taken_as_well() -> None:
    with pytest.raises(RateLimited) as caught:
        reading.read(response({"success": False, "errors": [{"code": 606}]}))
    assert caught.value.code == "606"


def test_of_several_errors_the_credentials_and_the_day_come_first() -> None:
    with pytest.raises(AuthenticationError) as caught:
        reading.read(response(refused("611", "601")))
    assert [problem.code for problem in caught.value.problems] == ["601", "611"]
    with pytest.raises(QuotaExhausted):
        reading.read(response(refused("606", "607")))
    with pytest.raises(ValidationError, match="a date has the wrong format; a field does not exist"):
        reading.read(response(refused("704", "1006")))


def test_the_vendors_message_is_in_no_text() -> None:
    error = error_of("1012", message="Invalid cookie value 'id:secret'")
    assert isinstance(error, ApiError)
    assert error.problems[0].text == "Invalid cookie value 'id:secret'"
    assert "secret" not in str(error) + repr(error) + repr(error.problems)


@pytest.mark.parametrize(
    ("moment", "hours"),
    [("2026-11-21T00:00:01", 24), ("2026-11-21T23:00:00", 1), ("2026-07-01T12:00:00", 12)],
)
def test_the_quota_is_reset_at_midnight_central_time(moment: str, hours: int) -> None:
    now = datetime.fromisoformat(moment).replace(tzinfo=timezone(timedelta(hours=-6))).timestamp()
    assert seconds_to_reset(now) == pytest.approx(hours * 3600, abs=2)
    with pytest.raises(QuotaExhausted, match="at midnight") as caught:
        reading.read(response(refused("607")), now=lambda: now)
    assert caught.value.retry_after == seconds_to_reset(now)


def test_a_full_queue_and_a_used_up_day_share_a_code() -> None:
    assert isinstance(error_of("1029", "Too many jobs (10) in queue"), RateLimited)
    quota = error_of("1029", "Export daily quota 500MB exceeded")
    assert isinstance(quota, QuotaExhausted)
    assert not quota.retryable
    assert quota.code == "1029"


# The first level: HTTP.


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable", "maybe_applied"),
    [
        (413, b"", ValidationError, False, False),
        (414, b"<html>URI too long</html>", ValidationError, False, False),
        (401, b"", AuthenticationError, False, False),
        (404, b"{}", ApiError, False, False),
        (404, b"not here", ConfigurationError, False, False),
        (404, b"<html>no such page</html>", ConfigurationError, False, False),
        (429, b"", RateLimited, True, False),
        (500, b"<html>", ServerError, True, True),
        (502, b"<html>Bad gateway</html>", ServerError, True, True),
        (503, b"{}", ServerError, True, True),
        (302, b"", UnexpectedContent, False, True),
        (200, b"<!DOCTYPE html><html>maintenance</html>", UnexpectedContent, True, False),
        (200, b"", UnexpectedContent, True, False),
        (200, b'{"requestId": "1#2", "result": [', UnexpectedContent, True, False),
        (200, b"[]", UnexpectedContent, True, False),
        (200, b"null", UnexpectedContent, True, False),
        (200, b"{}", UnexpectedContent, True, False),
        (200, b'{"result": []}', UnexpectedContent, True, False),
        (200, b'{"success": true, "result": {}}', UnexpectedContent, True, False),
        (200, b'{"success": false}', ApiError, False, False),
        (200, b'{"success": false, "errors": []}', ApiError, False, False),
        (200, b'{"success": false, "errors": "no"}', ApiError, False, False),
    ],
)
def test_bodies_that_are_not_envelopes(
    status: int, body: bytes, kind: type[PublitracError], retryable: bool, maybe_applied: bool
) -> None:
    with pytest.raises(PublitracError) as caught:
        reading.read(response(body, status))
    error = caught.value
    assert (type(error), error.retryable, error.maybe_applied) == (kind, retryable, maybe_applied)


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500, 503])
def test_an_envelope_counts_whatever_the_status(status: int) -> None:
    with pytest.raises(RateLimited) as caught:
        reading.read(response(refused("606"), status))
    assert (caught.value.code, caught.value.status) == ("606", status)


def test_errors_with_a_success_are_no_refusal() -> None:
    envelope = reading.read(response({"success": True, "result": [1], "errors": [{"code": "606"}]}))
    assert envelope.result == [1]


# The third level: a record.


@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        (["1003"], ValidationError),
        (["1004"], LeadNotFound),
        (["1007"], Conflict),
        (["1008"], ApiError),  # Not PermissionDenied: it is about this record, not about the client.
        (["606"], ApiError),
        (["9999", "1003"], ApiError),
        ([], ApiError),
    ],
)
def test_the_meaning_of_a_records_code(codes: list[str], kind: type[ApiError]) -> None:
    skipped = RecordResult(status="skipped", reasons=tuple(Reason(code, "a@x.com") for code in codes))
    error = skipped.error
    assert type(error) is kind
    assert not error.maybe_applied
    assert "a@x.com" not in str(error) + repr(skipped)


@pytest.mark.parametrize("code", ["610", "714", "1013", "1015"])
def test_a_code_that_does_not_speak_of_a_lead_is_no_lead_that_is_not_there(code: str) -> None:
    with pytest.raises(ApiError) as caught:
        reading.one_lead(response(refused(code)))
    assert not isinstance(caught.value, LeadNotFound)
    assert caught.value.code == code


@pytest.mark.parametrize("body", [b"not here", b"<html>Not Found</html>"])
def test_a_wrong_address_is_not_found_nowhere(body: bytes) -> None:
    for parse in (reading.one_lead, reading.one_field, reading.done):
        with pytest.raises(ConfigurationError, match="check base_url"):
            parse(response(body, 404))


@pytest.mark.parametrize("code", ["1004", "702", None])
def test_a_lead_that_is_not_there(code: str | None) -> None:
    with pytest.raises(LeadNotFound) as caught:
        reading.one_lead(response(result() if code is None else refused(code)))
    assert caught.value.code == code


@pytest.mark.parametrize("code", ["1006", "702", None])
def test_a_field_that_is_not_there(code: str | None) -> None:
    with pytest.raises(NotFound):
        reading.one_field(response(result() if code is None else refused(code)))


# Calls that are sent again.


def done_of(run: Run) -> Any:
    return result() if run is DESCRIBE else DONE


async def attempts(run: Run, *responses: Any) -> tuple[int, PublitracError | None]:
    """How often the call was sent, and how it ended."""
    async with serving(*responses) as (marketo, service):
        try:
            await run(marketo)
        except PublitracError as error:
            return len(service.sent), error
        return len(service.sent), None


@pytest.mark.parametrize("code", ["604", "606", "608", "611", "614", "615"])
@pytest.mark.parametrize(
    "run", [*APPENDS.values(), *UPSERTS.values(), DESCRIBE], ids=[*APPENDS, *UPSERTS, "read"]
)
def test_6xx_was_not_executed_and_is_repeated_whatever_it_does(run: Run, code: str) -> None:
    @virtual
    async def main() -> None:
        assert await attempts(run, refused(code), refused(code), done_of(run)) == (3, None)

    main()


@pytest.mark.parametrize("run", APPENDS.values(), ids=APPENDS)
@pytest.mark.parametrize(
    "lost", [httpx.ReadError("x"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x")]
)
def test_a_lost_response_to_an_append_is_an_unknown_outcome(run: Run, lost: Exception) -> None:
    @virtual
    async def main() -> None:
        sent, error = await attempts(run, lost, DONE)
        assert sent == 1
        assert type(error) is OutcomeUnknown
        assert error.maybe_applied

    main()


@pytest.mark.parametrize("run", APPENDS.values(), ids=APPENDS)
@pytest.mark.parametrize(
    "reply",
    [BAD_GATEWAY, b"<html>login</html>", b"", refused("502"), refused("713")],
    ids=["502", "html", "empty", "code 502", "code 713"],
)
def test_an_unclear_response_to_an_append_is_not_followed_by_another_call(run: Run, reply: Any) -> None:
    @virtual
    async def main() -> None:
        sent, error = await attempts(run, reply, DONE)
        assert sent == 1
        assert error is not None
        assert error.maybe_applied

    main()


@pytest.mark.parametrize("run", [*UPSERTS.values(), DESCRIBE], ids=[*UPSERTS, "read"])
@pytest.mark.parametrize(
    "reply",
    [
        httpx.ReadError("x"),
        httpx.Response(502, content=b"<html>"),
        b"<html>login</html>",
        b"",
        refused("713"),
    ],
    ids=["lost", "502", "html", "empty", "code 713"],
)
def test_reads_and_upserts_are_repeated_after_an_unclear_response(run: Run, reply: Any) -> None:
    @virtual
    async def main() -> None:
        assert await attempts(run, reply, done_of(run)) == (2, None)

    main()


@pytest.mark.parametrize(
    "code", ["603", "605", "607", "609", "610", "612", "701", "709", "1003", "1080", "777"]
)
def test_final_codes_are_not_repeated(code: str) -> None:
    @virtual
    async def main() -> None:
        for run in (DESCRIBE, UPDATE, PUSH):
            sent, error = await attempts(run, refused(code), done_of(run))
            assert sent == 1
            assert error is not None
            assert error.code == code
            assert not error.maybe_applied

    main()
