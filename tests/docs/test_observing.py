"""The page "Observing": the log lines and the trace that it shows are those of the package."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from publitrac_async import Lead, PublitracClient, RetryPolicy, ServerError
from publitrac_async.opentelemetry import OpenTelemetry
from publitrac_async.sandbox import Fault, Sandbox
from tests.support.snippets import ROOT, snippets

PAGE = ROOT / "docs" / "guides" / "observing.md"


async def test_the_json_formatters_write_the_fields(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = re.search(r'^\{"level": .*?\}$', PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert shown is not None
    expected = json.loads(shown[0])
    sandbox.inject(Fault("status", match="v1.getLead", status=503, times=None))
    namespace: dict[str, object] = {"__name__": "page", "logging": logging}
    async with PublitracClient.from_env(retry=RetryPolicy(base=0)) as publitrac:
        for name in ("JsonFormatter", "structlog"):
            (snippet,) = (each for each in snippets(PAGE) if f"{name}" in each.code)
            await snippet.run(namespace, ROOT)
            capsys.readouterr()
            with pytest.raises(ServerError) as caught:
                await publitrac.v1.get_lead("ada@example.com")
            lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
            record = lines[-1]
            assert {"host", "status", "error", "elapsed"} <= record.keys()
            if name == "JsonFormatter":
                assert record.keys() == expected.keys()
                assert re.sub(r"\d+\.\d+", "0", record["message"]) == re.sub(
                    r"\d+\.\d+", "0", expected["message"]
                )
            assert (record["call_id"], record["attempt"], record["max_attempts"]) == (
                caught.value.call_id,
                4,
                4,
            )
            assert "ada@" not in str(lines)


def lines(spans: tuple[ReadableSpan, ...], parent: int | None, lead: str = "") -> Iterator[str]:
    """The spans below a parent, as the page shows them, without their durations."""
    below = [span for span in spans if (span.parent.span_id if span.parent else None) == parent]
    below.sort(key=lambda span: span.start_time or 0)
    for span in below:
        last = span is below[-1]
        branch = lead + ("" if parent is None else "└─ " if last else "├─ ")
        attributes = dict(span.attributes or {})
        status = attributes.get("http.response.status_code")
        facts = [" ".join(str(part) for part in (status, attributes.get("error.type")) if part)]
        if span.kind is trace.SpanKind.CLIENT:
            facts.append(f"{attributes['publitrac.attempts']} attempts")
        elif (resend := attributes.get("http.request.resend_count")) is not None:
            facts.append(f"resend {resend}")
        yield f"{branch}{span.name} {span.kind.name} 0 ms {', '.join(filter(None, facts))}".rstrip()
        yield from lines(
            spans, span.context.span_id, lead + ("" if parent is None else "   " if last else "│  ")
        )


async def test_the_trace_is_the_one_that_the_package_makes(sandbox: Sandbox) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    sandbox.inject(Fault("status", match="delayedSync", status=503))
    async with PublitracClient.from_env(
        hooks=[OpenTelemetry(tracer_provider=provider)], retry=RetryPolicy(base=0)
    ) as publitrac:
        with provider.get_tracer("service").start_as_current_span("POST /leads", kind=trace.SpanKind.SERVER):
            await publitrac.v2.delayed_sync(Lead(email="ada@example.com"))
    drawn = "\n".join(lines(exporter.get_finished_spans(), None))
    shown = re.search(r"```text\n(POST /leads.*?)\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    assert re.sub(r" +", " ", re.sub(r"\d+ ms", "0 ms", shown[1])) == re.sub(r" +", " ", drawn)
