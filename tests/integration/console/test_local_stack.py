"""What runs in this folder is found by every command, and nothing else is mixed with it."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from libs.common.errors import SettingsError
from libs.common.settings import CarrierSettings
from libs.common.settings.api import ApiSettings
from libs.console import local_stack, running
from libs.console.failures import DidNotStart
from libs.console.local_stack import Running
from tests.support.ports import free_port

SETTINGS = {
    "DATABASE_URL": "postgresql://u:p@127.0.0.1:5001/here",
    "AMQP_URL": "amqp://u:p@127.0.0.1:5002/",
    "FROM_NUMBER": "+13135550100",
    "MISSIVE_URL": "http://127.0.0.1:8090",
    "MISSIVE_TOKEN": "simulated",
    "TWILIO_URL": "http://127.0.0.1:8090",
    "TWILIO_ACCOUNT_SID": "AC0",
    "TWILIO_AUTH_TOKEN": "simulated",
    "API_KEYS": "0123456789abcdef",
    "QUIET_HOURS": "",
}
RUNNING = Running(
    # Nobody answers there: the API is what an operator may be looking for.
    api_url="http://127.0.0.1:9", api_key="k", database_url=SETTINGS["DATABASE_URL"], amqp_url=SETTINGS["AMQP_URL"],
    simulator_url=None, logs="logs", settings=SETTINGS,
)  # fmt: skip


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An empty folder, and no setting."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("BROADSHEET_")]:
        monkeypatch.delenv(name)
    return monkeypatch


def test_a_stack_whose_api_is_down_is_found_with_all_of_its_settings() -> None:
    with local_stack.record(RUNNING):
        assert local_stack.recorded() == RUNNING
        assert local_stack.database_url() == SETTINGS["DATABASE_URL"]
        assert local_stack.amqp_url() == SETTINGS["AMQP_URL"]
        found = local_stack.load(CarrierSettings)
        assert (found.missive_token.get_secret_value(), found.twilio_url) == ("simulated", "http://127.0.0.1:8090")
        assert found.quiet is None
        assert local_stack.load(ApiSettings).api_keys[0].get_secret_value() == "0123456789abcdef"
    assert local_stack.recorded() is None


def test_what_runs_here_is_not_mixed_with_an_account_of_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("BROADSHEET_TWILIO_AUTH_TOKEN", "of the real account")
    with local_stack.record(RUNNING):
        assert local_stack.load(CarrierSettings).twilio_auth_token.get_secret_value() == "simulated"


def test_a_server_that_the_environment_names_is_meant_and_not_what_runs_here(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("BROADSHEET_DATABASE_URL", "postgresql://elsewhere/b")
    with local_stack.record(RUNNING):
        assert local_stack.database_url() == "postgresql://elsewhere/b"
        assert local_stack.running_settings() == {}
        with pytest.raises(SettingsError, match="BROADSHEET_AMQP_URL is not set"):
            local_stack.amqp_url()


def test_a_stack_on_the_server_that_the_environment_names_is_found(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("BROADSHEET_DATABASE_URL", SETTINGS["DATABASE_URL"])
    with local_stack.record(RUNNING):
        assert local_stack.amqp_url() == SETTINGS["AMQP_URL"]


def test_a_record_that_a_killed_process_left_is_not_believed() -> None:
    with local_stack.record(RUNNING):
        left = local_stack.RUN_FILE.read_text()
    local_stack.RUN_FILE.write_text(left)
    assert local_stack.recorded() is None
    assert "u:p@" not in repr(RUNNING)
    assert "simulated" not in repr(RUNNING)
    with pytest.raises(SettingsError, match="BROADSHEET_DATABASE_URL is not set, and `broadsheet up` does not run"):
        local_stack.database_url()


def test_the_record_holds_passwords_and_is_closed_to_others() -> None:
    with local_stack.record(RUNNING):
        assert local_stack.RUN_FILE.stat().st_mode & 0o077 == 0


def test_only_the_server_that_a_command_needs_is_asked_for(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("BROADSHEET_DATABASE_URL", "postgresql://elsewhere/b")
    assert local_stack.database_url() == "postgresql://elsewhere/b"


def test_the_api_listens_on_the_port_of_the_settings(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("BROADSHEET_API_PORT", str(port := free_port()))
    assert running._api_port() == port


def test_a_port_of_the_settings_that_is_taken_is_not_exchanged_for_another(environment: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        environment.setenv("BROADSHEET_API_PORT", str(port := other.getsockname()[1]))
        with pytest.raises(DidNotStart, match=f"BROADSHEET_API_PORT is {port}, and that port is taken"):
            running._api_port()


@pytest.mark.parametrize("given", ["0", "65536", "http", "-1"])
def test_what_is_no_port_is_told(environment: pytest.MonkeyPatch, given: str) -> None:
    environment.setenv("BROADSHEET_API_PORT", given)
    with pytest.raises(SettingsError, match="BROADSHEET_API_PORT is not a port"):
        running._api_port()


def test_the_desk_is_at_the_public_address() -> None:
    assert RUNNING.desk_url == "http://127.0.0.1:9/desk"
    public = replace(RUNNING, settings={**SETTINGS, "PUBLIC_URL": "https://sms.example.org/"})
    assert public.desk_url == "https://sms.example.org/desk"
