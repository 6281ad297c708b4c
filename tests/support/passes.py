"""Broadcasts that are syncing, and passes over the log as they would be recorded."""

from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import repository
from libs.common.domain import events as e
from tests.support.world import World


async def passed(world: World, broadcast_id: int, *changes: e.MessageStatus) -> None:
    """Let a pass over the log have been made, to its end."""
    number = await world.value("SELECT number FROM syncs WHERE broadcast_id = %s", broadcast_id)
    async with database.transaction(world.engine) as connection:
        event = e.StatusesSynced(broadcast_id=broadcast_id, statuses=changes, number=number)
        await repository.append_events(connection, f"broadcast-{broadcast_id}-statuses", [event], world.clock.now)
        await connection.execute(text("UPDATE syncs SET due_at = NULL"))


async def delivered(world: World, broadcast_id: int) -> None:
    ids = await world.column(
        "SELECT outgoing_message_id FROM broadcast_sent_message_status"
        " WHERE outcome = 'accepted' AND broadcast_id = %s",
        broadcast_id,
    )
    told = [
        e.MessageStatus(
            message_id=message, twilio_id=f"SM{message}", status="delivered", error_code=None, sent_at=world.clock.now
        )
        for message in ids
    ]
    await passed(world, broadcast_id, *told)


async def syncing(world: World, *, contacts: int = 1) -> int:
    broadcast = await world.made(contacts, second_delay=0)
    await world.send(broadcast)
    await world.advance(broadcast)
    await world.send(broadcast, is_second=True)
    for batch_id in await world.opens(broadcast):
        batch = await world.take(batch_id)
        assert batch is not None
        await world.close(batch)
    assert await world.advance(broadcast) == "syncing"
    return broadcast
