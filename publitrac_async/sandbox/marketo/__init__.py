"""Emulated Marketo Engage: the lead database at `/rest/v1`, and Identity at `/identity`."""

from publitrac_async.sandbox.marketo.account import MarketoAccount
from publitrac_async.sandbox.marketo.api import Marketo
from publitrac_async.sandbox.marketo.identity import MarketoIdentity

__all__ = ["Marketo", "MarketoAccount", "MarketoIdentity"]
