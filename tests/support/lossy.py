"""A whole broadcast without a broker, whose handlers are called with what the outbox holds, and commits whose answer
is lost: the database has them, and who asked gets an error.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from libs.common import database
from libs.common.broadcasts import replies
from libs.common.broadcasts.inbound import Inbound
from libs.common.carriers.http import Ready, at_once
from libs.common.carriers.outcomes import Accepted, Outcome
from libs.common.database import Connection, Engine
from libs.common.domain import codec
from libs.common.domain.cause import Cause
from libs.common.domain.commands import MakeBroadcast, SendBatch, SettleUncertain, SyncStatuses
from libs.common.messaging import outbox
from libs.common.messaging.consumer import Handler
from libs.common.messaging.outbox import Leased
from services.planner import watchdog
from services.planner.handlers import Handlers
from services.sender.batch_sender import Sender
from services.twilio_sync.settling import Settle
from services.twilio_sync.status_sync import Sync
from tests.support.deliveries import delivery_of
from tests.support.scripted import ScriptedCarrier
from tests.support.twilio_log import TwilioLog
from tests.support.world import World

TRIES = 3  # a handler is called again in the same process before the message goes back to the broker
PATIENCE = timedelta(hours=3)
TICK = timedelta(seconds=20)

transact = database.transaction


@dataclass(slots=True)
class Commits:
    """Stands in for `database.transaction`; the answer to commit number `lost` is lost."""

    lost: int | None = None
    seen: int = 0

    @asynccontextmanager
    async def transaction(self, engine: Engine, cause: Cause | None = None) -> AsyncIterator[Connection]:
        """Commit, and tell so unless it is that one's turn."""
        async with transact(engine, cause) as connection:
            yield connection
        self.seen += 1
        if self.seen == self.lost:
            raise database.DatabaseUnavailable("the server closed the connection in the middle of COMMIT")


@dataclass(slots=True)
class LoggingCarrier(ScriptedCarrier):
    """Takes every message, and shows it in Twilio's log."""

    log: TwilioLog = field(default_factory=TwilioLog)
    clock: Callable[[], datetime] | None = None

    async def send(
        self,
        *,
        to: str,
        from_number: str,
        body: str,
        may_still_send: Callable[[], bool],
        ready: Ready = at_once,
        labels: Sequence[str] = (),
        valid_for: int | None = None,
    ) -> Outcome:
        await ScriptedCarrier.send(
            self,
            to=to,
            from_number=from_number,
            body=body,
            may_still_send=may_still_send,
            ready=ready,
            labels=labels,
            valid_for=valid_for,
        )
        assert self.clock is not None
        sid = f"SM{len(self.log.entries)}"
        self.log.add(sid, to, body, self.clock())
        return Accepted(twilio_id=sid)


async def start(world: World, broadcast_id: int) -> None:
    """Have the timer of a broadcast fire, as a `MakeBroadcast` that waits in the outbox does."""
    async with transact(world.engine) as connection:
        await outbox.write(connection, [MakeBroadcast(broadcast_id=broadcast_id)], now=world.clock.now)


async def live(world: World, broadcast_id: int, replier: str) -> LoggingCarrier:
    """Have a broadcast go its way to its end, one person replying to the first message; return what was asked for."""
    log = TwilioLog(clock=world.clock)
    carrier = LoggingCarrier(log=log, clock=world.clock, name="twilio")
    worker = world.worker
    handlers: dict[type[codec.Message], Handler] = {
        SendBatch: Sender(worker, world.settings, carrier).send_batch,
        SettleUncertain: Settle(worker, world.settings, log.twilio()).settle_uncertain,
        SyncStatuses: Sync(worker, world.settings, log.twilio(), None).sync_statuses,
    }
    planner = Handlers(worker).event
    ends = world.clock.now + PATIENCE
    settled: dict[int, datetime] = {}
    has_replied = False
    while await world.value("SELECT completed_at IS NULL FROM broadcasts WHERE id = %s", broadcast_id):
        assert world.clock.now < ends, f"the broadcast is still {await world.state(broadcast_id)}"
        for due in await _due(world):
            message = codec.decode(due.type, due.schema_version, due.data)
            handle = handlers.get(type(message), planner)
            await _patiently(handle, message, delivery_of(due.message_id, due.correlation_id))
        if not has_replied and await world.state(broadcast_id) == "waiting":
            await _patiently(_reply, world, replier)
            has_replied = True
        world.clock.now += TICK
        log.stranger()
        with suppress(database.DatabaseUnavailable):
            await watchdog.look(worker, world.clock.now, settled)
    return carrier


async def _due(world: World) -> list[Leased]:
    """Take what is due out of the outbox. The relay removes what it has published: a lost answer loses no message."""
    rows: list[Leased] = []
    now = world.clock.now
    with suppress(database.DatabaseUnavailable):
        rows = await outbox.take(world.engine, until=now, now=now, limit=20)
        await outbox.done(world.engine, [row.id for row in rows])
    return rows


async def _reply(world: World, number: str) -> None:
    """Do what the webhook does, which the provider calls again until it hears that it was understood."""
    inbound = Inbound(provider_id="SMreply", phone_number=number, body="thanks", received_at=world.clock.now)
    async with database.transaction(world.engine) as connection:
        await replies.receive(connection, inbound, world.clock.now)


async def _patiently(handle: Callable[..., Awaitable[None]], *arguments: Any) -> None:
    for _ in range(TRIES):
        with suppress(database.DatabaseUnavailable):
            return await handle(*arguments)
    raise AssertionError("only one commit is lost")
