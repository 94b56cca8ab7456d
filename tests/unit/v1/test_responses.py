"""The error for a response: statuses, codes, error lines, HTTP statuses."""

from __future__ import annotations

import pytest

from publitrac_async import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    Conflict,
    LeadNotFound,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServerError,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.steps import run_steps
from publitrac_async.v1.responses import read_reply
from tests.support.v1 import error_of, refusal, response, sample


class TestSuccess:
    @pytest.mark.parametrize(
        "status",
        [
            1100,
            2001,
            2002,
            2003,
            2004,
            2005,
            2006,
            2007,
            2008,
            2009,
            2010,
            3001,
            3002,
            5001,
            5002,
            1000,
            5999,
        ],
    )
    def test_a_status_of_the_documented_families_is_success(self, status):
        reply = run_steps(
            read_reply(ServiceResponse(200, response("<lead/>", status=status, message="Done.")))
        )
        assert (reply.status, reply.message, reply.content.children["lead"]) == (status, "Done.", "")

    @pytest.mark.parametrize("status", [1000, 2007, 5999])
    def test_a_status_inside_the_families_that_is_not_documented_is_logged(self, status, caplog):
        run_steps(read_reply(ServiceResponse(200, response(status=status, message="ada@example.com"))))
        assert str(status) in caplog.text
        assert "ada" not in caplog.text

    def test_a_documented_status_is_not_logged(self, caplog):
        run_steps(read_reply(ServiceResponse(200, response(status=2006))))
        assert not caplog.records

    @pytest.mark.parametrize(
        "status", ["0", "1", "-1", "999", "6000", "6001", "8001", "8999", "10001", "500", "503", "200"]
    )
    @pytest.mark.parametrize("message", ["", "Something else", "Get lead success."])
    def test_any_other_status_is_an_error_of_which_nothing_is_known(self, status, message):
        error = refusal(status=status, message=message)
        assert type(error) is ApiError
        assert (error.code, error.vendor_message) == (int(status), message or None)
        assert error.maybe_applied
        assert not error.retryable

    @pytest.mark.parametrize("status", ["error", "success", "²", "--2001", "9" * 5000, "2001.0", "2 001"])
    def test_a_status_that_is_no_number_is_an_error(self, status):
        error = refusal(status=status, message="Something else")
        assert type(error) is ApiError
        assert (error.code, error.vendor_message) == (None, "Something else")

    def test_too_many_calls_raise_the_same_error_as_in_http(self):
        assert isinstance(refusal(status=429, message="Slow down"), RateLimited)

    @pytest.mark.parametrize(
        "message", ["", "failed", "Invalid API key", "Leads synchronization successfull.", "lead not found"]
    )
    def test_the_message_decides_nothing(self, message):
        assert (
            run_steps(read_reply(ServiceResponse(200, response(status=2001, message=message)))).status == 2001
        )
        assert refusal(status=9018, message=message).code == 9018

    @pytest.mark.parametrize("errors", ["<errors></errors>", "<errors/>", "<errors><error/></errors>"])
    def test_empty_errors_are_none(self, errors):
        body = f"<response><status>2006</status>{errors}</response>"
        assert run_steps(read_reply(ServiceResponse(200, body.encode()))).status == 2006

    def test_an_error_line_is_failure_whatever_the_status(self):
        assert isinstance(refusal("9005 - Lead does not exist.", status=2006), LeadNotFound)
        assert isinstance(refusal("something", status=2006), ApiError)


class TestAnnex:
    def test_the_documented_failure_of_add_lead_is_read(self):
        error = error_of(sample("v1/add_lead_failed_response.xml"))
        assert isinstance(error, Conflict)
        assert error.code == 9016
        assert len(error.problems) == 36
        fields = {problem.field for problem in error.problems if problem.code == 9007}
        assert fields == {
            *(
                "doNotCall",
                "unsubscribed",
                "isCustomer",
                "isAnonymous",
                "emailInvalid",
                "suspended",
                "blacklisted",
            )
        }
        numbers = [problem for problem in error.problems if problem.code == 9006]
        assert {problem.field for problem in numbers} == {"score", "nbrEmployees", "revenue"}
        assert {problem.value for problem in numbers} == {"$score", "$nbrEmployees", "$revenue"}
        assert [problem.code for problem in error.problems[:3]] == [None, None, 9004]

    def test_the_documented_failure_of_update_lead_is_read(self):
        error = error_of(sample("v1/update_lead_failed_response.xml"))
        assert isinstance(error, ValidationError)
        assert len(error.problems) == 10
        assert all(problem.field and problem.value for problem in error.problems)

    def test_add_lead_to_list(self):
        error = error_of(sample("v1/add_lead_to_list_failed_response.xml"))
        assert isinstance(error, ValidationError)
        assert [(p.code, p.field, p.value) for p in error.problems] == [
            (9009, "listName", "$listName"),
            (9012, "listName", None),
            (9005, "email", "$emailAddress"),
        ]

    def test_remove_lead_from_list(self):
        error = error_of(sample("v1/remove_lead_from_list_failed_response.xml"))
        assert [problem.reason for problem in error.problems] == [
            "the list's name is missing",
            "the list does not exist",
            "the lead's e-mail address is missing",
            "the lead does not exist",
        ]

    def test_get_lead_by_token_id(self):
        error = error_of(sample("v1/get_lead_by_token_id_failed_response.xml"))
        assert isinstance(error, ValidationError)
        assert [problem.code for problem in error.problems] == [None, None, 9005]


class TestHttp:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [(401, AuthenticationError), (403, PermissionDenied), (429, RateLimited)],
    )
    def test_http_statuses_for_credentials_and_rate_take_precedence(self, status, kind):
        body = response(status=9018, errors=["9005 - Lead does not exist."])
        assert type(error_of(body, status)) is kind

    @pytest.mark.parametrize("status", [400, 404, 409, 422])
    def test_other_refusals_are_read_from_the_xml_if_there_is_any(self, status):
        error = error_of(response(status=9015, errors=["9005 - Lead does not exist."]), status)
        assert isinstance(error, LeadNotFound)
        assert (error.status, error.code) == (status, 9005)
        if status != 404:
            assert type(error_of(b"nothing", 400)) is ValidationError

    @pytest.mark.parametrize("body", [b"", b"nothing", b"<html><title>404</title></html>", b"{}"])
    def test_http_404_without_xml_is_a_wrong_address(self, body):
        error = error_of(body, 404)
        assert type(error) is ConfigurationError
        assert "base_url" in error.message
        assert not error.maybe_applied

    @pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (response(status=9000, message="No more", errors=["9099 - for you"]), "No more; 9099 - for you"),
            (b"Invalid username or password.", "Invalid username or password."),
            (b'{"error": "Invalid API key"}', "Invalid API key"),
            (b"<html><head><title>Gone fishing &amp; more</title></head></html>", "Gone fishing & more"),
            (b"<br />\n<b>Fatal error</b>: no memory<br />", "Fatal error : no memory"),
            (b"", None),
        ],
    )
    def test_the_message_is_recognized_with_any_http_status(self, status, body, words):
        assert error_of(body, status).vendor_message == words

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b"Invalid username or password.", "Invalid username or password."),
            (b'{"error": "Invalid API key"}', "Invalid API key"),
            (b"<br />\n<b>Fatal error</b>: no memory in /a.php<br />", "Fatal error : no memory in /a.php"),
            (b"<html><title>Sign in</title>", "Sign in"),
        ],
    )
    def test_the_message_with_http_200_is_recognized_and_nothing_is_requested_again(self, body, words):
        error = error_of(body)
        assert type(error) is UnexpectedContent
        assert error.vendor_message == words
        assert words not in str(error)
        assert not error.retryable

    def test_a_failing_service_may_still_name_the_problem(self):
        assert isinstance(
            error_of(response(errors=["9006 - Score (x) must be"], status=9018), 500), ValidationError
        )
        error = error_of(response(status=9018), 503)
        assert isinstance(error, ServerError)
        assert error.maybe_applied
        assert isinstance(error_of(response(errors=["oops"]), 500), ServerError)

    def test_success_in_a_failed_response_is_an_error(self):
        assert isinstance(error_of(response(status=2006), 500), ServerError)
        assert isinstance(error_of(response(status=2006), 404), NotFound)

    @pytest.mark.parametrize(
        "page", [b"<!DOCTYPE html><html></html>", b"\xef\xbb\xbf \n<HTML><body>Login", b"<head></head>"]
    )
    def test_a_web_page_is_not_a_response(self, page):
        assert isinstance(error_of(page), UnexpectedContent)
        assert isinstance(error_of(page, 503), ServerError)

    @pytest.mark.parametrize(
        "body",
        [
            b"<response></response>",
            b"<response><message>Done.</message></response>",
            b"<response><status></status></response>",
            b"<status>2001</status>",
            b"",
            b"OK",
            b'{"status": "success"}',
        ],
    )
    def test_without_a_status_there_is_no_success(self, body):
        assert isinstance(error_of(body), UnexpectedContent)
