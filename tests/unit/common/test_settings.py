"""Settings from the environment."""

import os
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from libs.common import settings
from libs.common.errors import SettingsError
from libs.common.settings import CarrierSettings, Settings, WorkerSettings
from libs.common.settings.api import ApiSettings
from libs.common.settings.calendar import CalendarSettings
from libs.common.settings.planner import PlannerSettings

GOOD = {
    "DATABASE_URL": "postgresql://u:p@host/broadsheet",
    "AMQP_URL": "amqp://host/",
    "FROM_NUMBER": "(313) 555-0100",
    "MISSIVE_TOKEN": "m",
    "TWILIO_ACCOUNT_SID": "AC1",
    "TWILIO_AUTH_TOKEN": "t",
    "API_KEYS": "0123456789abcdef, fedcba9876543210",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Nothing but good settings, and no `.env`."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("BROADSHEET_")]:
        monkeypatch.delenv(name)
    for name, value in GOOD.items():
        monkeypatch.setenv(f"BROADSHEET_{name}", value)
    return monkeypatch


def test_what_is_not_said_has_the_published_default() -> None:
    carrier = settings.load(CarrierSettings)
    found = {name: getattr(carrier, name) for name in (
        "carrier", "batch_size", "batch_seconds", "send_rate", "send_concurrency", "second_delay", "sync_interval",
        "sync_page_size", "sync_deadline", "settle_after", "max_attempts", "timezone", "quiet_hours",
        "delays", "log_level", "log_format",
    )}  # fmt: skip
    assert found == {
        "carrier": "missive", "batch_size": 50, "batch_seconds": 60, "send_rate": 1, "send_concurrency": 5,
        "second_delay": 600, "sync_interval": 60, "sync_page_size": 100, "sync_deadline": 86400, "settle_after": 120,
        "max_attempts": 3, "timezone": "America/Detroit", "quiet_hours": "21:00-08:00",
        "delays": "auto", "log_level": "info", "log_format": "console",
    }  # fmt: skip


def test_values_are_read_into_one_form() -> None:
    api = settings.load(ApiSettings)
    assert api.from_number == "+13135550100"
    assert [key.get_secret_value() for key in api.api_keys] == ["0123456789abcdef", "fedcba9876543210"]


BAD = {
    "DATABASE_URL": "mysql://host/x",
    "AMQP_URL": "http://host",
    "FROM_NUMBER": "12",
    "TIMEZONE": "Detroit",
    "HOLIDAYS": "XX-YY",
    "QUIET_HOURS": "21:00",
    "DELAYS": "sundial",
    "CARRIER": "pigeon",
    "BATCH_SIZE": "0",
    "BATCH_SECONDS": "-1",
    "SEND_RATE": "0",
    "SEND_CONCURRENCY": "none",
    "SECOND_DELAY": "-1",
    "SYNC_INTERVAL": "inf",
    "SYNC_PAGE_SIZE": "5000",
    "SYNC_DEADLINE": "1e300",
    "SETTLE_AFTER": "1",
    "MAX_ATTEMPTS": "0",
    "REQUEST_TIMEOUT": "nan",
    "LEASE": "0.1",
    "WATCHDOG_INTERVAL": "0",
    "MISSIVE_URL": "public.missiveapp.com",
    "MISSIVE_WINDOWS": "300 a minute",
    "MISSIVE_TOKEN": "",
    "TWILIO_URL": "ftp://x",
    "TWILIO_ACCOUNT_SID": "",
    "TWILIO_AUTH_TOKEN": "",
    "PUBLIC_URL": "x",
    "HEALTH_PORT": "99999",
    "LOG_LEVEL": "loud",
    "LOG_FORMAT": "xml",
}


@pytest.mark.parametrize(("name", "value"), BAD.items())
def test_a_bad_setting_is_one_line_that_names_it(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(f"BROADSHEET_{name}", value)
    with pytest.raises(SettingsError) as caught:
        settings.load(CalendarSettings if name.startswith("HOLIDAYS") else CarrierSettings)
    assert f"BROADSHEET_{name}" in str(caught.value)
    assert "\n" not in str(caught.value)


BAD_FOR_THE_API = [
    ("API_KEYS", "short"), ("API_KEYS", " , "), ("API_PORT", "x"), ("PUBLIC_URL", "x"), ("HELP_ANSWER", "Call us"),
    ("START_ANSWER", "Hi {{ first_name }}, STOP ends it"), ("KEYWORD_ANSWERS", "both"),
    ("FOLLOW_UP_ENDED_BY", "own_words"), ("FOLLOW_UP_ENDED_BY", "short_code"), ("FOLLOW_UP_ENDED_BY", "hearts"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD_FOR_THE_API)
def test_a_bad_setting_of_the_apis_is_one_line_that_names_it(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(f"BROADSHEET_{name}", value)
    with pytest.raises(SettingsError) as caught:
        settings.load(ApiSettings)
    assert f"BROADSHEET_{name}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["DATABASE_URL", "AMQP_URL", "FROM_NUMBER"])
def test_a_setting_that_is_missing_is_named(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(f"BROADSHEET_{name}")
    with pytest.raises(SettingsError, match=f"^BROADSHEET_{name} is not set$"):
        settings.load(WorkerSettings)


def test_all_that_is_wrong_is_named_at_once(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("BROADSHEET_BATCH_SIZE", "many")
    environment.setenv("BROADSHEET_TIMEZONE", "Detroit")
    with pytest.raises(SettingsError, match=r"BROADSHEET_TIMEZONE.*BROADSHEET_BATCH_SIZE"):
        settings.load(WorkerSettings)


def test_a_bad_secret_is_not_repeated(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("BROADSHEET_DATABASE_URL", "mysql://u:hunter2@host/x")
    environment.setenv("BROADSHEET_API_KEYS", "hunter2")
    with pytest.raises(SettingsError) as caught:
        settings.load(ApiSettings)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter%ss2@host/b",
        "postgresql://u:hunter2%ff@host/b",
        "postgresql://u:hunter2 x@host/b",
        "postgresql://u:hunter2/x@host/b",
        "postgresql://u:22/hunter2@host/b",
        "postgresql://u:x@hunter2@host/b",
        "postgresql://u:hunter2@host:0/b",
        "postgresql://u:hunter2@host:70000/b",
        "postgresql://u:hunter2@host:5432,other:x/b",
        "postgresql://u@host/b?hunter2=x",
    ],
)
def test_a_database_url_that_no_driver_can_read_is_refused_without_being_repeated(
    environment: pytest.MonkeyPatch, url: str
) -> None:
    environment.setenv("BROADSHEET_DATABASE_URL", url)
    with pytest.raises(SettingsError) as caught:
        settings.load(WorkerSettings)
    assert str(caught.value) == f"BROADSHEET_DATABASE_URL: {settings.NO_POSTGRES_URL}"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "postgres://u:p%25%2F%40@host:5432/b",
        "postgresql://u:p@[::1]:5432/b?sslmode=require",
        "postgresql://u@/b?host=/run/postgresql&port=5433",
        "postgresql://u:p@one:5432,two,three:5433/b",
    ],
)
def test_a_database_url_that_the_driver_can_read_is_taken_as_it_is(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("BROADSHEET_DATABASE_URL", url)
    assert settings.load(Settings).database_url.get_secret_value() == url


def test_settling_waits_for_every_worker(environment: pytest.MonkeyPatch) -> None:
    """Fault 19: a lease shorter than a slow provider call."""
    environment.setenv("BROADSHEET_SETTLE_AFTER", "45")
    environment.setenv("BROADSHEET_LEASE", "15")
    environment.setenv("BROADSHEET_REQUEST_TIMEOUT", "15")
    with pytest.raises(SettingsError, match="BROADSHEET_SETTLE_AFTER must be more than"):
        settings.load(WorkerSettings)


def test_twilios_keys_are_needed_with_either_carrier_and_missives_only_with_missive(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("BROADSHEET_CARRIER", "twilio")
    environment.delenv("BROADSHEET_MISSIVE_TOKEN")
    assert settings.load(CarrierSettings).carrier == "twilio"
    environment.delenv("BROADSHEET_TWILIO_AUTH_TOKEN")
    with pytest.raises(SettingsError, match="BROADSHEET_TWILIO_AUTH_TOKEN is not set"):
        settings.load(CarrierSettings)


def test_a_secret_may_come_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    environment.delenv("BROADSHEET_MISSIVE_TOKEN")
    environment.setenv("BROADSHEET_MISSIVE_TOKEN_FILE", str(tmp_path / "secret"))
    assert settings.load(CarrierSettings).missive_token.get_secret_value() == "from a file"


def test_a_file_that_cannot_be_read_is_one_line_that_names_the_setting(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("BROADSHEET_MISSIVE_TOKEN_FILE", "/nowhere/secret")
    with pytest.raises(SettingsError, match=r"^BROADSHEET_MISSIVE_TOKEN_FILE: No such file or directory: /nowhere"):
        settings.load(CarrierSettings)


def test_dot_env_is_honoured_and_the_environment_comes_before_it(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("BROADSHEET_BATCH_SIZE=7\nBROADSHEET_SECOND_DELAY=8\nOTHER=1\n")
    environment.setenv("BROADSHEET_SECOND_DELAY", "9")
    found = settings.load(WorkerSettings)
    assert (found.batch_size, found.second_delay) == (7, 9)


@pytest.mark.parametrize(
    ("rate", "seconds", "size", "texts"), [(1, 60, 50, 30), (40, 60, 50, 50), (0.01, 60, 50, 1), (1, 1, 50, 1)]
)
def test_a_batch_claims_no_more_than_its_share_of_the_pace_lets_it_send(
    environment: pytest.MonkeyPatch, rate: float, seconds: float, size: int, texts: int
) -> None:
    """Fault 18: what was not reached in 60 s was lost."""
    for name, value in (("SEND_RATE", rate), ("BATCH_SECONDS", seconds), ("BATCH_SIZE", size)):
        environment.setenv(f"BROADSHEET_{name}", str(value))
    assert settings.load(WorkerSettings).batch_messages == texts


@pytest.mark.parametrize(("quiet", "none"), [("", True), ("off", True), ("Off ", True), ("21:00-08:00", False)])
def test_quiet_hours_may_be_none(environment: pytest.MonkeyPatch, quiet: str, none: bool) -> None:
    environment.setenv("BROADSHEET_QUIET_HOURS", quiet)
    assert (settings.load(WorkerSettings).quiet is None) == none


@pytest.mark.parametrize(("calendar", "read"), [("", ""), ("none", ""), ("US-MI", "US-MI")])
def test_holidays_may_be_none(environment: pytest.MonkeyPatch, calendar: str, read: str) -> None:
    environment.setenv("BROADSHEET_HOLIDAYS", calendar)
    assert settings.load(CalendarSettings).holidays == read


def test_the_calendar_is_that_of_the_country_unless_another_is_named() -> None:
    assert settings.load(CalendarSettings).holidays == "US"


def test_days_of_ones_own_are_holidays_too(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("BROADSHEET_HOLIDAYS_ALSO", "2026-03-05,08-02=Founders' Day")
    assert settings.load(CalendarSettings).calendar.of([2026])[date(2026, 8, 2)] == "Founders' Day"


def test_a_day_that_is_none_is_told_by_the_name_of_its_setting(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("BROADSHEET_HOLIDAYS_ALSO", "2026-02-30")
    with pytest.raises(SettingsError, match="BROADSHEET_HOLIDAYS_ALSO: not a day such as 2027-12-30"):
        settings.load(CalendarSettings)


@pytest.mark.parametrize("name", ["DATABASE_URL", "API_KEYS", "TWILIO_AUTH_TOKEN"])
def test_a_secret_that_the_world_knows_is_refused_where_the_api_is_public(
    environment: pytest.MonkeyPatch, name: str
) -> None:
    known = {"DATABASE_URL": "postgresql://u:development-only-x@host/b"}
    environment.setenv(f"BROADSHEET_{name}", known.get(name, "development-only-something"))
    settings.load(ApiSettings)
    environment.setenv("BROADSHEET_PUBLIC_URL", "https://sms.example.org")
    with pytest.raises(SettingsError, match=f"BROADSHEET_{name} is one of deploy/simulated"):
        settings.load(ApiSettings)


def test_a_secret_that_the_world_knows_is_refused_where_carriers_are_real(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("BROADSHEET_MISSIVE_TOKEN", "development-only-missive-token")
    with pytest.raises(SettingsError, match="BROADSHEET_MISSIVE_TOKEN is one of deploy/simulated"):
        settings.load(CarrierSettings)
    environment.setenv("BROADSHEET_MISSIVE_URL", "http://simulator:8090")
    environment.setenv("BROADSHEET_TWILIO_URL", "http://simulator:8090")
    settings.load(CarrierSettings)
    environment.setenv("BROADSHEET_MISSIVE_URL", "https://public.missiveapp.com")
    environment.setenv("BROADSHEET_MISSIVE_TOKEN", "m")
    environment.setenv("BROADSHEET_AMQP_URL", "amqp://u:development-only-x@host/")
    with pytest.raises(SettingsError, match="BROADSHEET_AMQP_URL is one of deploy/simulated"):
        settings.load(CarrierSettings)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "api", "127.0.0.1.example.org"])
def test_the_key_that_the_world_knows_opens_no_api_that_others_can_reach(
    environment: pytest.MonkeyPatch, host: str
) -> None:
    environment.setenv("BROADSHEET_API_KEYS", f"0123456789abcdef,{settings.DEVELOPMENT_ONLY}-api-key")
    environment.setenv("BROADSHEET_API_HOST", host)
    with pytest.raises(SettingsError, match=r"BROADSHEET_API_KEYS is the key of deploy/simulated") as caught:
        settings.load(ApiSettings)
    assert "0123456789abcdef" not in str(caught.value)
    environment.setenv("BROADSHEET_API_KEYS", "0123456789abcdef")
    settings.load(ApiSettings)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "[::1]", "localhost"])
def test_the_key_that_the_world_knows_will_do_on_this_machine_alone(environment: pytest.MonkeyPatch, host: str) -> None:
    environment.setenv("BROADSHEET_API_KEYS", f"{settings.DEVELOPMENT_ONLY}-api-key")
    environment.setenv("BROADSHEET_API_HOST", host)
    settings.load(ApiSettings)


SECRETS = {
    "DATABASE_URL": "postgresql://u:hunter2hunter2hunter2@host/b",
    "AMQP_URL": "amqp://u:hunter2hunter2hunter2@host/",
    "API_KEYS": "hunter2hunter2hunter2",
    "MISSIVE_TOKEN": "hunter2hunter2hunter2",
    "MISSIVE_WEBHOOK_SECRET": "hunter2hunter2hunter2",
    "TWILIO_AUTH_TOKEN": "hunter2hunter2hunter2",
}


@pytest.mark.parametrize("cls", [ApiSettings, CarrierSettings, WorkerSettings])
def test_settings_that_are_printed_show_no_secret(environment: pytest.MonkeyPatch, cls: type[Settings]) -> None:
    for name, value in SECRETS.items():
        environment.setenv(f"BROADSHEET_{name}", value)
    loaded = settings.load(cls)
    for shown in (repr(loaded), str(loaded), repr(loaded.model_dump()), loaded.model_dump_json(), f"{loaded!r:>9}"):
        assert "hunter2" not in shown


@pytest.mark.parametrize("cls", [ApiSettings, CarrierSettings])
def test_what_pydantic_says_of_a_bad_setting_shows_no_secret(
    environment: pytest.MonkeyPatch, cls: type[Settings]
) -> None:
    for name, value in SECRETS.items():
        environment.setenv(f"BROADSHEET_{name}", value)
    environment.setenv("BROADSHEET_DATABASE_URL", "hunter2")
    environment.setenv("BROADSHEET_API_KEYS", "hunter2")
    with pytest.raises(ValidationError) as caught:
        cls(_env_file=None)  # type: ignore[call-arg]
    assert "hunter2" not in f"{caught.value} {caught.value!r}"


def test_every_setting_that_is_a_secret_by_its_name_is_one_by_its_type() -> None:
    secret = ("token", "secret", "password", "key", "_url")
    plain = {"public_url", "missive_url", "twilio_url", "twilio_api_key"}  # which names the key; its secret is another
    for cls in (ApiSettings, CarrierSettings, WorkerSettings):
        for name, known in cls.model_fields.items():
            if name.endswith(secret) or name.endswith("keys"):
                assert name in plain or "SecretStr" in repr(known.annotation), name


@pytest.mark.parametrize(
    "url", ["amqp://u:hunter2/x@host/", "amqp://u:1@hunter2:port/", "amqp://h/,amqp://u:hunter2/@h"]
)
def test_a_broker_url_that_cannot_be_read_is_refused_without_being_repeated(
    environment: pytest.MonkeyPatch, url: str
) -> None:
    environment.setenv("BROADSHEET_AMQP_URL", url)
    with pytest.raises(SettingsError) as caught:
        settings.load(WorkerSettings)
    assert str(caught.value) == f"BROADSHEET_AMQP_URL: {settings.NO_AMQP_URL}"


def test_an_api_key_stands_for_the_auth_token(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("BROADSHEET_TWILIO_AUTH_TOKEN")
    environment.setenv("BROADSHEET_TWILIO_API_KEY", "SK1")
    with pytest.raises(SettingsError, match=r"^BROADSHEET_TWILIO_API_KEY_SECRET is not set$"):
        settings.load(CarrierSettings)
    environment.setenv("BROADSHEET_TWILIO_API_KEY_SECRET", "hush")
    assert settings.load(CarrierSettings).twilio_key == ("SK1", "hush")
    environment.delenv("BROADSHEET_TWILIO_API_KEY")
    with pytest.raises(SettingsError, match=r"^BROADSHEET_TWILIO_API_KEY is not set$"):
        settings.load(CarrierSettings)


def test_without_an_api_key_the_auth_token_is_needed(environment: pytest.MonkeyPatch) -> None:
    assert settings.load(CarrierSettings).twilio_key is None
    environment.delenv("BROADSHEET_TWILIO_AUTH_TOKEN")
    with pytest.raises(SettingsError, match=r"^BROADSHEET_TWILIO_AUTH_TOKEN is not set$"):
        settings.load(CarrierSettings)


@pytest.mark.parametrize(("name", "value"), [("TWILIO_API_KEY", "AC1"), ("TWILIO_ACCOUNT_SID", "SK1")])
def test_an_account_and_a_key_that_are_mixed_up_are_told(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(f"BROADSHEET_{name}", value)
    with pytest.raises(SettingsError, match=f"^BROADSHEET_{name}: .*(begins with SK|begins with AC)$"):
        settings.load(CarrierSettings)


ADDRESSES = [
    (ApiSettings, "PUBLIC_URL", "https://host{}/x"),
    (ApiSettings, "OIDC_ISSUER", "https://host{}/x"),
    (ApiSettings, "FRAME_ANCESTORS", "https://ho{}st.example"),
    (ApiSettings, "API_HOST", "127.0.{}0.1"),
    (ApiSettings, "DATABASE_URL", "postgresql://u:hunter2@host{}/b"),
    (CarrierSettings, "AMQP_URL", "amqp://u:hunter2@host{}/"),
    (CarrierSettings, "HEALTH_HOST", "127.0.{}0.1"),
    (CarrierSettings, "MISSIVE_URL", "https://host{}/x"),
    (CarrierSettings, "TWILIO_URL", "https://host{}/x"),
    (PlannerSettings, "SMTP_URL", "smtp://u:hunter2@host{}:587"),
]


@pytest.mark.parametrize("character", ["\x07", "\x1b[2J", "\n", "\t", "\x7f", "\u200b", " "])
@pytest.mark.parametrize(("cls", "name", "address"), ADDRESSES, ids=[name for _, name, _ in ADDRESSES])
def test_an_address_with_a_character_that_none_has_is_told_in_one_line_that_shows_neither(
    environment: pytest.MonkeyPatch, cls: type[Settings], name: str, address: str, character: str
) -> None:
    environment.setenv(f"BROADSHEET_{name}", address.format(character))
    with pytest.raises(SettingsError, match=f"BROADSHEET_{name}") as caught:
        settings.load(cls)
    assert str(caught.value).isprintable()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://", "http://host:x", "http://host:99999x", "https://[::1", "ftp://host", "host"]
)
def test_an_http_address_names_a_host_and_a_port_that_can_be(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("BROADSHEET_PUBLIC_URL", url)
    with pytest.raises(SettingsError, match="BROADSHEET_PUBLIC_URL"):
        settings.load(ApiSettings)


@pytest.mark.parametrize(
    ("given", "kinds"), [(None, ("reaction",)), ("", ()), ("reaction, automatic", ("reaction", "automatic"))]
)
def test_what_else_ends_the_follow_up_is_a_choice(
    environment: pytest.MonkeyPatch, given: str | None, kinds: tuple[str, ...]
) -> None:
    if given is not None:
        environment.setenv("BROADSHEET_FOLLOW_UP_ENDED_BY", given)
    assert settings.load(Settings).follow_up_ended_by == kinds


def test_an_answer_of_ours_names_the_organisation_and_stop_unless_another_is_given(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("BROADSHEET_ORGANISATION", "The Daily")
    environment.setenv("BROADSHEET_START_ANSWER", "Welcome back. STOP ends it")
    api = settings.load(ApiSettings)
    assert api.answer_to_help == "The Daily: you get texts from us. Reply STOP to get no more."
    assert api.answer_to_start == "Welcome back. STOP ends it"
