"""The messages of a broadcast: what an answer, a reply, an opt-out or a lost worker does to them.

An answer belongs to the attempt that asked (`attempts` names it), not to the batch: an answer is a fact, and is taken
even if the batch has been lost to another worker, as long as no newer attempt has begun.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from libs.common.broadcasts import repository
from libs.common.broadcasts.suppression import held
from libs.common.database import Connection, EnumText, all_rows, literals, one_row
from libs.common.domain import events as e
from libs.common.domain.states import UNANSWERED, UNDECIDED, UNSENT, MessageState, Outcome, SkipReason
from libs.common.eventstore import store

#: Locks a message whose attempt is the newest and has not been answered.
ANSWERABLE = text("""
SELECT 1 FROM outgoing_messages
WHERE id = :message_id AND attempts = :attempt AND state = ANY(:states) FOR NO KEY UPDATE
""")

#: Locks, in one order for all who do so, the messages of a number that were not sent, or that may be given back: one
#: that came back and was started again before this commits would be started by a statement that does not see the
#: opt-out.
OPEN_TO = text(f"""
SELECT id, broadcast_id, is_second, state FROM outgoing_messages
WHERE recipient_phone_number = :phone_number AND state IN {literals(UNDECIDED)}
ORDER BY id FOR NO KEY UPDATE
""").columns(state=EnumText(MessageState))

#: Locks the second message of one recipient in the same way.
OPEN_SECOND = text(f"""
SELECT id, state IN {literals(UNSENT)} AS is_unsent FROM outgoing_messages
WHERE broadcast_id = :broadcast_id AND contact_id = :contact_id AND is_second
  AND state IN {literals(UNDECIDED)}
FOR NO KEY UPDATE
""")

#: Locks the messages of a broadcast that batches have claimed: a few, however large it is.
CLAIMED_OF = text(f"""
SELECT id FROM outgoing_messages
WHERE broadcast_id = :broadcast_id AND state = '{MessageState.CLAIMED}' ORDER BY id FOR NO KEY UPDATE
""")

#: How many first messages of a broadcast there are, how many were tried, and how many have left, or may have.
LEFT = text(f"""
SELECT count(*) FILTER (WHERE attempts > 0) AS attempted, count(*) AS planned,
       count(*) FILTER (WHERE state IN {literals((*UNANSWERED, MessageState.ACCEPTED))}) AS have_it
FROM outgoing_messages WHERE broadcast_id = :broadcast_id AND NOT is_second
""")


def claimable(limit: str, also: str = "", lock: str = "") -> str:
    """Return what gives the ids of messages of one number that may be claimed, as `m`: to `:open`'s places, in order.

    Each place is looked into as long as messages are missing. Within one the order is that of the index of what is
    pending, whose columns are a range here. Were they equal to something, the primary key would give that order as
    well, and seem as cheap, past all that was sent; so would the table itself without the order.
    """
    return f"""
unnest(CAST(:open AS text[])) AS o (place) CROSS JOIN LATERAL (
    SELECT m.id FROM outgoing_messages m
    WHERE (m.broadcast_id, m.is_second, m.pool_index, m.place) >= (:broadcast_id, :is_second, :pool_index, o.place)
      AND (m.broadcast_id, m.is_second, m.pool_index, m.place) <= (:broadcast_id, :is_second, :pool_index, o.place)
      AND m.state = '{MessageState.PENDING}' AND m.not_before <= :now AND NOT {held("m.recipient_phone_number")} {also}
    ORDER BY m.broadcast_id, m.is_second, m.pool_index, m.place, m.id LIMIT {limit} {lock}) AS m
"""


def number_of(message: str, broadcast: str) -> str:
    """Return the expression for the number that a message leaves from: a row of `sending_numbers`.

    `message` may also be a batch, whose messages are all of one number.
    """
    return f"""CASE WHEN {message}.pool_index = 0 THEN {broadcast}.sending_number_id
     ELSE {broadcast}.pool[{message}.pool_index] END"""


#: Locks the messages of a broadcast that nobody has claimed, a bounded number at a time, in the order of the index of
#: what is pending. Those that were skipped just now are still in that index: each call begins behind the last one.
PENDING_OF = text(f"""
SELECT id, is_second, pool_index, place FROM outgoing_messages
WHERE broadcast_id = :broadcast_id AND state = '{MessageState.PENDING}'
  AND (is_second, pool_index, place, id) > (:is_second, :pool_index, :place, :after)
ORDER BY is_second, pool_index, place, id LIMIT :limit FOR NO KEY UPDATE
""")

#: Locks those of one number in a phase that go to one place, in the same way.
PENDING_TO = text(f"""
SELECT id FROM outgoing_messages
WHERE (broadcast_id, is_second, pool_index, place, id) > (:broadcast_id, :is_second, :pool_index, :place, :after)
  AND (broadcast_id, is_second, pool_index, place) <= (:broadcast_id, :is_second, :pool_index, :place)
  AND state = '{MessageState.PENDING}'
ORDER BY broadcast_id, is_second, pool_index, place, id LIMIT :limit FOR NO KEY UPDATE
""")

#: Whether the fate of an accepted message, as `s`, is still awaited.
AWAITED = f"NOT s.settled AND s.outcome = '{Outcome.ACCEPTED}'"

#: Locks messages whose request may have been sent so long ago that no worker can still be waiting for the answer.
LOST = text(f"""
SELECT id, broadcast_id FROM outgoing_messages
WHERE state = '{MessageState.STARTED}' AND attempt_started_at < :before
ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
""")

#: Messages that one event names at the most.
CHUNK = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to send a message; its answer belongs to it alone."""

    message_id: int
    broadcast_id: int
    #: Counts the message's attempts.
    number: int
    #: The batch that made it: its answers go to the batch's stream, so that batches do not wait for each other.
    batch_id: UUID
    to: str


@dataclass(frozen=True, slots=True)
class OpenMessage:
    """A message to a number that was not sent, or that may be given back."""

    id: int
    broadcast_id: int
    is_second: bool
    state: MessageState


@dataclass(frozen=True, slots=True)
class Left:
    """How far the first messages of a broadcast have gone."""

    attempted: int
    planned: int
    #: They have left, or may have.
    have_it: int


async def left(connection: Connection, broadcast_id: int) -> Left:
    """Return how far the first messages have gone, of a broadcast that the caller has locked: none starts meanwhile."""
    return one_row(await connection.execute(LEFT, {"broadcast_id": broadcast_id}), Left)


async def answered(
    connection: Connection, attempt: Attempt, event: e.MessageRefused | e.MessageReturned, now: datetime
) -> bool:
    """Record that the carrier did not take a message; False if a newer attempt has begun or another answer stands.

    That it did take one is recorded by `acceptances`.
    """
    cursor = await connection.execute(
        ANSWERABLE, {"message_id": attempt.message_id, "attempt": attempt.number, "states": list(UNANSWERED)}
    )
    if cursor.first() is None:
        return False
    await repository.append_events(connection, batch_stream(attempt.broadcast_id, attempt.batch_id), [event], now)
    return True


async def unanswered(connection: Connection, attempt: Attempt, reason: str, now: datetime) -> bool:
    """Record that an attempt got no answer: its message is uncertain, and is not sent again until it is settled."""
    cursor = await connection.execute(
        ANSWERABLE, {"message_id": attempt.message_id, "attempt": attempt.number, "states": [MessageState.STARTED]}
    )
    if cursor.first() is None:
        return False
    event = e.MessagesUncertain(broadcast_id=attempt.broadcast_id, message_ids=(attempt.message_id,), reason=reason)
    stream = batch_stream(attempt.broadcast_id, attempt.batch_id)
    await repository.append_events(connection, stream, [event], now, publish=True)
    return True


async def give_up_waiting(connection: Connection, before: datetime, now: datetime) -> int:
    """Make the messages that were started before `before` and never answered uncertain: their worker died."""
    cursor = await connection.execute(LOST, {"before": before, "limit": CHUNK})
    lost: dict[int, list[int]] = {}
    for message_id, broadcast_id in cursor.tuples():
        lost.setdefault(broadcast_id, []).append(message_id)
    for broadcast_id, message_ids in lost.items():
        event = e.MessagesUncertain(broadcast_id=broadcast_id, message_ids=tuple(message_ids), reason="worker_lost")
        await repository.append_events(connection, store.stream(broadcast_id, "messages"), [event], now, publish=True)
    return sum(map(len, lost.values()))


async def skip(
    connection: Connection, broadcast_id: int, message_ids: Sequence[int], reason: SkipReason, now: datetime
) -> None:
    """Record that messages, locked by the caller, will never be sent."""
    for start in range(0, len(message_ids), CHUNK):
        event = e.MessagesSkipped(
            broadcast_id=broadcast_id, message_ids=tuple(message_ids[start : start + CHUNK]), reason=reason
        )
        await repository.append_events(connection, store.stream(broadcast_id, "messages"), [event], now)


async def skip_second(
    connection: Connection, broadcast_id: int, contact_id: int, reason: SkipReason, now: datetime
) -> None:
    """Skip the second message of one recipient, unless it was sent."""
    cursor = await connection.execute(OPEN_SECOND, {"broadcast_id": broadcast_id, "contact_id": contact_id})
    unsent = [message_id for message_id, is_unsent in cursor.tuples() if is_unsent]
    await skip(connection, broadcast_id, unsent, reason, now)


async def lock_open_to(connection: Connection, phone_number: str) -> list[OpenMessage]:
    """Lock the messages to a number that were not sent, or that may be given back; return them."""
    return all_rows(await connection.execute(OPEN_TO, {"phone_number": phone_number}), OpenMessage)


async def give_back_claimed(connection: Connection, phone_number: str, now: datetime) -> None:
    """Release what batches have claimed for a number: nothing was sent, and it has to wait."""
    found = await lock_open_to(connection, phone_number)
    claimed = [(message.broadcast_id, message.id) for message in found if message.state == MessageState.CLAIMED]
    for broadcast_id, message_id in sorted(claimed):
        event = e.MessageReturned(
            broadcast_id=broadcast_id,
            message_id=message_id,
            code=SkipReason.HELD_FOR_REVIEW,
            not_before=now,
            counts=False,
        )
        await repository.append_events(connection, store.stream(broadcast_id, "messages"), [event], now)


async def skip_unsent(connection: Connection, broadcast_id: int, reason: SkipReason, now: datetime) -> int:
    """Skip every message of a broadcast, which the caller has locked, that was not sent; return how many.

    What is claimed comes first: a batch that closes meanwhile gives its messages back, and nobody claims more.
    """
    cursor = await connection.execute(CLAIMED_OF, {"broadcast_id": broadcast_id})
    claimed: list[int] = list(cursor.scalars())
    await skip(connection, broadcast_id, claimed, reason, now)
    total = len(claimed)
    last: dict[str, object] = {"is_second": False, "pool_index": 0, "place": "", "after": 0}
    while True:
        which = {"broadcast_id": broadcast_id, **last, "limit": CHUNK}
        pending = (await connection.execute(PENDING_OF, which)).all()
        await skip(connection, broadcast_id, [message_id for message_id, *_ in pending], reason, now)
        total += len(pending)
        if len(pending) < CHUNK:
            return total
        after, is_second, pool_index, place = pending[-1]
        last = {"is_second": is_second, "pool_index": pool_index, "place": place, "after": after}


async def skip_pending_to(
    connection: Connection, broadcast_id: int, places: Sequence[str], reason: SkipReason, now: datetime, *,
    is_second: bool, pool_index: int,
) -> None:  # fmt: skip
    """Skip what nobody has claimed of a phase and of one number, and goes to some places; the broadcast is locked."""
    phase = {"broadcast_id": broadcast_id, "is_second": is_second, "pool_index": pool_index, "limit": CHUNK}
    for place in places:
        after = 0
        while True:
            which = {**phase, "place": place, "after": after}
            pending = list((await connection.execute(PENDING_TO, which)).scalars())
            await skip(connection, broadcast_id, pending, reason, now)
            if len(pending) < CHUNK:
                break
            after = pending[-1]


def batch_stream(broadcast_id: int, batch_id: UUID) -> str:
    """Name the stream of one batch."""
    return store.stream(broadcast_id, f"batch-{batch_id}")
