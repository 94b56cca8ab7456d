"""Emulated PUBLITRAC API v2: JSON at `/v2`."""

from publitrac_async.sandbox.publitrac_v2.api import PublitracV2

__all__ = ["PublitracV2"]
