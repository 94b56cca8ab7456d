"""Encoded lead."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class PreparedLead:
    """Lead checked and encoded for ``lead/delayedSync``, to be sent now or later.

    The same lead always gives the same bytes, so a comparison detects changes.

    Attributes:
        body: body of the request, JSON.
    """

    body: bytes = field(repr=False)
