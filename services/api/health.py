"""Liveness, readiness and metrics of the API. They need no key, and hold nothing personal."""

import os

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.plugins.prometheus import PrometheusController
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    REGISTRY,
    CollectorRegistry,
    generate_latest,
    multiprocess,
)

from libs.common import database
from libs.common.observability import telemetry
from libs.common.observability.collectors import POOLS
from services.api.context import Context
from services.api.http.auth import PUBLIC
from services.api.http.errors import NotReady
from services.api.workers import COUNTS


@get("/health/live", opt=PUBLIC, status_code=204)
async def live() -> None:
    """Answer."""


@get("/health/ready", opt=PUBLIC, status_code=204)
async def ready(api: NamedDependency[Context]) -> None:
    """Answer if the database does and its schema is this release's or newer; else 503 with the reason.

    An API whose connections are all in use is busy, and ready: what it is asked for waits, and is done.
    """
    try:
        await api.probe.ready()
    except database.SchemaMissing as error:
        raise NotReady("the database has no schema: run `broadsheet db upgrade`") from error
    except database.TRANSIENT as error:
        raise NotReady("the database does not answer") from error
    except RuntimeError as error:
        raise NotReady(str(error)) from error


class Metrics(PrometheusController):
    """The metrics, for Prometheus."""

    opt = PUBLIC
    include_in_schema = False

    @get()
    async def get(self) -> Response[bytes]:
        """Return the metrics; of several processes behind one port, what all have counted, and what this one is."""
        registry = REGISTRY
        if COUNTS in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            for own in (POOLS, telemetry.BUILD, PROCESS_COLLECTOR, PLATFORM_COLLECTOR):
                registry.register(own)
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


HANDLERS = (live, ready, Metrics)
