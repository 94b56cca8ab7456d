"""`probe`: settle the open points of the vendor's documents on an account."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from attrs import frozen

from publitrac_async.bulk import ExitStatus
from publitrac_async.checks import email_problem
from publitrac_async.cli.clients import open_publitrac
from publitrac_async.cli.console import to_stderr, to_stdout
from publitrac_async.cli.exits import CommandError
from publitrac_async.config import RetryPolicy
from publitrac_async.probe import ProbeReport, probe, write_profile
from publitrac_async.probe.model import POINTS
from publitrac_async.probe.run import PACE

_TIMEOUT: Final = 30.0

#: Shown before the first write.
WRITES: Final = """\
With --write the probe
  creates the lead {email} through v1 (it must not exist yet),
  changes it about 15 times through v1 and once through v2,
  adds it to a new static list "publitrac probe ...", which the API cannot delete,
  deletes the lead through deleteLead, which the vendor's documents mention but do not describe.
Campaigns of the account that react to new or changed leads may run for it."""


@frozen(kw_only=True)
class ProbeOptions:
    """Options of `probe`; its help describes them."""

    output: Path
    write: str | None
    yes: bool
    wrong_credentials: bool
    as_json: bool


async def run_probe(options: ProbeOptions, confirm: Callable[[str], bool]) -> ExitStatus:
    """Run a probe, print a line for each open point, and write the profile.

    Args:
        options: options of the command.
        confirm: asks the user a question; returns true for yes.

    Raises:
        CommandError: the address is unusable, or the user declines.
        ConfigurationError: the environment lacks credentials, or the profile cannot be written.
    """
    if options.write is not None:
        if email_problem(options.write) is not None:
            raise CommandError("--write needs an e-mail address")
        to_stderr(WRITES.format(email=options.write))
        if not options.yes and not confirm("Continue?"):
            raise CommandError("nothing was sent")
    async with open_publitrac(retry=RetryPolicy(attempts=2), timeout=_TIMEOUT, log_failures=False) as client:
        report = await probe(
            client, write=options.write, with_wrong_credentials=options.wrong_credentials, rate_limit=PACE
        )
    write_profile(report, options.output)
    _show(report, options)
    return ExitStatus.OK if report.stopped is None else ExitStatus.ABORTED


def _show(report: ProbeReport, options: ProbeOptions) -> None:
    findings = [report.findings[point] for point in POINTS]
    if options.as_json:
        for finding in findings:
            to_stdout(
                json.dumps(
                    {
                        "point": finding.point,
                        "state": str(finding.state),
                        "summary": finding.summary,
                        "found": dict(finding.found),
                        "evidence": list(finding.evidence),
                    },
                    ensure_ascii=False,
                )
            )
    else:
        width = max(map(len, POINTS.values()))
        for number, finding in enumerate(findings, 1):
            to_stdout(f"{number:>2}  {POINTS[finding.point]:<{width}}  {finding.state:<7}  {finding.summary}")
    to_stderr(
        f"{report.settled} of {len(POINTS)} settled with {len(report.times)} calls; "
        f"half of them took up to {report.latency(0.5):.2f} s, 95 % up to {report.latency(0.95):.2f} s."
    )
    if report.stopped is not None:
        to_stderr(f"Stopped: {report.stopped}")
    for record in report.left_behind:
        to_stderr(f"Left in the account: {record}.")
    to_stderr(f"Profile: {options.output}")
