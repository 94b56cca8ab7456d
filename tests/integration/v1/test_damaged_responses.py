"""The client reads responses that the sandbox damages."""

from __future__ import annotations

import pytest

from publitrac_async import UnexpectedContent
from publitrac_async.sandbox import Fault, Sandbox
from tests.support.clients import opened

REPAIRED = {
    "bytes": ("Aéda", {"bytes": 1}),
    "control": ("Ada", {"characters": 1}),
    "entity": ("Aéda", {"entities": 1}),
    "ampersand": ("A & da", {"ampersands": 1}),
    "blank": ("Ada", {"surroundings": 1}),
    "notice": ("Ada", {"surroundings": 1}),
    "notice-after": ("Ada", {"surroundings": 1}),
}


@pytest.mark.parametrize("variant", [*REPAIRED, "bracket", "truncated", "misnested"])
async def test_a_page_is_repaired_with_a_note_or_refused(variant: str) -> None:
    async with Sandbox(rate_limit=None) as sandbox:
        sandbox.seed(leads=[{"email": "a@example.com", "firstName": "Ada"}])
        sandbox.inject(Fault("malformed", variant=variant, times=None))
        async with opened(
            sandbox.base_url, api_key=sandbox.api_key, username=sandbox.username, password=sandbox.password
        ) as publitrac:
            if variant not in REPAIRED:
                with pytest.raises(UnexpectedContent):
                    await publitrac.v1.get_leads()
                return
            page = await publitrac.v1.get_leads()
            name, repaired = REPAIRED[variant]
            assert page.items[0].first_name == name
            assert dict(page.repaired) == repaired
