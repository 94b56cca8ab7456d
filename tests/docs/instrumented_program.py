"""A program with the usual auto-instrumentation. Prints all records of its calls as text."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys

import aiohttp
import httpx
import sentry_sdk
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from publitrac_async import Lead, LeadNotFound, PublitracClient

#: The output, for the test that runs this program.
write = sys.stdout.write

envelopes: list[bytes] = []


class Recorder(Transport):
    def capture_envelope(self, envelope: Envelope) -> None:
        envelopes.append(envelope.serialize())


async def main(email: str) -> None:
    # Calls without the package, to show that all recorders work.
    async with aiohttp.ClientSession() as session, httpx.AsyncClient() as client:
        await session.get(f"{os.environ['PUBLITRAC_BASE_URL']}/_sandbox/clock?by=aiohttp")
        await client.get(f"{os.environ['PUBLITRAC_BASE_URL']}/_sandbox/clock?by=httpx")
    async with PublitracClient.from_env() as publitrac:
        await publitrac.v2.delayed_sync(Lead(email=email, first_name="Ada"))
        await publitrac.v1.sync_lead(Lead(email=email, first_name="Ada"))
        await publitrac.v1.get_lead(email)
        try:
            await publitrac.v1.get_lead(f"no.{email}")
        except LeadNotFound as error:
            sentry_sdk.capture_exception(error)


exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
AioHttpClientInstrumentor().instrument(tracer_provider=provider)
HTTPXClientInstrumentor().instrument(tracer_provider=provider)
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
sentry_sdk.init(
    dsn="https://key@sentry.invalid/1",
    transport=Recorder,
    traces_sample_rate=1.0,
    include_local_variables=False,
)
with sentry_sdk.start_transaction(name="program"):
    # The only argument is the address, which the frames of this program know.
    asyncio.run(main(sys.stdin.read()))
sentry_sdk.flush()
for span in exporter.get_finished_spans():
    write(f"SPAN {span.to_json(indent=None)}\n")
write(json.dumps([envelope.decode() for envelope in envelopes]))
