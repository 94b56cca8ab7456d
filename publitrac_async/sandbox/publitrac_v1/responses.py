"""The envelope of a v1 response and the errors in it.

Source: PUBLITRAC API reference, the samples and "Codes d'erreurs".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve, frozen

from publitrac_async.sandbox.message import Response
from publitrac_async.sandbox.publitrac.validation import LeadInput, Problem
from publitrac_async.sandbox.settings.publitrac import EmptyForm
from publitrac_async.sandbox.xml import Element, render

XML: Final = "text/xml; charset=UTF-8"

EMAIL_INVALID: Final = 9002
EXTERNAL_ID_NOT_DEFINED: Final = 9003
LEAD_EXISTS: Final = 9004
LEAD_NOT_FOUND: Final = 9005
INTEGER_INVALID: Final = 9006
LIST_NOT_FOUND: Final = 9009
VIEW_NOT_FOUND: Final = 9010
INVALID_XML: Final = 9011
LIST_FILTERED: Final = 9012


@frozen
class Envelope:
    """A v1 response before rendering.

    Attributes:
        root: the `<response>` element.
        applied: True if the call changed anything.
        http_status: the HTTP status.
        headers: further headers.
        unclosed: True to leave out the end tag of the root.
    """

    root: Element
    applied: bool = False
    http_status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    unclosed: bool = False

    def write(self, empty: EmptyForm) -> Response:
        """Return the response as it is sent.

        Args:
            empty: the form of empty elements.
        """
        body = render(self.root, empty)
        if self.unclosed:
            body = body.removesuffix(b"\n</response>")
        return Response(body, self.http_status, XML, self.headers, applied=self.applied)


class FailedError(Exception):
    """The service refuses a call: vendor's status, message and errors."""

    def __init__(
        self,
        status: int,
        message: str,
        errors: Sequence[str] = (),
        *,
        applied: bool = False,
        http_status: int | None = None,
    ) -> None:
        super().__init__(status)
        self.status = status
        self.message = message
        self.errors: tuple[str, ...] = tuple(errors)
        self.applied = applied
        self.http_status = http_status

    def envelope(self, http_status: int) -> Envelope:
        """Return the failure as a response.

        Args:
            http_status: the HTTP status, unless the failure has one already.
        """
        failed = envelope(self.status, self.message, errors=self.errors)
        return evolve(failed, http_status=self.http_status or http_status, applied=self.applied)


def envelope(
    status: int,
    message: str,
    payload: Sequence[Element] = (),
    *,
    errors: Sequence[str] = (),
    applied: bool = False,
) -> Envelope:
    """Return a response in the documents' envelope.

    Args:
        status: the four-digit status of the vendor.
        message: the message of the vendor.
        payload: the elements before the status.
        errors: the texts of the `<error>` elements, code included.
        applied: True if the call changed anything.
    """
    content = [*payload, Element("status", str(status)), Element("message", message)]
    if errors:
        content.append(Element("errors", [Element("error", error) for error in errors]))
    return Envelope(Element("response", content), applied)


def invalid_xml() -> FailedError:
    """Return the failure of a document that is not well-formed or incomplete."""
    return FailedError(INVALID_XML, "Invalid XML.", [f"{INVALID_XML} - Invalid XML."])


def lead_errors(problems: Sequence[Problem], lead: LeadInput, *, only_email: bool = False) -> list[str]:
    """Return the texts of `<error>` elements in the three forms of the documents.

    Args:
        problems: the reasons.
        lead: the lead that was sent: errors name its e-mail, otherwise its `crmLeadId`, otherwise neither.
        only_email: True if errors always name the e-mail, like those of updateLead.
    """
    return [_lead_error(problem, lead, only_email=only_email) for problem in problems]


def _lead_error(problem: Problem, lead: LeadInput, *, only_email: bool) -> str:
    if problem.code is None:
        # addLead and syncLead only: "$result['validate'] lead $emailAddress was not created".
        created = problem.label and not only_email
        return f"{problem.text} lead {lead.email} was not created" if created else problem.text
    external_id = lead.values.get("crmLeadId", "")
    # The samples have a blank before the closing tag; for two labels there is none after the dash.
    dash = " - "
    if lead.email or only_email:
        subject = f"for xml lead->email ({lead.email}) "
    elif external_id:
        subject = f"for xml lead->crmId ({external_id}) "
    elif problem.label:
        subject = "for (lead no email no crm id)"
        if problem.label in ("NbrEmployees", "Revenue"):
            dash = " -"
    else:
        subject = "for xml (lead no email no crm id)"
    return f"{problem.code}{dash}{problem.text} {subject}"


def error(code: int | None, text: str) -> str:
    """Return the text of an `<error>` element."""
    return text if code is None else f"{code} - {text}"


def no_lead(email: str) -> str:
    """Return the `<error>` text for an e-mail without a lead, or for a missing e-mail."""
    if not email:
        return error(LEAD_NOT_FOUND, "Lead email address is required")
    return error(LEAD_NOT_FOUND, f"Lead ({email}) does not exist.")
