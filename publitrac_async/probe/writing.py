"""Write a profile: the findings of a probe, as TOML."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from publitrac_async.errors import ConfigurationError
from publitrac_async.probe.model import POINTS, ProbeReport
from publitrac_async.version import __version__

_LINE: Final = 80


def write_profile(report: ProbeReport, path: str | os.PathLike[str]) -> None:
    """Write a profile for `PublitracClient.from_env`; only its owner can read it.

    Args:
        report: report of the probe.
        path: path of the file, which is replaced once the new one is complete.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    target = Path(path)
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    text = "\n".join(_lines(report)) + "\n"
    try:
        file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ConfigurationError(f"the profile cannot be written: {error.strerror}") from None


def _lines(report: ProbeReport) -> Iterator[str]:
    date = dt.datetime.now(dt.UTC).replace(microsecond=0)
    yield "# Findings of `publitrac-async probe` on the account. Evidence is at the end."
    facts = {
        "date": date.isoformat(),
        "base_url": report.base_url,
        "version": __version__,
        "calls": len(report.times),
        "latency_p50": round(report.latency(0.5), 3),
        "latency_p95": round(report.latency(0.95), 3),
    }
    yield from _table("probe", facts)
    client = dict(report.client)
    shapes = client.pop("v1_shapes", {})
    yield ""
    yield "# Arguments of PublitracClient: from_env(profile=...), PUBLITRAC_PROFILE, --profile."
    yield from _table("client", client)
    if shapes:
        yield ""
        yield from _table("client.v1_shapes", shapes)
    yield ""
    yield "# Settings that make the sandbox behave like the account: Sandbox(**read_profile(path).found)."
    yield from _table("found", report.found)
    for point in POINTS:
        finding = report.findings[point]
        yield ""
        yield f"# {POINTS[point]}"
        yield from _table(
            f"evidence.{point}",
            {"state": str(finding.state), "summary": finding.summary, "calls": list(finding.evidence)},
        )


def _table(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    yield f"[{name}]"
    for key, value in values.items():
        yield f"{key} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, list) and sum(len(str(each)) for each in value) > _LINE:
        return "[\n" + "".join(f"  {_value(each)},\n" for each in value) + "]"
    # A JSON string is a valid TOML string.
    return json.dumps(value, ensure_ascii=False)
