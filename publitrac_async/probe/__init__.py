"""Find out on the user's own account what the vendor's documents leave open."""

from __future__ import annotations

from publitrac_async.probe.model import Finding, ProbeReport, State
from publitrac_async.probe.run import probe
from publitrac_async.probe.writing import write_profile

__all__ = ["Finding", "ProbeReport", "State", "probe", "write_profile"]
