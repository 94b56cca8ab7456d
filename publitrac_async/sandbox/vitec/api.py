"""The call `POST PublicAdvertising/{customerId}/Contact/Person/Lead` of Vitec Express Connect.

An ASP.NET Web API: formatters by Content-Type and Accept, errors as `HttpError`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from attrs import evolve

from publitrac_async.sandbox.content import Content
from publitrac_async.sandbox.limit import CallLimit
from publitrac_async.sandbox.message import JSON, Call, Request, Response
from publitrac_async.sandbox.settings import SandboxSettings
from publitrac_async.sandbox.vitec.account import VitecAccount
from publitrac_async.sandbox.vitec.reading import UnreadableError, read_json, read_xml
from publitrac_async.sandbox.vitec.validation import problems, value

PREFIX: Final = "/PublicAdvertising/"
METHOD: Final = "Contact/Person/Lead"
FUNCTION_GROUP: Final = "PublicAdvertising"

_PATH: Final = re.compile(rf"{PREFIX}([^/]+)/{METHOD}/?")
_XML: Final = "application/xml; charset=utf-8"
_JSON_TYPES: Final = frozenset({"application/json", "text/json"})
_XML_TYPES: Final = frozenset({"application/xml", "text/xml"})
_ARGUMENT: Final = "application"
"""Name of the parameter, which precedes the fields of a `ModelState`."""
_INVALID: Final = "The request is invalid."
_SERIALIZATION: Final = "http://schemas.microsoft.com/2003/10/Serialization/"


class Vitec:
    """The API in front of an account."""

    name = "vitec"
    limit: CallLimit | None = None
    """The documents state none."""

    def __init__(self, account: VitecAccount, settings: SandboxSettings) -> None:
        """Create the API.

        Args:
            account: the records.
            settings: passwords, and the choices the documents leave open.
        """
        self._account = account
        self._settings = settings

    def claims(self, path: str) -> bool:
        """Return True if a path belongs to Vitec."""
        return path.startswith(PREFIX)

    def read(self, request: Request) -> Call:
        """Read a call."""
        as_xml = _media_type(request.headers.get("content-type", "")) in _XML_TYPES
        unreadable: UnreadableError | None = None
        lead: dict[str, Any] | None = None
        try:
            lead = (read_xml if as_xml else read_json)(request.body)
        except UnreadableError as error:
            unreadable = error
        match = _PATH.fullmatch(request.path)
        return Call(
            method=METHOD if match else request.path.removeprefix(PREFIX),
            key=_business_key(lead),
            payload=request.body,
            content=Content(request.body),
            respond=lambda: self._respond(request, match[1] if match else None, lead, unreadable),
        )

    def _respond(
        self,
        request: Request,
        customer: str | None,
        lead: dict[str, Any] | None,
        unreadable: UnreadableError | None,
    ) -> Response:
        if customer is None:
            return self._error(404, f"No HTTP resource was found that matches '{request.path}'.")
        if request.verb != "POST":
            refused = self._error(405, f"The requested resource does not support {request.verb}.")
            return evolve(refused, headers=(("allow", "POST"),))
        status = self._access(request.headers.get("authorization", ""), customer)
        if status == 401:
            refused = self._error(401, "Authorization has been denied for this request.")
            return evolve(refused, headers=(("www-authenticate", "Basic"),))
        if status == 403:
            return self._error(403, f"No access to {FUNCTION_GROUP} of {customer}.")
        sent_as = _media_type(request.headers.get("content-type", ""))
        if sent_as not in _JSON_TYPES | _XML_TYPES:
            return self._error(415, "The request entity's media type is not supported for this resource.")
        as_xml = _wants_xml(request.headers.get("accept", ""), sent_as)
        if unreadable is not None:
            key = ".".join(filter(None, (_ARGUMENT, unreadable.key)))
            return self._invalid({key: [str(unreadable)]}, as_xml=as_xml)
        if lead is None:
            return self._invalid({_ARGUMENT: ["En begäran utan innehåll"]}, as_xml=as_xml)
        if found := problems(lead):
            state = {f"{_ARGUMENT}.{path}": messages for path, messages in found.items()}
            return self._invalid(state, as_xml=as_xml)
        return _created(self._account.create_lead(customer, lead), as_xml=as_xml)

    def _access(self, authorization: str, customer: str) -> int:
        """Return 200, 401 for unknown credentials, or 403 for those of another customer or group."""
        scheme, _, encoded = authorization.partition(" ")
        try:
            user, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return 401
        if scheme.lower() != "basic" or not _same(user, self._settings.vitec_username):
            return 401
        passwords = self._settings.vitec_passwords
        if _same(password, passwords.get(customer, {}).get(FUNCTION_GROUP, "")):
            return 200
        known = [each for groups in passwords.values() for each in groups.values()]
        return 403 if any(_same(password, each) for each in known) else 401

    def _invalid(self, state: Mapping[str, list[str]], *, as_xml: bool) -> Response:
        if as_xml:
            fields = "".join(
                f"<{_element_name(name)}>{escape(' '.join(messages))}</{_element_name(name)}>"
                for name, messages in state.items()
            )
            text = f"<Error><Message>{_INVALID}</Message><ModelState>{fields}</ModelState></Error>"
            return Response(text.encode(), 400, _XML)
        return self._error(400, _INVALID, {"ModelState": state})

    def _error(self, status: int, message: str, more: Mapping[str, Any] | None = None) -> Response:
        document = {"Message": message, **(more or {})}
        if self._settings.vitec_error_names == "camel":
            document = {name[:1].lower() + name[1:]: part for name, part in document.items()}
        return Response(json.dumps(document, ensure_ascii=False).encode(), status, f"{JSON}; charset=utf-8")


def _created(lead_id: str, *, as_xml: bool) -> Response:
    if as_xml:
        text = f'<string xmlns="{_SERIALIZATION}">{escape(lead_id)}</string>'
        return Response(text.encode(), 200, _XML, applied=True)
    return Response(json.dumps(lead_id).encode(), 200, f"{JSON}; charset=utf-8", applied=True)


def _same(given: str, expected: str) -> bool:
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode())


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _wants_xml(accept: str, sent_as: str) -> bool:
    """Return True for a response in XML: by the first accepted format, otherwise by that of the request."""
    for entry in accept.split(","):
        if _media_type(entry) in _JSON_TYPES | _XML_TYPES:
            return _media_type(entry) in _XML_TYPES
    return sent_as in _XML_TYPES


def _business_key(lead: Mapping[str, Any] | None) -> str | None:
    person = (lead or {}).get("person") or {}
    paths = (("email", "emailAddress"), ("telephone", "cell"), ("telephone", "home"), ("telephone", "work"))
    return next((found for path in paths if (found := value(person, path))), None)


def _element_name(name: str) -> str:
    """Encode characters forbidden in names of elements, like `XmlConvert.EncodeLocalName`."""
    return re.sub(r"[^\w.-]", lambda match: f"_x{ord(match[0]):04X}_", name)
