"""Traces of this process, kept in memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from libs.common.observability import otel, tracing


@contextmanager
def kept() -> Iterator[InMemorySpanExporter]:
    """Trace for the time of the block."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.install(otel.OpenTelemetry(provider))
    try:
        yield exporter
    finally:
        tracing.install(None)


def one(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    """Return the only span of a name."""
    [span] = [span for span in exporter.get_finished_spans() if span.name == name]
    return span


def trace_of(what: ReadableSpan | str | None) -> str:
    """Return the id of a span's trace, or of a `traceparent`'s."""
    if isinstance(what, ReadableSpan):
        assert what.context is not None
        return f"{what.context.trace_id:032x}"
    assert what is not None
    return what.split("-")[1]


def id_of(what: ReadableSpan | str) -> str:
    """Return the id of a span, or of the one that a `traceparent` names."""
    if isinstance(what, ReadableSpan):
        assert what.context is not None
        return f"{what.context.span_id:016x}"
    return what.split("-")[2]
