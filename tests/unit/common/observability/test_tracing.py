"""Traces: nothing at all where nobody collects them, and nothing that is not named."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from libs.common.observability import tracing
from libs.common.observability.spans import NAMES, Attributes
from tests.support.spans import kept

ROOT = Path(__file__).parents[4]
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    with kept() as exporter:
        yield exporter


def test_off_every_span_is_the_same_object() -> None:
    assert tracing.span("one", outgoing_message_id=1) is tracing.span("two")
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
    with pytest.raises(ValueError, match="313"), tracing.span("one", outgoing_message_id=7):
        raise ValueError("+13135550100 is Zoë's")
    [span] = spans.get_finished_spans()
    assert dict(span.attributes or {}) == {"broadsheet.outgoing_message_id": 7, "error.type": "ValueError"}
    assert not span.status.is_ok
    assert span.status.description is None
    assert not span.events


def test_each_attribute_is_documented() -> None:
    documented = set(re.findall(r"`([a-z_]+\.[a-z_.]+)`", (ROOT / "docs/tracing.md").read_text()))
    assert set(NAMES.values()) <= documented
    assert set(NAMES) == set(Attributes.__annotations__)
