"""Messages in, next steps out. Each handler is one transaction; a message that comes again finds nothing to do."""

from datetime import timedelta

from libs.common import database
from libs.common.broadcasts import scheduling
from libs.common.database import Engine
from libs.common.domain import events as e
from libs.common.domain.commands import MakeBroadcast, StartSecondPhase
from libs.common.messaging import inbox
from libs.common.messaging.consumer import Delivered, Delivery
from services.planner.advance import advance
from services.planner.context import Planner


class Handlers:
    """What the planner does with its messages."""

    def __init__(self, worker: Planner) -> None:
        self._worker = worker

    async def event(self, message: e.Published, delivery: Delivered) -> None:
        """See what a broadcast needs next, now that something happened to it.

        What follows from a schedule, or from a call back to it, is `MakeBroadcast`, which is planned with it. By the
        time this message comes, the broadcast may have been made by hand, and what that leads to is not the schedule's
        doing.
        """
        if isinstance(message, e.BroadcastScheduled | e.BroadcastEdited | e.BroadcastCalledBack):
            return
        await self._advance(message.broadcast_id, delivery, settle=isinstance(message, e.MessagesUncertain))

    async def make_broadcast(self, message: MakeBroadcast, delivery: Delivered) -> None:
        """Make the broadcast whose `run_at` has come."""
        await self._advance(message.broadcast_id, delivery, engine=self._worker.long_work)

    async def start_second_phase(self, message: StartSecondPhase, delivery: Delivered) -> None:
        """Begin the follow-ups: the delay between the messages is over."""
        await self._advance(message.broadcast_id, delivery)

    async def _advance(
        self, broadcast_id: int, delivery: Delivery, *, settle: bool = False, engine: Engine | None = None
    ) -> None:
        worker = self._worker
        now = worker.clock()
        async with database.transaction(engine or worker.engine, delivery.cause) as connection:
            if not await inbox.first_time(connection, "planner", delivery.message_id):
                return
            if settle:
                due = now + timedelta(seconds=worker.settings.settle_after)
                await scheduling.plan_settling(connection, broadcast_id, due, now)
            await advance(connection, broadcast_id, now, worker.settings)
