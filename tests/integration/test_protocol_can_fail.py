"""A check is worth something only if it can fail: without one of the protections the protocol is found to be broken.

Each test takes one protection away and goes the few steps in which it matters; with it, the same steps do no harm.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import pytest

from libs.common.broadcasts import opt_outs, reply_record, suppression
from libs.common.carriers import clock_records
from libs.common.carriers.clocks import SAME, Offset
from libs.common.carriers.log_matching import Candidate
from libs.common.carriers.twilio import LogEntry
from libs.common.domain.commands import SendBatch, SyncStatuses
from services.sender import batches
from services.twilio_sync import newest, settling, status_sync
from tests.chaos.broken import fence
from tests.chaos.broken.settling import take_away
from tests.support import servers
from tests.support.protocol import ending
from tests.support.protocol.broadcast import Protocol
from tests.support.protocol.carrier import SETTLE_AFTER, Ask
from tests.support.protocol.checks import Violation
from tests.support.protocol.sender import Sender
from tests.support.protocol.stage import Stage
from tests.support.statements import replaced

LATER = 10  # seconds after which an entry proves that the log has got past a message
SKEW = -20  # seconds that the carrier's clock is ahead: it is behind

TakeAway = Callable[[pytest.MonkeyPatch], None]
Steps = Callable[[Protocol], None]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with servers.database() as url, closing(Stage(url)) as stage:
        yield stage


def batch(protocol: Protocol, sender: int, number: int = 0, *, redelivered: bool = False) -> Sender:
    """Have a worker take a batch, and start what it holds."""
    planned = [message for message in protocol.broker if isinstance(message.body, SendBatch)]
    worker = protocol.senders[sender]
    protocol.take(worker, planned[number], redelivered=redelivered)
    protocol.start(worker, count=1)
    return worker


def send(protocol: Protocol, worker: Sender, *, lost: bool = False) -> Ask:
    """Have a worker make its last request, which the carrier takes, and note the answer."""
    ask = worker.asks[-1]
    protocol.ask(ask, decision="take", slow=False, lags=False)
    protocol.hear(ask, lost=lost)
    protocol.record(worker, ask)
    return ask


def a_batch_that_another_worker_gets(protocol: Protocol) -> None:
    planned = [message for message in protocol.broker if isinstance(message.body, SendBatch)]
    for redelivered in (False, True):
        protocol.take(protocol.senders[redelivered], planned[0], redelivered=redelivered)
    for worker in protocol.senders[:2]:
        protocol.start(worker, count=1)
    for worker in protocol.senders[:2]:
        if worker.asks:
            send(protocol, worker)


def can_be_put_back(patch: pytest.MonkeyPatch) -> None:
    for name in ("RENEW", "CLOSE", "CLAIM", "START", "claim", "_attempts_of", "_names"):
        patch.setattr(batches, name, getattr(batches, name))


def without_the_fence(patch: pytest.MonkeyPatch) -> None:
    can_be_put_back(patch)
    fence.take_away()


def without_the_fence_alone(patch: pytest.MonkeyPatch) -> None:
    can_be_put_back(patch)
    fence.forget_the_fence()


def without_the_state_alone(patch: pytest.MonkeyPatch) -> None:
    can_be_put_back(patch)
    fence.start_what_is_in_mind()


def an_answer_that_is_lost(protocol: Protocol) -> None:
    send(protocol, batch(protocol, 0), lost=True)
    protocol.pass_time(SETTLE_AFTER + LATER)
    protocol.carrier.strangers.append(protocol.clock.now)
    protocol.settle()


def without_the_settling(patch: pytest.MonkeyPatch) -> None:
    for owner, name in ((settling.Settle, "_log"), (settling.Settle, "_newest"), (newest.Newest, "proves")):
        patch.setattr(owner, name, getattr(owner, name))
    take_away()


def a_log_that_stands_still(protocol: Protocol) -> None:
    send(protocol, batch(protocol, 0))
    protocol.carrier.frozen_at = protocol.clock.now
    protocol.pass_time(10)
    worker = protocol.senders[0]
    for lost in (True, False):
        protocol.start(worker, count=1)
        send(protocol, worker, lost=lost)
    protocol.pass_time(SETTLE_AFTER + LATER)
    protocol.carrier.strangers.append(protocol.clock.now)  # which it does not show either
    protocol.carrier.log = "frozen"
    protocol.settle()
    protocol.carrier.log = "readable"


def without_a_proof(patch: pytest.MonkeyPatch) -> None:
    """Fault 34: a log that lags was believed."""

    def always(*_about: object) -> bool:
        return True

    patch.setattr(newest, "has_got_past", always)


def without_the_carriers_clock(patch: pytest.MonkeyPatch) -> None:
    """Fault 35: the log's times were taken for ours."""

    async def same(*_about: object) -> Offset:
        return SAME

    patch.setattr(clock_records, "since", same)


def two_batches_at_once(protocol: Protocol) -> None:
    for worker in (batch(protocol, 0, 0), batch(protocol, 1, 1)):
        if worker.asks:
            send(protocol, worker)


def without_the_claim_filter(patch: pytest.MonkeyPatch) -> None:
    started_too = ("m.state = 'pending'", "m.state IN ('pending', 'started')")
    patch.setattr(batches, "CLAIM", replaced(batches.CLAIM, started_too))


def a_stop_between_claim_and_start(protocol: Protocol) -> None:
    planned = [message for message in protocol.broker if isinstance(message.body, SendBatch)]
    worker = protocol.senders[0]
    protocol.take(worker, planned[0], redelivered=False)
    protocol.reply(0, "STOP")
    protocol.webhook(protocol.inbound[0])
    protocol.start(worker, count=1)


def without_a_look_at_opt_outs(patch: pytest.MonkeyPatch) -> None:
    """Ignore opt-outs twice: when a STOP takes messages out, and when a message starts."""
    check = f"NOT {suppression.opted_out('m.recipient_phone_number')} AND"
    patch.setattr(batches, "START", replaced(batches.START, (check, "")))

    async def nothing(*_about: object, **_how: object) -> None:
        pass

    patch.setattr(opt_outs, "skip_unsent_to", nothing)


def a_start_that_is_heard_of_after_a_newer_stop(protocol: Protocol) -> None:
    protocol.reply(0, "START")
    protocol.pass_time(2)
    protocol.reply(0, "STOP")
    protocol.webhook(protocol.inbound[1])
    protocol.webhook(protocol.inbound[0])


def without_the_order_of_wishes(patch: pytest.MonkeyPatch) -> None:
    """Fault of peers and of ours: a webhook that was tried again undid what had been said since."""
    order = "ORDER BY at DESC, wish = 'stop' DESC"
    patch.setattr(opt_outs, "LATEST", replaced(opt_outs.LATEST, (order, "ORDER BY wish = 'start' DESC")))


def a_reply_to_the_older_of_two_broadcasts(protocol: Protocol) -> None:
    send(protocol, batch(protocol, 0))
    protocol.pass_time(1)
    protocol.send_other()
    protocol.pass_time(1)
    protocol.reply(0, "thanks")
    protocol.webhook(protocol.inbound[0])


def without_the_number_that_was_written_to(patch: pytest.MonkeyPatch) -> None:
    """Fault 28: replies were credited to the wrong broadcast."""
    number = f"{reply_record._WRITTEN_TO} DESC,"
    patch.setattr(reply_record, "RECORD", replaced(reply_record.RECORD, (number, "CAST(:to AS text) IS NULL,")))


def both_messages_of_everybody(protocol: Protocol) -> None:
    """Missive tells no sid: which entry is whose is to be found out, of both at once if nobody looked before."""

    def all_have_left() -> bool:
        protocol.broker[:] = [message for message in protocol.broker if not isinstance(message.body, SyncStatuses)]
        return protocol.state == "syncing"

    ending.drive(protocol, all_have_left)


def with_numbers_alone(patch: pytest.MonkeyPatch) -> None:
    """Fault 29: matching by phone only gave every log entry to the newest row."""

    def match(entries: Sequence[LogEntry], candidates: Sequence[Candidate], _offset: Offset) -> dict[int, LogEntry]:
        newest = {c.number: c.message_id for c in sorted(candidates, key=lambda c: c.attempt_started_at)}
        return {newest[entry.to]: entry for entry in entries if entry.to in newest}

    patch.setattr(status_sync, "match", match)


#: What is taken away, the steps, and how many recipients they need.
CASES: dict[str, tuple[TakeAway, Steps, int]] = {
    "the fence": (without_the_fence, a_batch_that_another_worker_gets, 1),
    "the proof that the log has got there": (without_a_proof, a_log_that_stands_still, 3),
    "the carrier's clock": (without_the_carriers_clock, an_answer_that_is_lost, 1),
    "the settling": (without_the_settling, an_answer_that_is_lost, 1),
    "the claim filter": (without_the_claim_filter, two_batches_at_once, 2),
    "the order of wishes": (without_the_order_of_wishes, a_start_that_is_heard_of_after_a_newer_stop, 1),
    "the number that was written to": (
        without_the_number_that_was_written_to,
        a_reply_to_the_older_of_two_broadcasts,
        1,
    ),
    "the look at opt-outs": (without_a_look_at_opt_outs, a_stop_between_claim_and_start, 1),
    "the words of a message": (with_numbers_alone, both_messages_of_everybody, 1),
}


def lived(stage: Stage, steps: Steps, contacts: int, skew: int = 0) -> None:
    """Go the steps in a broadcast of its own, and then to its end."""
    size = 3 if steps is a_log_that_stands_still else 1
    protocol = Protocol(stage, contacts=contacts, batch_size=size, missive=True, same_words=False, skew=skew)
    try:
        protocol.watchdog()
        protocol.check()
        steps(protocol)
        protocol.check()
        ending.finish(protocol)
    finally:
        protocol.end()


@pytest.mark.parametrize("protection", CASES)
def test_without_a_protection_the_protocol_is_found_broken(
    stage: Stage, protection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_away, steps, contacts = CASES[protection]
    skew = SKEW if take_away is without_the_carriers_clock else 0
    lived(stage, steps, contacts, skew)
    take_away(monkeypatch)
    with pytest.raises(Violation):
        lived(stage, steps, contacts, skew)


@pytest.mark.parametrize("take_away", [without_the_fence_alone, without_the_state_alone])
def test_either_the_fence_or_the_state_of_a_message_is_enough(
    stage: Stage, take_away: TakeAway, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_away(monkeypatch)
    lived(stage, a_batch_that_another_worker_gets, 1)
