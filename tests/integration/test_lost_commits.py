"""Did it commit? The answer to each commit of a broadcast's life is lost once, and nothing comes of it."""

from collections import Counter
from dataclasses import replace

import pytest

from libs.common import database
from libs.common.operations import rebuild
from tests.support import lossy, servers
from tests.support.lossy import Commits
from tests.support.world import FIRST, SECOND, Clock, World, make_settings

PEOPLE = 3


async def lived(world: World, commits: Commits, monkeypatch: pytest.MonkeyPatch) -> None:
    """Live through a broadcast and check how it ended."""
    servers.empty(world.settings.database_url.get_secret_value())
    world = replace(
        world,
        clock=Clock(),
        numbers=0,
        settings=make_settings(
            world.settings.database_url, carrier="twilio", send_rate=1000, second_delay=30, sync_deadline=3600
        ),
    )
    await world.contacts(PEOPLE, "a")
    broadcast = await world.scheduled(await world.segment("a"), second_delay=30)
    replier = await world.number_of(1)
    with monkeypatch.context() as patch:
        patch.setattr(database, "transaction", commits.transaction)
        await lossy.start(world, broadcast)
        carrier = await lossy.live(world, broadcast, replier)
    asked = Counter((item.to, item.body) for item in carrier.requests)
    assert max(asked.values()) == 1, "sent twice"
    assert Counter(body for _, body in asked) == {FIRST: PEOPLE, SECOND: PEOPLE - 1}
    assert (replier, SECOND) not in asked
    assert set(await world.states(broadcast)) == {"accepted"}
    assert Counter(await world.states(broadcast, is_second=True)) == {"accepted": PEOPLE - 1, "skipped": 1}
    assert len(await world.happened("BroadcastCompleted")) == 1
    async with database.transaction(world.engine) as connection:
        before = await rebuild.fingerprints(connection)
        await rebuild.rebuild(connection)
        assert await rebuild.fingerprints(connection) == before


async def test_whichever_commits_answer_is_lost_everybody_gets_each_message_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = Commits()
    await lived(world, undisturbed, monkeypatch)
    assert undisturbed.seen > 20
    for lost in range(1, undisturbed.seen + 1):
        commits = Commits(lost=lost)
        await lived(world, commits, monkeypatch)
        assert commits.seen >= lost, "nothing was lost"
