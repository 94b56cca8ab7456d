"""Emulated Vitec Express Connect: person leads at `/PublicAdvertising`."""

from .account import VitecAccount
from .api import Vitec

__all__ = ["Vitec", "VitecAccount"]
