"""A Hypothesis state machine that does whatever may happen next, and checks after each step."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal, TypeVar, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from libs.common.domain import codec
from libs.common.domain.commands import SendBatch, SettleUncertain, SyncStatuses
from tests.support.protocol import ending
from tests.support.protocol.broadcast import OTHER, SECOND_DELAY, Message, Protocol
from tests.support.protocol.carrier import Ask, Decision, Log
from tests.support.protocol.people import Verb, Words
from tests.support.protocol.sender import Sender
from tests.support.protocol.stage import Actor, Stage
from tests.support.world import FROM

STEPS = 60
ACTORS = 3  # that are in the middle of something at once

DECISIONS: tuple[Decision, ...] = (
    "take",
    "take",
    "take",
    "nothing",
    "slow down",
    "again",
    "refuse",
    "opted out",
    "account",
)
#: Below and above what the settings say: leases, time-outs, the settling, the follow-ups, the patience of a phase.
SECONDS = (1, 6, 14, 15, 16, 31, 47, 47, 1000)
WORDS: tuple[Words, ...] = ("thanks", "thanks", "STOP", "START")
VERBS: tuple[Verb, ...] = ("resume", "resume", "pause", "opt out", "opt in", "cancel")
LOGS: tuple[Log, ...] = ("readable", "readable", "readable", "away", "garbled", "frozen", "frozen")

T = TypeVar("T")
which = st.integers(0, 5)
hold = st.sampled_from([False, False, True])


def pick(items: list[T], number: int) -> T:
    return items[number % len(items)]


class Machine(RuleBasedStateMachine):
    """Does whatever may happen next."""

    stage: ClassVar[Stage]
    protocol: ClassVar[type[Protocol]] = Protocol

    def __init__(self) -> None:
        super().__init__()
        self.p: Protocol | None = None

    @property
    def it(self) -> Protocol:
        assert self.p is not None
        return self.p

    @initialize(
        second=st.booleans(),
        contacts=st.integers(1, 3),
        batch_size=st.integers(1, 2),
        missive=st.booleans(),
        same_words=st.booleans(),
        skew=st.sampled_from([0, -2, 3, -40, 40]),
    )
    def begin(self, second: bool, contacts: int, batch_size: int, missive: bool, same_words: bool, skew: int) -> None:
        self.p = self.protocol(
            self.stage, contacts=contacts, batch_size=batch_size, missive=missive, same_words=same_words, skew=skew
        )
        if second:
            ending.drive(self.it, lambda: self.it.state == "waiting")
            self.it.pass_time(SECOND_DELAY + 1)
        self.it.watchdog()
        self.it.check()

    # What there is to choose from

    def awake(self) -> list[Sender]:
        return [sender for sender in self.it.senders if sender.stopped_at is None]

    def idle(self) -> list[Sender]:
        return [sender for sender in self.awake() if sender.batch is None and not self.it.at_work(sender, "take")]

    def working(self) -> list[Sender]:
        return [
            sender
            for sender in self.awake()
            if sender.batch is not None and not self.it.at_work(sender, "take", "start", "close")
        ]

    def asks(self, wanted: Callable[[Ask], bool]) -> list[tuple[Sender, Ask]]:
        return [(sender, ask) for sender in self.awake() for ask in sender.asks if wanted(ask)]

    def unasked(self) -> list[tuple[Sender, Ask]]:
        return self.asks(lambda ask: not ask.written and ask.outcome is None)

    def unheard(self) -> list[tuple[Sender, Ask]]:
        return self.asks(lambda ask: ask.written and ask.outcome is None)

    def heard(self) -> list[tuple[Sender, Ask]]:
        return [
            (sender, ask)
            for sender, ask in self.asks(lambda ask: ask.outcome is not None)
            if not self.it.at_work(sender, "record")
        ]

    def over(self) -> list[Sender]:
        return [sender for sender in self.working() if all(ask.recorded for ask in sender.asks)]

    def messages(self, *types: type[codec.Message], but: bool = False) -> list[Message]:
        return [message for message in self.it.broker if isinstance(message.body, types) is not but]

    def held(self, *, services: bool = False) -> list[Actor]:
        return [
            actor
            for actor in self.it.stage.actors
            if actor.held and actor.at is not None
            and (actor.sender is None or (not services and actor.sender.stopped_at is None))
        ]  # fmt: skip

    def room(self) -> bool:
        return len(self.it.stage.actors) < ACTORS

    # The sender

    @rule(worker=which, steps=st.integers(1, 6), decision=st.sampled_from(DECISIONS), lost=st.booleans())
    def work(self, worker: int, steps: int, decision: Decision, lost: bool) -> None:
        """Have a worker do what it does when nothing comes between."""
        if not (self.room() and self.awake()):
            return
        sender = pick(self.awake(), worker)
        for _ in range(steps):
            self.do_next(sender, decision, lost=lost)

    @rule(steps=st.integers(1, 3), decision=st.sampled_from(DECISIONS), lost=st.booleans())
    def all_work(self, steps: int, decision: Decision, lost: bool) -> None:
        if not (self.room() and self.awake()):
            return
        for _ in range(steps):
            for sender in self.awake():
                self.do_next(sender, decision, lost=lost)

    def do_next(self, sender: Sender, decision: Decision, *, lost: bool) -> None:
        unfinished = [ask for ask in sender.asks if not ask.recorded]
        if any(actor.sender is sender for actor in self.it.stage.actors):
            return
        if sender.batch is None and not unfinished:
            if self.messages(SendBatch):
                self.it.take(sender, self.messages(SendBatch)[-1], redelivered=False)
        elif not unfinished:
            before = sender.started
            self.it.start(sender, count=2)
            if sender.started == before and sender in self.over():
                self.it.close(sender)
        elif unfinished[0].outcome is not None:
            self.it.record(sender, unfinished[0])
        elif unfinished[0].written:
            self.it.hear(unfinished[0], lost=lost)
        else:
            self.it.ask(unfinished[0], decision=decision, slow=False, lags=False)

    @rule(worker=which, message=which, redelivered=st.booleans(), hold=hold)
    def take(self, worker: int, message: int, redelivered: bool, hold: bool) -> None:
        if not (self.room() and self.idle() and self.messages(SendBatch)):
            return
        sent = pick(self.messages(SendBatch)[::-1], message)
        self.it.take(pick(self.idle(), worker), sent, redelivered=redelivered, hold=hold)

    @rule(worker=which, count=st.integers(1, 2), hold=hold)
    def start(self, worker: int, count: int, hold: bool) -> None:
        if not (self.room() and self.working()):
            return
        self.it.start(pick(self.working(), worker), count=count, hold=hold)

    @rule(ask=which, decision=st.sampled_from(DECISIONS), slow=st.booleans(), lags=st.booleans())
    def ask(self, ask: int, decision: Decision, slow: bool, lags: bool) -> None:
        if not (self.unasked()):
            return
        self.it.ask(pick(self.unasked(), ask)[1], decision=decision, slow=slow, lags=lags)

    @rule(ask=which)
    def decide(self, ask: int) -> None:
        if not (self.it.carrier.pending):
            return
        self.it.carrier.decide(pick(self.it.carrier.pending, ask))

    @rule(ask=which, lost=st.booleans())
    def hear(self, ask: int, lost: bool) -> None:
        if not (self.unheard()):
            return
        self.it.hear(pick(self.unheard(), ask)[1], lost=lost)

    @rule(ask=which, hold=hold)
    def record(self, ask: int, hold: bool) -> None:
        if not (self.room() and self.heard()):
            return
        self.it.record(*pick(self.heard(), ask), hold=hold)

    @rule(worker=which)
    def renew(self, worker: int) -> None:
        if not (self.room() and self.working()):
            return
        self.it.renew(pick(self.working(), worker))

    @rule(worker=which, hold=hold)
    def close(self, worker: int, hold: bool) -> None:
        if not (self.room() and self.over()):
            return
        self.it.close(pick(self.over(), worker), hold=hold)

    @rule(worker=which, how=st.sampled_from(["stop", "wake", "crash"]))
    def strike(self, worker: int, how: Literal["stop", "wake", "crash"]) -> None:
        sender = pick(self.it.senders, worker)
        match how:
            case "crash":
                self.it.crash(sender)
            case "stop" if sender.stopped_at is None:
                self.it.stop(sender)
            case "wake" if sender.stopped_at is not None:
                self.it.wake(sender)
            case _:
                pass

    @rule(ask=which)
    def stop_before_asking(self, ask: int) -> None:
        if not (self.unasked()):
            return
        sender, about = pick(self.unasked(), ask)
        self.it.look(about)
        self.it.stop(sender)

    # Time, the planner, twilio_sync

    @rule(seconds=st.sampled_from(SECONDS))
    def pass_time(self, seconds: int) -> None:
        self.it.pass_time(seconds)

    @rule(seconds=st.sampled_from((15, 31, 47)))
    def keep_house(self, seconds: int) -> None:
        """Have the watchdog and the settling do what they do when nothing comes between."""
        if not (self.room()):
            return
        self.it.pass_time(seconds)
        self.it.carrier.strangers.append(self.it.clock.now)
        self.it.watchdog()
        self.it.settle()
        self.it.watchdog()

    @rule(message=which, again=st.booleans(), hold=hold)
    def handle(self, message: int, again: bool, hold: bool) -> None:
        if not (self.room() and self.messages(SendBatch, SettleUncertain, SyncStatuses, but=True)):
            return
        sent = pick(self.messages(SendBatch, SettleUncertain, SyncStatuses, but=True)[::-1], message)
        if not again:
            self.it.broker.remove(sent)
        self.it.handle(sent, hold=hold)

    @rule(hold=hold)
    def watchdog(self, hold: bool) -> None:
        if not (self.room()):
            return
        self.it.watchdog(hold=hold)

    @rule()
    def freeze(self) -> None:
        """Have the log stand still from now on, for whoever finds it so."""
        self.it.carrier.frozen_at = self.it.clock.now

    @rule()
    def stranger(self) -> None:
        """Have somebody write to the account who has nothing to do with the broadcast."""
        self.it.carrier.strangers.append(self.it.clock.now)

    @rule(log=st.sampled_from(LOGS), hold=hold)
    def settle(self, log: Log, hold: bool) -> None:
        if not (self.room()):
            return
        self.it.carrier.log = log
        self.it.settle(hold=hold)

    @rule(log=st.sampled_from(LOGS), planned=st.booleans(), hold=hold)
    def sync(self, log: Log, planned: bool, hold: bool) -> None:
        if not (self.room()):
            return
        steps = self.messages(SyncStatuses)
        number = cast("SyncStatuses", steps[-1].body).number if planned and steps else None
        self.it.carrier.log = log
        self.it.sync(number, hold=hold)

    @rule(actor=which, again=hold)
    def release(self, actor: int, again: bool) -> None:
        if not (self.held()):
            return
        self.it.stage.run(self.it.stage.release(pick(self.held(), actor), again=again))

    @rule(actor=which)
    def lose(self, actor: int) -> None:
        if not (self.held(services=True)):
            return
        self.it.stage.run(self.it.stage.lose(pick(self.held(services=True), actor)))

    @rule(what=st.sampled_from(["broker", "tables"]))
    def disaster(self, what: Literal["broker", "tables"]) -> None:
        if what == "broker":
            self.it.broker.clear()
        elif not self.it.stage.actors:
            self.it.rebuild()

    # People

    @rule(by=which, words=st.sampled_from(WORDS), to=st.sampled_from([FROM, FROM, OTHER]))
    def reply(self, by: int, words: Words, to: str) -> None:
        self.it.reply(by % len(self.it.numbers), words, to=to)

    @rule()
    def other_broadcast(self) -> None:
        """Have another broadcast reach the same people, once; it would wait for the locks of whoever is held."""
        if self.it.other is None and not self.it.stage.actors:
            self.it.send_other()

    @rule(inbound=which, hold=hold)
    def webhook(self, inbound: int, hold: bool) -> None:
        if not (self.room() and self.it.inbound):
            return
        self.it.webhook(pick(self.it.inbound[::-1], inbound), hold=hold)

    @rule(verb=st.sampled_from(VERBS), sure=st.sampled_from([False, False, False, True]), to=which, hold=hold)
    def staff(self, verb: Verb, sure: bool, to: int, hold: bool) -> None:
        if not (self.room()):
            return
        if verb != "cancel" or sure:
            self.it.staff(verb, to % len(self.it.numbers), hold=hold)

    # What must hold

    @invariant()
    def check(self) -> None:
        if self.p is not None:
            self.p.check()

    def teardown(self) -> None:
        if self.p is None:
            return
        try:
            if self.stage.sound:
                ending.finish(self.p)
        finally:
            self.p.end()


def profile(examples: int, **others: Any) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        **others,
    )


def machine(stage: Stage, protocol: type[Protocol] = Protocol) -> type[Machine]:
    return type("Machine", (Machine,), {"stage": stage, "protocol": protocol})
