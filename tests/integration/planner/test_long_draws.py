"""A draw of millions takes minutes: longer than any other statement may, and than its answer is awaited."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import drawing
from libs.common.domain.commands import MakeBroadcast
from services.planner import watchdog
from services.planner.context import Planner
from services.planner.handlers import Handlers
from tests.support.deliveries import delivery
from tests.support.statements import replaced
from tests.support.world import World

STATEMENT = 2.0  # seconds that a statement may take
GRACE = 0.5  # seconds more in which its answer is awaited


@pytest.fixture
async def slow(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Planner]:
    """A planner for which a draw takes longer than a statement may, and a broadcast that is due."""
    monkeypatch.setattr("libs.common.database.engine.ANSWER_GRACE", GRACE)
    sleeps = f"(SELECT pg_sleep({STATEMENT + GRACE + 1})) IS NULL AS slept"
    monkeypatch.setattr(
        drawing, "DRAW", replaced(text(drawing.DRAW), ("AS drawn FROM drawn", f"AS drawn, {sleeps} FROM drawn")).text
    )
    url = world.settings.database_url.get_secret_value()
    await world.contacts(3, "all")
    await world.scheduled(await world.segment("all"))
    async with (
        database.disposing(database.create_engine(url, size=2, statement_timeout=STATEMENT)) as engine,
        database.disposing(
            database.create_engine(url, size=2, statement_timeout=STATEMENT, longest=database.LONG_WORK)
        ) as long_work,
    ):
        yield Planner(settings=world.settings, engine=engine, long_work=long_work, clock=world.clock)


async def test_a_step_may_draw_for_longer_than_a_statement_may_take(world: World, slow: Planner) -> None:
    [step] = await world.planned("MakeBroadcast")
    await Handlers(slow).make_broadcast(MakeBroadcast(broadcast_id=step["broadcast_id"]), delivery())
    assert await world.state(step["broadcast_id"]) == "sending_first"


async def test_the_watchdog_may_draw_for_longer_than_a_statement_may_take(world: World, slow: Planner) -> None:
    [step] = await world.planned("MakeBroadcast")
    await watchdog.look(slow, world.clock.forward(minutes=1), {})
    assert await world.state(step["broadcast_id"]) == "sending_first"
