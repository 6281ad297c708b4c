"""Drawing the recipients of a broadcast: by lot, segment by segment, and writing their messages.

Whom each segment takes in, who is left out, and how many each gives is in `selection`: every preview reads the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sqlalchemy import TextClause, text

from libs.common.broadcasts import audience, places, selection
from libs.common.broadcasts.audience import Rules
from libs.common.broadcasts.segment_sql import Condition
from libs.common.broadcasts.selection import Selection
from libs.common.database import Connection
from libs.common.domain import codec, segments
from libs.common.domain import events as e
from libs.common.domain.broadcast import Broadcast
from libs.common.domain.states import LeftOut
from libs.common.eventstore import store

#: Recipients that one event names.
CHUNK = 1000

#: Draws one segment's share and writes the messages of each recipient: the first one, and the second one where there is
#: a follow-up. Members are ordered by a hash of seed and contact, so that a draw can be repeated and explained; before
#: them come those with the given numbers, who have the message already since a draw that a restore has undone: no rule
#: of the broadcast leaves them out. Who was drawn before, or has opted out, is passed over. Their rows are locked, so
#: that somebody who is being erased is passed over too.
#: With each stands where they are, for the hours at which they may be texted.
#: The recipients go into history as `RecipientsDrawn`, a bounded number to an event, without leaving the database.
DRAW = """
WITH drawn AS MATERIALIZED (
    SELECT d.id, d.phone_number, d.place, nextval('message_ids') AS first_id,
           CASE WHEN :has_second THEN nextval('message_ids') END AS second_id,
           (row_number() OVER () - 1) / :chunk + 1 AS chunk
    FROM (
        SELECT c.id, c.phone_number, {place} AS place FROM contacts c {join}
        WHERE {member}
          AND NOT EXISTS (SELECT FROM outgoing_messages m
                          WHERE m.broadcast_id = :broadcast_id AND m.contact_id = c.id)
        ORDER BY c.phone_number = ANY(:numbers) DESC, sha256(convert_to(:seed || ':' || c.id, 'UTF8')), c.id
        LIMIT :quota FOR KEY SHARE OF c
    ) d
), written AS (
    INSERT INTO outgoing_messages (id, broadcast_id, contact_id, segment_id, is_second, recipient_phone_number, place)
    SELECT t.id, :broadcast_id, d.id, :segment_id, t.is_second, d.phone_number, d.place
    FROM drawn d CROSS JOIN LATERAL (VALUES (d.first_id, false), (d.second_id, true)) AS t (id, is_second)
    WHERE t.id IS NOT NULL
), head AS (
    INSERT INTO streams (stream, version)
    SELECT :stream, max(chunk) FROM drawn HAVING count(*) > 0
), recorded AS (
    INSERT INTO events (stream, version, id, type, schema_version, broadcast_id, data, occurred_at, correlation_id,
                        causation_id, actor)
    SELECT :stream, chunk, gen_random_uuid(), '{drawn_event}', :schema_version, :broadcast_id,
           jsonb_build_object(
               'broadcast_id', CAST(:broadcast_id AS bigint), 'segment_id', CAST(:segment_id AS bigint),
               'contacts', jsonb_agg(id ORDER BY first_id), 'first_message_ids', jsonb_agg(first_id ORDER BY first_id),
               'second_message_ids',
               coalesce(jsonb_agg(second_id ORDER BY first_id) FILTER (WHERE second_id IS NOT NULL), '[]'),
               'places', jsonb_agg(place ORDER BY first_id)),
           :now, :correlation_id, :causation_id, :actor
    FROM drawn GROUP BY chunk ORDER BY chunk
)
SELECT count(*) AS drawn FROM drawn
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What a draw gave."""

    #: Of each segment with a share, in the broadcast's order.
    draws: tuple[e.Draw, ...]
    fallback: e.Draw | None
    excluded: tuple[e.Excluded, ...]
    left_out: dict[LeftOut, int]

    @property
    def recipients(self) -> int:
        """How many were drawn."""
        return sum(each.drawn for each in self.draws) + (self.fallback.drawn if self.fallback else 0)


@dataclass(frozen=True, slots=True)
class _Lot:
    """What all draws of a broadcast have in common."""

    broadcast: Broadcast
    rules: Rules
    seed: int
    now: datetime
    #: Those who have the message already, and come first.
    numbers: Sequence[str]


def draw_of(named: str, rules: Rules = audience.NO_RULES, *, is_remade: bool = False) -> TextClause:
    """Return the statement that draws whom a condition names; `is_remade` where some have the message already."""
    return _draw_of(DRAW, named, rules, is_remade)


@lru_cache(maxsize=audience.SHAPES)
def _draw_of(draw: str, named: str, rules: Rules, is_remade: bool) -> TextClause:  # noqa: FBT001 - a key of the cache
    if is_remade:
        has_it = "c.phone_number = ANY(:numbers)"
        rules = Rules(rules.join, f"({rules.excluded}) AND NOT {has_it}", f"({rules.capped}) AND NOT {has_it}")
    return text(
        draw.format(
            join=rules.join,
            member=audience.member(named, rules),
            place=places.OF_CONTACT,
            drawn_event=e.RecipientsDrawn.__name__,
        )
    )


async def draw(
    connection: Connection,
    broadcast: Broadcast,
    wished: Selection,
    seed: int,
    now: datetime,
    numbers: Sequence[str] = (),
) -> Drawn:
    """Draw the recipients segment by segment, as planned, and fill up from the fallback what they did not give."""
    found = await selection.read(connection, wished, now)
    filters, named = found.conditions.filters, found.conditions.named
    lot = _Lot(broadcast, found.conditions.rules, seed, now, numbers)
    drawn = [0] * len(wished.segments)
    for place in found.plan.order:
        segment = wished.segments[place]
        drawn[place] = await _draw_segment(connection, lot, segment.segment_id, named[place], found.plan.wanted[place])
    fallback = None
    if wished.fallback is not None:
        short = found.plan.total - sum(drawn)
        fallback = e.Draw(
            segment_id=wished.fallback,
            quota=short,
            drawn=await _draw_segment(connection, lot, wished.fallback, named[-1], short) if short else 0,
            filter=segments.dump(filters[wished.fallback]),
        )
    return Drawn(
        draws=tuple(
            e.Draw(
                segment_id=segment.segment_id,
                quota=found.plan.wanted[place],
                drawn=drawn[place],
                filter=segments.dump(filters[segment.segment_id]),
            )
            for place, segment in enumerate(wished.segments)
        ),
        fallback=fallback,
        excluded=tuple(e.Excluded(segment_id=each, filter=segments.dump(filters[each])) for each in wished.excluded),
        left_out=dict(found.left_out),
    )


async def _draw_segment(connection: Connection, lot: _Lot, segment_id: int, named: Condition, quota: int) -> int:
    broadcast = lot.broadcast
    cursor = await connection.execute(
        draw_of(named.sql, lot.rules, is_remade=bool(lot.numbers)),
        {
            **lot.rules.given,
            **named.given,
            "broadcast_id": broadcast.id,
            "has_second": broadcast.has_follow_up,
            "segment_id": segment_id,
            "quota": quota,
            "seed": str(lot.seed),
            "numbers": list(lot.numbers),
            "chunk": CHUNK,
            **places.known(),
            # One that was called back is drawn again; each draw has a stream of its own.
            "stream": store.stream(broadcast.id, f"recipients-{segment_id}-{broadcast.version}"),
            "schema_version": codec.version(e.RecipientsDrawn.__name__),
            **store.origin(connection, lot.now),
        },
    )
    return int(cursor.scalar_one())
