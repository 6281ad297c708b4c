"""Settings from the environment (prefix `BROADSHEET_`) and `.env`, checked once at start.

Each service takes the base or adds to it. A value that cannot be read stops the process with one line that names the
variable; secrets may come from files (`BROADSHEET_…_FILE`), as container engines hand them out. What needs the calendar
of holidays, which takes a while to load, is imported from its own module: `api`, `planner`, `calendar`.
"""

from libs.common.settings.base import Settings
from libs.common.settings.carriers import CarrierSettings
from libs.common.settings.checks import NO_AMQP_URL, NO_POSTGRES_URL, amqp_url, http_url, is_loopback, postgres_url
from libs.common.settings.fields import Form, Unit
from libs.common.settings.names import DEVELOPMENT_ONLY, PREFIX
from libs.common.settings.sources import from_file, load
from libs.common.settings.workers import BATCHES_IN_FLIGHT, WorkerSettings

__all__ = [
    "BATCHES_IN_FLIGHT",
    "DEVELOPMENT_ONLY",
    "NO_AMQP_URL",
    "NO_POSTGRES_URL",
    "PREFIX",
    "CarrierSettings",
    "Form",
    "Settings",
    "Unit",
    "WorkerSettings",
    "amqp_url",
    "from_file",
    "http_url",
    "is_loopback",
    "load",
    "postgres_url",
]
