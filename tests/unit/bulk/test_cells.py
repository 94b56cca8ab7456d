# ruff: noqa: DTZ001  (times of a file have no zone)
from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publitrac_async.bulk.cells import (
    CellParser,
    Notes,
    check_date_format,
    keep_day,
    normalized,
    parse_code,
    parse_date,
    parse_email,
    parse_flag,
    parse_integer,
    parse_postal_code,
    parse_text,
    strip,
)


def parsed(parse: CellParser, text: str) -> tuple[object, Notes]:
    notes: Notes = []
    return parse(text, notes), notes


@pytest.mark.parametrize(
    "around", [" ", "\t", "\u00a0", "\u202f", "\u200b", "\ufeff", "\u2060", "\0", " \u00a0\u200e"]
)
def test_blanks_and_invisible_characters_around_a_cell_are_removed(around: str) -> None:
    assert strip(f"{around}Zoé Ek{around}") == "Zoé Ek"
    assert strip(around) == ""


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *[("1234", 1234), ("1234.0", 1234), ("1234,00", 1234), ("1234.", 1234), ("-5", -5), ("+5", 5)],
        *[("1 234", 1234), ("1\u00a0234", 1234), ("1\u202f234\u202f567", 1234567), ("1,234", 1234)],
        *[("1'234", 1234), ("1.234.567", 1234567), ("1,234.00", 1234), ("1 234,0", 1234), ("$1,200", 1200)],
    ],
)
def test_integers_are_read_as_people_and_programs_write_them(text: str, number: int) -> None:
    assert parsed(parse_integer(), text) == (number, [])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *[
            ("4,5", "has decimals"),
            ("12.50", "has decimals"),
            ("1.234", "decimal point or separate thousands"),
        ],
        *[
            ("1,234,5", "not a number"),
            ("12 34", "not a number"),
            ("many", "not a number"),
            ("1_0", "not a number"),
        ],
        *[("1.5E+10", "scientific"), ("1" * 19, "more than 18 digits"), ("١٢", "not a number")],
    ],
)
def test_other_numbers_are_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parsed(parse_integer(), text)


def test_decimals_are_rounded_on_request_unless_they_may_be_thousands() -> None:
    assert parsed(parse_integer("round"), "4,5")[0] == 4
    assert parsed(parse_integer("round"), "-12.51")[0] == -13
    with pytest.raises(ValueError, match="thousands"):
        parsed(parse_integer("round"), "1.234")


@given(st.integers(min_value=-(10**17), max_value=10**17))
def test_an_integer_survives_every_way_of_grouping_it(number: int) -> None:
    for text in (str(number), f"{number:,}", f"{number:,}".replace(",", "\u202f"), f"{number}.0"):
        assert parsed(parse_integer(), text)[0] == number


@pytest.mark.parametrize("text", ["1", "1.0", "TRUE", "Yes", "y", "OUI", "o", "VRAI", "x", "✓", "on"])
def test_spellings_of_yes(text: str) -> None:
    assert parsed(parse_flag, text) == (True, [])


@pytest.mark.parametrize("text", ["0", "0.0", "False", "no", "N", "non", "FAUX", "off"])
def test_spellings_of_no(text: str) -> None:
    assert parsed(parse_flag, text) == (False, [])


def test_an_unknown_word_for_a_flag_is_refused_and_the_error_names_the_setting() -> None:
    with pytest.raises(ValueError, match=r"\[values\]"):
        parsed(parse_flag, "perhaps")


@pytest.mark.parametrize(
    "text",
    [
        *[
            "ana@example.com",
            "mailto:ana@example.com",
            "MAILTO:ana@example.com?subject=x",
            "'ana@example.com'",
        ],
        *[
            '"ana@example.com"',
            "<ana@example.com>",
            '"Ana Ek" <ana@example.com>',
            "Ek, Ana <ana@example.com>",
        ],
        *["a\u200bna@example.com", "\u201cana@example.com\u201d", "ana@example.com\ufeff"],
    ],
)
def test_an_address_is_found_in_the_forms_that_mail_programs_write(text: str) -> None:
    assert parsed(parse_email, text) == ("ana@example.com", [])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ana@example.com; bo@example.com", "several"),
        ("ana@example.com,bo@example.com", "several"),
        ("ana@example.com bo@example.com", "several"),
        ("ana ek@example.com", "holds a blank"),
        ("example.com", "has no @"),
        ("n/a", "has no @"),
    ],
)
def test_a_cell_without_one_address_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parsed(parse_email, text)


@pytest.mark.parametrize(
    ("text", "formats", "day"),
    [
        ("1980-08-20", [], dt.date(1980, 8, 20)),
        ("1980-08-20 10:30:00", [], dt.datetime(1980, 8, 20, 10, 30)),
        ("1980-08-20 00:00:00", [], dt.datetime(1980, 8, 20)),
        ("1980-08-20T00:00:00+09:00", [], dt.date(1980, 8, 20)),
        ("1980-08-20T23:30:00-05:00", [], dt.datetime(1980, 8, 20, 23, 30)),
        ("20/08/1980", ["%d.%m.%Y", "%d/%m/%Y"], dt.date(1980, 8, 20)),
        ("1980-08-20", ["%d/%m/%Y"], dt.date(1980, 8, 20)),
        ("29453", ["excel"], dt.date(1980, 8, 20)),
        ("29453.5", ["excel"], dt.datetime(1980, 8, 20, 12)),
        ("335577600", ["epoch"], dt.date(1980, 8, 20)),
        ("335577600000", ["epoch-ms"], dt.date(1980, 8, 20)),
        ("0000-00-00", [], None),
        ("0000-00-00 00:00:00", [], None),
    ],
)
def test_dates_in_declared_formats_keep_their_day(text: str, formats: list[str], day: dt.date | None) -> None:
    assert parsed(parse_date(formats), text) == (day, [])


def test_an_invalid_date_is_refused_with_the_accepted_formats() -> None:
    with pytest.raises(ValueError, match="%d/%m/%Y, excel"):
        parsed(parse_date(["%d/%m/%Y", "excel"]), "tomorrow")
    with pytest.raises(ValueError, match="yyyy-mm-dd"):
        parsed(parse_date(), "20/08/1980")


@pytest.mark.parametrize("text", ["%d/%m/%Y", "%Y-%m-%d %H:%M", "%d.%m.%y", "excel", "epoch", "epoch-ms"])
def test_usable_date_formats(text: str) -> None:
    assert check_date_format(text) is None


@pytest.mark.parametrize("text", ["dd/mm/yyyy", "%d/%m", "%Q", "", "%H:%M"])
def test_unusable_date_formats_are_named(text: str) -> None:
    assert repr(text) in str(check_date_format(text))


@pytest.mark.parametrize(
    ("parse", "text", "note"),
    [
        (parse_text(), "NULL", "placeholder"),
        (parse_text(), "#REF!", "placeholder"),
        (parse_text(), "ZoÃ©", "wrong encoding"),
        (parse_text(), "lâ€™eau", "wrong encoding"),
        (parse_text(), "Zo\x85", "control characters"),
        (parse_text(5), "sixsix", "longer than 5"),
        (parse_code(), "1.51455E+10", "digits lost"),
        (parse_code(), "15145550100.0", "ends in .0"),
        (parse_postal_code(), "1000", "leading zero"),
        (parse_email, "a" * 50 + "@example.com", "longer than 50"),
    ],
)
def test_damage_is_noted_and_the_text_stays(parse: CellParser, text: str, note: str) -> None:
    value, notes = parsed(parse, text)
    assert value == text
    assert len(notes) == 1
    assert note in notes[0]


@pytest.mark.parametrize(
    "text", ["Zoé", "Étienne-Â", "Müller & Söhne", "№ 5", "naïve", "100 %", "日本", "Nan Ek"]
)
def test_good_text_gets_no_note(text: str) -> None:
    assert parsed(parse_text(50), text) == (text, [])


def test_a_formula_that_protects_zeros_is_unwrapped() -> None:
    assert parsed(parse_code(), '="01000"') == ("01000", [])
    assert parsed(parse_code(), "'+46 70 1") == ("+46 70 1", [])
    assert parsed(parse_code(), "'(514) 555-0100") == ("(514) 555-0100", [])
    assert parsed(parse_code(), "'t Hart 1") == ("'t Hart 1", [])


def test_a_moment_with_a_zone_keeps_the_day_of_its_place() -> None:
    zone = dt.timezone(dt.timedelta(hours=9))
    assert keep_day(dt.datetime(1980, 8, 20, tzinfo=zone)) == dt.date(1980, 8, 20)
    assert keep_day(dt.datetime(1980, 8, 20, 1, tzinfo=zone)) == dt.datetime(1980, 8, 20, 1)
    assert keep_day(dt.date(1980, 8, 20)) == dt.date(1980, 8, 20)


def test_names_are_compared_without_case_accents_and_separators() -> None:
    assert {normalized(name) for name in ("First Name", "first_name", "FIRST-NAME", " firstName\ufeff")} == {
        "firstname"
    }
    assert normalized("Prénom") == normalized("PRENOM")
