"""Rate limit and token for the processes of one host, in a small file."""

from __future__ import annotations

from publitrac_async.shared.file.backend import SharedFile
from publitrac_async.shared.file.limiter import FileRateLimiter
from publitrac_async.shared.file.tokens import FileTokenStore

__all__ = ["FileRateLimiter", "FileTokenStore", "SharedFile"]
