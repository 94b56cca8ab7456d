"""v2 tokens: valid for some time after their last use (PUBLITRAC API V2, Authentification)."""

from __future__ import annotations

import secrets

from publitrac_async.sandbox.clock import SandboxClock


class IssuedTokens:
    """Issued tokens that may still be valid."""

    def __init__(self, clock: SandboxClock, ttl: float) -> None:
        """Create the state before the first token.

        Args:
            clock: clock of the service.
            ttl: lifetime of a token in seconds after its last use.
        """
        self._clock = clock
        self._ttl = ttl
        self._last_use: dict[str, float] = {}

    def issue(self) -> str:
        """Return a new token; others remain valid."""
        self._forget_expired()
        token = secrets.token_urlsafe(18)
        self._last_use[token] = self._clock.monotonic()
        return token

    def use(self, token: str) -> bool:
        """Return True if a token is valid, and restart its lifetime."""
        self._forget_expired()
        if token not in self._last_use:
            return False
        # Tokens are in the order of their last use, the oldest first.
        del self._last_use[token]
        self._last_use[token] = self._clock.monotonic()
        return True

    def revoke(self) -> None:
        """Invalidate every token."""
        self._last_use.clear()

    def _forget_expired(self) -> None:
        oldest_alive = self._clock.monotonic() - self._ttl
        while self._last_use:
            token, last_use = next(iter(self._last_use.items()))
            if last_use > oldest_alive:
                return
            del self._last_use[token]
