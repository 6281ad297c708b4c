"""Which of a broadcast's numbers each recipient gets it from: the one they last had, else one by the numbers' limits.

Made with the broadcast, in its transaction, where it is sent from several numbers. Both messages of a person leave from
one number. Who got a text from one of the numbers before gets this from it, too (a sticky sender); whose last text has
been forgotten, or was from another number, is dealt one: by what each number may send on a day, and as far as its daily
cap leaves room today. A number that is switched off gets nobody while another one is on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import text

from libs.common.broadcasts import repository, sending_numbers
from libs.common.broadcasts.messages import number_of
from libs.common.database import Connection, all_rows, literals
from libs.common.domain import codec
from libs.common.domain import events as e
from libs.common.domain.broadcast import Broadcast
from libs.common.domain.sending_numbers import SendingNumber, quotas
from libs.common.domain.states import UNANSWERED, MessageState
from libs.common.eventstore import store
from libs.common.rate_limits import daily

#: Messages that one event names.
CHUNK = 1000

#: Each recipient of a broadcast, as `who`, with the place of the number that they last had: null if it is none of its
#: numbers that are on, or nothing is known.
_WHO = f"""
who AS MATERIALIZED (
    SELECT m.contact_id, o.place AS kept
    FROM outgoing_messages m
    LEFT JOIN LATERAL (
        SELECT {number_of("l", "b")} AS number
        FROM outgoing_messages l JOIN broadcasts b ON b.id = l.broadcast_id
        WHERE l.recipient_phone_number = m.recipient_phone_number AND l.broadcast_id <> m.broadcast_id
          AND l.state IN {literals((*UNANSWERED, MessageState.ACCEPTED))}
        ORDER BY l.attempt_started_at DESC, l.id DESC LIMIT 1
    ) AS last ON true
    LEFT JOIN unnest(CAST(:numbers AS bigint[]), CAST(:places AS integer[])) AS o (number, place)
           ON o.number = last.number
    WHERE m.broadcast_id = :broadcast_id AND NOT m.is_second
)
"""

#: How many have had each of the numbers last; null for those who are dealt one.
KEPT = text(f"WITH {_WHO} SELECT kept, count(*) AS people FROM who GROUP BY kept")

#: Gives each recipient their number. Who is dealt one is taken in the order of a hash, so that nobody's turn hangs on
#: when they came: `up_to` says at which place in that order each number's share ends. What does not leave from the
#: broadcast's own number goes into history, a bounded number to an event, without leaving the database.
ASSIGN = text(f"""
WITH {_WHO}, turns AS (
    SELECT contact_id, row_number() OVER (ORDER BY sha256(convert_to(:seed || ':' || contact_id, 'UTF8')), contact_id)
        AS turn
    FROM who WHERE kept IS NULL
), given AS MATERIALIZED (
    SELECT who.contact_id, coalesce(who.kept, (
        SELECT min(s.place) FROM unnest(CAST(:places AS integer[]), CAST(:up_to AS bigint[])) AS s (place, up_to)
        WHERE turns.turn <= s.up_to)) AS place
    FROM who LEFT JOIN turns USING (contact_id)
), moved AS (
    UPDATE outgoing_messages m SET pool_index = given.place
    FROM given WHERE m.broadcast_id = :broadcast_id AND m.contact_id = given.contact_id AND given.place > 0
    RETURNING m.id, m.pool_index
), chunks AS (
    SELECT pool_index, jsonb_agg(id ORDER BY id) AS ids, row_number() OVER (ORDER BY pool_index, min(id)) AS version
    FROM (SELECT id, pool_index, (row_number() OVER (PARTITION BY pool_index ORDER BY id) - 1) / :chunk AS chunk
          FROM moved) AS numbered
    GROUP BY pool_index, chunk
), head AS (
    INSERT INTO streams (stream, version) SELECT :stream, max(version) FROM chunks HAVING count(*) > 0
), recorded AS (
    INSERT INTO events (stream, version, id, type, schema_version, broadcast_id, data, occurred_at, correlation_id,
                        causation_id, actor)
    SELECT :stream, version, gen_random_uuid(), '{e.NumbersAssigned.__name__}', :schema_version, :broadcast_id,
           jsonb_build_object('broadcast_id', CAST(:broadcast_id AS bigint), 'pool_index', pool_index,
                              'message_ids', ids),
           :now, :correlation_id, :causation_id, :actor
    FROM chunks ORDER BY version
)
SELECT count(*) FROM moved
""")


#: The messages to some recipients that are to leave from another number than they would.
ELSEWHERE = text("""
SELECT m.id, s.place FROM outgoing_messages m
JOIN unnest(CAST(:recipients AS text[]), CAST(:places AS integer[])) AS s (number, place)
  ON s.number = m.recipient_phone_number
WHERE m.broadcast_id = :broadcast_id AND m.pool_index <> s.place ORDER BY m.id
""")


@dataclass(frozen=True, slots=True)
class Kept:
    """How many people keep a number."""

    #: None for those who are dealt one.
    kept: int | None
    people: int


async def assign(
    connection: Connection, broadcast: Broadcast, seed: int, now: datetime, *, zone: ZoneInfo, send_rate: float
) -> None:
    """Give each recipient of a broadcast that was just drawn a number of its pool; `send_rate` is the settings'."""
    if not broadcast.pool:
        return
    every = [await sending_numbers.one(connection, number_id) for number_id in broadcast.numbers]
    places = [place for place, number in enumerate(every) if number.enabled] or [0]
    numbers = [every[place] for place in places]
    which = {
        "broadcast_id": broadcast.id,
        "numbers": [number.id for number in numbers],
        "places": places,
    }
    kept = {each.kept: each.people for each in all_rows(await connection.execute(KEPT, which), Kept)}
    room = [await _room(connection, number, now, zone) for number in numbers]
    dealt = quotas(
        kept.get(None, 0),
        [number.a_day(send_rate) for number in numbers],
        [max(0.0, each - kept.get(place, 0)) for place, each in zip(places, room, strict=True)],
    )
    await connection.execute(
        ASSIGN,
        {
            **which,
            "up_to": _up_to(dealt),
            "seed": str(seed),
            "chunk": CHUNK,
            "stream": store.stream(broadcast.id, f"numbers-{broadcast.version}"),
            "schema_version": codec.version(e.NumbersAssigned.__name__),
            **store.origin(connection, now),
        },
    )


async def keep(connection: Connection, broadcast: Broadcast, sent: Mapping[str, str], now: datetime) -> None:
    """Have messages of a broadcast that was made again leave from where the log says that they have left.

    `sent` has the number of ours by that of who got a text. Else what was sent from one number would not be found as
    what is planned from another, and be sent again.
    """
    if not broadcast.pool:
        return
    ours = [(await sending_numbers.one(connection, each)).phone_number for each in broadcast.numbers]
    places = {to: ours.index(number) for to, number in sent.items() if number in ours}
    which = {"broadcast_id": broadcast.id, "recipients": list(places), "places": list(places.values())}
    elsewhere: dict[int, list[int]] = {}
    for message_id, place in (await connection.execute(ELSEWHERE, which)).tuples():
        elsewhere.setdefault(place, []).append(message_id)
    events = [
        e.NumbersAssigned(broadcast_id=broadcast.id, pool_index=place, message_ids=tuple(ids[start : start + CHUNK]))
        for place, ids in sorted(elsewhere.items())
        for start in range(0, len(ids), CHUNK)
    ]
    await repository.append_events(connection, store.stream(broadcast.id, "numbers"), events, now)


async def _room(connection: Connection, number: SendingNumber, now: datetime, zone: ZoneInfo) -> float:
    """Return how many messages a number may still start today."""
    day = daily.today(number, now, zone)
    return float("inf") if day is None else max(0, day.cap - await daily.started(connection, number.id, day.day))


def _up_to(dealt: Sequence[int]) -> list[int]:
    found, total = [], 0
    for each in dealt:
        total += each
        found.append(total)
    return found
