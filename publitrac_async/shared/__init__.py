"""One limit and one token for many processes: in a file on one host, in Redis for several hosts."""

from __future__ import annotations

from publitrac_async.shared.share import Shared, share

__all__ = ["Shared", "share"]
