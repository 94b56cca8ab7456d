"""Emulated PUBLITRAC API v2: JSON at `/v2`."""

from .api import PublitracV2

__all__ = ["PublitracV2"]
