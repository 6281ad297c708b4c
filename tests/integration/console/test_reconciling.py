"""`broadsheet reconcile` where nothing was restored: the API was away, and webhooks of that time were lost."""

import json
from datetime import timedelta

import pytest

from libs.common import carriers, database
from libs.common.broadcasts import replies, restore_hold
from libs.common.broadcasts.inbound import Inbound
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.outcomes import Accepted
from libs.console import reconciling
from libs.console.printing import to_json
from tests.support.twilio_log import TwilioLog
from tests.support.world import FIRST, World


async def test_replies_whose_webhooks_were_lost_are_read_from_the_log_and_the_broadcast_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = TwilioLog(clock=world.clock)
    broadcast = await world.made(6, recurring=True)
    batch = await world.claimed(broadcast, size=4)
    for item in (sent := await world.start(batch)):
        sid = f"SM{item.attempt.message_id:032x}"
        log.add(sid, item.attempt.to, FIRST, world.clock.now)
        await world.answer(item, Accepted(missive_id=sid[2:], twilio_id=sid))
    await world.close(batch, started=len(sent))
    away = world.clock.forward(minutes=1)
    words = ("STOP", "Tell me more", "Heard", "START")
    for number, (item, body) in enumerate(zip(sent, words, strict=True)):
        log.reply(f"SM{number:032d}", item.attempt.to, body, world.clock.forward(seconds=20))
    async with database.transaction(world.engine) as connection:
        heard = Inbound(provider_id=f"SM{2:032d}", phone_number=sent[2].attempt.to, body="Heard", received_at=away)
        await replies.receive(connection, heard, away)
        # Who said START while nobody listened has said STOP since.
        later = world.clock.forward(minutes=1)
        no = Inbound(provider_id="SM9", phone_number=sent[3].attempt.to, body="STOP", received_at=later)
        await replies.receive(connection, no, later)
    monkeypatch.setattr(carriers, "create_twilio", lambda _settings: log.twilio())

    # A clock that goes on by itself: nobody waits for the log to catch up. It shows nothing newer, and is not believed.
    since = away - timedelta(seconds=10)
    with pytest.raises(CarrierUnreadable, match="Write any SMS"):
        await reconciling._settle(
            world.settings, world.settings.calendar, since, lambda: world.clock.forward(minutes=3)
        )
    async with database.transaction(world.engine) as connection:
        assert await restore_hold.held(connection)
    log.stranger()
    report = await reconciling._settle(
        world.settings, world.settings.calendar, since, lambda: world.clock.forward(minutes=3)
    )

    assert (report.replies, report.opted_out, report.strangers, report.made) == (3, 1, 0, {}), "nothing is made again"
    told = json.loads(to_json(reconciling._described(report)))
    assert (told["replies"], told["opted_out"], told["made"], told["lifted"]) == (3, 1, [], True)
    assert await world.value("SELECT count(*) FROM opt_outs") == 2
    async with database.transaction(world.engine) as connection:
        assert not await restore_hold.held(connection)
    assert len(await world.start(await world.claimed(broadcast, size=2))) == 2, "the others are still to be texted"
    assert sorted(await world.states(broadcast, is_second=True)) == ["pending"] * 2 + ["skipped"] * 4
