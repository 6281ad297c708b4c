import os
from pathlib import Path

import psycopg.conninfo
import pytest

from libs.local import rabbitmq
from libs.local.errors import LocalServerError, NotInstalled
from libs.local.postgres import SOCKET_PATH_LIMIT, Postgres
from libs.local.rabbitmq import RabbitMQ


def host(postgres: Postgres) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(postgres.url)["host"])


def test_a_socket_in_a_deep_folder_gets_a_short_path(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 8)

    assert len(os.fsencode(f"{host(Postgres(deep))}/.s.PGSQL.5432")) <= SOCKET_PATH_LIMIT


def test_the_address_of_a_folder_never_changes(tmp_path: Path) -> None:
    assert Postgres(tmp_path / "postgres").url == Postgres(tmp_path / "postgres").url


def test_a_folder_with_spaces_and_accents_is_quoted_in_the_address() -> None:
    folder = Path("/tmp/a b/é%&?")

    assert host(Postgres(folder)) in {str(folder), f"/var/lib/broadsheet/{Postgres(folder)._base.name}"}


def test_a_broker_has_no_address_before_it_was_started(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="before it was started"):
        _ = RabbitMQ(tmp_path).url


def test_a_broker_that_is_not_installed_is_asked_for_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rabbitmq, "SCRIPT_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("HOMEBREW_PREFIX", raising=False)

    with pytest.raises(NotInstalled, match=r"^RabbitMQ is missing: install it .+ or set BROADSHEET_AMQP_URL .+$"):
        rabbitmq.find_script()


def test_homebrews_broker_is_found_where_it_was_put(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "opt" / "rabbitmq" / "sbin" / "rabbitmq-server"
    script.parent.mkdir(parents=True)
    script.touch()
    monkeypatch.setenv("HOMEBREW_PREFIX", str(tmp_path))

    assert rabbitmq.find_script() == script
