"""What programs load when they start, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
ALL = ("api", "planner", "sender", "twilio_sync")
#: What no service needs: it belongs to command lines, or describes tables to migrations.
NOBODY = ("alembic", "libs.common.database.tables", "pygments", "rich", "typer")
#: What only those need who know the calendar, or show pages.
OTHERS = ("babel", "holidays", "jinja2", "libs.common.settings.api", "libs.common.settings.planner", "litestar")


#: What takes long to load, and only those commands need that work on the servers themselves.
SERVERS = ("aio_pika", "alembic", "asyncpg", "faststream", "holidays", "litestar", "sqlalchemy", "structlog", "twilio")


def loaded(program: str, *names: str) -> list[str]:
    """Run a program; return which of the modules it has loaded at its end."""
    look = f"\nimport sys\nprint(*(name for name in {names!r} if name in sys.modules))"
    command = [sys.executable, "-c", program + look]
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.split()


def service(name: str) -> str:
    return f"from libs.common.runtime import starting\nwith starting.imports():\n    import services.{name}.app"


@pytest.mark.parametrize("name", ALL)
def test_a_service_loads_nothing_that_is_for_command_lines(name: str) -> None:
    assert loaded(service(name), *NOBODY) == []


def test_the_api_loads_what_signing_in_at_a_provider_needs_only_where_one_is_named() -> None:
    assert loaded(service("api"), "authlib", "cryptography", "joserfc") == []


@pytest.mark.parametrize("name", ["sender", "twilio_sync"])
def test_who_sends_and_who_reads_the_log_load_no_calendar_and_no_pages(name: str) -> None:
    assert loaded(service(name), *OTHERS) == []


def test_help_and_completion_need_no_library_but_that_of_command_lines() -> None:
    assert loaded("import libs.console.main", *SERVERS, "httpx", "msgspec", "phonenumbers", "pydantic") == []


@pytest.mark.parametrize("module", ["accounts", "audience", "broadcasts", "completion", "history", "replies"])
def test_a_command_that_calls_the_api_loads_nothing_that_is_for_servers(module: str) -> None:
    assert loaded(f"import libs.console.{module}", *SERVERS) == []


def test_what_was_kept_out_of_the_start_can_be_imported_later() -> None:
    assert loaded(f"{service('sender')}\nimport rich.console", "rich.console") == ["rich.console"]


def test_the_collector_is_off_while_a_service_starts_and_on_when_it_runs() -> None:
    watched = (
        "import gc\nfrom libs.common.runtime import starting\n"
        "with starting.imports():\n    assert not gc.isenabled()\n"
        "assert not gc.isenabled() and not gc.get_freeze_count()\n"
        "starting.spare_what_stays()\n"
        "assert gc.isenabled() and gc.get_freeze_count() > 1000 and not gc.get_objects()[1000:]"
    )
    assert loaded(watched, "gc") == ["gc"]
