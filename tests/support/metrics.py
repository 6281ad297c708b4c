"""Every metric of Broadsheet's, as the code registers it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from litestar.plugins.prometheus.middleware import PrometheusMiddleware
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from libs.common.observability import collectors, telemetry
from services.api import app
from services.api.webhooks import routes
from services.planner import gauges

MODULES = (app, routes, gauges, telemetry, collectors)
#: What Prometheus adds to a metric's name.
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",), "info": ("_info",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A metric."""

    #: As documented and queried, with `_total` or `_info`; a histogram without `_bucket`.
    name: str
    type: str
    labels: tuple[str, ...]
    help: str

    @property
    def series(self) -> tuple[str, ...]:
        """The names that queries may use."""
        return tuple(self.name + suffix for suffix in SUFFIXES[self.type]) if self.type == "histogram" else (self.name,)


def known() -> list[Known]:
    """Return all metrics that begin with `broadsheet_`, by name."""
    middleware = PrometheusMiddleware(cast("Any", None), app.METRICS)
    labels: dict[str, str | int | float] = {"method": "", "path": "", "status_code": 0, "app_name": ""}
    http: list[Any] = [
        middleware.request_count(labels),
        middleware.request_time(labels),
        middleware.requests_error_count(labels),
    ]
    http.append(middleware.requests_in_progress({key: labels[key] for key in labels}))
    wrapped = {*http, *(value for value in vars(telemetry).values() if isinstance(value, MetricWrapperBase))}
    found = [*_wrapped(wrapped), *_gauges(), *_pools()]
    return sorted(found, key=lambda item: item.name)


def _wrapped(wrapped: set[MetricWrapperBase]) -> Iterator[Known]:
    for metric in wrapped:
        [family] = metric.describe()
        suffix = SUFFIXES[family.type][0] if family.type in ("counter", "info") else ""
        labels = ("version", "release", "python") if family.type == "info" else tuple(metric._labelnames)
        yield Known(name=family.name + suffix, type=family.type, labels=labels, help=family.documentation)


def _gauges() -> Iterator[Known]:
    for name, meaning in gauges.GAUGES._gauges.items():
        labels = (meaning.label,) if meaning.label else ()
        yield Known(name=name, type="gauge", labels=labels, help=meaning.text)


def _pools() -> Iterator[Known]:
    for family in collectors.POOLS.describe():
        suffix = "_total" if family.type == "counter" else ""
        labels = tuple(family._labelnames)
        yield Known(name=family.name + suffix, type=family.type, labels=labels, help=family.documentation)


def exposed() -> set[str]:
    """Return the names of what this process tells now."""
    return {family.name for family in REGISTRY.collect()}
