"""A lead in the form in which it is sent."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class PreparedLead:
    """A lead that was checked and written for ``lead/delayedSync``, to be sent now or later.

    The same lead always makes the same bytes, so they tell whether anything of it has changed.

    Attributes:
        body: of the request, JSON.
    """

    body: bytes = field(repr=False)
