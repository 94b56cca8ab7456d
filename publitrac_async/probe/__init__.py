"""Settle the open points of the vendor's documents by calls on the user's account."""

from __future__ import annotations

from publitrac_async.probe.model import Finding, FindingState, ProbeReport
from publitrac_async.probe.run import probe
from publitrac_async.probe.writing import write_profile

__all__ = ["Finding", "FindingState", "ProbeReport", "probe", "write_profile"]


def __dir__() -> list[str]:
    return sorted(__all__)
