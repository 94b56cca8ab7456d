"""Points that a throwaway lead can settle."""

from __future__ import annotations

import datetime as dt
import json
import math
import secrets
from collections.abc import Callable, Iterator
from typing import Any, Final
from xml.sax.saxutils import escape

from publitrac_async.probe.client import ProbeClient, ProbeResponse
from publitrac_async.probe.model import Finding, FindingState, HarmError, ProbeReport
from publitrac_async.probe.reads import form_of_empty_elements, unknown_address
from publitrac_async.transport.secret import Secret

#: Maximum seconds to wait until a queued lead is processed.
MAX_PROCESSING_TIME: Final = 120.0
_SHORTEST_PAUSE: Final = 0.1
_KEY: Final = "crmLeadId"
_SHAPES: Final = {
    "text": f"<customUnicityKeys>{_KEY}</customUnicityKeys>",
    "children": f"<customUnicityKeys><key>{_KEY}</key></customUnicityKeys>",
    "names": f"<customUnicityKeys><{_KEY}></{_KEY}></customUnicityKeys>",
}
_PLACES: Final = ("before", "inside", "after")
_EXTERNAL_ID_NOT_DEFINED: Final = 9003
_EMAIL_NAMES: Final = ("email", "leadEmail", "emailAddress")
_LIST_NAMES: Final = ("listName", "name", "list")
#: Zones of the vendor and its customers, preferred to zones that are only an offset.
_ZONES: Final = ("UTC", "America/Montreal", "Europe/Paris")

#: Steps of numbers, in hundredths, the roundest first.
_ROUND: Final = (6000, 3000, 1000, 500, 100, 50, 10, 5, 1)


class Writer:
    """Settles points with one lead, and deletes it at the end.

    Args:
        client: sends the calls.
        report: gets the findings.
        email: address of the lead; no lead may have it.
        token: a v2 token, ``None`` without v2.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        client: ProbeClient,
        report: ProbeReport,
        *,
        email: str,
        token: Secret | None,
        now: Callable[[], float],
    ) -> None:
        self._client = client
        self._report = report
        self._email = email
        self._token = token
        self._now = now
        self._list = f"publitrac probe {secrets.token_hex(4)}"
        self._annex: dict[str, Any] = {}

    async def run(self) -> None:
        """Settle the points, and delete the lead.

        Raises:
            HarmError: the probe must stop, or the address belongs to a lead.
        """
        if not await self._is_free():
            raise HarmError("a lead with the address of --write may exist: use an address that no lead has")
        self._report.left_behind.append("the lead with the address of --write")
        created = await self._sync(company="Probe A")
        if not created.ok:
            raise HarmError(f"the throwaway lead was refused: {created}")
        shown = await self._read()
        if _field(shown, "company") != "Probe A":
            raise HarmError(f"the throwaway lead cannot be read back: {shown}")
        self._time_zone(shown)
        await self._empty(shown)
        await self._unicity()
        await self._partial_list()
        await self._annex_methods()
        if self._token is not None:
            await self._processing(self._token)
        await self._delete()

    # Calls.

    async def _sync(
        self, *, options: str = "", place: str = "before", case: str = "", **fields: str
    ) -> ProbeResponse:
        values = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
        inside = options if place == "inside" else ""
        lead = f"<lead>{inside}<email>{escape(self._email)}</email>{values}</lead>"
        before, after = (options if place == name else "" for name in ("before", "after"))
        xml = f"<request>{before}{lead}{after}</request>"
        return await self._client.call("syncLead", xml=xml, verb="POST", case=case, writes=True)

    async def _read(self, *, paced: bool = True) -> ProbeResponse:
        case = "of the throwaway lead"
        return await self._client.call("getLead", {"email": self._email}, case=case, paced=paced)

    async def _is_free(self) -> bool:
        # Only the response to an unknown address proves that there is no lead.
        response = await self._read()
        return response.is_like(self._client.missing) and not _field(response, "email")

    async def _company(self, *, paced: bool = True) -> str:
        return _field(await self._read(paced=paced), "company")

    # Points.

    def _time_zone(self, response: ProbeResponse) -> None:
        text = _field(response, "lastUpdated") or _field(response, "createdDate")
        try:
            shown = dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
        except ValueError:
            self._report.leave_open("time_zone", "the throwaway lead has no readable date")
            return
        quarters = round((shown.timestamp() - self._now()) / 900)
        offset = dt.timedelta(minutes=15 * quarters)
        if abs(offset) > dt.timedelta(hours=14):
            self._report.leave_open("time_zone", "dates of the service are more than a day off")
            return
        name = _zone(offset, self._now())
        self._report.add(
            Finding(
                point="time_zone",
                state=FindingState.SETTLED,
                summary=f"{_offset(offset)} today, as in {name}",
                evidence=(f"{response}; its date is {_offset(offset)} from the clock of this machine",),
                found={"time_zone": name},
            )
        )

    async def _empty(self, shown: ProbeResponse) -> None:
        response = await self._sync(case="with an empty <company>", company="")
        now = await self._company() if response.ok else ""
        effect = "refused" if not response.ok else "clears" if not now else "ignored"
        form = form_of_empty_elements(shown)
        self._report.add(
            Finding(
                point="empty",
                state=FindingState.SETTLED if form else FindingState.PARTLY,
                summary=f"an empty element: {effect}; in responses: {form or 'not seen'}",
                evidence=(str(response), str(shown)),
                found={"empty_element": effect, **({"empty_form": form} if form else {})},
            )
        )

    async def _unicity(self) -> None:
        """Send a key without a value in the lead: a service that understands the shape refuses the call."""
        works: list[tuple[str, str]] = []
        evidence: list[str] = []
        for shape, options in _SHAPES.items():
            for place in _PLACES:
                response = await self._sync(
                    options=options, place=place, case=f"with keys as {shape}, {place} <lead>"
                )
                evidence.append(str(response))
                if _EXTERNAL_ID_NOT_DEFINED in response.codes:
                    works.append((shape, place))
        shapes = list(dict.fromkeys(shape for shape, _ in works))
        places = list(dict.fromkeys(place for _, place in works))
        if not works:
            summary = "no shape and no place had an effect"
            self._report.add(
                Finding(point="unicity", state=FindingState.OPEN, summary=summary, evidence=tuple(evidence))
            )
            return
        found: dict[str, Any] = {}
        for name, taken, all_of_them in (
            ("unicity_keys_shape", shapes, len(_SHAPES)),
            ("options_place", places, len(_PLACES)),
        ):
            if len(taken) in (1, all_of_them):
                found[name] = taken[0] if len(taken) == 1 else "any"
        chosen = {
            "unicity_keys": "children" if "children" in shapes else shapes[0],
            "options_place": "before" if "before" in places else places[0],
        }
        self._report.add(
            Finding(
                point="unicity",
                state=FindingState.SETTLED,
                summary=f"keys as {', '.join(shapes)}; options {', '.join(places)} <lead>",
                evidence=tuple(evidence),
                found=found,
                client={"v1_shapes": chosen},
            )
        )

    async def _partial_list(self) -> None:
        def document(*emails: str) -> str:
            leads = "".join(f"<lead><email>{escape(email)}</email></lead>" for email in emails)
            return f"<request><list><name>{self._list}</name></list><leads>{leads}</leads></request>"

        async def add(*emails: str, case: str) -> ProbeResponse:
            xml = document(*emails)
            return await self._client.call("addLeadsToList", xml=xml, verb="POST", case=case, writes=True)

        self._report.left_behind.append(f'the static list "{self._list}", which the API cannot delete')
        added = await add(self._email, unknown_address(), case="with an unknown lead")
        if added.ok:
            self._report.left_behind.append("perhaps a lead with an address at example.invalid")
        shown = await self._client.call("getList", {"listName": self._list}, case="after it")
        partial = _has_leads(shown)
        if not partial:
            # If the list has the lead now, it was not added before.
            await add(self._email, case="without it")
            later = await self._client.call("getList", {"listName": self._list}, case="after that")
            if not _has_leads(later):
                self._report.leave_open("partial", f"the list cannot be read: {later}")
                return
        self._report.add(
            Finding(
                point="partial",
                state=FindingState.SETTLED,
                summary=f"the known leads are {'' if partial else 'not '}added",
                evidence=(str(added), str(shown)),
                found={"partial_list_additions": partial},
            )
        )

    async def _annex_methods(self) -> None:
        """Determine verb, place and parameter names of addLeadToList: all names at once, then each alone."""
        responses: dict[tuple[str, str], ProbeResponse] = {
            (verb, place): await self._add_to_list(verb, place, _EMAIL_NAMES, _LIST_NAMES)
            for verb in ("POST", "GET")
            for place in ("parameters", "xml")
        }
        works = [way for way, response in responses.items() if response.ok]
        evidence = [str(response) for response in responses.values()]
        found: dict[str, Any] = {}
        shapes: dict[str, str] = {}
        if works:
            verbs, places = {verb for verb, _ in works}, {place for _, place in works}
            found["annex_verb"] = "either" if len(verbs) > 1 else next(iter(verbs))
            found["annex_place"] = "either" if len(places) > 1 else next(iter(places))
            self._annex = {"verb": works[0][0], "place": works[0][1], "email": "email"}
        by_parameters = next((verb for verb, place in works if place == "parameters"), None)
        if by_parameters is not None:
            emails, lists = await self._names(by_parameters, evidence)
            found |= {"email_parameters": emails, "list_name_parameters": lists}
            self._annex = {"verb": by_parameters, "place": "parameters", "email": (*emails, "email")[0]}
            shapes = {"email_parameter": emails[0]} if emails else {}
            shapes |= {"list_name_parameter": lists[0]} if lists else {}
        before = self._report.findings["annex"]
        both = {**before.client.get("v1_shapes", {}), **shapes}
        ways = ", ".join(f"{verb} with {place}" for verb, place in works) or "no form that was tried works"
        self._report.add(
            Finding(
                point="annex",
                state=FindingState.SETTLED
                if works and "token_id_parameters" in before.found
                else FindingState.PARTLY,
                summary=f"{before.summary}; addLeadToList: {ways}",
                evidence=(*before.evidence, *evidence),
                found={**before.found, **found},
                client={"v1_shapes": both} if both else {},
            )
        )

    async def _names(self, verb: str, evidence: list[str]) -> tuple[list[str], list[str]]:
        """Return the names that work, for the address and for the list: each is sent without the others."""
        working: list[list[str]] = []
        for names, position in ((_EMAIL_NAMES, 0), (_LIST_NAMES, 1)):
            kept = []
            for name in names:
                chosen = ((name,), _LIST_NAMES) if position == 0 else (_EMAIL_NAMES, (name,))
                response = await self._add_to_list(verb, "parameters", *chosen)
                evidence.append(f"{response} ({name})")
                if response.ok:
                    kept.append(name)
            working.append(kept)
        return working[0], working[1]

    async def _add_to_list(
        self, verb: str, place: str, emails: tuple[str, ...], lists: tuple[str, ...]
    ) -> ProbeResponse:
        case = f"by {verb}, {place}"
        if place == "xml":
            xml = (
                f"<request><list><name>{self._list}</name></list>"
                f"<lead><email>{escape(self._email)}</email></lead></request>"
            )
            return await self._client.call("addLeadToList", xml=xml, verb=verb, case=case, writes=True)
        parameters = dict.fromkeys(emails, self._email) | dict.fromkeys(lists, self._list)
        return await self._client.call("addLeadToList", parameters, verb=verb, case=case, writes=True)

    async def _processing(self, token: Secret) -> None:
        client = self._client
        body = json.dumps({"leadInfo": {"email": self._email, "company": "Probe B"}}).encode()
        sent_at = client.clock()
        response = await client.delayed_sync(token, body, case="of the throwaway lead", paced=False)
        if not response.ok:
            self._report.leave_open("processing", f"delayedSync failed: {response}")
            return
        before = 0.0
        for pause in _pauses():
            elapsed = client.clock() - sent_at
            if await self._company(paced=False) == "Probe B":
                found = {"processing_delay": _simplest(before, elapsed)}
                summary = f"between {before:.2f} and {elapsed:.2f} s"
                self._report.add(
                    Finding(
                        point="processing",
                        state=FindingState.SETTLED,
                        summary=summary,
                        evidence=(str(response), f"getLead showed the change {summary} later"),
                        found=found,
                    )
                )
                return
            before = elapsed
            await client.sleep(pause)
        self._report.leave_open("processing", f"not processed within {MAX_PROCESSING_TIME:.0f} s")

    async def _delete(self) -> None:
        """Delete the lead, by the verb and place that work for methods of the annex."""
        verb = self._annex.get("verb", "POST")
        if self._annex.get("place") == "xml":
            xml = f"<request><lead><email>{escape(self._email)}</email></lead></request>"
            response = await self._client.call("deleteLead", xml=xml, verb=verb, writes=True)
        else:
            name = self._annex.get("email", "email")
            response = await self._client.call("deleteLead", {name: self._email}, verb=verb, writes=True)
        if response.ok and await self._is_free():
            self._report.left_behind.remove("the lead with the address of --write")


def _field(response: ProbeResponse, name: str) -> str:
    """Return a field of the only lead of a response."""
    for lead in response.leads:
        if isinstance(lead, dict) and isinstance(value := lead.get(name), str):
            return value.strip()
    return ""


def _has_leads(response: ProbeResponse) -> bool:
    return any(isinstance(lead, dict) and lead.get("email") for lead in response.leads)


def _pauses() -> Iterator[float]:
    """Yield pauses that grow with the elapsed time, up to `MAX_PROCESSING_TIME` in total."""
    elapsed = 0.0
    while elapsed < MAX_PROCESSING_TIME:
        pause = max(_SHORTEST_PAUSE, elapsed / 10)
        yield pause
        elapsed += pause


def _simplest(after: float, until: float) -> float:
    """Return the roundest number of seconds in an interval."""
    for hundredths in _ROUND:
        found = math.floor(until * 100 / hundredths) * hundredths / 100
        if after < found <= until:
            return found
    return round(until, 3)


def _zone(offset: dt.timedelta, now: float) -> str:
    """Return the name of a zone that has this offset now."""
    import zoneinfo  # noqa: PLC0415  (reads files; only this function needs it)

    for name in _ZONES:
        try:
            moment = dt.datetime.fromtimestamp(now, zoneinfo.ZoneInfo(name))
        except zoneinfo.ZoneInfoNotFoundError:
            continue
        if moment.utcoffset() == offset:
            return name
    hours, rest = divmod(offset, dt.timedelta(hours=1))
    # The signs in the names of these zones are inverted, as in POSIX.
    return _offset(offset) if rest else f"Etc/GMT{-hours:+d}"


def _offset(offset: dt.timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
