"""Access tokens: one at a time, valid for an hour after their issue (Marketo REST API, Authentication)."""

from __future__ import annotations

import secrets

from publitrac_async.sandbox.clock import SandboxClock

INVALID = "601"
EXPIRED = "602"


class IssuedTokens:
    """Current token of the custom service, and earlier ones."""

    def __init__(self, clock: SandboxClock, life: float) -> None:
        """Create the state before the first token.

        Args:
            clock: clock of the service.
            life: lifetime of a token in seconds after its issue.
        """
        self._clock = clock
        self._life = life
        self._token: str | None = None
        self._end = 0.0
        self._expired: str | None = None

    def issue(self) -> tuple[str, int]:
        """Return the token and its remaining lifetime in whole seconds: the same token until it expires."""
        self._expire()
        if self._token is None:
            self._token = f"{secrets.token_hex(16)}:sb"
            self._end = self._clock.monotonic() + self._life
        return self._token, int(self._end - self._clock.monotonic())

    def refuse(self, token: str) -> str | None:
        """Return the code that refuses a token, None if it is valid.

        The first use after the expiry has its own code; after that the token is unknown.
        """
        self._expire()
        if token == self._token:
            return None
        if token == self._expired:
            self._expired = None
            return EXPIRED
        return INVALID

    def revoke(self) -> None:
        """Invalidate the token before it expires."""
        self._token = None

    def _expire(self) -> None:
        if self._token is not None and self._clock.monotonic() >= self._end:
            self._expired, self._token = self._token, None
