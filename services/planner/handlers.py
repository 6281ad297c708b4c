"""Messages in, next steps out. Each handler is one transaction; a message that comes again finds nothing to do."""

from datetime import timedelta

from libs.common import database, inbox, messaging, steps
from libs.common import events as e
from libs.common.commands import MakeBroadcast, StartSecondPhase
from libs.common.worker import Worker
from services.planner.advance import advance


class Handlers:
    """What the planner does with its messages."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def event(self, message: e.Published) -> None:
        """See what a broadcast needs next, now that something happened to it.

        What follows from a schedule is `MakeBroadcast`, which is planned with it. By the time this message comes, the
        broadcast may have been made by hand, and what that leads to is not the schedule's doing.
        """
        if isinstance(message, e.BroadcastScheduled | e.BroadcastEdited):
            return
        await self._advance(message.broadcast_id, settle=isinstance(message, e.TextsUncertain))

    async def make_broadcast(self, message: MakeBroadcast) -> None:
        """Make the broadcast whose `run_at` has come."""
        await self._advance(message.broadcast_id)

    async def start_second_phase(self, message: StartSecondPhase) -> None:
        """Begin the follow-ups: the delay between the messages is over."""
        await self._advance(message.broadcast_id)

    async def _advance(self, broadcast_id: int, *, settle: bool = False) -> None:
        worker = self._worker
        now = worker.clock()
        async with database.transaction(worker.pool) as connection:
            if not await inbox.first_time(connection, "planner", messaging.message_id()):
                return
            if settle:
                due = now + timedelta(seconds=worker.settings.settle_after)
                await steps.plan_settling(connection, broadcast_id, due, now)
            await advance(connection, broadcast_id, now, worker.settings)
