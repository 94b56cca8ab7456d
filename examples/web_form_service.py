"""A FastAPI service: takes a web form, hands the lead to PUBLITRAC and then to an estate agent through Vitec.

Every form goes into an outbox (SQLite) before the visitor gets an answer, and every step is noted there, so
that a restart goes on where the last run ended. PUBLITRAC is asked again as often as it takes: the same lead
twice is one lead. Vitec is not: a second call would be a second lead. What may have reached Vitec waits for
somebody to look (`GET /unsettled`, `POST /unsettled/{number}`). Put your own log-in in front of those two.

Install publitrac_async and fastapi, set PUBLITRAC_API_KEY, VITEC_USERNAME, VITEC_PASSWORD and VITEC_CUSTOMER,
then `uvicorn web_form_service:app`, in one process: an outbox has one courier. OUTBOX names the database,
OUTBOX_PATIENCE the seconds between two tries.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import parse_qsl

from fastapi import FastAPI, HTTPException, Request

from publitrac_async import Lead, PublitracClient, PublitracError
from publitrac_async.vitec import Email, LeadSource, Person, PersonLead, Telephone, VitecClient

# The life of a form: received > synced (PUBLITRAC has it) > sending > delivered (Vitec has it).
# Off that road: refused (it never will be), unsettled (Vitec may have it).
CREATE = """CREATE TABLE IF NOT EXISTS outbox (
    number INTEGER PRIMARY KEY, form TEXT NOT NULL, state TEXT NOT NULL, note TEXT NOT NULL DEFAULT '')"""


class Outbox:
    """Forms and how far they have come. Every change is on disk when the method returns."""

    def __init__(self, path: str) -> None:
        """Open the database. What was being sent when the last run ended may have arrived."""
        self._database = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute(CREATE)
        self._database.execute(
            "UPDATE outbox SET state = 'unsettled', note = 'the service ended here' WHERE state = 'sending'"
        )

    def add(self, form: dict[str, str]) -> int | None:
        """Keep a form and return its number."""
        insert = "INSERT INTO outbox (form, state) VALUES (?, 'received')"
        return self._database.execute(insert, [json.dumps(form)]).lastrowid

    def in_state(self, *states: str) -> list[tuple[int, str, dict[str, str], str]]:
        """Number, state, form and note of the forms in these states, oldest first."""
        marks = ", ".join("?" * len(states))
        select = f"SELECT number, state, form, note FROM outbox WHERE state IN ({marks}) ORDER BY number"  # noqa: S608  (only marks)
        rows = self._database.execute(select, states)
        return [(number, state, json.loads(form), note) for number, state, form, note in rows]

    def move(self, number: int, state: str, note: str = "", *, only_from: str | None = None) -> bool:
        """Record the state of a form, and delete the content of one that is delivered."""
        update = """UPDATE outbox SET state = ?, note = ?, form = iif(? = 'delivered', '{}', form)
            WHERE number = ? AND state = coalesce(?, state)"""
        return self._database.execute(update, [state, note, state, number, only_from]).rowcount == 1

    def close(self) -> None:
        """Close the database."""
        self._database.close()


class Courier:
    """Carries forms from the outbox to PUBLITRAC and Vitec, one after the other."""

    def __init__(self, outbox: Outbox, publitrac: PublitracClient, vitec: VitecClient) -> None:
        """Take over an outbox and two open clients."""
        self._outbox = outbox
        self._publitrac = publitrac
        self._vitec = vitec
        self._customer = os.environ["VITEC_CUSTOMER"]
        self._patience = float(os.environ.get("OUTBOX_PATIENCE", "30"))
        self.work = asyncio.Event()

    async def run(self) -> None:
        """Carry what there is, then wait for more, or for the time of the next try."""
        while True:
            self.work.clear()
            for number, state, form, _ in self._outbox.in_state("received", "synced"):
                if state == "synced" or await self._to_publitrac(number, form):
                    await self._to_vitec(number, form)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.work.wait(), self._patience)

    async def _to_publitrac(self, number: int, form: dict[str, str]) -> bool:
        """Hand over the lead. Twice does no harm, so an end in the middle needs no note."""
        lead = Lead(email=form["email"], first_name=form["first_name"], last_name=form["last_name"])
        try:
            await self._publitrac.v2.delayed_sync(lead)
        except PublitracError as error:
            self._outbox.move(number, "received" if error.retryable else "refused", str(error))
            return False
        self._outbox.move(number, "synced")
        return True

    async def _to_vitec(self, number: int, form: dict[str, str]) -> None:
        """Hand over the lead, at most once: the note that it is being sent comes first."""
        self._outbox.move(number, "sending")
        try:
            lead_id = await self._vitec.create_person_lead(self._customer, person_lead(form))
        except PublitracError as error:
            again = "synced" if error.retryable else "refused"
            self._outbox.move(number, "unsettled" if error.maybe_applied else again, str(error))
        else:
            self._outbox.move(number, "delivered", lead_id)


def person_lead(form: dict[str, str]) -> PersonLead:
    """The form as Vitec's lead. The source has a fixed name: each new one would be made in their system."""
    person = Person(
        first_name=form["first_name"],
        last_name=form["last_name"],
        email=Email(email_address=form["email"]),
        telephone=Telephone(cell=form.get("phone")),
    )
    return PersonLead(person=person, lead_source=LeadSource(name="Web form"), message=form.get("message"))


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Outbox, clients and courier for the life of the service."""
    outbox = Outbox(os.environ.get("OUTBOX", "outbox.sqlite"))
    async with PublitracClient.from_env() as publitrac, VitecClient.from_env() as vitec:
        courier = Courier(outbox, publitrac, vitec)
        running = asyncio.create_task(courier.run())
        yield {"outbox": outbox, "courier": courier}
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    outbox.close()


app = FastAPI(lifespan=lifespan)


@app.post("/form", status_code=202)
async def take_form(request: Request) -> dict[str, int | None]:
    """Take a form as browsers send it. It is safe on disk when the visitor gets the answer."""
    form = dict(parse_qsl((await request.body()).decode(errors="replace")))
    missing = [name for name in ("email", "first_name", "last_name") if not form.get(name, "").strip()]
    if missing:
        raise HTTPException(422, f"missing: {', '.join(missing)}")
    number = request.state.outbox.add(form)
    request.state.courier.work.set()
    return {"number": number}


@app.get("/unsettled")
async def read_unsettled(request: Request) -> list[dict[str, Any]]:
    """The forms that need somebody: Vitec may have them (look, then settle them), or they were refused."""
    rows = request.state.outbox.in_state("unsettled", "refused")
    return [{"number": n, "state": state, "form": form, "note": note} for n, state, form, note in rows]


@app.post("/unsettled/{number}")
async def complete(number: int, request: Request, *, arrived: bool) -> None:
    """Settle a form by hand: Vitec has it (`arrived`), or it shall be sent again."""
    state, note = ("delivered", "settled by hand") if arrived else ("synced", "")
    if not request.state.outbox.move(number, state, note, only_from="unsettled"):
        raise HTTPException(404, "no such form is waiting to be settled")
    request.state.courier.work.set()
