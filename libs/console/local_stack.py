"""What runs in this folder, and the settings that commands work with.

`broadsheet up` writes down where its services are and with which settings they run. Every command that finds no server
named in its own environment takes all of those settings, so that it looks at what runs and at nothing else: a database
of this machine never meets the carrier's account of another installation.
"""

import fcntl
import getpass
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
from dotenv import dotenv_values

from libs.common import settings
from libs.common.domain import actors
from libs.common.domain.actors import Actor
from libs.common.errors import SettingsError
from libs.common.settings import PREFIX, Settings

FOLDER = Path(".broadsheet")
RUN_FILE = FOLDER / "running.json"

#: What tells one installation from another.
SERVERS = ("DATABASE_URL", "AMQP_URL")

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Where what runs can be reached."""

    api_url: str
    api_key: str = field(repr=False)
    database_url: str = field(repr=False)
    amqp_url: str = field(repr=False)
    simulator_url: str | None
    logs: str
    #: The services' settings, without their prefix; there are secrets among them.
    settings: Mapping[str, str] = field(repr=False)

    @property
    def desk_url(self) -> str:
        """Where people reach the desk: over https its cookies are taken at the public address alone."""
        return f"{self.settings.get('PUBLIC_URL', self.api_url).rstrip('/')}/desk"


def somebody() -> Actor:
    """Return the actor that whoever runs the command is, by the machine's word."""
    try:
        return actors.console(getpass.getuser())
    except (KeyError, OSError):  # a user of a container may have no name
        return actors.console("")


def given(name: str) -> str | None:
    """Return a setting as the environment, a file that it names, or `.env` has it; None if none does."""
    for value in (settings.from_file(name), os.environ.get(f"{PREFIX}{name}")):
        if value is not None:
            return value
    return dotenv_values(".env").get(f"{PREFIX}{name}")


def named(name: str) -> str:
    """Return a setting as `given` does; empty if nothing has it."""
    return given(name) or ""


@contextmanager
def record(running: Running) -> Iterator[None]:
    """Write down what runs, for the time of the block; the lock ends with this process, however that ends."""
    FOLDER.mkdir(exist_ok=True)
    RUN_FILE.touch(mode=0o600)
    with RUN_FILE.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate()
        json.dump(asdict(running), file)
        file.flush()
        try:
            yield
        finally:
            RUN_FILE.unlink(missing_ok=True)


def recorded(folder: Path = FOLDER) -> Running | None:
    """Return what `broadsheet up` wrote down in this folder, if it runs, also while its API does not answer."""
    try:
        with (folder / RUN_FILE.name).open() as file:
            running = Running(**json.load(file))
            if not _held(file.fileno()):
                # It was killed, and what it had started may live on.
                httpx.get(f"{running.api_url}/health/live", timeout=2).raise_for_status()
    except (OSError, ValueError, TypeError, httpx.HTTPError):
        return None
    return running


def _held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def running_settings() -> dict[str, str]:
    """Return the settings of what runs here; empty if nothing does, or if the environment names other servers."""
    running = recorded()
    if running is None or any(named(name) not in ("", running.settings[name]) for name in SERVERS):
        return {}
    return dict(running.settings)


def load(cls: type[S]) -> S:
    """Return settings: those of what runs here, else the environment's. Raise SettingsError."""
    found = {name.lower(): value for name, value in running_settings().items()}
    return settings.load(cls, **{name: value for name, value in found.items() if name in cls.model_fields})


def database_url() -> str:
    """Return PostgreSQL's URL: that of what runs here, else the environment's. Raise SettingsError."""
    return _url("DATABASE_URL")


def database_pooler() -> Literal["none", "transaction"]:
    """Return what is between here and `database_url`. Raise SettingsError."""
    pooler = running_settings().get("DATABASE_POOLER") or named("DATABASE_POOLER") or "none"
    if pooler == "none":
        return "none"
    if pooler == "transaction":
        return "transaction"
    raise SettingsError(f"{PREFIX}DATABASE_POOLER is neither none nor transaction")


def migration_url() -> str:
    """Return PostgreSQL's URL for migrations: `MIGRATION_URL`, else as `database_url` does. Raise SettingsError."""
    return _checked("MIGRATION_URL", named("MIGRATION_URL")) if named("MIGRATION_URL") else database_url()


def amqp_url() -> str:
    """Return the broker's URLs: those of what runs here, else the environment's. Raise SettingsError."""
    return _url("AMQP_URL")


def _url(name: str) -> str:
    url = running_settings().get(name) or named(name)
    if not url:
        raise SettingsError(f"{PREFIX}{name} is not set, and `broadsheet up` does not run in this folder")
    return _checked(name, url)


def _checked(name: str, url: str) -> str:
    check = settings.amqp_url if name == "AMQP_URL" else settings.postgres_url
    try:
        return check(url)
    except ValueError as error:  # a driver would repeat it, password and all
        raise SettingsError(f"{PREFIX}{name}: {error}") from None


def place(url: str) -> str:
    """Return which database a URL leads to, without its password."""
    parts = urlsplit(url)
    host = parse_qs(parts.query).get("host", [parts.netloc.rpartition("@")[2]])[0]
    return f"{unquote(parts.path.lstrip('/')) or 'the default database'} on {host or 'this machine'}"
