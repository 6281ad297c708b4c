"""What every service needs."""

from datetime import time, timedelta
from functools import cached_property
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from libs.common.domain.frequency import Cap, parse_cap
from libs.common.domain.quiet_hours import Rules
from libs.common.domain.states import ReplyKind
from libs.common.domain.wall_clock import parse_quiet_hours
from libs.common.settings import checks
from libs.common.settings.fields import SECONDS, Form, PhoneNumber, Unit
from libs.common.settings.names import DEVELOPMENT_ONLY, PREFIX


class Settings(BaseSettings):
    """What every service needs."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        defer_build=True,  # a service loads one of the classes
    )

    database_url: Annotated[SecretStr, checks.secret(checks.postgres_url)]
    """PostgreSQL, `postgresql://…`, with a role that may read and write; it need not own the tables."""

    database_pooler: Literal["none", "transaction"] = "none"
    """`transaction` if BROADSHEET_DATABASE_URL leads to a PgBouncer in transaction mode, which forgets prepared
    statements."""

    timezone: Annotated[str, AfterValidator(checks.known_zone), Form("name of a time zone")] = "America/Detroit"
    """The organisation's time zone: what "today" and `14:30` mean, and the clocks of those whose zone nobody knows."""

    quiet_hours: Annotated[str, AfterValidator(checks.quiet_hours_or_none), Form("HH:MM-HH:MM")] = "21:00-08:00"
    """Time in which nothing is sent, by the clocks of whom it goes to; `off` (or empty) if there is none, for anybody.
    `broadsheet doctor` prints it."""

    regional_hours: bool = True
    """Whether the hours that some regions' laws set for telephone solicitation hold as well (docs/quiet-hours.md), by
    the area code of a number. `false` for messages that those laws do not speak of."""

    from_number: PhoneNumber
    """The number that a broadcast is sent from if it names none. It is ours, and so are those of NUMBERS."""

    numbers: Annotated[tuple[PhoneNumber, ...], NoDecode, BeforeValidator(checks.split_commas)] = ()
    """Further numbers of ours, comma-separated. A broadcast is sent from one of ours or from none; `broadsheet doctor`
    asks Twilio whether they are the account's."""

    send_rate: Annotated[float, Field(gt=0, le=1000), Unit("messages a second")] = 1.0
    """Messages that each sending number may start, unless the number has a rate of its own (`broadsheet numbers`)."""

    carrier: Literal["missive", "twilio"] = "missive"
    """Who messages go through, unless their number has a carrier of its own (`broadsheet numbers`). Twilio's log is
    read with either."""

    missive_windows: Annotated[str, AfterValidator(checks.known_windows), Form("requests/seconds, …")] = (
        "300/60,900/900"
    )
    """Missive's published windows; empty for none."""

    second_delay: Annotated[int, Field(ge=0, le=86_400), SECONDS] = 600
    """How long after the last first message the follow-ups begin, for a broadcast that says nothing of it."""

    follow_up_ended_by: Annotated[
        tuple[ReplyKind, ...], NoDecode, BeforeValidator(checks.split_commas), AfterValidator(checks.no_own_words)
    ] = (ReplyKind.REACTION,)
    """What ends a person's follow-up beside their own words, comma-separated: `reaction` (a heart, a thumb),
    `automatic` (nobody was there), `delivery_notice`. Empty if only own words do."""

    send_hold: Annotated[float, Field(ge=0, le=3600), SECONDS] = 30.0
    """How long nothing leaves after somebody has sent a broadcast now, so that whoever may pause it can call it back:
    nobody gets it then. 0 if the first message is to leave at once."""

    send_hold_at_run_at: bool = False
    """Whether a broadcast whose `run_at` has come, or that `POST /make` makes, is held for as long."""

    approval_required: bool = False
    """Whether a broadcast goes only once a second person has approved it: an approver or an admin who did not write
    it. One whose time comes before that does not go out by itself. Set it for the API and the planner alike."""

    frequency_cap: Annotated[str, AfterValidator(checks.cap_or_none), Form("TEXTS/DAYS")] = ""
    """How many texts one person gets at most, of all broadcasts together: `3/7` for 3 in 7 days. Whoever would get more
    is left out of a broadcast when it is made; the follow-up counts as a text. `off` (or empty): no limit. A broadcast
    may have a tighter one. Set it for the API and the planner alike."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are logged."""

    log_format: Literal["console", "json"] = "console"
    """Lines for people, or for programs."""

    @model_validator(mode="after")
    def _what_the_world_knows_is_no_secret(self) -> "Settings":
        outside = [getattr(self, name, "") for name in ("public_url", "missive_url", "twilio_url")]
        if any(url.startswith("https://") for url in outside):
            for name in type(self).model_fields:
                if DEVELOPMENT_ONLY in checks.plain(getattr(self, name)):
                    raise ValueError(
                        f"{PREFIX}{name.upper()} is one of deploy/simulated, which the world knows: with real carriers "
                        "or a public address, make your own (deploy/make-live)"
                    )
        return self

    @property
    def hold(self) -> timedelta:
        """How long a broadcast that is sent now can be called back."""
        return timedelta(seconds=self.send_hold)

    @property
    def hold_at_its_time(self) -> timedelta:
        """How long one whose time has come can be called back."""
        return self.hold if self.send_hold_at_run_at else timedelta()

    @cached_property
    def own_numbers(self) -> tuple[str, ...]:
        """Which numbers are ours, and nothing else says which."""
        return tuple(dict.fromkeys((self.from_number, *self.numbers)))

    @cached_property
    def zone(self) -> ZoneInfo:
        """The organisation's time zone."""
        return ZoneInfo(self.timezone)

    @cached_property
    def rules(self) -> Rules:
        """When messages may leave, by the clocks of whom they go to."""
        return Rules(quiet=self.quiet, zone=self.timezone, regional=self.regional_hours)

    @cached_property
    def quiet(self) -> tuple[time, time] | None:
        """The quiet hours' local start and end."""
        return parse_quiet_hours(self.quiet_hours)

    @cached_property
    def cap(self) -> Cap | None:
        """How many texts one person gets at most; None if there is no limit."""
        return parse_cap(self.frequency_cap) if self.frequency_cap else None
