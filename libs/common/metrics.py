"""Metrics that are read from something when Prometheus asks: what was measured lately, and the pools of connections."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector
from psycopg_pool import AsyncConnectionPool


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a gauge says."""

    text: str
    #: The label that tells its values apart; None where there is one value.
    label: str | None = None


#: A gauge's value, or one for each value of its label.
Value = float | Mapping[str, float]


class Measured(Collector):
    """Gauges of what is measured now and then: told while fresh, left out when not.

    A process that cannot measure any more would otherwise go on telling what it saw last.
    """

    def __init__(self, **gauges: Meaning) -> None:
        self._gauges = gauges
        self._values: dict[str, tuple[Value, float]] = {}
        REGISTRY.register(self)

    def set(self, *, keep: float, **values: Value) -> None:
        """Tell `values` for the next `keep` seconds. Raises KeyError for a gauge that was not named before."""
        until = time.monotonic() + keep
        for name, value in values.items():
            assert (self._gauges[name].label is not None) is isinstance(value, Mapping), name
            self._values[name] = (value, until)

    def collect(self) -> Iterator[Metric]:
        """Give what is fresh."""
        for name, family in zip(self._gauges, self.describe(), strict=True):
            value, until = self._values.get(name, (0.0, float("-inf")))
            if time.monotonic() > until:
                continue
            if isinstance(value, Mapping):
                for key, single in value.items():
                    family.add_metric([key], single)
            else:
                family.add_metric([], value)
            yield family

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Give the gauges without values."""
        for name, meaning in self._gauges.items():
            yield GaugeMetricFamily(name, meaning.text, labels=[meaning.label] if meaning.label else [])


class Pools(Collector):
    """How the connections of this process to the database are used."""

    def __init__(self) -> None:
        self._pools: WeakSet[AsyncConnectionPool[Any]] = WeakSet()
        REGISTRY.register(self)

    def add(self, pool: AsyncConnectionPool[Any]) -> None:
        """Tell of a pool for as long as it exists."""
        self._pools.add(pool)

    def collect(self) -> Iterator[Metric]:
        """Read the pools' own counts (https://www.psycopg.org/psycopg3/docs/advanced/pool.html#pool-stats)."""
        stats = [pool.get_stats() for pool in self._pools if not pool.closed]

        def total(name: str) -> float:
            return float(sum(each.get(name, 0) for each in stats))

        connections, waiting, requests, failures = self.describe()
        connections.add_metric(["used"], total("pool_size") - total("pool_available"))
        connections.add_metric(["free"], total("pool_available"))
        connections.add_metric(["most"], total("pool_max"))
        waiting.add_metric([], total("requests_waiting"))
        requests.add_metric([], total("requests_num"))
        failures.add_metric([], total("requests_errors") + total("connections_errors"))
        yield from (connections, waiting, requests, failures)

    def describe(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Give the metrics without values."""
        prefix = "broadsheet_database_pool"
        yield GaugeMetricFamily(
            f"{prefix}_connections", "Connections that are used, free, and the most there may be", labels=["state"]
        )
        yield GaugeMetricFamily(f"{prefix}_waiting", "Tasks that wait for a connection")
        yield CounterMetricFamily(f"{prefix}_requests", "Times that a connection was asked for")
        yield CounterMetricFamily(f"{prefix}_failures", "Connections that could not be had or made in time")


POOLS = Pools()
