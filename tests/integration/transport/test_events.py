"""Events and spans agree with results of calls: the service fails, callers cancel, the client closes."""

from __future__ import annotations

import asyncio
from collections import Counter

from publitrac_async import CallEnded, CallEvent, CallOutcome, CallStarted, Lead, RetryPolicy, Timeout
from publitrac_async.sandbox import Fault, Sandbox
from tests.support.clients import client
from tests.support.telemetry import Recorder


async def test_every_call_that_callers_made_ends_once() -> None:
    events: list[CallEvent] = []
    recorder = Recorder()
    async with Sandbox(processing_delay=0) as sandbox:
        sandbox.inject(Fault("status", match="v2", status=503, probability=0.3, seed=1, times=None))
        sandbox.inject(Fault("drop", match="v2.delayedSync", probability=0.2, seed=2, times=None))
        publitrac = client(
            sandbox.base_url,
            api_key=sandbox.api_key,
            username=sandbox.username,
            password=sandbox.password,
            rate_limit=35,
            retry=RetryPolicy(base=0, attempts=2),
            timeout=Timeout(queue=1, total=5),
            hooks=[events.append, recorder.hook()],
        )
        calls = [
            asyncio.create_task(publitrac.v2.delayed_sync(Lead(email=f"lead{number}@example.com")))
            for number in range(120)
        ]
        calls += [asyncio.create_task(publitrac.v2.delayed_sync(Lead())) for _ in range(3)]
        await asyncio.sleep(0.2)
        for task in calls[10:120:7]:
            task.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        await publitrac.aclose()
        late = await asyncio.gather(
            publitrac.v2.delayed_sync(Lead(email="late@example.com")), return_exceptions=True
        )
    seen = Counter(
        type(result).__name__ if isinstance(result, BaseException) else None for result in results + late
    )
    told = [event for event in events if isinstance(event, CallEnded)]
    assert Counter(event.error for event in told) == seen
    assert {"ValidationError", "CancelledError", "QueueTimeout", "ClientStateError", None} <= seen.keys()
    started = [event.call_id for event in events if isinstance(event, CallStarted)]
    assert sorted(started) == sorted(event.call_id for event in told)
    assert len(set(started)) == len(started) == 124
    assert sum(event.outcome is CallOutcome.CANCELLED for event in told) == seen["CancelledError"]
    assert publitrac.queued == publitrac.in_flight == 0
    assert Counter((span.attributes or {}).get("error.type") for span in recorder.calls()) == seen
    assert recorder.total("publitrac.call.queued") == recorder.total("publitrac.call.in_flight") == 0
    arrived = sandbox.journal.count(method="delayedSync")
    sent = [span for span in recorder.spans if span.name.endswith("delayedSync") and span.events]
    attempts = [span for span in sent if "request sent" in {event.name for event in span.events}]
    assert len(attempts) >= arrived
    for event in told:
        waits = event.queue_wait + event.token_wait + event.connection_wait + event.limiter_wait
        assert waits + event.response_time + event.retry_wait <= event.elapsed + 0.01
