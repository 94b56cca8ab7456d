"""PUBLITRAC API v1: XML over HTTP ("PUBLITRAC API Reference documentation")."""

from __future__ import annotations

from publitrac_async.v1.facade import V1
from publitrac_async.v1.query import Condition, FieldName, field

__all__ = ["V1", "Condition", "FieldName", "field"]
