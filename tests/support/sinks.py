"""Sinks without a network, which record what they are given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from publitrac_async import Lead, PublitracError
from publitrac_async.bulk import Record, State, publitrac_record

ErrorOf = Callable[[Lead], PublitracError | None]


class RecordingSink:
    """Takes leads, and returns the errors that a test gives."""

    def __init__(
        self,
        error_of: ErrorOf = lambda lead: None,
        *,
        idempotent: bool = True,
        batch_size: int = 1,
        turns: int = 1,
        destination: str = "test",
    ) -> None:
        self.name = "recording"
        self.destination = destination
        self.success_state = State.OK
        self.idempotent = idempotent
        self.batch_size = batch_size
        self.arrived: list[Lead] = []
        self.calls: list[list[str]] = []
        self.in_flight: list[str] = []
        self.most_in_flight = 0
        self._error_of = error_of
        self._turns = turns

    def to_record(self, fields: Mapping[str, Any] | Lead) -> Record[Lead]:
        return publitrac_record(fields)

    async def send(self, contents: Sequence[Lead]) -> Sequence[PublitracError | None]:
        keys = [lead.email.casefold() for lead in contents]
        assert not set(keys) & set(self.in_flight), "two calls in flight for one address"
        self.in_flight += keys
        self.most_in_flight = max(self.most_in_flight, len(self.in_flight))
        self.calls.append([lead.email for lead in contents])
        try:
            for _ in range(self._turns):
                await asyncio.sleep(0)
            errors = [self._error_of(lead) for lead in contents]
        finally:
            for key in keys:
                self.in_flight.remove(key)
        self.arrived += [lead for lead, error in zip(contents, errors, strict=True) if error is None]
        return errors

    @property
    def emails(self) -> list[str]:
        return [lead.email for lead in self.arrived]


class RaisingSink(RecordingSink):
    """Raises the error of a record instead of returning it, as the sinks of PUBLITRAC do."""

    async def send(self, contents: Sequence[Lead]) -> Sequence[PublitracError | None]:
        for error in await super().send(contents):
            if error is not None:
                raise error
        return [None] * len(contents)


def rows(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"email": f"lead{number}@example.com", **fields} for number in range(count)]
