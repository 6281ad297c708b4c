"""Metrics that are read from something when Prometheus asks: what was measured lately, and the pools of connections."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakSet

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector
from sqlalchemy import QueuePool


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugeSpec:
    """What a gauge says."""

    text: str
    #: The label that tells its values apart; None where there is one value.
    label: str | None = None


class _Registered(Collector):
    """A collector that a process exposes once it was registered, not because its module was imported."""

    def __init__(self) -> None:
        self._is_registered = False

    def register(self) -> None:
        """Have this process expose these metrics from now on. It may be called again."""
        if not self._is_registered:
            self._is_registered = True
            REGISTRY.register(self)


#: A gauge's value, or one for each value of its label.
Value = float | Mapping[str, float]


class ExpiringGauges(_Registered):
    """Gauges of what is measured now and then: exposed while fresh, left out when not.

    A process that cannot measure any more would otherwise go on telling what it saw last.
    """

    def __init__(self, **gauges: GaugeSpec) -> None:
        super().__init__()
        self._gauges = gauges
        self._values: dict[str, tuple[Value, float]] = {}

    def set(self, *, keep: float, **values: Value) -> None:
        """Report `values` for the next `keep` seconds. Raise KeyError for a gauge that was not named before."""
        until = time.monotonic() + keep
        for name, value in values.items():
            assert (self._gauges[name].label is not None) is isinstance(value, Mapping), name
            self._values[name] = (value, until)

    def collect(self) -> Iterator[Metric]:
        """Yield what is fresh."""
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
        """Yield the gauges without values."""
        for name, meaning in self._gauges.items():
            yield GaugeMetricFamily(name, meaning.text, labels=[meaning.label] if meaning.label else [])


class Pools(_Registered):
    """How the connections of this process to the database are used."""

    def __init__(self) -> None:
        super().__init__()
        self._pools: WeakSet[QueuePool] = WeakSet()
        self._requests = 0
        self._failures = 0
        self._waiting = 0

    def add(self, pool: QueuePool) -> None:
        """Report a pool's figures for as long as it exists."""
        self.register()
        self._pools.add(pool)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count who asks for a connection, and waits for it until the block ends."""
        self._requests += 1
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def failed(self) -> None:
        """Count that a connection could not be had or made."""
        self._failures += 1

    def collect(self) -> Iterator[Metric]:
        """Read the pools' own counts."""
        used = sum(pool.checkedout() for pool in self._pools)
        connections, waiting, requests, failures = self.describe()
        connections.add_metric(["used"], used)
        connections.add_metric(["free"], sum(pool.checkedin() for pool in self._pools))
        connections.add_metric(["most"], sum(pool.size() for pool in self._pools))
        waiting.add_metric([], self._waiting)
        requests.add_metric([], self._requests)
        failures.add_metric([], self._failures)
        yield from (connections, waiting, requests, failures)

    def describe(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Yield the metrics without values."""
        prefix = "broadsheet_database_pool"
        yield GaugeMetricFamily(
            f"{prefix}_connections", "Connections that are used, free, and the most there may be", labels=["state"]
        )
        yield GaugeMetricFamily(f"{prefix}_waiting", "Tasks that wait for a connection")
        yield CounterMetricFamily(f"{prefix}_requests", "Times that a connection was asked for")
        yield CounterMetricFamily(f"{prefix}_failures", "Connections that could not be had or made in time")


POOLS = Pools()
