"""The mapping file: columns of a source, fields of a lead, and how cells are written.

`Columns` in `bulk/columns.py` applies it to rows.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from attrs import field, frozen

from publitrac_async.bulk.cells import check_date_format, normalized, strip
from publitrac_async.bulk.errors import MappingError
from publitrac_async.checks import custom_name_problem
from publitrac_async.converters import NATIVE_FIELDS

_TABLES: Final = frozenset(
    {"fields", "custom_fields", "constants", "values", "dates", "empty", "consent", "options"}
)
#: Vendor's name of a native field, by attribute name.
_BY_ATTRIBUTE: Final = {attribute: name for name, attribute in NATIVE_FIELDS.items()}
_OPTIONS: Final = frozenset({"other_columns", "dates", "empty", "decimals"})
_EMPTY: Final = ("keep", "clear")
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "other_columns": ("ignore", "custom"),
    "empty": _EMPTY,
    "decimals": ("refuse", "round"),
}

#: Vendor's name of a native field, by normalized name.
BY_NORMALIZED: Final[Mapping[str, str]] = {normalized(name): name for name in NATIVE_FIELDS}
#: Consent flags: restrictions on the use of a person's data. By default only a "yes" of a file is sent.
CONSENT_FIELDS: Final = frozenset({"unsubscribed", "blacklisted", "doNotCall", "emailInvalid", "suspended"})
#: Similarity above which one name is taken for a spelling mistake of the other.
_SIMILAR: Final = 0.8


def _formats(value: str | Iterable[str] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)


def _formats_by_field(value: Mapping[str, str | Iterable[str]]) -> dict[str, tuple[str, ...]]:
    return {name: _formats(each) for name, each in value.items()}


@frozen(kw_only=True)
class ColumnMapping:
    """Mapping from the columns of a source to the fields of a lead.

    A TOML file has these tables, all optional but the first::

        [fields]                      # native field = column
        email = "E-post"
        first_name = "Förnamn"        # or the vendor's name, firstName

        [custom_fields]               # custom field = column
        carColor = "Bilfärg"

        [constants]                   # field = value for every row
        lead_source = "CRM export"

        [values.is_customer]          # for one field: cell = value, in any case
        ja = "1"
        nej = "0"

        [dates]                       # fields that are dates = format, or several
        memberSince = ["%d/%m/%Y", "excel"]

        [empty]                       # fields that an empty cell clears
        company = "clear"

        [consent]                     # consent flags that are sent for "no" as well
        unsubscribed = "both"

        [options]
        other_columns = "ignore"      # or "custom": custom fields of the same name
        dates = "%d.%m.%Y"            # format of dates, or several, if not yyyy-mm-dd
        empty = "keep"                # or "clear": empty cells clear their fields
        decimals = "refuse"           # or "round": decimals in integer fields

    Columns are found without regard to case, accents, blanks, ``_`` and ``-``.

    Attributes:
        columns: column by field; fields by the vendor's name.
        constants: value by field.
        values: for a field, value by cell.
        other_columns: ``"ignore"`` or ``"custom"``.
        dates: formats of dates: of `datetime.datetime.strptime`, ``"excel"``, ``"epoch"``, ``"epoch-ms"``.
            Texts of custom fields that match a format of `strptime` become dates.
        date_formats: formats by field, for native and custom fields.
        empty: ``"keep"`` leaves the field of an empty cell as it is at the service, ``"clear"`` clears it.
        empty_by_field: the same for single fields.
        decimals: ``"refuse"`` or ``"round"`` decimals in integer fields.
        consent: ``"both"`` for consent flags that are sent for "no" as well as for "yes".
    """

    columns: Mapping[str, str]
    constants: Mapping[str, Any] = field(factory=dict)
    values: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    other_columns: str = "ignore"
    dates: tuple[str, ...] = field(default=(), converter=_formats)
    date_formats: Mapping[str, tuple[str, ...]] = field(factory=dict, converter=_formats_by_field)
    empty: Literal["keep", "clear"] = "keep"
    empty_by_field: Mapping[str, Literal["keep", "clear"]] = field(factory=dict)
    decimals: Literal["refuse", "round"] = "refuse"
    consent: Mapping[str, Literal["one-way", "both"]] = field(factory=dict)

    @classmethod
    def load(cls, path: str | Path) -> ColumnMapping:
        """Read a mapping file.

        Args:
            path: path of a TOML file in UTF-8.

        Raises:
            MappingError: the file is unreadable or invalid.
        """
        path = Path(path)
        try:
            # Windows editors start the file with a byte order mark.
            content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise MappingError(f"cannot read {path.name}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise MappingError(f"{path.name} is not UTF-8: save it in this encoding") from None
        except tomllib.TOMLDecodeError as error:
            raise MappingError(f"{path.name} is not TOML: {error}") from None
        except RecursionError:
            raise MappingError(f"{path.name} is not TOML: nested too deeply") from None
        except ValueError:  # From `int`, or a path with a NUL.
            raise MappingError(
                f"cannot read {path.name}: a number is too long, or the path is invalid"
            ) from None
        return cls.from_dict(content)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ColumnMapping:
        """Create a mapping from the tables of a file.

        Args:
            content: the tables, as in the class.

        Raises:
            MappingError: a table, field, option, constant or format is unusable.
        """
        _check_names(content, _TABLES, "table")
        tables = {name: content.get(name, {}) for name in _TABLES}
        for name, table in tables.items():
            if not isinstance(table, Mapping):
                raise MappingError(f"{name} must be a table")
        columns = _columns(tables)
        _check_options(tables["options"])
        constants = {field_name(name): value for name, value in tables["constants"].items()}
        _check_constants(constants)
        known = frozenset(columns) | frozenset(constants)
        values = {}
        for name, cells in tables["values"].items():
            if not isinstance(cells, Mapping):
                raise MappingError(f"values.{name} must be a table")
            values[field_name(name)] = {strip(cell).casefold(): value for cell, value in cells.items()}
        open_ended = tables["options"].get("other_columns") == "custom"
        for title, names in (("values", values), ("dates", tables["dates"]), ("empty", tables["empty"])):
            _check_known(title, names, known, open_ended=open_ended)
        options = dict(tables["options"])
        return cls(
            columns=columns,
            constants=constants,
            values=values,
            date_formats=_date_formats(tables["dates"]),
            empty_by_field=_chosen("empty", tables["empty"], _EMPTY),
            consent=_consent(tables["consent"]),
            **options,
        )


def field_name(name: str) -> str:
    """Return the vendor's name of a native field; the names of custom fields stay as they are."""
    return _BY_ATTRIBUTE.get(name, name)


def near_miss(name: str) -> str | None:
    """Return the native field whose name is most similar to `name`, ``None`` if none is similar."""
    wanted = normalized(name)
    if wanted[-1:].isdigit():  # phone2 is a second number, not a misspelt phone.
        return None
    found = difflib.get_close_matches(wanted, BY_NORMALIZED, n=1, cutoff=_SIMILAR)
    return BY_NORMALIZED[found[0]] if found else None


def _columns(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    taken = tables["custom_fields"].keys() & NATIVE_FIELDS.keys()
    if taken:
        raise MappingError(f"{', '.join(sorted(taken))}: native fields belong in the table fields")
    for name in tables["custom_fields"]:
        if (reason := custom_name_problem(name)) is not None:
            raise MappingError(f"custom_fields: {name}: {reason}")
    columns = {_native(name): column for name, column in tables["fields"].items()}
    columns |= dict(tables["custom_fields"])
    for name, column in columns.items():
        if not isinstance(column, str):
            raise MappingError(f"{name}: the name of a column must be text")
    if "email" not in columns:
        raise MappingError("the table fields must name the column of email")
    return columns


def _native(name: str) -> str:
    vendor = field_name(name)
    if vendor not in NATIVE_FIELDS:
        hint = _hint(name)
        raise MappingError(f"{name} is not a native field{hint}; custom fields belong in custom_fields")
    return vendor


def _check_constants(names: Iterable[str]) -> None:
    for name in names:
        if name in NATIVE_FIELDS:
            continue
        if (reason := custom_name_problem(name)) is not None:
            raise MappingError(f"constants: {name}: {reason}")
        if (similar := near_miss(name)) is not None:
            raise MappingError(f"constants: there is no field {name}; did you mean {similar}?")


def _check_known(table: str, names: Iterable[str], known: frozenset[str], *, open_ended: bool) -> None:
    for name in map(field_name, names):
        if name not in known and (not open_ended or name in NATIVE_FIELDS or near_miss(name)):
            raise MappingError(f"{table}: no column is mapped to {name}{_hint(name)}")


def _check_options(options: Mapping[str, Any]) -> None:
    _check_names(options, _OPTIONS, "option")
    for name, choices in _CHOICES.items():
        if options.get(name, choices[0]) not in choices:
            raise MappingError(f"{name} must be {' or '.join(map(repr, choices))}")
    _check_formats("options.dates", options.get("dates", ()))


def _date_formats(table: Mapping[str, Any]) -> dict[str, Any]:
    for name, formats in table.items():
        _check_formats(f"dates.{name}", formats)
    return {field_name(name): formats for name, formats in table.items()}


def _check_formats(where: str, formats: Any) -> None:
    each = [formats] if isinstance(formats, str) else formats
    if not isinstance(each, list | tuple) or not all(isinstance(one, str) for one in each):
        raise MappingError(f"{where} must be a format, or a list of formats")
    for one in each:
        if (reason := check_date_format(one)) is not None:
            raise MappingError(f"{where}: {reason}")


def _consent(table: Mapping[str, Any]) -> dict[str, Any]:
    chosen = _chosen("consent", table, ("one-way", "both"))
    for name in chosen:
        if name not in CONSENT_FIELDS:
            raise MappingError(f"consent: {name} is not one of {', '.join(sorted(CONSENT_FIELDS))}")
    return chosen


def _chosen(title: str, table: Mapping[str, Any], choices: tuple[str, ...]) -> dict[str, Any]:
    for name, value in table.items():
        if value not in choices:
            raise MappingError(f"{title}.{name} must be {' or '.join(map(repr, choices))}")
    return {field_name(name): value for name, value in table.items()}


def _check_names(content: Mapping[str, Any], known: frozenset[str], kind: str) -> None:
    unknown = sorted(content.keys() - known)
    if unknown:
        raise MappingError(f"there is no {kind} {', '.join(unknown)}; known: {', '.join(sorted(known))}")


def _hint(name: str) -> str:
    similar = near_miss(name)
    return "" if similar is None else f" (did you mean {similar}?)"
