"""What `twilio_sync` asks the database."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import text

from libs.common.broadcasts.messages import number_of
from libs.common.broadcasts.personal_words import words_of
from libs.common.carriers.log_matching import Candidate
from libs.common.database import Connection, EnumText, all_rows, literals, one_row
from libs.common.domain.states import UNANSWERED, MessageState, Outcome

#: What a pass needs to know of its broadcast.
BROADCAST = text("""
SELECT b.id, b.made_at, b.sync_started_at, b.completed_at, b.twilio_paging,
       ARRAY(SELECT n.phone_number FROM unnest(b.sending_number_id || b.pool) WITH ORDINALITY AS p (id, place)
             JOIN sending_numbers n ON n.id = p.id ORDER BY p.place) AS phone_numbers,
       s.number AS sync_number, s.due_at AS sync_due_at
FROM broadcasts b
LEFT JOIN syncs s ON s.broadcast_id = b.id
WHERE b.id = :broadcast_id
""")

#: Locks and gives which messages the entries of a page are known to be, of whatever broadcast. Without the lock a
#: delivery report that comes in meanwhile would be overwritten by what the log said before it.
KNOWN_SIDS = text("""
SELECT outgoing_message_id AS message_id, broadcast_id, twilio_id, twilio_sent_status AS status
FROM broadcast_sent_message_status WHERE twilio_id = ANY(:sids) ORDER BY outgoing_message_id FOR NO KEY UPDATE
""")

#: Locks the accepted messages to some numbers whose entry is not known, with the messages to those numbers whose answer
#: is not known: an entry may be theirs, too.
CANDIDATES = text(f"""
SELECT m.id AS message_id, m.broadcast_id, m.recipient_phone_number AS number, m.attempt_started_at, m.state,
       m.attempts, m.failures, m.is_second, n.phone_number AS from_number, {words_of("m", "b")} AS body
FROM outgoing_messages m
JOIN broadcasts b ON b.id = m.broadcast_id
JOIN sending_numbers n ON n.id = {number_of("m", "b")}
LEFT JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id
WHERE m.recipient_phone_number = ANY(:numbers) AND n.phone_number = ANY(:from_numbers)
  AND ((m.state = '{MessageState.ACCEPTED}' AND s.twilio_id IS NULL) OR m.state IN {literals(UNANSWERED)})
ORDER BY m.id FOR NO KEY UPDATE OF m
""").columns(state=EnumText(MessageState))

#: Uncertain messages old enough to be looked up, the oldest first.
UNCERTAIN = text(f"""
SELECT m.id AS message_id, m.recipient_phone_number AS number, n.phone_number AS from_number, m.attempts,
       m.attempt_started_at
FROM outgoing_messages m
JOIN broadcasts b ON b.id = m.broadcast_id
JOIN sending_numbers n ON n.id = {number_of("m", "b")}
WHERE m.broadcast_id = :broadcast_id AND m.state = '{MessageState.UNCERTAIN}' AND m.attempt_started_at <= :before
  AND m.recipient_phone_number IS NOT NULL
ORDER BY m.attempt_started_at, m.id LIMIT :limit
""")

#: Whether the carrier has taken a message of a broadcast whose attempt began after a time.
TAKEN_SINCE = text(f"""
SELECT EXISTS (SELECT FROM outgoing_messages WHERE broadcast_id = :broadcast_id AND state = '{MessageState.ACCEPTED}'
               AND attempt_started_at > :at)
""")

#: What remains to be looked up: when the oldest began of those that are not old enough yet, and the newest of the rest.
LEFT_UNCERTAIN = text(f"""
SELECT min(attempt_started_at) FILTER (WHERE attempt_started_at > :before) AS young,
       max(attempt_started_at) FILTER (WHERE attempt_started_at <= :before) AS old
FROM outgoing_messages WHERE broadcast_id = :broadcast_id AND state = '{MessageState.UNCERTAIN}'
""")

_OF_STATUS = f"""broadcast_sent_message_status s
 JOIN outgoing_messages m ON m.id = s.outgoing_message_id
 JOIN broadcasts b ON b.id = m.broadcast_id
 JOIN sending_numbers n ON n.id = {number_of("m", "b")}"""

#: Messages whose entry was not found by number, body and time, for which the provider is asked. One that counts as not
#: handed over may turn up after all, and is asked for where there is room.
WITHOUT_SID = text(f"""
(SELECT s.outgoing_message_id AS message_id, s.missive_id, s.outcome, m.recipient_phone_number AS number,
        n.phone_number AS from_number, m.attempt_started_at
 FROM {_OF_STATUS}
 WHERE s.broadcast_id = :broadcast_id AND s.outcome = '{Outcome.ACCEPTED}' AND NOT s.settled AND s.twilio_id IS NULL
   AND s.missive_id IS NOT NULL AND m.attempt_started_at <= :before
 ORDER BY s.outgoing_message_id LIMIT :limit)
UNION ALL
(SELECT s.outgoing_message_id, s.missive_id, s.outcome, m.recipient_phone_number, n.phone_number, m.attempt_started_at
 FROM {_OF_STATUS}
 WHERE s.broadcast_id = :broadcast_id AND s.outcome = '{Outcome.NOT_HANDED_OVER}' AND s.twilio_id IS NULL
   AND s.missive_id IS NOT NULL AND :again
 ORDER BY s.outgoing_message_id LIMIT :limit)
LIMIT :limit
""").columns(outcome=EnumText(Outcome))

#: The pass is over; the planner decides when the next one is.
PASS_OVER = text("UPDATE syncs SET due_at = NULL WHERE broadcast_id = :broadcast_id")

#: The pass could not be made; it comes again.
PASS_AGAIN = text("UPDATE syncs SET due_at = :due WHERE broadcast_id = :broadcast_id")

#: Whether the words of a reply are to be asked for.
ANY_WORDS_DUE = text("SELECT EXISTS (SELECT FROM replies WHERE words_due_at <= :now)")

#: Takes the replies that are due longest; another service takes others, and these come again if nothing comes of it. An
#: array is read once: a join may ask anew for each row, and then takes more than the limit.
TAKE_CUT_REPLIES = text("""
UPDATE replies SET words_due_at = :again WHERE id = ANY(ARRAY(
    SELECT id FROM replies WHERE words_due_at <= :now ORDER BY words_due_at, id LIMIT :limit
    FOR UPDATE SKIP LOCKED))
RETURNING id, missive_id, received_at
""")

#: The words of a reply are not asked for any more.
GIVE_UP_WORDS = text("UPDATE replies SET words_due_at = NULL WHERE id = :id AND words_cut")


@dataclass(frozen=True, slots=True)
class SyncedBroadcast:
    """A broadcast, as a pass over the log needs it."""

    id: int
    made_at: datetime | None
    sync_started_at: datetime | None
    completed_at: datetime | None
    #: The next page of the log; None at its beginning.
    twilio_paging: str | None
    #: The numbers that it sends from, its own first.
    phone_numbers: list[str]
    #: The pass that is planned or under way; None where none was planned yet.
    sync_number: int | None
    sync_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """A message whose entry in the log is known."""

    message_id: int
    broadcast_id: int
    twilio_id: str
    status: str | None


@dataclass(frozen=True, slots=True)
class OpenMessage:
    """A message that an entry of the log may be."""

    message_id: int
    broadcast_id: int
    number: str = field(repr=False)
    attempt_started_at: datetime
    state: MessageState
    attempts: int
    failures: int
    is_second: bool
    from_number: str
    body: str = field(repr=False)

    @property
    def candidate(self) -> Candidate:
        """What is compared with the entries."""
        return Candidate(
            message_id=self.message_id, number=self.number, body=self.body, attempt_started_at=self.attempt_started_at
        )


@dataclass(frozen=True, slots=True)
class UncertainMessage:
    """A message that is to be looked up."""

    message_id: int
    number: str = field(repr=False)
    #: Ours.
    from_number: str
    attempts: int
    attempt_started_at: datetime


@dataclass(frozen=True, slots=True)
class LeftUncertain:
    """When attempts began that are still to be looked up."""

    #: The oldest of those that are not old enough yet.
    young: datetime | None
    #: The newest of the others.
    old: datetime | None


@dataclass(frozen=True, slots=True)
class MessageWithoutSid:
    """A message that Missive has taken and whose sid is not known."""

    message_id: int
    missive_id: str
    outcome: Outcome
    #: None once the recipient was erased.
    number: str | None = field(repr=False)
    #: Ours.
    from_number: str
    attempt_started_at: datetime


@dataclass(frozen=True, slots=True)
class CutReply:
    """A reply of which only the beginning is known."""

    id: int
    missive_id: str
    received_at: datetime


async def broadcast(connection: Connection, broadcast_id: int) -> SyncedBroadcast:
    """Return a broadcast for which a step was planned."""
    return one_row(await connection.execute(BROADCAST, {"broadcast_id": broadcast_id}), SyncedBroadcast)


async def lock_known(connection: Connection, sids: Sequence[str]) -> dict[str, KnownMessage]:
    """Lock the messages whose sids are known to be among these, until the transaction ends; return them by sid."""
    cursor = await connection.execute(KNOWN_SIDS, {"sids": list(sids)})
    return {message.twilio_id: message for message in all_rows(cursor, KnownMessage)}


async def lock_open(
    connection: Connection, from_numbers: Sequence[str], numbers: Sequence[str]
) -> dict[int, OpenMessage]:
    """Lock the messages to some numbers that entries of the log may be, until the transaction ends; by their ids.

    They are those from some numbers of ours.
    """
    cursor = await connection.execute(CANDIDATES, {"numbers": list(numbers), "from_numbers": list(from_numbers)})
    return {message.message_id: message for message in all_rows(cursor, OpenMessage)}


async def uncertain(
    connection: Connection, broadcast_id: int, *, before: datetime, limit: int
) -> list[UncertainMessage]:
    """Return the uncertain messages of a broadcast whose attempt began by `before`, the oldest first."""
    parameters = {"broadcast_id": broadcast_id, "before": before, "limit": limit}
    return all_rows(await connection.execute(UNCERTAIN, parameters), UncertainMessage)


async def taken_since(connection: Connection, broadcast_id: int, at: datetime) -> bool:
    """Return whether the carrier has taken messages of a broadcast whose attempt began after a time."""
    return bool((await connection.execute(TAKEN_SINCE, {"broadcast_id": broadcast_id, "at": at})).scalar_one())


async def left_uncertain(connection: Connection, broadcast_id: int, *, before: datetime) -> LeftUncertain:
    """Return what remains to be looked up; what began by `before` is old enough."""
    parameters = {"broadcast_id": broadcast_id, "before": before}
    return one_row(await connection.execute(LEFT_UNCERTAIN, parameters), LeftUncertain)


async def without_sid(
    connection: Connection, broadcast_id: int, *, before: datetime, again: bool, limit: int
) -> list[MessageWithoutSid]:
    """Return messages that Missive has taken and whose sid is not known.

    `again` adds those that count as not handed over.
    """
    parameters = {"broadcast_id": broadcast_id, "before": before, "again": again, "limit": limit}
    return all_rows(await connection.execute(WITHOUT_SID, parameters), MessageWithoutSid)


async def end_pass(connection: Connection, broadcast_id: int) -> None:
    """Record that a pass is over."""
    await connection.execute(PASS_OVER, {"broadcast_id": broadcast_id})


async def put_off_pass(connection: Connection, broadcast_id: int, due: datetime) -> None:
    """Record that a pass could not be made, and when it is due again."""
    await connection.execute(PASS_AGAIN, {"broadcast_id": broadcast_id, "due": due})


async def any_words_due(connection: Connection, now: datetime) -> bool:
    """Return whether the words of a reply are to be asked for."""
    return bool((await connection.execute(ANY_WORDS_DUE, {"now": now})).scalar_one())


async def take_cut_replies(connection: Connection, now: datetime, *, again: datetime, limit: int) -> list[CutReply]:
    """Take the replies whose words are due longest; they are due `again` later."""
    parameters = {"now": now, "again": again, "limit": limit}
    return all_rows(await connection.execute(TAKE_CUT_REPLIES, parameters), CutReply)


async def give_up_words(connection: Connection, reply_id: int) -> None:
    """Record that the words of a reply are not asked for any more."""
    await connection.execute(GIVE_UP_WORDS, {"id": reply_id})
