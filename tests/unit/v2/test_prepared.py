"""Leads that are serialised ahead, or whose calls wait for the limit, take little memory."""

from __future__ import annotations

import tracemalloc

from publitrac_async import Lead
from publitrac_async.v2 import codec


def test_the_body_of_a_lead_takes_the_memory_of_its_bytes() -> None:
    lead = Lead(email="ada@example.com", first_name="Ada")
    codec.lead_body(lead)
    tracemalloc.start()
    try:
        bodies = [codec.lead_body(lead) for _ in range(100)]
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 100 * (len(bodies[0]) + 200)
