"""Broadcasts as staff see them, read from the tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts.drafts import is_draft
from libs.common.carriers.error_codes import is_unreachable
from libs.common.database import Connection, Engine, EnumText, TypedJson, all_rows, first_row, literals
from libs.common.domain.broadcast import PAUSABLE
from libs.common.domain.states import (
    OPEN,
    BroadcastState,
    Late,
    LeftOut,
    MessageState,
    Outcome,
    SegmentRole,
    SkipReason,
)
from libs.common.errors import NotFound
from libs.common.eventstore import store
from services.api.schemas import (
    Broadcast,
    BroadcastSegment,
    ExcludedSegment,
    FallbackSegment,
    FrequencyCap,
    Message,
    PhaseParts,
    RecordedEvent,
    Week,
)

#: The times of the weekdays by their names; null where there are none.
_WEEK = f"""
CASE WHEN b.week <> '{{}}' THEN jsonb_build_object({
    ", ".join(f"'{day}', nullif(b.week[{place}], '')" for place, day in enumerate(Week.__struct_fields__, 1))
}) END
"""

#: The segments of a broadcast that have a role.
_OF_ROLE = """FROM broadcasts_segments s JOIN audience_segments a ON a.id = s.segment_id
           WHERE s.broadcast_id = b.id AND s.role = """

#: `run_at` comes twice: the second is put into the organisation's time zone.
_SELECT = f"""
SELECT b.id, b.state, b.run_at, b.run_at AS run_at_local, b.first_message, b.second_message, b.second_delay,
       coalesce((
           SELECT jsonb_agg(jsonb_build_object('segment_id', s.segment_id, 'name', a.name, 'ratio', s.ratio,
                                               'count', s.count, 'all', num_nulls(s.ratio, s.count) = 2,
                                               'quota', s.quota, 'drawn', s.drawn, 'filter', s.filter)
                            ORDER BY s.position)
           {_OF_ROLE}'{SegmentRole.SHARE}'), CAST('[]' AS jsonb)) AS segments,
       b.max_recipients, n.phone_number AS from_number,
       ARRAY(SELECT o.phone_number FROM unnest(b.pool) WITH ORDINALITY AS p (id, place)
             JOIN sending_numbers o ON o.id = p.id ORDER BY p.place) AS pool,
       b.recurring, {_WEEK} AS week, b.draft, b.late, b.author,
       b.approved_by, b.recipients, b.made_at, b.hold_until, b.second_due_at,
       b.next_broadcast_id, b.previous_id, b.paused_from, b.pause_reason, b.missed_reason,
       b.completed_at, coalesce((
           SELECT jsonb_agg(jsonb_build_object('is_second', p.is_second, 'parts', p.parts, 'messages', p.messages)
                            ORDER BY p.is_second, p.parts)
           FROM broadcasts_parts p WHERE p.broadcast_id = b.id), CAST('[]' AS jsonb)) AS parts,
       (SELECT a.import_id FROM broadcasts_segments s JOIN audience_segments a ON a.id = s.segment_id
        WHERE s.broadcast_id = b.id AND s.role = '{SegmentRole.SHARE}' AND a.import_id IS NOT NULL LIMIT 1) AS file,
       b.label, (SELECT l.fault FROM missive_labels l WHERE l.name = b.label) AS label_fault, coalesce((
           SELECT jsonb_agg(jsonb_build_object('segment_id', s.segment_id, 'name', a.name, 'filter', s.filter)
                            ORDER BY s.position)
           {_OF_ROLE}'{SegmentRole.EXCLUDED}'), CAST('[]' AS jsonb)) AS exclude, (
           SELECT jsonb_build_object('segment_id', s.segment_id, 'name', a.name, 'quota', s.quota, 'drawn', s.drawn,
                                     'filter', s.filter)
           {_OF_ROLE}'{SegmentRole.FALLBACK}') AS fallback,
       CASE WHEN b.cap_texts IS NOT NULL
            THEN jsonb_build_object('texts', b.cap_texts, 'days', b.cap_days) END AS frequency_cap, coalesce((
           SELECT jsonb_object_agg(l.reason, l.people) FROM broadcasts_left_out l WHERE l.broadcast_id = b.id),
           CAST('{{}}' AS jsonb)) AS left_out
FROM broadcasts b JOIN sending_numbers n ON n.id = b.sending_number_id
"""

_TYPES: dict[str, Any] = {
    "state": EnumText(BroadcastState),
    "paused_from": EnumText(BroadcastState),
    "segments": TypedJson(list[BroadcastSegment]),
    "week": TypedJson(Week),
    "late": EnumText(Late),
    "parts": TypedJson(list[PhaseParts]),
    "exclude": TypedJson(list[ExcludedSegment]),
    "fallback": TypedJson(FallbackSegment),
    "frequency_cap": TypedJson(FrequencyCap),
    "left_out": TypedJson(dict[LeftOut, int]),
}

#: One broadcast.
ONE = text(f"{_SELECT} WHERE b.id = :id").columns(**_TYPES)

#: Some broadcasts.
OF_IDS = text(f"{_SELECT} WHERE b.id = ANY(CAST(:ids AS bigint[]))").columns(**_TYPES)

#: A page of broadcasts, the newest first.
PAGE = text(f"""
{_SELECT}
WHERE (CAST(:state AS text) IS NULL OR b.state = :state) AND b.id < :before ORDER BY b.id DESC LIMIT :limit
""").columns(**_TYPES)

#: The broadcasts that are in some states, by when they run: drafts too, drafts alone, or none.
IN_STATES = text(f"""
{_SELECT}
WHERE b.state = ANY(:states) AND b.run_at >= :since AND b.run_at < :before
  AND (CAST(:drafts AS boolean) IS NULL
       OR :drafts = {is_draft("b")})
ORDER BY b.run_at, b.id LIMIT :limit
""").columns(**_TYPES)

#: Messages nobody knows the fate of, whose attempt began at some time.
UNCERTAIN = text(f"""
SELECT broadcast_id, is_second, count(*) AS messages FROM outgoing_messages
WHERE state = '{MessageState.UNCERTAIN}' AND state IN {literals(OPEN)}
  AND attempt_started_at >= :since AND attempt_started_at < :before
GROUP BY broadcast_id, is_second ORDER BY broadcast_id, is_second
""")

#: How many messages of some broadcasts have not left. Each state by itself: there is an index of what is pending and
#: one of what is open, and none of both.
UNSENT_OF = text(f"""
SELECT broadcast_id, CAST(sum(messages) AS bigint) AS messages FROM (
    SELECT broadcast_id, count(*) AS messages FROM outgoing_messages
    WHERE broadcast_id = ANY(CAST(:ids AS bigint[])) AND state = '{MessageState.PENDING}' GROUP BY broadcast_id
    UNION ALL
    SELECT broadcast_id, count(*) AS messages FROM outgoing_messages
    WHERE broadcast_id = ANY(CAST(:ids AS bigint[])) AND state = '{MessageState.CLAIMED}' GROUP BY broadcast_id
) AS unsent GROUP BY broadcast_id
""")

#: The newest broadcasts, as a list to choose from names them.
CHOICES = text("""
SELECT id, coalesce(made_at, run_at) AS began_at, first_message FROM broadcasts ORDER BY id DESC LIMIT :limit
""")

#: Whether there is such a broadcast.
EXISTS = text("SELECT 1 FROM broadcasts WHERE id = :id")

#: A page of messages, person by person, the first before the second: the order of the index of
#: `outgoing_messages_once_a_contact`. Where the page begins is said of both tables: else a merge of two indexes reads
#: all contacts before it.
MESSAGES_PAGE = text("""
SELECT m.id, m.contact_id, m.recipient_phone_number AS phone_number, c.name, m.segment_id, m.is_second, m.state,
       m.skip_reason, m.attempts, m.attempt_started_at, s.outcome, s.missive_id, s.missive_conversation_id, s.twilio_id,
       s.twilio_sent_at, s.twilio_sent_status, s.twilio_error_code
FROM outgoing_messages m
JOIN contacts c ON c.id = m.contact_id AND c.id >= :contact
LEFT JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id
WHERE m.broadcast_id = :id AND (m.contact_id, m.is_second) > (:contact, :second)
  AND (CAST(:state AS text) IS NULL OR m.state = :state)
  AND (CAST(:is_second AS boolean) IS NULL OR m.is_second = :is_second)
ORDER BY m.contact_id, m.is_second LIMIT :limit
""").columns(state=EnumText(MessageState), skip_reason=EnumText(SkipReason), outcome=EnumText(Outcome))

#: How many people a broadcast cannot reach, since their numbers take no messages.
UNREACHABLE = text(f"""
SELECT count(DISTINCT m.contact_id)
FROM broadcast_sent_message_status s JOIN outgoing_messages m ON m.id = s.outgoing_message_id
WHERE s.broadcast_id = :id AND {is_unreachable("s")}
""")

#: Lets all statements of a transaction see the same state of the tables.
ONE_SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

#: Broadcasts that send or wait, and those that will soon; what sends now comes first.
STOPPABLE = text(f"""
SELECT b.id, b.run_at FROM broadcasts b
WHERE b.state IN {literals(PAUSABLE)}
   OR (b.state = '{BroadcastState.SCHEDULED}' AND NOT {is_draft("b")} AND b.run_at < :soon)
ORDER BY b.state = '{BroadcastState.SCHEDULED}', b.state = '{BroadcastState.WAITING}', b.id
""")

#: One who presses this wants to know within seconds; a wait is tried three times.
SHORT_WAIT = text("SET LOCAL lock_timeout = '3s'")

#: How many messages have a request that may be on its way.
UNDER_WAY = text(f"SELECT count(*) FROM outgoing_messages WHERE state = '{MessageState.STARTED}'")

#: Those of some segments that exist; they stay until the transaction ends.
KEEP_SEGMENTS = text("SELECT id FROM audience_segments WHERE id = ANY(CAST(:ids AS bigint[])) FOR KEY SHARE")

#: Makes sure that a number of ours has a row.
ADD_NUMBER = text("INSERT INTO sending_numbers (phone_number) VALUES (:number) ON CONFLICT DO NOTHING")

#: The row of a number of ours.
NUMBER = text("SELECT id FROM sending_numbers WHERE phone_number = :number")


@dataclass(frozen=True, slots=True)
class Stoppable:
    """A broadcast that sends or waits, or will begin soon."""

    id: int
    run_at: datetime


async def one(connection: Connection, broadcast_id: int, zone: ZoneInfo) -> Broadcast:
    """Return a broadcast. Raise NotFound."""
    broadcast = first_row(await connection.execute(ONE, {"id": broadcast_id}), Broadcast)
    if broadcast is None:
        raise NotFound(f"there is no broadcast {broadcast_id}")
    return _in_zone(broadcast, zone)


async def of_ids(connection: Connection, ids: Sequence[int], zone: ZoneInfo) -> dict[int, Broadcast]:
    """Return some broadcasts by their ids."""
    found = all_rows(await connection.execute(OF_IDS, {"ids": list(ids)}), Broadcast)
    return {broadcast.id: _in_zone(broadcast, zone) for broadcast in found}


async def page(
    connection: Connection, zone: ZoneInfo, *, state: BroadcastState | None, before: int, limit: int
) -> list[Broadcast]:
    """Return the newest broadcasts with an id below `before`."""
    cursor = await connection.execute(PAGE, {"state": state, "before": before, "limit": limit})
    return [_in_zone(broadcast, zone) for broadcast in all_rows(cursor, Broadcast)]


@dataclass(frozen=True, slots=True)
class Choice:
    """A broadcast in a list to choose from."""

    id: int
    began_at: datetime
    first_message: str


async def choices(connection: Connection, limit: int) -> Sequence[Choice]:
    """Return the newest broadcasts, the newest first."""
    return all_rows(await connection.execute(CHOICES, {"limit": limit}), Choice)


async def in_states(
    connection: Connection,
    zone: ZoneInfo,
    states: Sequence[BroadcastState],
    *,
    since: datetime,
    before: datetime,
    limit: int,
    drafts: bool | None = None,
) -> list[Broadcast]:
    """Return the first broadcasts in some states that run from `since` on and before `before`, by when they run.

    With `drafts` False those that go to nobody are left out; with True they are all.
    """
    parameters = {"states": list(states), "since": since, "before": before, "limit": limit, "drafts": drafts}
    cursor = await connection.execute(IN_STATES, parameters)
    return [_in_zone(broadcast, zone) for broadcast in all_rows(cursor, Broadcast)]


@dataclass(frozen=True, slots=True)
class Uncertain:
    """How many messages of a broadcast's phase are uncertain."""

    broadcast_id: int
    is_second: bool
    messages: int


async def uncertain(connection: Connection, since: datetime, before: datetime) -> Sequence[Uncertain]:
    """Return how many messages of each broadcast are uncertain whose attempt began in a stretch of time."""
    return all_rows(await connection.execute(UNCERTAIN, {"since": since, "before": before}), Uncertain)


async def unsent(connection: Connection, ids: Sequence[int]) -> dict[int, int]:
    """Return how many messages of some broadcasts have not left; those of which all have are left out."""
    return {row.broadcast_id: row.messages for row in await connection.execute(UNSENT_OF, {"ids": list(ids)})}


async def check_exists(connection: Connection, broadcast_id: int) -> None:
    """Raise NotFound if there is no such broadcast."""
    if (await connection.execute(EXISTS, {"id": broadcast_id})).first() is None:
        raise NotFound(f"there is no broadcast {broadcast_id}")


async def messages(
    engine: Engine,
    broadcast_id: int,
    *,
    after: tuple[int, bool],
    limit: int,
    state: MessageState | None = None,
    is_second: bool | None = None,
) -> list[Message]:
    """Return messages, person by person, behind `after`: a contact, and whether it was their second message.

    Raise NotFound if there is no such broadcast.
    """
    contact, second = after
    asked = {
        "id": broadcast_id,
        "contact": contact,
        "second": second,
        "state": state,
        "is_second": is_second,
        "limit": limit,
    }
    found = await database.fetch_alone(engine, MESSAGES_PAGE, asked, Message)
    if not found:
        async with database.transaction(engine) as connection:
            await check_exists(connection, broadcast_id)
    return found


async def events(connection: Connection, broadcast_id: int, *, after: int, limit: int) -> list[RecordedEvent]:
    """Return the events of a broadcast, the oldest first, behind position `after`."""
    stored = await store.of_broadcast(connection, broadcast_id, after=after, limit=limit)
    return [msgspec.convert(event, RecordedEvent, from_attributes=True) for event in stored]


async def count_unreachable(connection: Connection, broadcast_id: int) -> int:
    """Return how many people a broadcast cannot reach, since their numbers take no messages."""
    return int((await connection.execute(UNREACHABLE, {"id": broadcast_id})).scalar_one())


async def take_one_snapshot(connection: Connection) -> None:
    """Let all that the transaction reads be of one moment. Call it before anything is read."""
    await connection.execute(ONE_SNAPSHOT)


async def stoppable(connection: Connection, *, before: datetime) -> list[Stoppable]:
    """Return the broadcasts that send or wait, and those scheduled `before`; what sends now comes first."""
    return all_rows(await connection.execute(STOPPABLE, {"soon": before}), Stoppable)


async def wait_briefly(connection: Connection) -> None:
    """Let each wait for a lock in this transaction end after some seconds, with a Collision."""
    await connection.execute(SHORT_WAIT)


async def count_under_way(connection: Connection) -> int:
    """Return how many messages have a request that may be on its way."""
    return int((await connection.execute(UNDER_WAY)).scalar_one())


async def keep_segments(connection: Connection, ids: Sequence[int]) -> set[int]:
    """Return which of some segments exist; they cannot be deleted until the transaction ends."""
    return set((await connection.execute(KEEP_SEGMENTS, {"ids": list(ids)})).scalars())


async def add_sending_number(connection: Connection, phone_number: str) -> int:
    """Return the id of a sending number, which is added if it is new."""
    await connection.execute(ADD_NUMBER, {"number": phone_number})
    return int((await connection.execute(NUMBER, {"number": phone_number})).scalar_one())


def _in_zone(broadcast: Broadcast, zone: ZoneInfo) -> Broadcast:
    return msgspec.structs.replace(broadcast, run_at_local=broadcast.run_at.astimezone(zone))
