"""Emulated PUBLITRAC API v1: XML over HTTP at `/api`."""

from .api import PublitracV1

__all__ = ["PublitracV1"]
