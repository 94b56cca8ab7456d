"""PUBLITRAC API v2: JSON and a token ("API V2 - Documentation")."""

from __future__ import annotations

from publitrac_async.v2.facade import V2, PreparedLead

__all__ = ["V2", "PreparedLead"]


def __dir__() -> list[str]:
    return sorted(__all__)
