"""Error lines of a response: code, field and value, and the class of the error."""

from __future__ import annotations

import pickle

import pytest

from publitrac_async import ApiError, AuthenticationError, Conflict, LeadNotFound, NotFound, ValidationError
from publitrac_async.v1.codes import Code
from tests.support.v1 import error_of, refusal


class TestGrammar:
    @pytest.mark.parametrize(
        ("line", "code", "field", "value"),
        [
            ("9006 - Score (x) must be a valid integer for xml lead->email (a@b.c) ", 9006, "score", "x"),
            (
                "9006 -Revenue (1,5) must be a valid integer for (lead no email no crm id)",
                9006,
                "revenue",
                "1,5",
            ),
            ("9006 -NbrEmployees () must be a valid integer for ...", 9006, "nbrEmployees", ""),
            ("9006-Score(x)must be a valid integer", 9006, "score", "x"),
            (
                "  9007  -  DoNotCall (2) must be 0 or 1 for xml lead-&gt;email (a@b.c)  \n",
                9007,
                "doNotCall",
                "2",
            ),
            (
                "9007 - emailInvalid (a (b) c) must be 0 or 1 for (lead no email no crm id)",
                9007,
                "emailInvalid",
                "a (b) c",
            ),
            ("9007 - isAnonymous (a\nb) must be 0 or 1 for xml lead->crmId (7)", 9007, "isAnonymous", "a\nb"),
            ("9007 - SomethingNew (2) must be 0 or 1", 9007, "SomethingNew", "2"),
            ("9007 - what is this", 9007, None, None),
            ("9001 - Email is required for xml lead->crmId (77) ", 9001, "email", None),
            ("9001 - Email is required for xml (lead no email no crm id)", 9001, "email", None),
            ("9002 - Email address is invalid for xml lead->email (a(b)@c) ", 9002, "email", "a(b)@c"),
            (
                "9004 - Lead with email address a@b.c already exists, please use the updateLead() call.",
                9004,
                "email",
                "a@b.c",
            ),
            ("9005 - (a@b.c) Leads not found.", 9005, "email", "a@b.c"),
            ("9005 - Lead (a@b.c) does not exist.", 9005, "email", "a@b.c"),
            ("9005 - Lead does not exist.", 9005, "email", None),
            ("9009 - List (VIP (2024)) does not exist.", 9009, "listName", "VIP (2024)"),
            ("9009 - List name is required", 9009, "listName", None),
            ("9010 - View (x) does not exist", 9010, "viewName", "x"),
            ("9012 - You are trying to insert a lead inside a filtered list", 9012, "listName", None),
            ("9008 - unsupported (carColor)", 9008, None, None),
            ("9099 - who knows (x)", 9099, None, None),
            ("Tok Id is required", None, None, None),
            ("12345 - five digits", None, None, None),
            ("900 - three digits", None, None, None),
            ("9005 no dash", None, None, None),
        ],
    )
    def test_an_error_line_names_code_field_and_value(self, line, code, field, value):
        (problem,) = refusal(line).problems
        assert (problem.code, problem.field, problem.value) == (code, field, value)

    @pytest.mark.parametrize(
        "line",
        [
            f"9002 - a{' ' * 300_000}b",
            f"9005 - {'(' * 300_000}",
            f"9005 - {')' * 300_000}(",
            f"9004 - address{' ' * 300_000}x",
            f"9004 - {'address ' * 40_000}",
            f"9006 - {'a' * 300_000}",
            f"9006 - Score ({') ' * 150_000}",
            f"9006 - Score ({')must be' * 40_000}",
        ],
        ids=lambda line: line[:14],
    )
    def test_a_long_line_takes_no_time(self, line):
        (problem,) = refusal(line).problems
        assert problem.code == int(line[:4])

    def test_the_message_lists_some_of_many_problems(self):
        error = refusal(*(f"9006 - Field{number} (x) must be a valid integer" for number in range(1000)))
        assert len(error.problems) == 1000
        assert "Field19: " in str(error)
        assert "Field20: " not in str(error)
        assert "980 more" in str(error)

    def test_the_vendors_message_is_kept_without_code_and_spaces(self):
        (problem,) = refusal(
            " 9006 -Score (x) must be a valid integer for xml lead-&gt;email (a@b.c)  "
        ).problems
        assert problem.text == "Score (x) must be a valid integer for xml lead->email (a@b.c)"

    def test_no_personal_data_shows(self):
        error = refusal("9004 - Lead with email address ada@example.com already exists, please use ...")
        assert "ada" not in str(error) + repr(error) + repr(error.problems)
        assert error.problems[0].value == "ada@example.com"

    def test_errors_survive_pickling(self):
        error = pickle.loads(pickle.dumps(refusal("9005 - (a@b.c) Leads not found.", status=9013)))
        assert isinstance(error, LeadNotFound)
        assert (error.problems[0].value, error.code) == ("a@b.c", 9005)


class TestKinds:
    @pytest.mark.parametrize(
        ("lines", "kind", "code"),
        [
            (["9001 - Email is required for xml lead->crmId (7)"], ValidationError, 9001),
            (["9002 - Email address is invalid for xml lead->email (x)"], ValidationError, 9002),
            (["9003 - external id"], ValidationError, 9003),
            (["9004 - Lead with email address a@b.c already exists"], Conflict, 9004),
            (["9005 - Lead does not exist."], LeadNotFound, 9005),
            (["9005 - Lead (a@b.c) does not exist."], LeadNotFound, 9005),
            (["9005 - (a@b.c) Leads not found."], LeadNotFound, 9005),
            (["9005 - lead not found"], LeadNotFound, 9005),
            (["9005 - LEAD NOT FOUND"], LeadNotFound, 9005),
            (["9005 - Lead email address is required"], ValidationError, 9005),
            (["9005 - something else"], ValidationError, 9005),
            (["9006 - Score (x) must be a valid integer"], ValidationError, 9006),
            (["9007 - IsCustomer (x) must be 0 or 1"], ValidationError, 9007),
            (["9008 - tag"], ValidationError, 9008),
            (["9009 - List does not exist."], NotFound, 9009),
            (["9009 - List (x) does not exist."], NotFound, 9009),
            (["9009 - List name is required"], ValidationError, 9009),
            (["9010 - View does not exist"], NotFound, 9010),
            (["9010 - View name is required"], ValidationError, 9010),
            (["9011 - XML"], ValidationError, 9011),
            (["9012 - You are trying to insert a lead inside a filtered list"], ValidationError, 9012),
            (["9099 - unknown"], ValidationError, 9099),
            (["Tok Id is required"], ValidationError, 9018),
            (["lead not found"], ValidationError, 9018),  # Without a code, words decide nothing.
            (["9005 - Lead does not exist.", "9005 - Lead (b) does not exist."], LeadNotFound, 9005),
            (["9009 - List does not exist.", "9005 - Lead does not exist."], NotFound, 9018),
            (["9005 - Lead does not exist.", "9009 - List name is required"], ValidationError, 9018),
            (["9005 - Lead does not exist.", "lead is required"], ValidationError, 9005),
            (["9004 - Lead with email address x already exists", "9006 - Score (x) must be"], Conflict, 9018),
        ],
    )
    def test_the_error_lines_decide_about_the_class(self, lines, kind, code):
        error = refusal(*lines)
        assert type(error) is kind
        assert error.code == code
        assert len(error.problems) == len(lines)
        assert not error.retryable
        assert not error.maybe_applied

    @pytest.mark.parametrize(
        ("status", "message", "kind"),
        [
            (9001, "Email is required", ValidationError),
            (9004, "Lead with email address a@b.c already exists", Conflict),
            (9005, "Lead does not exist.", LeadNotFound),
            (9005, "Lead email address is required", ValidationError),
            (9009, "List does not exist.", NotFound),
            (9010, "", NotFound),
            (9011, "Invalid XML", ValidationError),
            (9013, "Add lead to list failed.", ApiError),
            (9014, "Remove lead from list failed.", ApiError),
            (9015, "getLeadByTokenId failed.", LeadNotFound),
            (9016, "Create new lead have errors.", ApiError),
            (9017, "Update Lead contain error", ApiError),
            (9018, "failed", ApiError),
            (9000, "Authentication failed", AuthenticationError),
            (9000, "something", ApiError),
            (9000, "Your API key is not allowed from this IP", AuthenticationError),
            (9999, "Account suspended", AuthenticationError),
            (9015, "Invalid username or password", AuthenticationError),
            (9018, "Mot de passe invalide", AuthenticationError),
            (9018, "lead password@example.com (password) was not created", ApiError),
            (9002, "Email address is invalid for xml lead->email (password)", ValidationError),
            (9999, "", ApiError),
        ],
    )
    def test_a_status_without_lines(self, status, message, kind):
        error = refusal(status=status, message=message)
        assert type(error) is kind
        assert error.code == status

    def test_an_unknown_status_with_lines_without_codes_is_a_refusal(self):
        error = refusal("Maintenance", status=9000)
        assert type(error) is ApiError
        assert error.problems[0].text == error.vendor_message.rpartition("; ")[2] == "Maintenance"

    @pytest.mark.parametrize(
        "status", ["0", "401", "403", "407", "1", "8001", "9000", "9015", "9018", "error"]
    )
    @pytest.mark.parametrize("as_line", [True, False])
    def test_a_refusal_of_the_credentials_is_recognized_by_its_message(self, status, as_line):
        words = "Invalid username or password"
        error = refusal(*[words] * as_line, status=status, message="failed" if as_line else words)
        assert type(error) is AuthenticationError
        assert words in error.vendor_message
        assert words not in str(error) + repr(error)
        assert not error.maybe_applied

    @pytest.mark.parametrize("status", [401, 403, 407])
    def test_the_http_status_suffices_without_a_message(self, status):
        assert type(refusal(status=status, message="")) is AuthenticationError

    @pytest.mark.parametrize(
        "content",
        [
            "<errors><error>Invalid API key</error></errors>",
            "<error>Invalid API key</error>",
            "<message>Invalid API key</message>",
            "<status/><message>Invalid API key</message>",
        ],
    )
    def test_they_are_found_without_a_status(self, content):
        error = error_of(f"<response>{content}</response>".encode())
        assert type(error) is AuthenticationError
        assert error.vendor_message == "Invalid API key"

    def test_a_line_without_a_status_is_a_refusal(self):
        error = error_of(b"<response><error>Unknown method</error></response>")
        assert type(error) is ApiError
        assert (error.vendor_message, error.maybe_applied) == ("Unknown method", False)

    def test_every_code_of_the_annex_is_known(self):
        assert [code.value for code in Code] == list(range(9001, 9019))
        assert Code.LEAD_DOES_NOT_HAVE_ORIGINAL_SOURCE is Code.INVALID_INTEGER
        assert Code.LEAD_DOES_NOT_HAVE_ORIGINAL_SOURCE_TYPE is Code.INVALID_BOOLEAN
        assert Code.LIST_INSIDE_FILTER_LIST is Code.LIST_IS_FILTERED
