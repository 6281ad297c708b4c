"""`BROADSHEET_DATABASE_POOLER` reaches every engine of a service: behind a pooler, one that keeps statements fails."""

from collections.abc import Callable
from typing import Any

import pytest

from libs.common import database
from libs.common.database.engine import KEEP_NO_STATEMENT, create_engine
from libs.common.errors import SettingsError
from libs.console import local_stack
from services.api.app import create_app as create_api
from services.planner.app import create_app as create_planner
from services.sender.app import create_app as create_sender
from services.twilio_sync.app import create_app as create_twilio_sync
from tests.integration.api import support
from tests.support import world

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


@pytest.mark.parametrize("pooler", ["none", "transaction"])
@pytest.mark.parametrize(
    ("create", "settings"),
    [
        (create_api, support.settings),
        (create_planner, world.make_settings),
        (create_sender, world.make_settings),
        (create_twilio_sync, world.make_settings),
    ],
)
def test_no_engine_of_a_service_is_without_the_pooler(
    create: Callable[[Any], object], settings: Callable[..., Any], pooler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    original = create_engine

    def recorded(url: str, **options: Any) -> database.Engine:
        told.append(options.get("pooler", "not told"))
        return original(url, **options)

    monkeypatch.setattr(database, "create_engine", recorded)
    create(settings(NOWHERE, database_pooler=pooler))
    assert set(told) == {pooler}


def test_where_no_statement_is_kept_none_has_a_name() -> None:
    assert KEEP_NO_STATEMENT["statement_cache_size"] == 0
    assert KEEP_NO_STATEMENT["prepared_statement_cache_size"] == 0
    assert KEEP_NO_STATEMENT["prepared_statement_name_func"]() == ""


def test_commands_refuse_a_pooler_that_they_do_not_know(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("nothing_runs_here"))
    monkeypatch.setenv("BROADSHEET_DATABASE_POOLER", "transaction")
    assert local_stack.database_pooler() == "transaction"
    monkeypatch.setenv("BROADSHEET_DATABASE_POOLER", "session")
    with pytest.raises(SettingsError, match="neither none nor transaction"):
        local_stack.database_pooler()
