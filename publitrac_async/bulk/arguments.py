"""Checks of the arguments of `sync_leads`; errors name the argument to pass instead."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from pathlib import Path
from typing import Final

from publitrac_async.bulk.mapping import ColumnMapping
from publitrac_async.bulk.metrics import Monitor
from publitrac_async.bulk.outcomes import ErrorBudget
from publitrac_async.bulk.planning import Resend
from publitrac_async.bulk.shutdown import Shutdown
from publitrac_async.bulk.verify import Verify
from publitrac_async.config import is_integer, is_number
from publitrac_async.errors import ConfigurationError
from publitrac_async.models import Lead

#: Type of each optional argument, and an example of creating one.
_TYPES: Final[dict[str, tuple[type, str]]] = {
    "mapping": (ColumnMapping, "ColumnMapping.load(path) or ColumnMapping.from_dict(tables)"),
    "resend": (Resend, "Resend(unchanged=True) or Resend(rejected=True)"),
    "error_budget": (ErrorBudget, "ErrorBudget(...)"),
    "verify": (Verify, "Verify(v1=publitrac.v1)"),
    "monitor": (Monitor, "Monitor(listener)"),
    "shutdown": (Shutdown, "Shutdown()"),
}


def check_arguments(source: object, sink: object, state: object, **options: object) -> None:
    """Refuse arguments of the wrong type.

    Raises:
        ConfigurationError: names the argument and shows how to create one.
    """
    _check_source(source)
    check_sink(sink)
    if not (state is None or isinstance(state, str | Path) or hasattr(state, "lookup")):
        raise ConfigurationError(f"state must be the path of a file, or a StateStore, not {_type(state)}")
    for name, value in options.items():
        kind, example = _TYPES[name]
        if value is not None and not isinstance(value, kind):
            raise ConfigurationError(f"{name} must be made by {example}, not {_type(value)}")


def check_run(executor: object, min_rows: object, results_dir: object) -> None:
    """Refuse settings of a run that are of the wrong type.

    Raises:
        ConfigurationError: names the setting, and what it takes.
    """
    if executor is not None and not (hasattr(executor, "execute") and hasattr(executor, "check")):
        raise ConfigurationError(
            f"executor must be LocalExecutor(...) or DocketExecutor(...), not {_type(executor)}"
        )
    if min_rows is not None and (not is_integer(min_rows) or not is_number(min_rows, least=0)):
        raise ConfigurationError(f"min_rows must be a whole number, at least 0, not {min_rows!r}")
    if not isinstance(results_dir, str | Path | None):
        raise ConfigurationError(f"results_dir must be the path of a folder, not {_type(results_dir)}")


def check_sink(sink: object) -> None:
    """Refuse what cannot take records.

    Raises:
        ConfigurationError: names what can.
    """
    if not (hasattr(sink, "to_record") and hasattr(sink, "send")):
        raise ConfigurationError(f"sink must be publitrac.v2, publitrac.v1 or a Sink, not {_type(sink)}")


def _check_source(source: object) -> None:
    if isinstance(source, str | bytes | Path):
        raise ConfigurationError("source must be rows, not a path or text: use read_leads(path)")
    if isinstance(source, Lead | Mapping):
        raise ConfigurationError("source must be rows, not a single row: use a list")
    if not isinstance(source, Iterable | AsyncIterable):
        raise ConfigurationError(
            "source must be the result of read_leads or read_sql, or an iterable of mappings or leads, "
            f"not {_type(source)}"
        )


def _type(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"
