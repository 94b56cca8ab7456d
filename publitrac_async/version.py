"""The version of the package, and how it names itself to servers."""

from __future__ import annotations

from typing import Final

__version__: Final = "0.1.0"
USER_AGENT: Final = f"publitrac_async/{__version__}"
