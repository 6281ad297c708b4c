"""Traces: nothing at all where nobody collects them, and nothing that is not named."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from libs.common import tracing
from tests.support.spans import kept

ROOT = Path(__file__).parents[3]
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    with kept() as exporter:
        yield exporter


def imported(**environment: str) -> str:
    code = (
        "import sys; from services.sender import app; from libs.common import tracing; tracing.configure('sender');"
        "print(tracing.on(), 'opentelemetry.sdk' in sys.modules)"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=plain | environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_without_a_collector_opentelemetrys_sdk_is_not_even_imported() -> None:
    assert imported() == "False False"
    assert imported(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_SDK_DISABLED="true") == "False False"


def test_the_standard_variable_turns_traces_on() -> None:
    assert imported(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") == "True True"


def test_off_every_span_is_the_same_object() -> None:
    assert tracing.span("one", text_id=1) is tracing.span("two")
    assert tracing.current() is None


def test_a_span_follows_from_the_parent_it_is_given(spans: InMemorySpanExporter) -> None:
    with tracing.span("outer", parent=PARENT), tracing.span("inner"):
        inner = tracing.current()
    assert inner is not None
    assert inner.split("-")[1] == PARENT.split("-")[1]
    inside, outside = spans.get_finished_spans()
    assert outside.parent is not None
    assert f"{outside.parent.span_id:x}" == PARENT.split("-")[2]
    assert inside.parent == outside.context


@pytest.mark.parametrize("given", ["", "nonsense", "00-zz-yy-01", PARENT + "\n" + PARENT, "00" * 40])
def test_a_parent_that_cannot_be_read_begins_a_new_trace(spans: InMemorySpanExporter, given: str) -> None:
    with tracing.span("one", parent=given, links=(given, None)):
        pass
    [span] = spans.get_finished_spans()
    assert span.parent is None
    assert not span.links


def test_an_error_is_told_by_its_type_alone(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="313"), tracing.span("one", text_id=7):
        raise ValueError("+13135550100 is Zoë's")
    [span] = spans.get_finished_spans()
    assert dict(span.attributes or {}) == {"broadsheet.text_id": 7, "error.type": "ValueError"}
    assert not span.status.is_ok
    assert span.status.description is None
    assert not span.events


def test_each_attribute_is_documented() -> None:
    documented = set(re.findall(r"`([a-z_]+\.[a-z_.]+)`", (ROOT / "docs/tracing.md").read_text()))
    assert set(tracing.NAMES.values()) <= documented
    assert set(tracing.NAMES) == set(tracing.Attributes.__annotations__)
