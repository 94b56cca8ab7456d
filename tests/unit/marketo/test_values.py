"""Values of databases and programs, in the form in which they are sent."""

from __future__ import annotations

import enum
import functools
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from publitrac_async import Lead, ValidationError
from tests.support.clock import virtual
from tests.support.marketo import Sent, result, serving


class Level(enum.Enum):
    GOLD = "gold"
    PRICE = Decimal("1.50")


class Grade(enum.IntEnum):
    FIRST = 1


class Kind(enum.StrEnum):
    SHOP = "shop"


class Half(float):
    """As in numpy."""


UNIQUE = uuid.UUID("12345678-1234-5678-1234-567812345678")
MICRO = 678

WRITTEN: dict[str, tuple[Any, str]] = {
    "decimal": (Decimal("12.50"), "12.50"),
    "decimal of many digits": (Decimal("12345678901234567890.123456789"), "12345678901234567890.123456789"),
    "decimal with an exponent": (Decimal("1E+3"), "1000"),
    "small decimal": (Decimal("0E-10"), "0.0000000000"),
    "utc": (datetime(2026, 1, 2, 3, 4, 5, MICRO, tzinfo=UTC), '"2026-01-02T03:04:05+00:00"'),
    "naive": (datetime(2026, 1, 2, 3, 4, 5, MICRO), '"2026-01-02T03:04:05+00:00"'),  # noqa: DTZ001
    "offset": (
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=-8))),
        '"2026-01-02T03:04:05-08:00"',
    ),
    "zone": (
        datetime(2026, 7, 2, 3, 4, 5, tzinfo=ZoneInfo("America/Montreal")),
        '"2026-07-02T03:04:05-04:00"',
    ),
    "local mean time": (
        datetime(1800, 1, 1, tzinfo=ZoneInfo("America/Montreal")),
        '"1800-01-01T05:17:32+00:00"',
    ),
    "subclass of float": (Half(0.5), "0.5"),
    "date": (date(2026, 1, 2), '"2026-01-02"'),
    "uuid": (UNIQUE, '"12345678-1234-5678-1234-567812345678"'),
    "enum": (Level.GOLD, '"gold"'),
    "enum of a decimal": (Level.PRICE, "1.50"),
    "int enum": (Grade.FIRST, "1"),
    "str enum": (Kind.SHOP, '"shop"'),
    "flag": (True, "true"),
    "nothing": (None, "null"),
}


@pytest.mark.parametrize(("value", "text"), WRITTEN.values(), ids=WRITTEN)
def test_a_value_in_a_record(value: Any, text: str) -> None:
    @virtual
    async def main() -> None:
        done = result({"id": 1, "status": "updated"})
        async with serving(done) as (marketo, service):
            await marketo.sync_leads([{"email": "a@x.com", "f": value}])
            await marketo.push_leads([{"email": "a@x.com", "f": value}], program_name="P")
            if value is not None:
                await marketo.submit_form(form_id=1, lead_form_fields={"email": "a@x.com", "f": value})
        assert all(f'"f":{text}}}' in sent.body.decode() for sent in service.sent)

    main()


class NotATime(datetime):
    """As in pandas: a datetime that equals nothing, not even itself."""

    __hash__ = datetime.__hash__

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (Decimal("NaN"), "must be a finite number"),
        (Decimal("Infinity"), "must be a finite number"),
        (Decimal("sNaN"), "must be a finite number"),
        (float("inf"), "must be a finite number"),
        (NotATime(2026, 1, 1), r"is not a time \(NaT\): pass None"),
        (time(1, 2), "cannot be written from time"),
        (b"x", "cannot be written from bytes"),
        (2**70, "must be a number within 64 bits"),
    ],
)
def test_a_value_that_cannot_be_sent(value: Any, complaint: str) -> None:
    @virtual
    async def main() -> None:
        async with serving(result()) as (marketo, service):
            with pytest.raises(ValidationError, match=complaint) as caught:
                await marketo.sync_leads([{"email": "a@x.com", "f": value}])
        assert [problem.field for problem in caught.value.problems] == ["input[0].f"]
        assert not service.sent

    main()


@virtual
async def test_values_of_a_filter() -> None:
    def found(sent: Sent) -> Any:
        return result({"id": 1})

    values = [UNIQUE, Level.GOLD, Decimal("1E+2"), 7, date(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC)]
    async with serving(found) as (marketo, service):
        await marketo.get_leads_by_filter_type("externalId", values)
    sent = dict(service.sent[0].query)["filterValues"].split(",")
    assert sent == [str(UNIQUE), "gold", "100", "7", "2026-01-02", "2026-01-02T00:00:00+00:00"]


@virtual
async def test_only_a_mapping_is_a_record() -> None:
    async with serving(result()) as (marketo, service):
        for records in ({"email": "a@x.com"}, ["a@x.com"], [Lead(email="a@x.com")], [("email", "a@x.com")]):
            for send in (marketo.sync_leads, functools.partial(marketo.push_leads, program_name="P")):
                with pytest.raises(TypeError, match="a record for Marketo must be a mapping, not"):
                    await send(records)  # type: ignore[operator]
    assert not service.sent
