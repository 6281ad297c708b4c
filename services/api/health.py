"""Whether the API lives, whether it can work, and what it has been doing. Open to all, and told to nobody else."""

from litestar import get
from litestar.di import NamedDependency
from litestar.plugins.prometheus import PrometheusController
from psycopg import OperationalError
from psycopg.errors import UndefinedTable
from psycopg_pool import PoolTimeout

from libs.common import database
from services.api.auth import PUBLIC
from services.api.context import Context
from services.api.problems import NotReady


@get("/health/live", opt=PUBLIC, status_code=204)
async def live() -> None:
    """Answer."""


@get("/health/ready", opt=PUBLIC, status_code=204)
async def ready(api: NamedDependency[Context]) -> None:
    """Answer if the database does and its schema is this release's or newer; else 503 with the reason."""
    try:
        await database.ready(api.pool)
    except UndefinedTable as error:
        raise NotReady("the database has no schema: run `broadsheet db upgrade`") from error
    except (OperationalError, PoolTimeout) as error:
        raise NotReady("the database does not answer") from error
    except RuntimeError as error:
        raise NotReady(str(error)) from error


class Metrics(PrometheusController):
    """The metrics, for Prometheus."""

    opt = PUBLIC
    include_in_schema = False


HANDLERS = (live, ready, Metrics)
