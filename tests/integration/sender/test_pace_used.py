"""What senders tell of the pace."""

from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from libs.common.domain.commands import SendBatch
from libs.common.domain.rate_windows import parse_windows
from services.sender.batch_sender import Sender
from tests.support.deliveries import delivery
from tests.support.scripted import ScriptedCarrier
from tests.support.world import Clock, World, make_settings


# As tight as their own rate, and a little less so: together they may fill it all the same.
@pytest.mark.parametrize("window", ["150/3", "180/3"])
async def test_numbers_that_share_a_window_use_it_together(world: World, window: str) -> None:
    settings = make_settings(world.settings.database_url, send_rate=50, missive_windows=window)
    world = replace(world, clock=Clock(None), settings=settings)

    def used() -> float:
        return REGISTRY.get_sample_value("broadsheet_pace_used_seconds_total", {"limit": f"missive:{window}"}) or 0

    before = used()
    for number in ("+13135550101", "+13135550102"):
        broadcast_id = await world.made(3, from_number=number)
        message = SendBatch(broadcast_id=broadcast_id, batch_id=await world.plan(broadcast_id), is_second=False)
        await Sender(world.worker, settings, ScriptedCarrier()).send_batch(message, delivery())
    [limit] = parse_windows(window)
    assert used() - before == pytest.approx(6 * limit.seconds / limit.requests)
