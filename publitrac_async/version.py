"""Version of the package, and its user agent."""

from __future__ import annotations

from typing import Final

__version__: Final = "0.1.0"
USER_AGENT: Final = f"publitrac_async/{__version__}"
