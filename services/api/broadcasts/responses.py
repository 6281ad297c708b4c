"""How past broadcasts were answered: by broadcast, by segment, by the hour at which the text went out.

A reply that asks for a stop is no answer here, nor is what a phone or a machine has made: a person's own words are.
What is read is bounded: a page of broadcasts, and of these as many as have `MOST` recipients together.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import text

from libs.common import database
from libs.common.database import Connection, all_rows, literals
from libs.common.domain.keywords import Wish
from libs.common.domain.states import DELIVERED, BroadcastState, ReplyKind, Review
from services.api.broadcasts.rates import Rate

MOST = 80_000  # recipients whose messages one page counts: some tens of milliseconds

#: The newest broadcasts that are over and had recipients.
PAST = text(f"""
SELECT id, coalesce(made_at, run_at) AS began_at, first_message, recipients FROM broadcasts
WHERE state IN {literals((BroadcastState.SYNCING, BroadcastState.COMPLETED, BroadcastState.CANCELLED))}
  AND recipients > 0 AND id < :before
ORDER BY id DESC LIMIT :limit
""")

#: How many got the first message of some broadcasts, and how many of them replied; a broadcast, a segment and an hour
#: may come more than once. Both tables are read by the broadcasts, and joined as a whole: looked up one by one, the
#: messages cost seven times as much. By quarters of an hour, which no zone's hours divide.
COUNTED = text(f"""
WITH answered AS (
    SELECT DISTINCT broadcast_id, contact_id FROM replies
    WHERE broadcast_id = ANY(CAST(:ids AS bigint[])) AND kind = '{ReplyKind.OWN_WORDS}'
      AND wish IS DISTINCT FROM '{Wish.STOP}'
      AND review IS DISTINCT FROM '{Review.OPT_OUT}'
), delivered AS MATERIALIZED (
    SELECT m.broadcast_id, m.segment_id, answered.contact_id,
           date_bin('15 minutes', coalesce(m.attempt_started_at, s.twilio_sent_at), TIMESTAMPTZ '2000-01-01') AS at
    FROM broadcast_sent_message_status s
    JOIN outgoing_messages m ON m.id = s.outgoing_message_id
    LEFT JOIN answered ON answered.broadcast_id = m.broadcast_id AND answered.contact_id = m.contact_id
    WHERE s.broadcast_id = ANY(CAST(:ids AS bigint[])) AND NOT s.is_second
      AND m.broadcast_id = ANY(CAST(:ids AS bigint[])) AND NOT m.is_second
      AND s.twilio_sent_status IN {literals(DELIVERED)}
), counted AS (
    SELECT broadcast_id, segment_id, at, count(contact_id) AS replied, count(*) AS delivered
    FROM delivered GROUP BY broadcast_id, segment_id, at
)
SELECT broadcast_id, a.name AS segment, CAST(extract(hour FROM at AT TIME ZONE :zone) AS integer) AS hour,
       replied, delivered
FROM counted JOIN audience_segments a ON a.id = segment_id
""")


@dataclass(frozen=True, slots=True)
class Past:
    """A broadcast that is over."""

    id: int
    began_at: datetime
    first_message: str
    recipients: int


@dataclass(frozen=True, slots=True)
class _Counted:
    """Some of a broadcast and a segment whose text went out in the same hour of the day."""

    broadcast_id: int
    segment: str
    hour: int | None
    replied: int
    delivered: int


@dataclass(frozen=True, slots=True)
class Responses:
    """How some broadcasts were answered."""

    total: Rate
    by_broadcast: Mapping[int, Rate]
    by_segment: Mapping[str, Rate]
    by_hour: Mapping[int, Rate]


async def past(connection: Connection, *, before: int, limit: int) -> list[Past]:
    """Return the newest broadcasts that are over, with an id below `before`."""
    return all_rows(await connection.execute(PAST, {"before": before, "limit": limit}), Past)


def countable(broadcasts: Sequence[Past]) -> list[int]:
    """Return the ids of the broadcasts whose messages are counted: the first ones, up to `MOST` recipients."""
    counted, recipients = [], 0
    for each in broadcasts:
        if recipients + each.recipients <= MOST:
            recipients += each.recipients
            counted.append(each.id)
    return counted


async def read(connection: Connection, broadcast_ids: Sequence[int], zone: ZoneInfo) -> Responses:
    """Count how some broadcasts were answered, with the hours of a zone."""
    await database.plan_anew(connection)
    found = await connection.execute(COUNTED, {"ids": list(broadcast_ids), "zone": zone.key})
    return fold(all_rows(found, _Counted))


def fold(counted: Sequence[_Counted]) -> Responses:
    """Return what was counted by broadcast, by segment and by hour."""
    by_broadcast: dict[int, Rate] = defaultdict(Rate)
    by_segment: dict[str, Rate] = defaultdict(Rate)
    by_hour: dict[int, Rate] = defaultdict(Rate)
    total = Rate()
    for each in counted:
        rate = Rate(each.replied, each.delivered)
        total += rate
        by_broadcast[each.broadcast_id] += rate
        by_segment[each.segment] += rate
        if each.hour is not None:
            by_hour[each.hour] += rate
    return Responses(total=total, by_broadcast=by_broadcast, by_segment=by_segment, by_hour=by_hour)
