"""Settings from the environment (prefix `BROADSHEET_`) and `.env`, checked once at start.

Each service takes the base or adds to it. A value that cannot be read stops the process with one line that names the
variable; secrets may come from files (`BROADSHEET_…_FILE`), as container engines hand them out.
"""

import math
import os
from collections.abc import Mapping
from datetime import time
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from libs.common import nodes, workdays
from libs.common.errors import SettingsError

PREFIX = "BROADSHEET_"

#: What every secret of deploy/simulated has in it.
DEVELOPMENT_ONLY = "development-only"

NO_POSTGRES_URL = (
    "not a PostgreSQL URL, such as postgresql://user:password@host/broadsheet "
    "(in a password, % is written %25, / is %2F, @ is %40)"
)

#: Batches of a phase under way at once: while one waits for its last answers, the other uses the pace.
LANES = 2


def e164(number: str) -> str:
    """Give a phone number in E.164; numbers without a country code are read as North American. Raises ValueError."""
    try:
        parsed = phonenumbers.parse(number, "US")
    except phonenumbers.NumberParseException as error:
        raise ValueError("not a phone number") from error
    # Local numbers without an area code are "possible", too, but nobody can be reached by one from elsewhere.
    if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise ValueError("not a phone number")
    plain = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    if not 8 <= len(plain) <= 16:
        raise ValueError("not a phone number")
    return plain


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("not a time zone of the IANA database, such as America/Detroit")
    return name


def _known_calendar(name: str) -> str:
    try:
        workdays.check_calendar(name)
    except NotImplementedError as error:
        raise ValueError("not a holiday calendar, such as US-MI") from error
    return name


def _quiet_hours(text: str) -> str:
    workdays.parse_quiet_hours(text)
    return text


def postgres_url(url: str) -> str:
    """Give the URL back. Raises ValueError, without the URL in it, if no driver could read it."""
    # psycopg parses it where it connects, and puts the value into what it raises then.
    try:
        parts = conninfo_to_dict(url if url.startswith(("postgresql://", "postgres://")) else "no URL")
        ports = [int(port) for port in str(parts.get("port") or "").split(",") if port]
    except (psycopg.Error, ValueError):
        raise ValueError(NO_POSTGRES_URL) from None
    # A password that holds `/` or `@` as it is ends early, and its rest becomes a port, a host or a database.
    if not all(0 < port <= 65_535 for port in ports) or "@" in f"{parts.get('host')}{parts.get('dbname')}":
        raise ValueError(NO_POSTGRES_URL)
    return url


def _http(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("not an http:// or https:// URL")
    return url.rstrip("/")


def amqp_url(url: str) -> str:
    """Give the nodes' URLs back. Raises ValueError if one is none."""
    nodes.addresses(url)
    return url


def _keys(text: Any) -> Any:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if isinstance(text, str) else text


def _windows(text: str) -> str:
    from libs.common.carriers import limits  # which needs these settings

    limits.parse_windows(text)
    return text


HttpUrl = Annotated[str, AfterValidator(_http)]
PhoneNumber = Annotated[str, AfterValidator(e164)]


class Settings(BaseSettings):
    """What every service needs. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True)

    database_url: Annotated[str, AfterValidator(postgres_url)]
    #: The broker's nodes, comma-separated.
    amqp_url: Annotated[str, AfterValidator(amqp_url)]
    timezone: Annotated[str, AfterValidator(_known_zone)] = "America/Detroit"
    holidays: Annotated[str, AfterValidator(_known_calendar)] = "US-MI"
    quiet_hours: Annotated[str, AfterValidator(_quiet_hours)] = "21:00-08:00"
    #: How later steps are delayed: by the broker's plugin, a ladder of queues, or whichever the broker has.
    delays: Literal["auto", "plugin", "ladder"] = "auto"

    carrier: Literal["missive", "twilio"] = "missive"
    #: The number that a broadcast uses if it names none.
    from_number: PhoneNumber
    batch_size: Annotated[int, Field(ge=1, le=1000)] = 50
    batch_seconds: Annotated[float, Field(gt=0, le=600)] = 60.0
    #: Texts a second a sending number.
    send_rate: Annotated[float, Field(gt=0, le=1000)] = 1.0
    #: Seconds from the last first message to the follow-ups, for a broadcast that says nothing of it.
    second_delay: Annotated[int, Field(ge=0, le=86_400)] = 600
    sync_interval: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    sync_page_size: Annotated[int, Field(ge=1, le=1000)] = 100
    sync_deadline: Annotated[float, Field(gt=0, le=31_536_000)] = 86_400.0
    #: Seconds before a text without an answer is looked up in the carrier's log.
    settle_after: Annotated[float, Field(gt=0, le=86_400)] = 120.0
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    #: Seconds that one request to a carrier may take.
    request_timeout: Annotated[float, Field(gt=0, le=60)] = 15.0
    #: Seconds for which a worker that does not stir keeps its batch; one that was stopped for longer ends itself.
    lease: Annotated[float, Field(gt=0.5, le=90)] = 15.0
    #: Seconds between two looks of the watchdog, and for which a step may be late before it is emitted again.
    watchdog_interval: Annotated[float, Field(gt=0, le=3600)] = 5.0

    #: Where the worker's health and metrics are served; the API serves its own.
    health_host: str = "127.0.0.1"
    health_port: Annotated[int, Field(ge=0, le=65_535)] = 8001
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"

    @model_validator(mode="after")
    def _settling_waits_for_every_worker(self) -> "Settings":
        # A worker looks whether it may still send for the last time `lease` after the attempt began. Stopped right
        # then, it may write its request until its alarm ends it, almost another `lease` later, and the carrier may take
        # `request_timeout` over it. Only then does a text that the log does not hold count as never sent.
        if self.settle_after <= 2 * self.lease + self.request_timeout:
            raise ValueError(f"{PREFIX}SETTLE_AFTER must be more than 2 * {PREFIX}LEASE + {PREFIX}REQUEST_TIMEOUT")
        return self

    @model_validator(mode="after")
    def _what_the_world_knows_is_no_secret(self) -> "Settings":
        outside = [getattr(self, name, "") for name in ("public_url", "missive_url", "twilio_url")]
        if any(url.startswith("https://") for url in outside):
            for name in type(self).model_fields:
                if DEVELOPMENT_ONLY in str(getattr(self, name)):
                    raise ValueError(
                        f"{PREFIX}{name.upper()} is one of deploy/simulated, which the world knows: with real carriers "
                        "or a public address, make your own (deploy/make-live)"
                    )
        return self

    @cached_property
    def batch_texts(self) -> int:
        """How many texts a batch claims: no more than its share of the pace lets it send in its time."""
        return max(1, min(self.batch_size, math.ceil(self.batch_seconds * self.send_rate / LANES)))

    @cached_property
    def zone(self) -> ZoneInfo:
        """The organisation's time zone."""
        return ZoneInfo(self.timezone)

    @cached_property
    def quiet(self) -> tuple[time, time] | None:
        """The quiet hours' local start and end."""
        return workdays.parse_quiet_hours(self.quiet_hours)


class ApiSettings(Settings):
    """What the API needs besides."""

    api_host: str = "127.0.0.1"
    api_port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    #: Any of these, comma-separated, opens the API.
    api_keys: Annotated[
        tuple[Annotated[str, Field(min_length=16)], ...], NoDecode, BeforeValidator(_keys), Field(min_length=1)
    ]
    #: Where the carriers reach this API: Twilio signs the whole URL.
    public_url: HttpUrl = "http://127.0.0.1:8000"
    missive_webhook_secret: str = ""
    twilio_auth_token: str = ""


class CarrierSettings(Settings):
    """What the services that talk to the carriers need besides."""

    missive_url: HttpUrl = "https://public.missiveapp.com"
    missive_token: str = ""
    twilio_url: HttpUrl = "https://api.twilio.com"
    twilio_account_sid: str = ""
    twilio_auth_token: str = ""
    public_url: HttpUrl = "http://127.0.0.1:8000"
    #: Requests under way at once, over all senders together.
    send_concurrency: Annotated[int, Field(ge=1, le=1000)] = 5
    #: The provider's published windows, requests/seconds; empty for none.
    missive_windows: Annotated[str, AfterValidator(_windows)] = "300/60,900/900"

    @model_validator(mode="after")
    def _carrier_has_its_keys(self) -> "CarrierSettings":
        # Twilio's keys are needed with either carrier: its log tells what became of the texts.
        needed = {"twilio_account_sid": self.twilio_account_sid, "twilio_auth_token": self.twilio_auth_token}
        if self.carrier == "missive":
            needed["missive_token"] = self.missive_token
        for name, value in needed.items():
            if not value:
                raise ValueError(f"{PREFIX}{name.upper()} is not set")
        return self


S = TypeVar("S", bound=Settings)


def load(cls: type[S], **overrides: Any) -> S:
    """Read the settings. Raises SettingsError, in one line that names the variables at fault."""
    try:
        return cls(**{**_from_files(os.environ, cls), **overrides})
    except ValidationError as error:
        problems = []
        for problem in error.errors(include_url=False, include_input=False):
            name = PREFIX + str(problem["loc"][0]).upper() if problem["loc"] else ""
            what = "is not set" if problem["type"] == "missing" else problem["msg"].removeprefix("Value error, ")
            problems.append(f"{name}: {what}" if name and problem["type"] != "missing" else f"{name} {what}".strip())
        raise SettingsError("; ".join(problems)) from None


def _from_files(environment: Mapping[str, str], cls: type[Settings]) -> dict[str, str]:
    """Give the settings whose value is in the file that `BROADSHEET_<NAME>_FILE` names."""
    found = {name: from_file(name, environment) for name in cls.model_fields}
    return {name: value for name, value in found.items() if value is not None}


def from_file(name: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Give a setting from the file that `BROADSHEET_<NAME>_FILE` names, None if it names none. Raises SettingsError."""
    path = environment.get(f"{PREFIX}{name.upper()}_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise SettingsError(f"{PREFIX}{name.upper()}_FILE: {error.strerror}: {path}") from error
