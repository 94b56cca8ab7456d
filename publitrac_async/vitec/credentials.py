"""HTTP Basic: user name and password, put together only when a request is about to leave."""

from __future__ import annotations

import base64

from publitrac_async.transport.auth import Authorization
from publitrac_async.transport.secret import Secret


class BasicCredentials:
    """The same user name and password in every request (RFC 7617, in UTF-8).

    Args:
        username: without a colon, which would end it on the wire.
        password: of one customer and function group.

    Raises:
        ConfigurationError: together they are too long for a header.
    """

    def __init__(self, username: Secret, password: Secret) -> None:
        self._username = username
        self._password = password
        self._authorization()

    async def authorize(self) -> Authorization:
        """The credentials."""
        return self._authorization()

    async def accepted(self, authorization: Authorization, sent_at: float) -> None:
        """Nothing changes."""

    async def rejected(self, authorization: Authorization) -> bool:  # noqa: ARG002  (there are no others)
        """There are no others."""
        return False

    async def aclose(self) -> None:
        """Nothing is going on."""

    def _authorization(self) -> Authorization:
        pair = f"{self._username.reveal()}:{self._password.reveal()}".encode()
        header = Secret(f"Basic {base64.b64encode(pair).decode('ascii')}", "Authorization", header=True)
        return Authorization(headers=(("Authorization", header),))
