"""Emulated PUBLITRAC API v1: XML over HTTP at `/api`."""

from publitrac_async.sandbox.publitrac_v1.api import PublitracV1

__all__ = ["PublitracV1"]
