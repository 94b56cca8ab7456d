"""Emulated Vitec Express Connect: person leads at `/PublicAdvertising`."""

from publitrac_async.sandbox.vitec.account import VitecAccount
from publitrac_async.sandbox.vitec.api import Vitec

__all__ = ["Vitec", "VitecAccount"]
