"""One small broadcast in which everything may happen in any order: the real statements on a real database.

Only the carrier and the clock are models. What services do runs as it is, as *actors*: tasks that stop before each
commit, and after each look into the carrier's log. One commit is let through at a time, so that their order is known;
an actor may be held there while others go on (and wait for its locks), or be lost. Workers are what their process
would have in its memory. What must always hold is checked after every step, and when everything was driven to its end
(`ending.py`).

What is assumed of the world, and no more: a worker that was stopped for `lease` is ended before it can do anything
(the dead man's switch), the carrier takes a request within `request_timeout` of its leaving or never, and its log shows
a message at the latest `settle_after` after the attempt began.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import cast
from uuid import UUID

from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts.inbound import Inbound
from libs.common.carriers.outcomes import Deferred, Unknown
from libs.common.database.engine import IDLE_TIMEOUT
from libs.common.domain import codec
from libs.common.domain import events as e
from libs.common.domain.commands import SendBatch, SettleUncertain, SyncStatuses
from libs.common.messaging import outbox
from libs.common.operations import rebuild
from services.planner import watchdog
from services.planner.handlers import Handlers
from services.sender import batches, outcomes
from services.sender.batches import StartedAttempt
from services.twilio_sync.settling import Settle
from services.twilio_sync.status_sync import Sync
from tests.support.deliveries import delivery
from tests.support.protocol import checks
from tests.support.protocol.carrier import LEASE, REQUEST_TIMEOUT, SETTLE_AFTER, Ask, Carrier, Decision
from tests.support.protocol.checks import Violation
from tests.support.protocol.people import People
from tests.support.protocol.sender import Sender
from tests.support.protocol.stage import Actor, Stage
from tests.support.world import NOW, Clock, WorkersSettings, World, make_settings

SECOND_DELAY = 30  # seconds
SYNC_INTERVAL = 15.0  # seconds
OTHER = "+13135550199"  # another number of ours
IDLE = timedelta(seconds=IDLE_TIMEOUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that the broker has, and may deliver more than once, or never."""

    id: UUID
    body: codec.Message


@cache
def settings_for(url: str, *, missive: bool, batch_size: int) -> WorkersSettings:
    return make_settings(
        url,
        carrier="missive" if missive else "twilio",
        lease=LEASE,
        request_timeout=REQUEST_TIMEOUT,
        settle_after=SETTLE_AFTER,
        batch_size=batch_size,
        sync_page_size=2,
        sync_interval=SYNC_INTERVAL,
    )


class Protocol(People):
    """A broadcast, its workers, services, carrier, recipients and staff."""

    #: What keeps a worker that was stopped for long from going on. Only a test that shows what happens then changes it.
    dead_mans_switch = True

    def __init__(
        self, stage: Stage, *, contacts: int, batch_size: int, missive: bool, same_words: bool, skew: int
    ) -> None:
        self.stage = stage
        self.clock = stage.clock = Clock(NOW + timedelta(milliseconds=700))
        self.settings = settings_for(stage.url, missive=missive, batch_size=batch_size)
        self.world = World(engine=stage.engine, settings=self.settings, clock=self.clock)
        self.worker = self.world.worker
        self.carrier = Carrier(stage, self.clock, missive=missive, skew=skew)
        self.handlers = Handlers(self.worker)
        self.settling = Settle(self.worker, self.settings, self.carrier.twilio)
        self.syncing = Sync(self.worker, self.settings, self.carrier.twilio, self.carrier.missive if missive else None)
        self.settled: dict[int, datetime] = {}
        self.senders = [Sender(), Sender(), Sender()]
        self.broker: list[Message] = []
        self.inbound: list[Inbound] = []
        #: Who has said no, and when, and who has replied to the first message: on record, that is, committed.
        self.opted_out: dict[str, datetime] = {}
        self.opted_in: dict[str, datetime] = {}
        self.replied: set[str] = set()
        #: The broadcast that each reply on record is to, by the reply's id, where that is certain.
        self.credits: dict[str, int] = {}
        #: Another broadcast from another number to the same people, and when it reached whom.
        self.other: int | None = None
        self.other_reached: dict[str, datetime] = {}
        self.words = ("Hello?", "Hello?" if same_words else "Hello again?")
        stage.empty()
        self.id = stage.run(self._make(contacts))
        self.numbers: list[str] = [
            row["phone_number"] for row in stage.run(stage.rows("SELECT phone_number FROM contacts ORDER BY id"))
        ]
        self.state = "sending_first"
        self.collect()

    async def _make(self, contacts: int) -> int:
        return await self.world.made(
            contacts, first_message=self.words[0], second_message=self.words[1], second_delay=SECOND_DELAY
        )

    async def _make_other(self) -> int:
        segment = await self.world.value("SELECT id FROM audience_segments")
        broadcast_id = await self.world.scheduled(segment, from_number=OTHER)
        await self.world.make(broadcast_id)
        for started in await self.world.send(broadcast_id):
            self.other_reached[started.attempt.to] = self.clock.now
        await self.world.pause(broadcast_id)
        return broadcast_id

    def send_other(self) -> None:
        """Have another broadcast reach the same people from another number; then it is paused, and in nobody's way."""
        self.other = self.stage.run(self._make_other())

    # Running

    def at_work(self, sender: Sender, *names: str) -> bool:
        """Return whether a worker's process is in the middle of one of these."""
        return any(actor.sender is sender and actor.name in names for actor in self.stage.actors)

    def collect(self) -> None:
        """Have the relay publish what is due: from now on the broker has it."""
        self.stage.run(self._collect())

    async def _collect(self) -> None:
        messages = await outbox.take(self.stage.monitor, until=self.clock.now, now=self.clock.now, limit=1000)
        await outbox.done(self.stage.monitor, [message.id for message in messages])
        for message in messages:
            body = codec.decode(message.type, message.schema_version, message.data)
            if getattr(body, "broadcast_id", self.id) == self.id:
                self.broker.append(Message(id=message.message_id, body=body))

    # The sender

    def take(self, sender: Sender, message: Message, *, redelivered: bool, hold: bool = False) -> None:
        command = message.body
        assert isinstance(command, SendBatch)

        async def work() -> None:
            now = self.clock.now
            async with self.transaction() as connection:
                batch = await batches.take(connection, command.batch_id, lease=LEASE, redelivered=redelivered, now=now)
                if batch is not None:
                    size, rules = self.settings.batch_messages, self.settings.rules
                    await batches.claim(connection, batch, size=size, rules=rules, now=now)
            sender.batch, sender.started = batch, 0

        self.act("take", work(), hold=hold, by=sender)

    def renew(self, sender: Sender) -> None:
        batch = sender.batch
        assert batch is not None

        async def work() -> None:
            async with self.transaction() as connection:
                kept = await batches.renew(connection, batch, lease=LEASE, now=self.clock.now)
            if not kept and sender.batch is batch:
                sender.batch = None

        self.act("renew", work(), by=sender)

    def start(self, sender: Sender, *, count: int, hold: bool = False) -> None:
        batch = sender.batch
        assert batch is not None

        async def work() -> None:
            now = self.clock.now
            async with self.transaction() as connection:
                open_ = list(await batches.windows(connection, batch, self.settings.rules, now))
                starting = await batches.start(connection, batch, count=count, open_=open_, now=now)
            for started in starting:
                self._may_be_told(started, is_second=batch.is_second)
                sender.asks.append(Ask(started=started, body=batch.body, began_at=now))
            sender.started += len(starting)

        self.act("start", work(), hold=hold, by=sender)

    def _may_be_told(self, started: StartedAttempt, *, is_second: bool) -> None:
        to = started.attempt.to
        if to in self.out():
            raise Violation("a message was started after an opt-out was recorded")
        if is_second and to in self.replied:
            raise Violation("a second message was started after a reply was recorded")

    def ask(self, ask: Ask, *, decision: Decision, slow: bool, lags: bool) -> None:
        """Have a worker look whether it may still send, and send."""
        self.look(ask)
        if ask.checked:
            ask.decision, ask.lags = decision, lags
            self.carrier.ask(ask, slow=slow)

    def look(self, ask: Ask) -> None:
        """Have a worker look whether it may still send: its next step is to write."""
        if self.clock.now < ask.began_at + timedelta(seconds=LEASE):
            ask.checked = True
        else:
            ask.outcome = Deferred(code="not_started", reason="")

    @staticmethod
    def hear(ask: Ask, *, lost: bool) -> None:
        """Get the answer, or find that there is none."""
        ask.outcome = Unknown(reason="no_answer") if lost or ask.answer is None else ask.answer

    def record(self, sender: Sender, ask: Ask, *, hold: bool = False) -> None:
        """Record an answer; where the database did not say whether it committed, that is done once more."""
        outcome = ask.outcome
        assert outcome is not None

        async def work() -> None:
            async with self.transaction() as connection:
                what = await outcomes.record(
                    connection, ask.started, outcome, carrier=self.settings.carrier,
                    max_attempts=self.settings.max_attempts, now=self.clock.now,
                )  # fmt: skip
            ask.recorded += 1
            if what.opt_out:
                self.says_no(ask.started.attempt.to, self.clock.now)
            if ask.recorded > 1 and ask in sender.asks:
                sender.asks.remove(ask)

        self.act("record", work(), hold=hold, by=sender)

    def close(self, sender: Sender, *, hold: bool = False) -> None:
        batch = sender.batch
        assert batch is not None

        async def work() -> None:
            async with self.transaction() as connection:
                await batches.close(connection, batch, started=sender.started, now=self.clock.now)
            if sender.batch is batch:
                sender.batch = None

        self.act("close", work(), hold=hold, by=sender)

    def crash(self, sender: Sender) -> None:
        """SIGKILL: what a worker had in mind is gone."""
        for actor in [actor for actor in self.stage.actors if actor.sender is sender]:
            if actor in self.stage.actors:
                self.stage.run(self.stage.lose(actor))
        sender.dies()

    def stop(self, sender: Sender) -> None:
        """SIGSTOP."""
        sender.stopped_at = self.clock.now

    def wake(self, sender: Sender) -> None:
        """SIGCONT: the first that it does is what it was about to do."""
        sender.stopped_at = None
        self._write(sender)
        self.stage.run(self.stage.go_on())

    def _write(self, sender: Sender) -> None:
        for ask in sender.asks:
            if ask.checked and not ask.written:
                self.carrier.ask(ask, slow=False)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with what comes of that by itself."""
        for sender in self.senders:
            if sender.stopped_at is None:
                self._write(sender)
        until = self.clock.now + timedelta(seconds=seconds)
        for ask in sorted(self.carrier.pending, key=lambda item: item.decided_by or until):
            if ask.decided_by is not None and ask.decided_by < until:
                self.clock.now = max(self.clock.now, ask.decided_by)
                self.carrier.decide(ask)
        self.clock.now = until
        for sender in self.senders:
            stopped = sender.stopped_at
            if self.dead_mans_switch and stopped is not None and until - stopped >= timedelta(seconds=LEASE):
                self.crash(sender)
        self._end_idle()

    def _end_idle(self) -> None:
        """PostgreSQL ends transactions that sit idle; their worker finds that out when it stirs."""
        while idle := [x for x in self.stage.actors if x.at == "commit" and self.clock.now - x.since >= IDLE]:
            sender = idle[0].sender
            self.stage.run(self.stage.lose(idle[0]))
            if sender is not None and idle[0].name in ("take", "start", "close"):
                sender.batch = None

    # The planner, and twilio_sync

    def handle(self, message: Message, *, hold: bool = False) -> None:
        """Have the planner handle a message."""
        event = message.body

        async def work() -> None:
            await self.handlers.event(cast("e.Published", event), delivery(message.id))

        self.act("handle", work(), hold=hold)

    def watchdog(self, *, hold: bool = False) -> None:
        self.act("watchdog", watchdog.look(self.worker, self.clock.now, self.settled), hold=hold)

    def settle(self, *, hold: bool = False) -> None:
        self.act("settle", self.settling.settle_uncertain(SettleUncertain(broadcast_id=self.id), delivery()), hold=hold)

    def sync(self, number: int | None = None, *, hold: bool = False) -> None:
        async def work() -> None:
            await self.syncing.sync_statuses(SyncStatuses(broadcast_id=self.id, number=number), delivery())
            # The pace has a clock of its own, which is not the subject here.
            async with database.transaction(self.stage.monitor) as connection:
                await connection.execute(text("DELETE FROM pace"))

        self.act("sync", work(), hold=hold)

    def rebuild(self) -> None:
        """Empty the tables and replay history: the rows must be the same, and everything goes on with them."""
        self.stage.run(self._rebuild())

    async def _rebuild(self) -> None:
        async with database.transaction(self.stage.monitor) as connection:
            before = await rebuild.fingerprints(connection)
            await rebuild.rebuild(connection)
            if await rebuild.fingerprints(connection) != before:
                raise Violation("history does not give the same rows")

    # What must hold

    def check(self) -> None:
        """Check what must hold at every moment, and look where the broadcast is."""
        self.stage.run(self._check())

    async def _check(self) -> None:
        await self._collect()
        self.state = await checks.so_far(self.stage, self.carrier, self.words, self.id)
        await checks.people(self.stage, self.out(), self.credits)

    def end(self) -> None:
        """Leave nothing of this example behind."""
        while self.stage.actors:
            self.stage.run(self._drop(self.stage.actors[0]))
        self.stage.run(self.carrier.twilio.aclose())

    async def _drop(self, actor: Actor) -> None:
        assert actor.task is not None
        actor.task.cancel()
        await asyncio.gather(actor.task, return_exceptions=True)
        self.stage.actors.remove(actor)
