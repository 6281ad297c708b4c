"""A check is worth something only if it can fail: without one of the protections the protocol is found to be broken.

Each test takes one protection away and goes the few steps in which it matters; with it, the same steps do no harm.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import pytest

from libs.common import consent
from libs.common.carriers.twilio import LogEntry
from libs.common.commands import SendBatch, SyncStatuses
from libs.common.matching import Candidate
from services.sender import batches
from services.twilio_sync import settle, sync
from tests.chaos.broken import fence, settling
from tests.support import servers
from tests.support.protocol import ending
from tests.support.protocol.broadcast import Protocol
from tests.support.protocol.carrier import SETTLE_AFTER, Ask
from tests.support.protocol.checks import Violation
from tests.support.protocol.sender import Sender
from tests.support.protocol.stage import Stage

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
    for name in ("RENEW", "CLOSE", "CLAIM", "START", "claim", "start", "_names"):
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
    protocol.pass_time(SETTLE_AFTER + 1)
    protocol.settle()


def without_the_settling(patch: pytest.MonkeyPatch) -> None:
    for name in ("_log", "_lags"):
        patch.setattr(settle.Settle, name, getattr(settle.Settle, name))
    settling.take_away()


def a_log_that_stands_still(protocol: Protocol) -> None:
    send(protocol, batch(protocol, 0))
    protocol.carrier.frozen_at = protocol.clock.now
    protocol.pass_time(10)
    worker = protocol.senders[0]
    for lost in (True, False):
        protocol.start(worker, count=1)
        send(protocol, worker, lost=lost)
    protocol.pass_time(SETTLE_AFTER + 1)
    protocol.carrier.log = "frozen"
    protocol.settle()
    protocol.carrier.log = "readable"


def without_a_look_whether_it_lags(patch: pytest.MonkeyPatch) -> None:
    async def never(*_about: object) -> bool:
        return False

    patch.setattr(settle.Settle, "_lags", never)


def two_batches_at_once(protocol: Protocol) -> None:
    for worker in (batch(protocol, 0, 0), batch(protocol, 1, 1)):
        if worker.asks:
            send(protocol, worker)


def without_the_claim_filter(patch: pytest.MonkeyPatch) -> None:
    assert "m.state = 'pending'" in batches.CLAIM
    patch.setattr(batches, "CLAIM", batches.CLAIM.replace("m.state = 'pending'", "m.state IN ('pending', 'started')"))


def a_stop_between_claim_and_start(protocol: Protocol) -> None:
    planned = [message for message in protocol.broker if isinstance(message.body, SendBatch)]
    worker = protocol.senders[0]
    protocol.take(worker, planned[0], redelivered=False)
    protocol.reply(0, "STOP")
    protocol.webhook(protocol.inbound[0])
    protocol.start(worker, count=1)


def without_a_look_at_opt_outs(patch: pytest.MonkeyPatch) -> None:
    """Two things stand against this one: texts are taken out when a STOP is recorded, and looked up when they start."""
    check = "AND NOT EXISTS (SELECT FROM opt_outs o WHERE o.phone_number = m.recipient_phone_number)"
    assert check in batches.START
    patch.setattr(batches, "START", batches.START.replace(check, ""))

    async def nothing(*_about: object, **_how: object) -> None:
        pass

    patch.setattr(consent, "take_out", nothing)


def a_start_that_is_heard_of_after_a_newer_stop(protocol: Protocol) -> None:
    protocol.reply(0, "START")
    protocol.pass_time(2)
    protocol.reply(0, "STOP")
    protocol.webhook(protocol.inbound[1])
    protocol.webhook(protocol.inbound[0])


def without_the_order_of_wishes(patch: pytest.MonkeyPatch) -> None:
    """Fault of peers and of ours: a webhook that was tried again undid what had been said since."""
    order = "AND opted_out_at <= %(at)s"
    assert order in consent.OPT_IN
    patch.setattr(consent, "OPT_IN", consent.OPT_IN.replace(order, "AND %(at)s IS NOT NULL"))


def a_reply_to_the_older_of_two_broadcasts(protocol: Protocol) -> None:
    send(protocol, batch(protocol, 0))
    protocol.pass_time(1)
    protocol.send_other()
    protocol.pass_time(1)
    protocol.reply(0, "thanks")
    protocol.webhook(protocol.inbound[0])


def without_the_number_that_was_written_to(patch: pytest.MonkeyPatch) -> None:
    """Fault 28: replies were credited to the wrong broadcast."""
    number = "(n.phone_number = %(to)s) IS TRUE DESC,"
    assert number in consent.ANSWERED
    patch.setattr(consent, "ANSWERED", consent.ANSWERED.replace(number, "%(to)s::text IS NULL,"))


def both_texts_of_everybody(protocol: Protocol) -> None:
    """Missive tells no sid: which entry is whose is to be found out, of both texts at once if nobody looked before."""

    def all_have_left() -> bool:
        protocol.broker[:] = [message for message in protocol.broker if not isinstance(message.body, SyncStatuses)]
        return protocol.state == "syncing"

    ending.drive(protocol, all_have_left)


def with_numbers_alone(patch: pytest.MonkeyPatch) -> None:
    """Fault 29: matching by phone only gave every log entry to the newest row."""

    def match(entries: Sequence[LogEntry], candidates: Sequence[Candidate]) -> dict[int, LogEntry]:
        newest = {c.number: c.text for c in sorted(candidates, key=lambda c: c.attempt_started_at)}
        return {newest[entry.to]: entry for entry in entries if entry.to in newest}

    patch.setattr(sync, "match", match)


#: What is taken away, the steps, and how many recipients they need.
CASES: dict[str, tuple[TakeAway, Steps, int]] = {
    "the fence": (without_the_fence, a_batch_that_another_worker_gets, 1),
    "the look whether the log lags": (without_a_look_whether_it_lags, a_log_that_stands_still, 3),
    "the settling": (without_the_settling, an_answer_that_is_lost, 1),
    "the claim filter": (without_the_claim_filter, two_batches_at_once, 2),
    "the order of wishes": (without_the_order_of_wishes, a_start_that_is_heard_of_after_a_newer_stop, 1),
    "the number that was written to": (
        without_the_number_that_was_written_to,
        a_reply_to_the_older_of_two_broadcasts,
        1,
    ),
    "the look at opt-outs": (without_a_look_at_opt_outs, a_stop_between_claim_and_start, 1),
    "the words of a text": (with_numbers_alone, both_texts_of_everybody, 1),
}


def lived(stage: Stage, steps: Steps, contacts: int) -> None:
    """Go the steps in a broadcast of its own, and then to its end."""
    size = 3 if steps is a_log_that_stands_still else 1
    protocol = Protocol(stage, contacts=contacts, batch_size=size, missive=True, same_words=False, skew=0)
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
    lived(stage, steps, contacts)
    take_away(monkeypatch)
    with pytest.raises(Violation):
        lived(stage, steps, contacts)


@pytest.mark.parametrize("take_away", [without_the_fence_alone, without_the_state_alone])
def test_either_the_fence_or_the_state_of_a_text_is_enough(
    stage: Stage, take_away: TakeAway, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_away(monkeypatch)
    lived(stage, a_batch_that_another_worker_gets, 1)
