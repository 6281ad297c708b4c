"""Makes docs/settings.md from the code: `python -m libs.console.settings_page --write`, or without it, to look."""

import ast
import inspect
import sys
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from libs.common.settings import PREFIX, CarrierSettings, Form, Settings, Unit, WorkerSettings
from libs.common.settings.api import ApiSettings
from libs.common.settings.calendar import CalendarSettings
from libs.common.settings.planner import PlannerSettings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"

#: Which services read what a class adds.
READ_BY: dict[type[Settings], tuple[str, ...]] = {
    Settings: ("api", "planner", "sender", "twilio_sync"),
    CalendarSettings: ("api", "planner"),
    ApiSettings: ("api",),
    WorkerSettings: ("planner", "sender", "twilio_sync"),
    PlannerSettings: ("planner",),
    CarrierSettings: ("sender", "twilio_sync"),
}
EVERYBODY = READ_BY[Settings]

#: What is read by others than services: the name, who reads it, and what it is.
OTHERS = (
    ("API_URL", "commands", "Where commands reach the API, if not that which `broadsheet up` runs in this folder."),
    ("API_KEYS", "commands", "The key that they show it: the first one."),
    (
        "MIGRATION_URL",
        "`broadsheet db`",
        "PostgreSQL with the role that owns the tables; `BROADSHEET_DATABASE_URL` if there is none.",
    ),
    ("RELEASE", "all", "What the release calls itself in metrics; the package's version if there is none."),
)
#: What `docker compose` reads, from the environment or `.env`; never by a service.
CONTAINERS = (
    ("BROADSHEET_DEPLOYMENT", "deploy/simulated", "The folder of settings and secrets."),
    ("BROADSHEET_API_PUBLISHED", "127.0.0.1:8000", "Where the API is published."),
    ("BROADSHEET_BROKER_PUBLISHED", "127.0.0.1:15672", "Where the broker's pages are published."),
    ("BROADSHEET_IMAGE", "broadsheet", "The tag of our image."),
    ("BROADSHEET_BACKUPS", "the volume `backups`", "Where base backups and the archive are."),
    ("BROADSHEET_PROMETHEUS_PUBLISHED", "127.0.0.1:9090", "Where Prometheus is published."),
    ("BROADSHEET_GRAFANA_PUBLISHED", "127.0.0.1:3000", "Where Grafana is published."),
    ("BROADSHEET_ALERTMANAGER_PUBLISHED", "127.0.0.1:9093", "Where Alertmanager is published."),
    ("BROADSHEET_ALERTMANAGER", "deploy/prometheus/alertmanager.yml", "Alertmanager's configuration."),
    ("POSTGRES_IMAGE", "postgres:17", "PostgreSQL's image."),
    ("RABBITMQ_PLUGIN_IMAGE", "rabbitmq:4.2-management", "The broker's image that the plugin is added to."),
    ("RABBITMQ_IMAGE", "", "Another broker than 4.2 with the delayed-message plugin, such as `rabbitmq:4-management`."),
    ("PYTHON_IMAGE", "python:3.13-slim", "The image that ours is built from."),
    ("PROMETHEUS_IMAGE", "prom/prometheus:v3.7.3", "Prometheus's image."),
    ("ALERTMANAGER_IMAGE", "prom/alertmanager:v0.28.1", "Alertmanager's image."),
    ("GRAFANA_IMAGE", "grafana/grafana:12.2.1", "Grafana's image."),
)

HEAD = """\
# Settings

<!-- Made from the code by `make settings`; a test sees that it is current. -->

Every setting is an environment variable. It may stand in the file `.env` of the folder where a service is started, too;
the environment comes first. A variable with `_FILE` after its name holds the path of a file with the value, as engines
of containers hand secrets out, and comes before both. A value that cannot be read ends a service at its start, with one
line that names the variable and never shows the value. `broadsheet doctor` checks all of them.

"Needed" has no default. A secret is shown by nothing that prints settings.
"""


@dataclass(slots=True)
class Entry:
    """What the page tells of a setting."""

    name: str
    known: FieldInfo
    services: list[str] = field(default_factory=list)
    #: What it is, each said once: two services may use it for two things.
    words: list[str] = field(default_factory=list)


def entries() -> list[Entry]:
    """Return every setting of the services, in the order of the code."""
    found: dict[str, Entry] = {}
    for cls, services in READ_BY.items():
        inherited = {name for base in cls.__mro__[1:] for name in getattr(base, "model_fields", ())}
        said = docstrings(cls)
        for name, known in cls.model_fields.items():
            if name in inherited:
                continue
            entry = found.setdefault(name, Entry(name=name, known=known))
            entry.services += [service for service in services if service not in entry.services]
            if (words := said.get(name, "")) and words not in entry.words:
                entry.words.append(words)
    return list(found.values())


def docstrings(cls: type[Settings]) -> dict[str, str]:
    """Return what stands under each setting that the class itself has, in one line.

    pydantic would read it too, each time that a service starts, and take a tenth of the start for it.
    """
    body = cast("ast.ClassDef", ast.parse(inspect.getsource(cls)).body[0]).body
    return {
        field.target.id: " ".join(below.value.value.split())
        for field, below in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def form(known: FieldInfo) -> str:
    """Return what a value looks like, in words."""
    annotation: Any = known.annotation
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is tuple:
        secret = "SecretStr" in repr(get_args(annotation))
        return "secrets, comma-separated" if secret else "words, comma-separated"
    for item in known.metadata:
        if isinstance(item, Form):
            return item.name
    words = {SecretStr: "secret", str: "text", int: "whole number", float: "number", bool: "yes or no"}[annotation]
    return words + _limits(known)


def _limits(known: FieldInfo) -> str:
    said = []
    for limit in known.metadata:
        match limit:
            case Ge(ge=bound):
                said.append(f"from {bound:,}")
            case Gt(gt=bound):
                said.append(f"above {bound:,}")
            case Le(le=bound):
                said.append(f"up to {bound:,}")
            case Lt(lt=bound):
                said.append(f"below {bound:,}")
            case MinLen(min_length=bound):
                said.append(f"{bound} characters or more")
            case _:
                pass
    return f", {' '.join(said)}" if said else ""


def default(known: FieldInfo) -> str:
    """Return what holds if nothing is said."""
    if known.is_required():
        return "needed"
    value = known.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if str(value) else "none"


def unit(known: FieldInfo) -> str:
    """Return what a value is counted in; empty if in nothing."""
    return next((item.name for item in known.metadata if isinstance(item, Unit)), "")


def page() -> str:
    """Return the page."""
    lines = [
        HEAD,
        "| setting | form | default | unit | read by | what it does |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for entry in entries():
        services = "every service" if set(entry.services) == set(EVERYBODY) else ", ".join(entry.services)
        cells = (
            f"`{PREFIX}{entry.name.upper()}`", form(entry.known), default(entry.known), unit(entry.known), services,
            " ".join(entry.words),
        )  # fmt: skip
        lines.append(_row(cells))
    lines += ["", "## Read by others", "", "| setting | read by | what it does |", "| --- | --- | --- |"]
    lines += [_row((f"`{PREFIX}{name}`", readers, words)) for name, readers, words in OTHERS]
    lines += [
        "",
        "`OTEL_EXPORTER_OTLP_ENDPOINT` and what else OpenTelemetry reads: [tracing](tracing.md).",
        "",
        "## Read by `docker compose`",
        "",
        "How they are used: [containers](containers.md), [PostgreSQL](postgresql.md), [operate](operate.md).",
        "",
        "| variable | default | what it does |",
        "| --- | --- | --- |",
    ]
    lines += [
        _row((f"`{name}`", value if " " in value else f"`{value}`" if value else "none", words))
        for name, value, words in CONTAINERS
    ]
    return "\n".join(lines) + "\n"


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |".replace("|  |", "| |")


def main(arguments: list[str]) -> int:
    """Write the page, or print it."""
    if arguments == ["--write"]:
        PAGE.write_text(page())
    elif arguments:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    else:
        sys.stdout.write(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
