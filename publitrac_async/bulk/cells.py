"""Convert the cells of files into values of fields, and detect cells that look damaged.

Every cell is first stripped of surrounding blanks and of characters without a glyph. If nothing is left, the
field is unset.
"""

from __future__ import annotations

import datetime as dt
import re
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from publitrac_async.checks import email_problem

#: Kinds of damage found in a cell, in order.
Notes: TypeAlias = list[str]
#: Function that converts the text of a cell, which is stripped and not empty. Raises `ValueError` with the
#: reason.
CellParser: TypeAlias = Callable[[str, Notes], Any]
Decimals: TypeAlias = Literal["refuse", "round"]

#: Blanks and characters without a glyph: zero-width ones, marks of writing direction, byte order mark, soft
#: hyphen. `str.strip` knows the blanks of Unicode, but not the others.
_INVISIBLE: Final = (
    "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufeff"
)
#: Characters to strip from both ends of a cell.
EDGES: Final = "".join(
    (_INVISIBLE, *map(chr, range(0x20)), "\x7f", *(c for c in map(chr, range(0x3001)) if c.isspace()))
)
_NO_GLYPH: Final = re.compile(f"[{_INVISIBLE}]")

#: Texts that programs write instead of a missing value.
_PLACEHOLDERS: Final = frozenset(
    (
        *("null", "\\n", "n/a", "#n/a", "na", "nan", "none", "nil", "undefined", "-", "--", ".", "?"),
        *("(null)", "(none)", "<null>", "[null]"),
        *("#ref!", "#value!", "#name?", "#div/0!", "#num!", "#null!", "#error!", "#calc!", "#spill!"),
    )
)
_PLACEHOLDER_STARTS: Final = frozenset(c for text in _PLACEHOLDERS for c in (text[0], text[0].upper()))
_NOTED_STARTS: Final = _PLACEHOLDER_STARTS | {"'", '"'}
#: UTF-8 read as windows-1252: a letter, then one of the characters that follow it in UTF-8.
_MOJIBAKE: Final = re.compile(
    "[\u00c2\u00c3][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc"
    "\u2013-\u203a\u20ac\u2122]|\u00e2\u20ac|\ufffd"
)
_CONTROLS: Final = re.compile("[\u0080-\u009f]")
_ENTITY: Final = re.compile(r"&(?:#\d{2,6}|#x[0-9a-fA-F]{2,5}|[a-zA-Z]{2,8});")
#: Closing quote by opening quote, of pairs that belong to the file rather than to the text.
_TEXT_QUOTES: Final = {"'": "'", '"': '"', "\u201c": "\u201d", "\u2018": "\u2019", "\u00ab": "\u00bb"}
_SCIENTIFIC: Final = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+")
_FLOAT_TEXT: Final = re.compile(r"\d+[.,]0+")
#: A character that no notation of numbers has.
_NO_NUMBER: Final = re.compile(r"[^0-9eE+.,-]")
_FORMULA_TEXT: Final = re.compile(r'="([^"]*)"')

_NUMBER: Final = re.compile(
    r"(?P<sign>[+-]?)(?:(?P<grouped>\d{1,3}(?P<group>[ ,.'\u2019])\d{3}(?:(?P=group)\d{3})*)|(?P<plain>\d+))"
    r"(?P<rest>[.,]\d*)?",
    re.ASCII,
)
_INNER_BLANKS: Final = re.compile("[\u00a0\u202f\u2009\u2007 ]")
_MAX_DIGITS: Final = 18

#: Yes and no: in English, in French, and in the spellings of spreadsheets and databases.
_YES: Final = "1 1.0 1,0 true t yes y on x vrai oui o \u2713 \u2714"
_NO: Final = "0 0.0 0,0 false f no n off faux non \u2717 \u2718"
_FLAG_WORDS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(_YES.split(), True),
    **dict.fromkeys(_NO.split(), False),
}

_FIRST_YEAR: Final = 1900
_SERIAL: Final = re.compile(r"[1-6]\d{4}(?:[.,]\d+)?")
_EPOCH_SECONDS: Final = re.compile(r"\d{10}(?:\d{3})?")
#: Formats of dates besides those of `strptime`.
EXCEL: Final = "excel"
EPOCH: Final = "epoch"
EPOCH_MILLISECONDS: Final = "epoch-ms"
_SPECIAL_FORMATS: Final = frozenset({EXCEL, EPOCH, EPOCH_MILLISECONDS})
_EXCEL_DAY_ZERO: Final = dt.datetime(1899, 12, 30)  # noqa: DTZ001  (a date of a spreadsheet has no zone)

_ADDRESS_IN_BRACKETS: Final = re.compile(r"[^<>]*<\s*([^<>\s]+)\s*>")
_QUOTES: Final = "\"'`\u201c\u201d\u2018\u2019<>"
_SEVERAL: Final = re.compile(r"[;,|/\s]+")


def strip(text: str) -> str:
    """Return `text` without the blanks and invisible characters around it."""
    return text.strip(EDGES)


def parse_text(limit: int | None = None) -> CellParser:
    """Return the parser of a text field.

    Args:
        limit: documented number of characters, ``None`` without a limit. Longer texts get a note.
    """
    longest = sys.maxsize if limit is None else limit

    def parse(text: str, notes: Notes) -> str:
        if text[0] in _NOTED_STARTS or "&" in text or not text.isascii():
            _note_damage(text, notes)
        if len(text) > longest:
            notes.append(f"longer than {limit} characters")
        return text

    return parse


_BEGINS_NUMBER: Final = frozenset("0123456789+(")


def parse_code(limit: int | None = None) -> CellParser:
    """Return the parser of a phone number, postal code or id: text of digits that spreadsheets damage."""
    plain = parse_text(limit)

    def parse(text: str, notes: Notes) -> str:
        if text[:4].casefold() == "tel:":
            text = strip(text[4:]) or text
        elif text[0] == "'" and text[1:2] in _BEGINS_NUMBER:  # Spreadsheets mark text with a quote.
            text = text[1:]
        if text[0] == "=" or not (text.isdigit() or _NO_NUMBER.search(text)):
            found = _FORMULA_TEXT.fullmatch(text)
            text = found.group(1) if found else text
            if _SCIENTIFIC.fullmatch(text):
                notes.append("digits lost: the spreadsheet shortened the number")
            elif _FLOAT_TEXT.fullmatch(text):
                notes.append("ends in .0: the spreadsheet treated it as a number")
        return str(plain(text, notes))

    return parse


def parse_postal_code(limit: int | None = None) -> CellParser:
    """Return the parser of a postal code; it warns of a lost leading zero."""
    code = parse_code(limit)

    def parse(text: str, notes: Notes) -> str:
        text = code(text, notes)
        if len(text) == 4 and text.isdigit():
            notes.append("four digits: a leading zero may be lost")
        return text

    return parse


_parse_address: Final = parse_text(50)


def parse_email(text: str, notes: Notes) -> str:
    """Return the e-mail address in a cell.

    Raises:
        ValueError: the cell holds no address, or several.
    """
    if text.isascii() and text[0] not in _QUOTES and email_problem(text) is None:
        return str(_parse_address(text, notes))
    # Full-width letters and decomposed accents are the same address.
    address = unicodedata.normalize("NFKC", _NO_GLYPH.sub("", text))
    if found := _ADDRESS_IN_BRACKETS.fullmatch(address):
        address = found.group(1)
    address = strip(address)
    address = address.strip(_QUOTES)
    if address[:7].casefold() == "mailto:":
        address = address[7:].partition("?")[0]
    address = strip(address)
    if address.count("@") > 1 and sum("@" in part for part in _SEVERAL.split(address)) > 1:
        raise ValueError("several e-mail addresses in one cell")
    problem = email_problem(address)
    if problem is not None:
        raise ValueError(problem.reason + _why_no_address(address))
    if not address.isascii():
        notes.append("holds letters beyond a to z: check its spelling")
    return str(_parse_address(address, notes))


def parse_integer(decimals: Decimals = "refuse") -> CellParser:
    """Return the parser of an integer in any common notation.

    Args:
        decimals: ``"refuse"`` or ``"round"`` (half to even) numbers with decimals.
    """

    def parse(text: str, notes: Notes) -> int:  # noqa: ARG001  (the signature of a parser)
        if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
            return int(text)
        return _integer(text, decimals)

    return parse


def parse_flag(text: str, notes: Notes) -> bool:  # noqa: ARG001  (the signature of a parser)
    """Return True or False for a yes or no of English, French or spreadsheets.

    Raises:
        ValueError: the text is neither.
    """
    value = _FLAG_WORDS.get(text.casefold())
    if value is None:
        raise ValueError("neither yes nor no: add the word to the table [values] of a mapping")
    return value


def parse_date(formats: Sequence[str] = ()) -> CellParser:
    """Return the parser of a date.

    A date keeps its calendar day, whatever its time zone.

    Args:
        formats: formats of `datetime.datetime.strptime`, ``"excel"`` (serial days), ``"epoch"`` or
            ``"epoch-ms"``; the first that fits is used. ISO 8601 is always accepted.
    """
    wanted = ", ".join(formats) if formats else "yyyy-mm-dd or yyyy-mm-dd hh:mm:ss"

    def parse(text: str, notes: Notes) -> dt.date | None:
        # MySQL's 0000-00-00, also in other orders.
        if not text.strip("0-/.: T"):
            return None
        found = next((found for each in formats if (found := _from_format(text, each)) is not None), None)
        if found is None:
            try:
                found = _from_iso(text)
            except ValueError:
                raise ValueError(f"not a date, {wanted}{_why_no_date(text)}") from None
        if found.year <= _FIRST_YEAR:
            notes.append(f"not after {_FIRST_YEAR}: some programs write such a date for a missing one")
        return found

    return parse


def parse_text_or_date(formats: Sequence[str]) -> CellParser:
    """Return the parser of a custom field, in which a text in one of `formats` is a date."""
    parse_as_text = parse_text()

    def parse(text: str, notes: Notes) -> str | dt.date:
        for each in formats:
            if text[:1].isdigit() and (found := _from_format(text, each)) is not None:
                return found
        return str(parse_as_text(text, notes))

    return parse


def check_date_format(text: str) -> str | None:
    """Return the reason why `text` is not a date format, ``None`` if it is one."""
    if text in _SPECIAL_FORMATS:
        return None
    if "%" not in text:
        return f"{text!r} has no % directive: write %d/%m/%Y for day/month/year"
    sample = dt.datetime(2001, 12, 30, 23, 58, 59, tzinfo=dt.UTC)
    others = (sample.replace(year=2002), sample.replace(month=11), sample.replace(day=29))
    incomplete = f"{text!r} does not name day, month and year"
    try:
        written = sample.strftime(text)
        # Checked before parsing, because Python warns about a day without a year.
        if any(other.strftime(text) == written for other in others):
            return incomplete
        read = dt.datetime.strptime(written, text)  # noqa: DTZ007  (only the date counts)
    except ValueError as error:
        return f"{text!r}: {error}"
    return None if read.date() in (sample.date(), sample.replace(year=1901).date()) else incomplete


def keep_day(value: dt.date) -> dt.date:
    """Return a date or time without its zone, so that it keeps its calendar day.

    Midnight in a zone becomes a date. A time without a zone stays unchanged.
    """
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        return value
    return _without_midnight(value.replace(tzinfo=None))


def _without_midnight(value: dt.datetime) -> dt.date:
    return value.date() if value.time() == dt.time() else value


def _note_damage(text: str, notes: Notes) -> None:
    if text[0] in _PLACEHOLDER_STARTS and text.casefold() in _PLACEHOLDERS:
        notes.append("looks like a placeholder for a missing value")
    if _TEXT_QUOTES.get(text[0]) == text[-1] and len(text) > 1:
        notes.append("is in quotes")
    if "&" in text and _ENTITY.search(text):
        notes.append("holds HTML such as &amp;")
    if not text.isascii():
        if _MOJIBAKE.search(text):
            notes.append("looks like text read in the wrong encoding")
        elif _CONTROLS.search(text):
            notes.append("holds control characters")


def _why_no_address(address: str) -> str:
    if " " in address or "\u00a0" in address:
        return ": it holds a blank"
    if "@" not in address:
        return ": it has no @"
    return ": it ends in a punctuation mark" if address[-1] in ".,;:" else ""


def _integer(text: str, decimals: Decimals) -> int:
    if _SCIENTIFIC.fullmatch(text):
        raise ValueError("in scientific notation: the spreadsheet may have lost digits")
    found = _NUMBER.fullmatch(_INNER_BLANKS.sub(" ", text.strip("$\u20ac\u00a3 ")))
    if found is None:
        raise ValueError("not a number")
    digits, rest = found["plain"] or found["grouped"], found["rest"] or ""
    group = found["group"]
    if group == "." and not rest and digits.count(".") == 1:
        # 1.234 is above a thousand in German, and below two in English.
        raise ValueError("a point may be a decimal point or separate thousands: write the number without it")
    if group is not None:
        if rest and rest[0] == group:
            raise ValueError("not a number")
        digits = digits.replace(group, "")
    fraction = rest[1:].rstrip("0")
    if len(digits.lstrip("0")) > _MAX_DIGITS:
        raise ValueError(f"more than {_MAX_DIGITS} digits")
    if not fraction:
        return int(found["sign"] + digits)
    if decimals == "refuse":
        raise ValueError('has decimals: round it, or set decimals = "round" in [options] of a mapping')
    return round(Decimal(f"{found['sign']}{digits}.{fraction}"))


def _from_format(text: str, format_: str) -> dt.date | None:
    try:
        match format_:
            case "excel":
                return _without_midnight(_EXCEL_DAY_ZERO + dt.timedelta(days=float(text.replace(",", "."))))
            case "epoch":
                return keep_day(dt.datetime.fromtimestamp(float(text), dt.UTC))
            case "epoch-ms":
                return keep_day(dt.datetime.fromtimestamp(float(text) / 1000, dt.UTC))
            case _:
                written = dt.datetime.strptime(text, format_)  # noqa: DTZ007  (zones are dropped)
                return _without_midnight(written.replace(tzinfo=None))
    except (ValueError, OverflowError, OSError):
        return None


def _from_iso(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return keep_day(dt.datetime.fromisoformat(text))


def _why_no_date(text: str) -> str:
    """Return a hint at the table of a mapping that would help."""
    if _SERIAL.fullmatch(text):
        return '; if it is a spreadsheet\'s day number, set "excel" in the table [dates] of a mapping'
    if _EPOCH_SECONDS.fullmatch(text):
        name = EPOCH if len(text) == len("1700000000") else EPOCH_MILLISECONDS
        return f'; if it is a time since 1970, set "{name}" in the table [dates] of a mapping'
    return "; set other formats in the table [dates] of a mapping"


def normalized(name: str) -> str:
    """Return a column's name without case, accents, blanks, ``_``, ``-`` and ``.``, for comparison."""
    letters = unicodedata.normalize("NFKD", strip(name).casefold())
    return "".join(c for c in letters if c.isalnum())
