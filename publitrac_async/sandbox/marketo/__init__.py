"""Emulated Marketo Engage: the lead database at `/rest/v1`, and Identity at `/identity`."""

from .account import MarketoAccount
from .api import Marketo
from .identity import MarketoIdentity

__all__ = ["Marketo", "MarketoAccount", "MarketoIdentity"]
