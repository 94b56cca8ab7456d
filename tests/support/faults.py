"""Settings that tests of faults share."""

from __future__ import annotations

from publitrac_async import RetryPolicy

ONCE = RetryPolicy(attempts=1)
