"""Metrics: documented as they are, told only while fresh, counted only once committed."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from yarl import URL

from libs.common.broadcasts import counters
from libs.common.messaging import consumer
from libs.common.observability.collectors import POOLS, ExpiringGauges, GaugeSpec
from services.api.webhooks import routes
from services.sender import outcomes
from tests.support import metrics

DOCUMENT = Path(__file__).parents[4] / "docs/metrics.md"
ROW = re.compile(r"^\| `(?P<name>broadsheet_\w+)` \| (?P<rest>.*) \|$", re.MULTILINE)


def documented() -> dict[str, list[str]]:
    return {row["name"]: row["rest"].split(" | ") for row in ROW.finditer(DOCUMENT.read_text())}


def test_the_documentation_names_each_metric_with_its_type_labels_and_meaning() -> None:
    written = {
        name: (type_, tuple(re.findall(r"`(\w+)`", labels)), meaning)
        for name, (type_, labels, _unit, _over, meaning) in documented().items()
    }
    assert written == {item.name: (item.type, item.labels, item.help) for item in metrics.known()}


def test_each_metric_says_its_unit_and_how_to_add_it_up() -> None:
    measured = {item.name for item in metrics._gauges()}
    for name, (_type, _labels, unit, over, _meaning) in documented().items():
        assert unit, name
        assert ("seconds" in name) == unit.startswith("seconds"), name
        assert over == "max" if name in measured else over in ("sum", "each", "count by"), name


def test_each_metric_is_really_registered() -> None:
    POOLS.register()  # as the first engine does
    of_a_planner = {item.name for item in metrics._gauges()}  # which tells them once they were measured
    lazily = {"broadsheet_http_requests_in_progress"}
    for item in metrics.known():
        bare = item.name.removesuffix("_total").removesuffix("_info")
        assert item.name in of_a_planner | lazily or bare in metrics.exposed(), item.name


@pytest.fixture
def measured() -> Iterator[ExpiringGauges]:
    gauges = ExpiringGauges(t_one=GaugeSpec(text="One value"), t_some=GaugeSpec(text="Some", label="state"))
    gauges.register()
    yield gauges
    REGISTRY.unregister(gauges)


def test_a_gauge_is_told_while_it_is_fresh_and_left_out_when_it_is_not(measured: ExpiringGauges) -> None:
    assert REGISTRY.get_sample_value("t_one") is None
    measured.set(keep=60, t_one=3.0, t_some={"a": 1.0, "b": 2.0})
    assert REGISTRY.get_sample_value("t_one") == 3.0
    assert REGISTRY.get_sample_value("t_some", {"state": "b"}) == 2.0
    measured.set(keep=-1, t_one=4.0)
    assert REGISTRY.get_sample_value("t_one") is None
    assert REGISTRY.get_sample_value("t_some", {"state": "a"}) == 1.0


def test_values_of_a_label_that_are_gone_are_told_no_longer(measured: ExpiringGauges) -> None:
    measured.set(keep=60, t_some={"a": 1.0})
    measured.set(keep=60, t_some={"b": 1.0})
    assert REGISTRY.get_sample_value("t_some", {"state": "a"}) is None


def test_what_may_not_happen_for_months_is_told_from_the_start() -> None:
    counters.begin_at_zero()
    outcomes.begin_at_zero()
    routes.begin_at_zero()
    nothing: Any = None
    consumer.create_broker(URL("amqp://nobody/"), nothing, nothing, (), prefetch=1, graceful_timeout=1.0)
    for name, labels in (
        ("broadsheet_events_total", {"type": "BroadcastMissed"}),
        ("broadsheet_dead_letters_total", {"type": "unreadable"}),
        ("broadsheet_messages_total", {"outcome": "unknown"}),
        ("broadsheet_webhooks_total", {"source": "missive", "result": "refused"}),
    ):
        assert REGISTRY.get_sample_value(name, labels) is not None, name


def test_the_pool_tells_who_waits_and_what_could_not_be_had() -> None:
    POOLS.register()
    prefix = "broadsheet_database_pool"
    names = (f"{prefix}_waiting", f"{prefix}_requests_total", f"{prefix}_failures_total")

    def told() -> list[float]:
        return [REGISTRY.get_sample_value(name) or 0.0 for name in names]

    before = told()
    with POOLS.waiting():
        POOLS.failed()
        assert [after - each for each, after in zip(before, told(), strict=True)] == [1, 1, 1]
    assert [after - each for each, after in zip(before, told(), strict=True)] == [0, 1, 1]
