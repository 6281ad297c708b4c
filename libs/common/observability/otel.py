"""The one place that knows OpenTelemetry.

It is imported only where traces are collected (`libs.common.observability.tracing`).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Unpack

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from libs.common.observability.spans import HEADER, NAMES, Attributes, Kind, Span

DISTRIBUTION = "broadsheet"
SHUTDOWN_PATIENCE = 3.0  # seconds that the end of a process waits for a collector that does not answer

_propagator = TraceContextTextMapPropagator()


def exporting(service: str) -> "OpenTelemetry":
    """Trace this process and hand its spans to the collector that the environment names, over OTLP/HTTP.

    Endpoint, headers, sampler and limits are OpenTelemetry's own variables, read by its SDK:
    https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
    """
    resource = Resource.create(
        {"service.namespace": DISTRIBUTION, "service.name": service, "service.version": version(DISTRIBUTION)}
    )
    # An end of ours, below, which does not wait for as long as the SDK's.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OpenTelemetry(provider)


class OpenTelemetry:
    """Spans by OpenTelemetry's SDK; a `libs.common.observability.spans.Tracer`."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(DISTRIBUTION, version(DISTRIBUTION))

    @contextmanager
    def span(
        self, name: str, kind: Kind, parent: str | None, links: tuple[str | None, ...], attributes: Attributes
    ) -> Iterator[Span]:
        """Time a block. Of what it raises only the type is recorded: a message may hold what is personal."""
        span = self._tracer.start_span(
            name,
            context=None if parent is None else _context(parent),
            kind=SpanKind[kind.upper()],
            attributes=_named(attributes),
            links=[Link(found) for link in links if link and (found := _span_context(link)).is_valid],
            record_exception=False,
            set_status_on_exception=False,
        )
        token = attach(trace.set_span_in_context(span))
        try:
            yield _Open(span)
        except BaseException as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR))
            raise
        finally:
            detach(token)
            span.end()

    def current(self) -> str | None:
        """Return the `traceparent` of the work under way."""
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        return carrier.get(HEADER)

    def shutdown(self) -> None:
        """Hand over what remains. The SDK retries for longer than the end of a process may take."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(SHUTDOWN_PATIENCE)


class _Open:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def set(self, **attributes: Unpack[Attributes]) -> None:
        """Add attributes."""
        self._span.set_attributes(_named(attributes))


def _named(attributes: Attributes) -> dict[str, str | int | float]:
    return {NAMES[name]: value for name, value in attributes.items() if isinstance(value, str | int | float)}


def _context(traceparent: str) -> Context:
    """Read a `traceparent`; one that cannot be read begins a new trace."""
    return _propagator.extract({HEADER: traceparent}, context=Context())


def _span_context(traceparent: str) -> trace.SpanContext:
    return trace.get_current_span(_context(traceparent)).get_span_context()
