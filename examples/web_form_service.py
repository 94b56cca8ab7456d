"""A FastAPI service: sends leads of a web form to PUBLITRAC, then to an estate agent through Vitec.

Every form is stored in an outbox (SQLite) before the visitor gets a response, and so is every step, so that
after a restart the service continues where it ended. Calls to PUBLITRAC are repeated until they succeed: the
same lead sent twice is one lead. Calls to Vitec are not: a second call would create a second lead. A lead
that may have reached Vitec waits for a manual check (`GET /unknown`, `POST /unknown/{number}`). Protect these
two routes with your own authentication.

Install publitrac_async and fastapi, set PUBLITRAC_API_KEY, VITEC_USERNAME, VITEC_PASSWORD and VITEC_CUSTOMER,
then run `uvicorn web_form_service:app` with one process: an outbox has one sender. OUTBOX is the path of the
database, OUTBOX_INTERVAL the seconds between two attempts.
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

# States of a form: received > synced (PUBLITRAC has it) > sending > delivered (Vitec has it).
# Or it ends as: refused (a service found it invalid), unknown (Vitec may have it).
CREATE = """CREATE TABLE IF NOT EXISTS outbox (
    number INTEGER PRIMARY KEY, form TEXT NOT NULL, state TEXT NOT NULL, note TEXT NOT NULL DEFAULT '')"""


class Outbox:
    """Forms and their states. Every change is on disk when the method returns."""

    def __init__(self, path: str) -> None:
        """Open the database. A form that was being sent when the service ended may have arrived."""
        self._database = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute(CREATE)
        self._database.execute(
            "UPDATE outbox SET state = 'unknown', note = 'the service ended here' WHERE state = 'sending'"
        )

    def add(self, form: dict[str, str]) -> int | None:
        """Store a form and return its number."""
        insert = "INSERT INTO outbox (form, state) VALUES (?, 'received')"
        return self._database.execute(insert, [json.dumps(form)]).lastrowid

    def in_state(self, *states: str) -> list[tuple[int, str, dict[str, str], str]]:
        """Return number, state, form and note of the forms in these states, oldest first."""
        marks = ", ".join("?" * len(states))
        select = f"SELECT number, state, form, note FROM outbox WHERE state IN ({marks}) ORDER BY number"  # noqa: S608  (only marks)
        rows = self._database.execute(select, states)
        return [(number, state, json.loads(form), note) for number, state, form, note in rows]

    def move(self, number: int, state: str, note: str = "", *, only_from: str | None = None) -> bool:
        """Record the state of a form; if it is delivered, delete its content."""
        update = """UPDATE outbox SET state = ?, note = ?, form = iif(? = 'delivered', '{}', form)
            WHERE number = ? AND state = coalesce(?, state)"""
        return self._database.execute(update, [state, note, state, number, only_from]).rowcount == 1

    def close(self) -> None:
        """Close the database."""
        self._database.close()


class Sender:
    """Sends the forms of an outbox to PUBLITRAC and Vitec, one after another."""

    def __init__(self, outbox: Outbox, publitrac: PublitracClient, vitec: VitecClient) -> None:
        self._outbox = outbox
        self._publitrac = publitrac
        self._vitec = vitec
        self._customer = os.environ["VITEC_CUSTOMER"]
        self._interval = float(os.environ.get("OUTBOX_INTERVAL", "30"))
        self.new_form = asyncio.Event()

    async def run(self) -> None:
        """Send all forms, then wait for a new one or for the time of the next attempt."""
        while True:
            self.new_form.clear()
            for number, state, form, _ in self._outbox.in_state("received", "synced"):
                if state == "synced" or await self._to_publitrac(number, form):
                    await self._to_vitec(number, form)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.new_form.wait(), self._interval)

    async def _to_publitrac(self, number: int, form: dict[str, str]) -> bool:
        """Send the lead. Sending it twice is harmless, so the call need not be recorded before it starts."""
        lead = Lead(email=form["email"], first_name=form["first_name"], last_name=form["last_name"])
        try:
            await self._publitrac.v2.delayed_sync(lead)
        except PublitracError as error:
            self._outbox.move(number, "received" if error.retryable else "refused", str(error))
            return False
        self._outbox.move(number, "synced")
        return True

    async def _to_vitec(self, number: int, form: dict[str, str]) -> None:
        """Send the lead at most once: the call is recorded before it starts."""
        self._outbox.move(number, "sending")
        try:
            lead_id = await self._vitec.create_person_lead(self._customer, person_lead(form))
        except PublitracError as error:
            state = "synced" if error.retryable else "refused"
            self._outbox.move(number, "unknown" if error.maybe_applied else state, str(error))
        else:
            self._outbox.move(number, "delivered", lead_id)


def person_lead(form: dict[str, str]) -> PersonLead:
    """Return the lead for Vitec. The source has a fixed name, because Vitec would create every new one."""
    person = Person(
        first_name=form["first_name"],
        last_name=form["last_name"],
        email=Email(email_address=form["email"]),
        telephone=Telephone(cell=form.get("phone")),
    )
    return PersonLead(person=person, lead_source=LeadSource(name="Web form"), message=form.get("message"))


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open outbox, clients and sender for the life of the service."""
    outbox = Outbox(os.environ.get("OUTBOX", "outbox.sqlite"))
    async with PublitracClient.from_env() as publitrac, VitecClient.from_env() as vitec:
        sender = Sender(outbox, publitrac, vitec)
        running = asyncio.create_task(sender.run())
        yield {"outbox": outbox, "sender": sender}
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    outbox.close()


app = FastAPI(lifespan=lifespan)


@app.post("/form", status_code=202)
async def accept_form(request: Request) -> dict[str, int | None]:
    """Accept a form as browsers send it. It is on disk before the visitor gets the response."""
    form = dict(parse_qsl((await request.body()).decode(errors="replace")))
    missing = [name for name in ("email", "first_name", "last_name") if not form.get(name, "").strip()]
    if missing:
        raise HTTPException(422, f"missing: {', '.join(missing)}")
    number = request.state.outbox.add(form)
    request.state.sender.new_form.set()
    return {"number": number}


@app.get("/unknown")
async def read_unknown(request: Request) -> list[dict[str, Any]]:
    """Return the forms that need a manual check: Vitec may have them, or they were refused."""
    rows = request.state.outbox.in_state("unknown", "refused")
    return [{"number": n, "state": state, "form": form, "note": note} for n, state, form, note in rows]


@app.post("/unknown/{number}")
async def reconcile(number: int, request: Request, *, arrived: bool) -> None:
    """Reconcile a form after the check: Vitec has it (`arrived`), or it is sent again."""
    state, note = ("delivered", "reconciled") if arrived else ("synced", "")
    if not request.state.outbox.move(number, state, note, only_from="unknown"):
        raise HTTPException(404, "no form with this number has an unknown outcome")
    request.state.sender.new_form.set()
