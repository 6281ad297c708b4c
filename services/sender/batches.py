"""What a batch does to the database. Each step that matters is one statement, and names the fence.

A batch is taken with a fence that is newer than any before; a worker whose fence is old finds that its statements
change nothing, and stops. The statement that starts an attempt is the last look before a message leaves: it checks the
fence, the broadcast's state, opt-outs, held numbers, erasures, replies, quiet hours and whether a restore is settled
(`restore_hold.py`), and commits the attempt, all at once.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text

from libs.common import database
from libs.common.broadcasts import messages, personal_words, places, repository, restore_hold, unwanted_messages
from libs.common.broadcasts.messages import Attempt
from libs.common.broadcasts.suppression import may_start
from libs.common.database import Connection, Engine, EnumText, first_row
from libs.common.domain import codec, templates
from libs.common.domain import events as e
from libs.common.domain.cause import Cause
from libs.common.domain.quiet_hours import Rules, Standing, Window
from libs.common.domain.states import BroadcastState, Late, MessageState
from libs.common.eventstore import store
from libs.common.messaging import outbox

#: Takes a batch: planned, given back by a worker that did not finish, or left by one that went quiet.
TAKE = text(f"""
UPDATE batches b SET fence = b.fence + 1, lease_until = :lease_until
FROM broadcasts c
WHERE b.id = :batch_id AND c.id = b.broadcast_id AND b.closed_at IS NULL
  AND (b.lease_until IS NULL OR b.lease_until < :now OR :redelivered)
RETURNING b.id, b.fence, b.broadcast_id, b.is_second, c.made_at, c.late, b.pool_index,
          {messages.number_of("b", "c")} AS sending_number_id,
          CASE WHEN b.is_second THEN c.second_message ELSE c.first_message END AS body, c.label
""").columns(late=EnumText(Late))

#: Keeps a batch; no row if it is somebody else's now.
RENEW = text("""
UPDATE batches SET lease_until = :lease_until
WHERE id = :batch_id AND fence = :fence AND closed_at IS NULL RETURNING id
""")

#: Claims messages until the batch holds `size` of them; other batches pass over those that this one looks at. They are
#: found again one by one: a join would be planned for as many as a limit that is not known before might let through.
CLAIM = text(f"""
WITH batch AS (
    SELECT b.id FROM batches b JOIN broadcasts c ON c.id = b.broadcast_id
    WHERE b.id = :batch_id AND b.fence = :fence AND b.closed_at IS NULL AND c.state = :state
      AND (c.hold_until IS NULL OR c.hold_until <= :now)
    FOR SHARE
), picked AS (
    SELECT m.id FROM {messages.claimable(":size", "AND EXISTS (SELECT FROM batch)", "FOR UPDATE SKIP LOCKED")}
    LIMIT greatest(0, :size - (SELECT count(*) FROM outgoing_messages
                                  WHERE claimed_by = :batch_id AND state = '{MessageState.CLAIMED}'))
)
UPDATE outgoing_messages m SET state = '{MessageState.CLAIMED}', claimed_by = :batch_id
WHERE m.id = ANY(ARRAY(SELECT id FROM picked)) RETURNING m.id
""")

#: How many claimed messages a batch holds.
HELD = text(f"SELECT count(*) FROM outgoing_messages WHERE claimed_by = :batch_id AND state = '{MessageState.CLAIMED}'")

_STARTED = store.appended(
    "start",
    source="begun",
    stream="CAST(:stream AS text)",
    event=e.MessagesStarted,
    data="CAST(CAST(:started_data AS text) AS jsonb) || jsonb_build_object('message_ids', to_jsonb(begun.ids))",
)


def _start(body: str, may_start: str) -> TextClause:
    """Return the statement that starts the next messages of a batch; `body` gives the words of one, as `m`."""
    return text(f"""
WITH batch AS (
    SELECT b.id FROM batches b JOIN broadcasts c ON c.id = b.broadcast_id
    WHERE b.id = :batch_id AND b.fence = :fence AND b.closed_at IS NULL AND c.state = :state
    FOR SHARE
), next AS (
    SELECT m.id FROM outgoing_messages m
    WHERE m.claimed_by = :batch_id AND m.state = '{MessageState.CLAIMED}' AND EXISTS (SELECT FROM batch)
      AND m.place = ANY(CAST(:open AS text[])) AND NOT {restore_hold.HOLDS}
      AND {may_start}
    ORDER BY m.id LIMIT :count FOR UPDATE OF m
), message AS (
    UPDATE outgoing_messages m
    SET state = '{MessageState.STARTED}', attempts = m.attempts + 1, attempt_started_at = :now
    FROM next WHERE m.id = next.id
    RETURNING m.id, m.attempts, m.failures, m.recipient_phone_number, m.place, {body} AS body
), begun AS (
    SELECT CAST(:broadcast_id AS bigint) AS broadcast_id, array_agg(id ORDER BY id) AS ids,
           array_agg(attempts ORDER BY id) AS attempts, array_agg(failures ORDER BY id) AS failures,
           array_agg(recipient_phone_number ORDER BY id) AS numbers, array_agg(place ORDER BY id) AS places,
           array_agg(body ORDER BY id) AS bodies
    FROM message HAVING count(*) > 0
), {_STARTED}
SELECT ids, attempts, failures, numbers, places, bodies FROM begun
""")


#: Starts the attempts of the next messages of a batch, with the event: after this has committed their requests may
#: leave. One round trip, since messages wait for it. Words that are the broadcast's are not asked for again.
START = _start("CAST(NULL AS text)", may_start("m"))
#: The same where each has their own; one without does not leave.
START_PERSONAL = _start(personal_words.own("m"), f"{may_start('m')} AND {personal_words.own('m')} IS NOT NULL")

#: Closes a batch; no row if it is somebody else's now.
CLOSE = text("""
UPDATE batches SET closed_at = :now WHERE id = :batch_id AND fence = :fence AND closed_at IS NULL RETURNING id
""")

#: Locks what a batch claimed and did not start.
UNSTARTED = text(f"""
SELECT id FROM outgoing_messages WHERE claimed_by = :batch_id AND state = '{MessageState.CLAIMED}'
ORDER BY id FOR NO KEY UPDATE
""")


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as its worker holds it."""

    id: UUID
    fence: int
    broadcast_id: int
    is_second: bool
    made_at: datetime
    #: What becomes of messages that would come too late in the day.
    late: Late
    #: Which of the broadcast's numbers its messages are of, and that number.
    pool_index: int
    sending_number_id: int
    #: Those of the broadcast, which may have variables.
    body: str
    #: What its conversations are labelled in Missive; empty where they are not.
    label: str

    @property
    def is_personal(self) -> bool:
        """Whether each message has words of its own."""
        return templates.parse(self.body).is_personal

    @property
    def state(self) -> BroadcastState:
        """The state that the broadcast has while messages of this batch may leave."""
        return BroadcastState.SENDING_SECOND if self.is_second else BroadcastState.SENDING_FIRST


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedAttempt:
    """An attempt whose request may leave now."""

    attempt: Attempt
    #: Attempts before this one that count towards `MAX_ATTEMPTS`.
    failures: int
    body: str = field(repr=False)
    #: Where its recipient is.
    place: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    """The messages whose attempts were recorded by one statement, each list in their order."""

    ids: list[int]
    attempts: list[int]
    failures: list[int]
    numbers: list[str]
    places: list[str]
    #: Null where they are the broadcast's.
    bodies: list[str | None]


async def take(
    connection: Connection, batch_id: UUID, *, lease: float, redelivered: bool, now: datetime
) -> Batch | None:
    """Take a batch for `lease` seconds; None if it is closed, or a worker that stirs has it."""
    cursor = await connection.execute(
        TAKE,
        {
            "batch_id": batch_id,
            "lease_until": now + timedelta(seconds=lease),
            "now": now,
            "redelivered": redelivered,
        },
    )
    return first_row(cursor, Batch)


async def renew(connection: Connection, batch: Batch, *, lease: float, now: datetime) -> bool:
    """Keep the batch for `lease` seconds more; False if it is lost."""
    parameters = {"batch_id": batch.id, "fence": batch.fence, "lease_until": now + timedelta(seconds=lease)}
    return (await connection.execute(RENEW, parameters)).first() is not None


async def claim(connection: Connection, batch: Batch, *, size: int, rules: Rules, now: datetime) -> int:
    """Claim messages until the batch holds `size`, less those that must not leave; return how many it holds then.

    They go to places that may be texted now, first to those where that ends first.
    """
    found = await places.outlooks(
        connection, batch.broadcast_id, rules, now,
        is_second=batch.is_second, made_at=batch.made_at, late=batch.late, pool_index=batch.pool_index,
    )  # fmt: skip
    cursor = await connection.execute(CLAIM, {**_names(batch), "size": size, "open": found.open, "now": now})
    claimed = tuple(sorted(cursor.scalars()))
    if claimed:
        event = e.BatchClaimed(
            broadcast_id=batch.broadcast_id, batch_id=batch.id, fence=batch.fence, message_ids=claimed
        )
        await store.append(connection, messages.batch_stream(batch.broadcast_id, batch.id), [event], now=now)
        await unwanted_messages.skip_unwanted(
            connection, batch.broadcast_id, now, is_second=batch.is_second, message_ids=claimed
        )
    return int((await connection.execute(HELD, {"batch_id": batch.id})).scalar_one())


async def windows(connection: Connection, batch: Batch, rules: Rules, now: datetime) -> dict[str, Window]:
    """Return until when messages may leave for the places to which a batch holds some, as far as they may now."""
    cursor = await connection.execute(places.OF_BATCH, {"batch_id": batch.id})
    found = places.of_places(list(cursor.scalars()), rules, now, made_at=batch.made_at, late=batch.late)
    return {place: each.window for place, each in found.by_place.items() if each.standing is Standing.OPEN}


async def start(
    connection: Connection, batch: Batch, *, count: int, open_: Sequence[str], now: datetime
) -> list[StartedAttempt]:
    """Record the attempts of the next messages, at most `count`; none if the batch must not go on, or has no more.

    They go to the places of `open_`, which may be texted now. Their requests may leave once the caller's transaction
    has committed.
    """
    parameters = _start_parameters(batch, store.origin(connection, now), count=count, open_=open_, now=now)
    begun = first_row(await connection.execute(_statement(batch), parameters), Begun)
    if begun is None:
        return []
    store.count(connection, e.MessagesStarted)
    return _attempts_of(begun, batch)


async def start_alone(
    engine: Engine, cause: Cause, batch: Batch, *, count: int, open_: Sequence[str], now: datetime
) -> list[StartedAttempt]:
    """Commit what `start` records, without a transaction around it: the requests may leave now."""
    parameters = _start_parameters(
        batch, store.origin_of(database.signed(engine, cause), now), count=count, open_=open_, now=now
    )
    begun = await database.execute_alone(engine, _statement(batch), parameters, Begun)
    if begun is None:
        return []
    store.count_committed([e.MessagesStarted])
    return _attempts_of(begun, batch)


async def close(connection: Connection, batch: Batch, *, started: int, now: datetime) -> bool:
    """Release what was not started and record that the batch is over; False if it is somebody else's."""
    if (await connection.execute(CLOSE, {**_names(batch), "now": now})).first() is None:
        return False
    cursor = await connection.execute(UNSTARTED, {"batch_id": batch.id})
    returned = tuple(cursor.scalars())
    event = e.BatchSent(
        broadcast_id=batch.broadcast_id,
        batch_id=batch.id,
        is_second=batch.is_second,
        started=started,
        returned=returned,
    )
    await repository.append_events(connection, messages.batch_stream(batch.broadcast_id, batch.id), [event], now)
    await outbox.write(connection, [event], now=now)
    return True


def _statement(batch: Batch) -> TextClause:
    return START_PERSONAL if batch.is_personal else START


def _attempts_of(begun: Begun, batch: Batch) -> list[StartedAttempt]:
    return [
        StartedAttempt(
            attempt=Attempt(
                message_id=message_id,
                broadcast_id=batch.broadcast_id,
                number=number,
                batch_id=batch.id,
                to=to,
            ),
            failures=failures,
            body=batch.body if own is None else own,
            place=place,
        )
        for message_id, number, failures, to, place, own in zip(
            begun.ids, begun.attempts, begun.failures, begun.numbers, begun.places, begun.bodies, strict=True
        )
    ]


def _start_parameters(
    batch: Batch, origin: dict[str, Any], *, count: int, open_: Sequence[str], now: datetime
) -> dict[str, object]:
    event = e.MessagesStarted(broadcast_id=batch.broadcast_id, batch_id=batch.id, message_ids=(), at=now)
    return {
        **_names(batch),
        "count": count,
        "open": list(open_),
        "stream": messages.batch_stream(batch.broadcast_id, batch.id),
        "started_data": json.dumps(codec.encode(event)),
        **origin,
        **store.identity("start", e.MessagesStarted),
    }


def _names(batch: Batch) -> dict[str, object]:
    return {
        "batch_id": batch.id,
        "fence": batch.fence,
        "broadcast_id": batch.broadcast_id,
        "is_second": batch.is_second,
        "pool_index": batch.pool_index,
        "state": batch.state,
    }
