"""What follows when nothing goes wrong any more: everybody does what is theirs, and the broadcast comes to its end."""

from collections.abc import Callable
from datetime import timedelta

from libs.common.domain.commands import SendBatch, SettleUncertain, SyncStatuses
from tests.support.protocol import checks
from tests.support.protocol.broadcast import Protocol
from tests.support.protocol.checks import Violation
from tests.support.protocol.sender import Sender

LATEST = timedelta(hours=2)  # after everybody is well again, the broadcast is over within this


def finish(protocol: Protocol) -> None:
    """Have everybody get well, drive the broadcast to its end, and check how it ended. Raise Violation."""
    protocol.carrier.log = "readable"
    for sender in protocol.senders:
        if sender.stopped_at is not None:
            protocol.wake(sender)
    stage = protocol.stage
    while stage.actors:
        stage.run(stage.release(next(x for x in stage.actors if x.at), again=False))
    for ask in list(protocol.carrier.pending):
        protocol.carrier.decide(ask)
    for sender in protocol.senders:
        _run_out(protocol, sender)
    # The broker's disk is lost, too: what it had comes again, or was not needed.
    protocol.check()
    protocol.broker.clear()
    drive(protocol, lambda: _is_completed(protocol))
    stage.run(checks.at_the_end(stage, protocol.carrier, protocol.words, protocol.id))
    protocol.rebuild()


def drive(protocol: Protocol, ended: Callable[[], bool]) -> None:
    """Let time pass, with everybody doing what is theirs, until that is so. Raise Violation if it does not get so."""
    ends = protocol.clock.now + LATEST
    while not ended():
        if protocol.clock.now > ends:
            raise Violation(f"the broadcast does not go on: {protocol.state}")
        if protocol.state == "paused":
            protocol.staff("resume", 0)
        protocol.watchdog()
        _work_off(protocol)
        protocol.pass_time(20)
        protocol.carrier.strangers.append(protocol.clock.now)
        protocol.check()


def _is_completed(protocol: Protocol) -> bool:
    stage = protocol.stage
    rows = stage.run(stage.rows("SELECT completed_at FROM broadcasts WHERE id = %s", protocol.id))
    return rows[0]["completed_at"] is not None


def _run_out(protocol: Protocol, sender: Sender) -> None:
    """Have a worker finish what it has in mind, to the end of its batch."""
    while True:
        for ask in [item for item in sender.asks if not item.recorded]:
            if ask.outcome is None and not ask.written:
                protocol.ask(ask, decision="take", slow=False, lags=False)
            if ask.outcome is None:
                protocol.hear(ask, lost=False)
            protocol.record(sender, ask)
        sender.asks.clear()
        if sender.batch is None:
            return
        protocol.start(sender, count=2)
        if not sender.asks:
            protocol.close(sender)
            return


def _work_off(protocol: Protocol) -> None:
    """Have everybody do what the broker says, except the planner, which hears of nothing: it looks by itself."""
    protocol.collect()
    for message in protocol.broker:
        match message.body:
            case SendBatch():
                protocol.take(protocol.senders[0], message, redelivered=False)
                _run_out(protocol, protocol.senders[0])
            case SettleUncertain():
                protocol.settle()
            case SyncStatuses():
                protocol.sync(message.body.number)
            case _:
                pass
    protocol.broker.clear()
