"""Single calls of the probe, sent without checks; their errors are data."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from publitrac_async.client import PublitracClient
from publitrac_async.errors import (
    ApiError,
    AuthenticationError,
    PermissionDenied,
    PublitracError,
    RateLimited,
    UnexpectedContent,
)
from publitrac_async.probe.model import HarmError, ProbeReport
from publitrac_async.transport.auth import Authorization, Placement, StaticCredentials
from publitrac_async.transport.classify import error_for_status
from publitrac_async.transport.operation import Call, Operation, OperationClass, ServiceResponse
from publitrac_async.transport.secret import Secret
from publitrac_async.transport.steps import run_steps
from publitrac_async.transport.vendor_messages import message_of_text
from publitrac_async.v1.operations import method
from publitrac_async.v1.reading import children, number_of, read_response
from publitrac_async.v1.responses import read_reply
from publitrac_async.v2.operations import DELAYED_SYNC, GET_TOKEN
from publitrac_async.v2.responses import read_content

#: Function that waits a number of seconds.
Sleep: TypeAlias = Callable[[float], Awaitable[object]]

_LOCKED: Final = re.compile(
    r"\b(?:account|user|address|ip)\b.{0,40}\b(?:locked|blocked|suspended|disabled|banned)\b"
    r"|\btoo many\b|\bcompte (?:bloqu|suspendu|d[ée]sactiv)",
    re.IGNORECASE,
)
_OVERLOADED: Final = frozenset({429, 502, 503, 504})


@frozen
class ProbeResponse:
    """Response to a call of the probe.

    Attributes:
        case: description of the call, without values.
        raw: the unread response.
        error: the error that a client would raise, ``None`` for success.
        content: children of `<response>`, or the JSON object; empty if it cannot be read.
    """

    case: str
    raw: ServiceResponse
    error: PublitracError | None
    content: Mapping[str, Any] = field(repr=False)

    @property
    def ok(self) -> bool:
        """True for success."""
        return self.error is None

    @property
    def refuses_credentials(self) -> bool:
        """True if the service refused key, user, password or token."""
        return isinstance(self.error, (AuthenticationError, PermissionDenied))

    @property
    def status(self) -> int | None:
        """The vendor's status, or the code of JSON."""
        found = number_of(dict(self.content), "status")
        return found if found is not None else _number(self.content.get("code"))

    @property
    def codes(self) -> frozenset[int | str | None]:
        """Codes of the problems."""
        return frozenset(problem.code for problem in getattr(self.error, "problems", ()))

    @property
    def leads(self) -> list[Any]:
        """Leads of the response: dicts of texts, or a text instead of a lead."""
        return [lead for place in children(dict(self.content), "leads") for lead in children(place, "lead")]

    @property
    def message(self) -> str | None:
        """The service's message in a refusal."""
        return None if self.error is None else self.error.vendor_message

    def is_like(self, other: ProbeResponse | None) -> bool:
        """Return True if another response differs only in values."""
        return other is not None and self.kind == other.kind

    @property
    def kind(self) -> tuple[object, ...]:
        """The response without its values."""
        return self.raw.status, self.ok, self.status, self.codes, len(self.leads)

    def __str__(self) -> str:
        parts = [f"HTTP {self.raw.status}"]
        parts += [] if self.status is None else [f"status {self.status}"]
        codes = sorted(code for code in self.codes if isinstance(code, int) and code != self.status)
        parts += [f"error {code}" for code in codes]
        parts += [] if self.error is None or parts[1:] else [type(self.error).__name__]
        return f"{self.case}: {', '.join(parts)}"


class ProbeClient:
    """Makes calls of the probe through a client, with its limiter, timeouts and connections.

    Args:
        client: client with the credentials.
        report: gets the latency of each call.
        clock: monotonic seconds.
        sleep: waits a number of seconds.
        pause: seconds before each call.
    """

    def __init__(
        self,
        client: PublitracClient,
        report: ProbeReport,
        *,
        clock: Callable[[], float],
        sleep: Sleep,
        pause: float,
    ) -> None:
        # The façades would refuse some of these calls, so the probe uses their parts.
        self._transport = client.v1._transport  # noqa: SLF001
        self._credentials = client.v1._credentials  # noqa: SLF001
        self._key = client.v2._api_key  # noqa: SLF001
        self._report = report
        self.clock = clock
        self.sleep = sleep
        self._pause = pause
        self.has_v1: bool = client.v1._has_credentials  # noqa: SLF001
        #: The spelling of the key's parameter that works, and the place of credentials in a POST.
        self.key_name = "apikey"
        self.placement: Placement = "query"
        #: The response to getLead without a lead.
        self.missing: ProbeResponse | None = None

    async def call(
        self,
        name: str,
        parameters: Mapping[str, str] | None = None,
        *,
        xml: str | None = None,
        verb: str = "GET",
        case: str = "",
        key_name: str | None = None,
        place: Placement | None = None,
        may_refuse: bool = False,
        writes: bool = False,
        authorization: Authorization | None = None,
        form: tuple[tuple[str, str], ...] = (),
        paced: bool = True,
    ) -> ProbeResponse:
        """Call a v1 method.

        Args:
            name: name of the method.
            parameters: parameters besides the credentials.
            xml: the document in `query`.
            verb: HTTP method.
            case: description of the call, for the evidence.
            key_name: spelling of the key's parameter.
            place: place of the credentials of a POST.
            may_refuse: continue after a refusal of the credentials.
            writes: the method changes data.
            authorization: instead of the credentials of the client.
            form: further parameters of the body.
            paced: pause before the call.

        Raises:
            HarmError: the probe must stop.
        """
        sent = tuple((parameters or {}).items()) + ((("query", xml),) if xml is not None else ())
        posts = verb == "POST"
        call = Call(
            operation=method(name, verb, OperationClass.UPSERT if writes else OperationClass.READ),
            authenticator=StaticCredentials(authorization or await self.authorization(key_name, place)),
            query=() if posts else sent,
            form=form + sent if posts else None,
            headers=(("accept", "application/xml"),),
            parse=lambda raw: raw,
        )
        return await self._send(
            f"{name}{f' {case}' if case else ''}", call, may_refuse=may_refuse, paced=paced
        )

    async def request_token(self, key: Secret | None = None, *, may_refuse: bool = False) -> ProbeResponse:
        """Request a v2 token.

        Args:
            key: instead of the client's.
            may_refuse: continue after a refusal.

        Raises:
            HarmError: the probe must stop.
        """
        given = None if key is None else StaticCredentials(Authorization(headers=(("Authorization", key),)))
        return await self._call_v2(GET_TOKEN, given or self._key, may_refuse=may_refuse)

    async def delayed_sync(
        self, token: Secret, body: bytes, *, case: str = "", may_refuse: bool = False, paced: bool = True
    ) -> ProbeResponse:
        """Send a body to delayedSync.

        Args:
            token: the v2 token.
            body: JSON.
            case: description of the call, for the evidence.
            may_refuse: continue after a refusal.
            paced: pause before the call.

        Raises:
            HarmError: the probe must stop.
        """
        credentials = StaticCredentials(Authorization(headers=(("Token", token),)))
        return await self._call_v2(
            DELAYED_SYNC, credentials, body=body, case=case, may_refuse=may_refuse, paced=paced
        )

    async def authorization(
        self, key_name: str | None = None, place: Placement | None = None, *, password: Secret | None = None
    ) -> Authorization:
        """Return the client's credentials, spelled and placed as given."""
        key, user, own_password = (secret for _, secret in (await self._credentials.authorize()).parameters)
        return Authorization(
            parameters=(
                (key_name or self.key_name, key),
                ("username", user),
                ("password", password or own_password),
            ),
            placement=place or self.placement,
        )

    async def _call_v2(
        self,
        operation: Operation,
        credentials: StaticCredentials,
        *,
        body: bytes | None = None,
        case: str = "",
        may_refuse: bool,
        paced: bool = True,
    ) -> ProbeResponse:
        call = Call(
            operation=operation,
            authenticator=credentials,
            content=body,
            content_type=None if body is None else "application/json",
            headers=(("accept", "application/json"),),
            parse=lambda raw: raw,
        )
        name = f"{operation.name}{f' {case}' if case else ''}"
        return await self._send(name, call, may_refuse=may_refuse, v2=True, paced=paced)

    async def _send(
        self,
        case: str,
        call: Call[ServiceResponse],
        *,
        may_refuse: bool,
        v2: bool = False,
        paced: bool = True,
    ) -> ProbeResponse:
        if self._pause and paced:
            await self.sleep(self._pause)
        started = self.clock()
        try:
            raw = await self._transport.send(call)
        except PublitracError as error:
            raise HarmError(f"{case}: {type(error).__name__}: {error.message}") from None
        self._report.times.append(self.clock() - started)
        response = _read_v2(case, raw) if v2 else _read_v1(case, raw)
        if response.error is not None and response.message and call.authenticator is not None:
            hidden = (await call.authenticator.authorize()).masked_in(response.message)
            response.error.vendor_message = hidden
        refused = response.refuses_credentials and not may_refuse
        overloaded = raw.status in _OVERLOADED or isinstance(response.error, RateLimited)
        if overloaded or refused or _locks(response):
            raise HarmError(_reason(response))
        return response


def _locks(response: ProbeResponse) -> bool:
    return response.message is not None and _LOCKED.search(response.message) is not None


def _reason(response: ProbeResponse) -> str:
    message = f'; the service says: "{response.message}"' if response.message else ""
    return f"{response}{message}"


def _read_v1(case: str, raw: ServiceResponse) -> ProbeResponse:
    error: PublitracError | None = None
    content: Mapping[str, Any] = {}
    try:
        run_steps(read_reply(raw))
    except PublitracError as failure:
        error = failure
    with suppress(UnexpectedContent):
        content = run_steps(read_response(raw)).children
    return ProbeResponse(case, raw, error, content)


def _read_v2(case: str, raw: ServiceResponse) -> ProbeResponse:
    content = read_content(raw.body)
    error = error_for_status(raw)
    status = content.get("status")
    code = _number(content.get("code"))
    if error is None and (
        status not in (None, "success") or (code is not None and code >= HTTPStatus.BAD_REQUEST)
    ):
        kind = AuthenticationError if code in (401, 403) else ApiError
        error = kind("the service refused", code=code)
    if error is None and not content:
        error = UnexpectedContent("the response is not a JSON object")
    if error is not None:
        error.vendor_message = message_of_text(raw.body)
    return ProbeResponse(case, raw, error, content)


def _number(value: object) -> int | None:
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
