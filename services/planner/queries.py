"""What the planner asks the database. Each query reads what remains, never what is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from libs.common.broadcasts import messages, places, scheduling, sending_numbers
from libs.common.broadcasts.suppression import held
from libs.common.database import Connection, literals, one_row
from libs.common.domain.broadcast import Broadcast
from libs.common.domain.quiet_hours import Standing
from libs.common.domain.sending_numbers import SendingNumber
from libs.common.domain.states import IN_BATCH, OPEN, BroadcastState, MessageState, Review
from libs.common.rate_limits import daily, rate
from libs.common.settings import BATCHES_IN_FLIGHT, WorkerSettings
from services.planner.phase import PhaseFacts

#: A message in these states was, or may have been, handed to the carrier.
HANDED_OVER = (MessageState.ACCEPTED, MessageState.UNCERTAIN)
LOOK_AGAIN = timedelta(minutes=1)  # before it is looked whether a number that is switched off is on again
SLOT_LEAD = 4.0  # seconds before the next free slot at which a batch is due; a sender waits for one for 5 s at least

#: Where the passes over the carrier's log are for a broadcast.
PASSES = text("""
SELECT b.twilio_paging AS next_page, s.number, s.due_at
FROM broadcasts b LEFT JOIN syncs s ON s.broadcast_id = b.id WHERE b.id = :broadcast_id
""")

#: What remains of a phase. The count stops at what all batches in flight can take.
PHASE = text(f"""
SELECT
    (SELECT count(*) FROM (SELECT FROM {messages.claimable(":enough")} LIMIT :enough) AS enough) AS claimable,
    EXISTS (SELECT FROM outgoing_messages WHERE broadcast_id = :broadcast_id AND is_second = :is_second
            AND state IN {literals(IN_BATCH)}) AS in_flight,
    EXISTS (SELECT FROM replies r JOIN outgoing_messages m ON m.recipient_phone_number = r.phone_number
            WHERE r.review = '{Review.WAITING}' AND m.broadcast_id = :broadcast_id AND m.is_second = :is_second
              AND m.state = '{MessageState.PENDING}') AS held_back,
    ARRAY({scheduling.OPEN} AND pool_index = :pool_index) AS batches_due, EXISTS ({scheduling.OPEN}) AS has_batches,
    u.messages AS uncertain, u.newest AS newest_uncertain
FROM (SELECT count(*) AS messages, max(attempt_started_at) AS newest FROM outgoing_messages
      WHERE broadcast_id = :broadcast_id AND is_second = :is_second AND state = '{MessageState.UNCERTAIN}') AS u
""")

#: When the first of the messages that have to wait may go to places that may be texted now; one that was given back
#: since they were counted may go now. What goes to other places is not looked at.
FIRST_NOT_BEFORE = text(f"""
SELECT min(w.at) FROM unnest(CAST(:open AS text[])) AS o (place) CROSS JOIN LATERAL (
    SELECT min(greatest(m.not_before, :now)) AS at FROM outgoing_messages m
    WHERE m.broadcast_id = :broadcast_id AND m.is_second = :is_second AND m.pool_index = :pool_index
      AND m.place = o.place AND m.state = '{MessageState.PENDING}' AND NOT {held("m.recipient_phone_number")}) AS w
""")

#: When the last first message was sent.
LAST_STARTED = text(f"""
SELECT max(attempt_started_at) FROM outgoing_messages
WHERE broadcast_id = :broadcast_id AND NOT is_second AND state IN {literals(HANDED_OVER)}
""")

#: Whether the fate of a message is still open.
UNSETTLED = text(f"""
SELECT EXISTS (SELECT FROM broadcast_sent_message_status s
               WHERE s.broadcast_id = :broadcast_id AND {messages.AWAITED})
    OR EXISTS (SELECT FROM outgoing_messages WHERE broadcast_id = :broadcast_id
               AND state IN {literals(OPEN)})
""")

#: Messages that the carrier has and whose fate its log does not show yet.
UNSETTLED_COUNT = text(f"""
SELECT count(*) FROM broadcast_sent_message_status s
WHERE s.broadcast_id = :broadcast_id AND {messages.AWAITED}
""")


@dataclass(frozen=True, slots=True)
class LogPasses:
    """Where the passes over the carrier's log are for a broadcast."""

    #: None at the log's beginning.
    next_page: str | None
    #: The pass that is planned or was made last; None where none was planned yet.
    number: int | None
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Remaining:
    """What remains of a phase; the fields are those of `PhaseFacts`."""

    claimable: int
    in_flight: bool
    held_back: bool
    batches_due: list[datetime]
    has_batches: bool
    uncertain: int
    newest_uncertain: datetime | None


async def passes(connection: Connection, broadcast_id: int) -> LogPasses:
    """Return where the passes over the carrier's log are for a broadcast."""
    return one_row(await connection.execute(PASSES, {"broadcast_id": broadcast_id}), LogPasses)


async def phase(
    connection: Connection, broadcast: Broadcast, pool_index: int, now: datetime, settings: WorkerSettings
) -> PhaseFacts:
    """Gather what decides the next step of the phase that a broadcast is in, for one of its numbers."""
    assert broadcast.made_at is not None  # it sends
    is_second = broadcast.state == BroadcastState.SENDING_SECOND
    found = await places.outlooks(
        connection, broadcast.id, settings.rules, now,
        is_second=is_second, made_at=broadcast.made_at, late=broadcast.late, pool_index=pool_index,
    )  # fmt: skip
    of_number = {"broadcast_id": broadcast.id, "is_second": is_second, "pool_index": pool_index}
    which = {**of_number, "open": found.open, "now": now}
    number = await sending_numbers.one(connection, broadcast.numbers[pool_index])
    batch_size = settings.batch_messages_at(number.pace_or(settings.send_rate))
    enough = BATCHES_IN_FLIGHT * batch_size
    remaining = one_row(await connection.execute(PHASE, {**which, "enough": enough}), Remaining)
    waiting = None
    if not remaining.claimable:
        waiting = await first_not_before(
            connection, broadcast.id, found.open, now, is_second=is_second, pool_index=pool_index
        )
    held_until = max(await _number_waits(connection, number, now, settings), broadcast.hold_until or now)
    return PhaseFacts(
        batch_size=batch_size,
        claimable=remaining.claimable,
        first_not_before=waiting,
        in_flight=remaining.in_flight,
        held_back=remaining.held_back,
        uncertain=remaining.uncertain,
        newest_uncertain=remaining.newest_uncertain,
        batches_due=remaining.batches_due,
        has_batches=remaining.has_batches,
        opens_at=found.opens_at,
        too_late=found.of(Standing.TOO_LATE),
        given_up=found.of(Standing.GIVEN_UP),
        held_until=held_until if held_until > now else None,
    )


async def _number_waits(
    connection: Connection, number: SendingNumber, now: datetime, settings: WorkerSettings
) -> datetime:
    """Return until when nothing can start from a number; `now` where something can."""
    slots = [limit.key for limit in rate.number_limits(settings, number)]
    hold, slot = await rate.waits(connection, slots, number.carrier_or(settings.carrier))
    # At a message every few minutes a batch that is due now would wait for its slot in vain, and the next one, too.
    waits = [now + timedelta(seconds=max(hold, slot - SLOT_LEAD))]
    if not number.enabled:
        waits.append(now + LOOK_AGAIN)
    waits += [number.closed_until(now, settings.zone) or now]
    waits += [await daily.used_up_until(connection, number, now, settings.zone) or now]
    return max(waits)


async def first_not_before(
    connection: Connection, broadcast_id: int, open_: Sequence[str], now: datetime, *, is_second: bool,
    pool_index: int,
) -> datetime | None:  # fmt: skip
    """Return when the first of a number's messages that have to wait may go to open places; None if none waits."""
    phase = {"broadcast_id": broadcast_id, "is_second": is_second, "pool_index": pool_index}
    which = {**phase, "open": list(open_), "now": now}
    at: datetime | None = (await connection.execute(FIRST_NOT_BEFORE, which)).scalar_one()
    return at


async def last_started(connection: Connection, broadcast_id: int) -> datetime | None:
    """Return when the last first message of a broadcast was sent; None if none was."""
    at: datetime | None = (await connection.execute(LAST_STARTED, {"broadcast_id": broadcast_id})).scalar_one()
    return at


async def is_unsettled(connection: Connection, broadcast_id: int) -> bool:
    """Return whether it is open what became of a message of a broadcast."""
    return bool((await connection.execute(UNSETTLED, {"broadcast_id": broadcast_id})).scalar_one())


async def count_unsettled(connection: Connection, broadcast_id: int) -> int:
    """Return how many messages of a broadcast the carrier has and whose fate its log does not show yet."""
    return int((await connection.execute(UNSETTLED_COUNT, {"broadcast_id": broadcast_id})).scalar_one())
