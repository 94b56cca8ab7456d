"""The mapping file: which column of the input is which field of a lead."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from publitrac_async.bulk.errors import MappingError
from publitrac_async.converters import NATIVE_FIELDS
from publitrac_async.errors import Problem, ValidationError

_TABLES: Final = frozenset({"fields", "custom_fields", "constants", "values", "options"})
#: The vendor's name of a native field, by its name here.
_BY_ATTRIBUTE: Final = {attribute: name for name, attribute in NATIVE_FIELDS.items()}
_OPTIONS: Final = frozenset({"other_columns", "dates"})


@frozen(kw_only=True)
class ColumnMapping:
    """From the columns of an input to the fields of a lead.

    A TOML file has these tables, all optional but the first::

        [fields]                      # native field = column
        email = "E-post"
        first_name = "Förnamn"        # the vendor's firstName will do as well

        [custom_fields]               # custom field = column
        carColor = "Bilfärg"

        [constants]                   # field = value for every row
        lead_source = "CRM export"

        [values.is_customer]          # for one field: cell = value
        ja = "1"
        nej = "0"

        [options]
        other_columns = "ignore"      # or "custom": custom fields of their own name
        dates = "%d.%m.%Y"            # how dates are written, if not yyyy-mm-dd

    Attributes:
        columns: column by field; fields by the vendor's name.
        constants: value by field.
        values: for a field, value by cell.
        other_columns: ``"ignore"`` or ``"custom"``.
        dates: as `datetime.datetime.strptime` wants it, ``None`` for the vendor's own form.
    """

    columns: Mapping[str, str]
    constants: Mapping[str, Any] = field(factory=dict)
    values: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    other_columns: str = "ignore"
    dates: str | None = None

    @classmethod
    def load(cls, path: str | Path) -> ColumnMapping:
        """Read a mapping file.

        Raises:
            MappingError: it cannot be read, or is not as described.
        """
        path = Path(path)
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise MappingError(f"{path.name} cannot be read: {error.strerror}") from None
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise MappingError(f"{path.name} is no TOML: {error}") from None
        return cls.from_dict(content)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ColumnMapping:
        """Make a mapping of the tables that a file would have.

        Raises:
            MappingError: a table, field or option is unknown.
        """
        _check_names(content, _TABLES, "table")
        tables = {name: content.get(name, {}) for name in _TABLES}
        for name, table in tables.items():
            if not isinstance(table, Mapping):
                raise MappingError(f"{name} must be a table")
        native = {_native(name): column for name, column in tables["fields"].items()}
        taken = tables["custom_fields"].keys() & NATIVE_FIELDS.keys()
        if taken:
            raise MappingError(f"{', '.join(sorted(taken))}: native fields belong into the table fields")
        columns = native | dict(tables["custom_fields"])
        for name, column in columns.items():
            if not isinstance(column, str):
                raise MappingError(f"{name}: the name of a column must be text")
        if "email" not in columns:
            raise MappingError("the table fields must say which column is email")
        _check_options(tables["options"])
        for name, cells in tables["values"].items():
            if not isinstance(cells, Mapping):
                raise MappingError(f"values of {name} must be a table")
        return cls(
            columns=columns,
            constants={field_name(name): value for name, value in tables["constants"].items()},
            values={field_name(name): dict(cells) for name, cells in tables["values"].items()},
            **tables["options"],
        )

    def check(self, columns: Iterable[str]) -> None:
        """Check that the input has the columns this mapping names.

        Raises:
            MappingError: one or more are missing.
        """
        missing = sorted(set(self.columns.values()) - set(columns))
        if missing:
            raise MappingError(f"the input has no column {', '.join(missing)}")

    def apply(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a lead, by the vendor's names, from the cells of a row.

        Raises:
            ValidationError: a date is not written as the mapping says.
        """
        fields: dict[str, Any] = {}
        if self.other_columns == "custom":
            used = set(self.columns.values())
            fields = {column: value for column, value in cells.items() if column not in used}
        fields |= self.constants
        problems = []
        for name, column in self.columns.items():
            value = cells.get(column)
            if isinstance(value, str):
                value = self.values.get(name, {}).get(value.strip(), value)
                if self.dates and name == "dateOfBirth" and value:
                    try:
                        value = dt.datetime.strptime(value.strip(), self.dates).date()  # noqa: DTZ007  (a date has no zone)
                    except ValueError:
                        problems.append(Problem(f"must be a date, {self.dates}", field=name, value=value))
            if value is not None and value != "":
                fields[name] = value
        if problems:
            raise ValidationError("; ".join(map(str, problems)), problems=problems)
        return fields

    def column_of(self, name: str) -> str | None:
        """The column that a field comes from."""
        return self.columns.get(name, name if self.other_columns == "custom" else None)


def field_name(name: str) -> str:
    """The vendor's name of a native field, under whichever name it was given; custom fields keep theirs."""
    return _BY_ATTRIBUTE.get(name, name)


def _native(name: str) -> str:
    vendor = field_name(name)
    if vendor not in NATIVE_FIELDS:
        raise MappingError(
            f"{name} is no native field of a lead: custom ones go into the table custom_fields"
        )
    return vendor


def _check_options(options: Mapping[str, Any]) -> None:
    _check_names(options, _OPTIONS, "option")
    if options.get("other_columns", "ignore") not in ("ignore", "custom"):
        raise MappingError('other_columns must be "ignore" or "custom"')
    if not isinstance(options.get("dates", ""), str):
        raise MappingError("dates must be text")


def _check_names(content: Mapping[str, Any], known: frozenset[str], kind: str) -> None:
    unknown = sorted(content.keys() - known)
    if unknown:
        raise MappingError(f"there is no {kind} {', '.join(unknown)}; known: {', '.join(sorted(known))}")
