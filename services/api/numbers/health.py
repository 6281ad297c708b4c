"""How our own numbers do: whether the carrier takes what they send, and when anybody last wrote to us."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from libs.common.broadcasts.messages import number_of
from libs.common.database import Connection, all_rows, literals
from libs.common.domain.states import MessageState, Outcome, TooFast
from libs.common.rate_limits import rate

LATELY = timedelta(days=1)  # in which the errors of a number are counted

#: Some numbers in their order. A number that never sent has no row of its own. What holds its carrier back holds it
#: back. The newest broadcasts of a number tell when it last sent, and how that went.
NUMBERS = text(f"""
SELECT ours.number AS phone_number, pace.failing_since, pace.held_until, newest.at AS last_accepted_at,
       refused.at AS last_refused_at, refused.code AS last_refused_code, failed.messages AS failed_lately
FROM unnest(CAST(:numbers AS text[])) WITH ORDINALITY AS ours (number, place)
LEFT JOIN sending_numbers n ON n.phone_number = ours.number
CROSS JOIN LATERAL (
    SELECT min(p.failing_since) FILTER (WHERE p.failures > 0) AS failing_since,
           max(p.held_until) FILTER (WHERE p.held_until > clock_timestamp()) AS held_until
    FROM pace p WHERE p.key IN (coalesce(n.carrier, CAST(:carrier AS text)), '{rate.NUMBER}' || n.id)
) AS pace
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(id), '{{}}') AS ids
    FROM (SELECT id FROM broadcasts WHERE n.id = ANY(sending_number_id || pool) AND made_at IS NOT NULL
          ORDER BY made_at DESC LIMIT 10) AS b
) AS lately
CROSS JOIN LATERAL (
    SELECT max(last.at) AS at FROM unnest(lately.ids) AS ids (id)
    JOIN broadcasts b ON b.id = ids.id
    CROSS JOIN LATERAL (
        SELECT m.attempt_started_at AS at FROM outgoing_messages m
        WHERE m.broadcast_id = b.id AND m.state = '{MessageState.ACCEPTED}' AND {number_of("m", "b")} = n.id
        ORDER BY m.attempt_started_at DESC LIMIT 1
    ) AS last
) AS newest
LEFT JOIN LATERAL (
    SELECT m.attempt_started_at AS at, s.twilio_error_code AS code FROM unnest(lately.ids) AS ids (id)
    JOIN broadcasts b ON b.id = ids.id
    JOIN broadcast_sent_message_status s ON s.broadcast_id = b.id AND s.outcome = '{Outcome.REFUSED}'
    JOIN outgoing_messages m ON m.id = s.outgoing_message_id AND {number_of("m", "b")} = n.id
    ORDER BY m.attempt_started_at DESC NULLS LAST LIMIT 1
) AS refused ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS messages FROM unnest(lately.ids) AS ids (id)
    JOIN broadcasts b ON b.id = ids.id AND b.made_at > CAST(:since AS timestamptz) - interval '1 day'
    JOIN broadcast_sent_message_status s ON s.broadcast_id = b.id AND s.twilio_error_code IS NOT NULL
    JOIN outgoing_messages m ON m.id = s.outgoing_message_id AND m.attempt_started_at > :since
         AND {number_of("m", "b")} = n.id
) AS failed
ORDER BY ours.place
""")

#: When the newest replies were written. They come in nearly in that order.
LAST_REPLY = text("SELECT max(received_at) FROM (SELECT received_at FROM replies ORDER BY id DESC LIMIT 100) AS newest")

#: How many texts of a number's broadcasts since a time came too fast for it, or for its campaign.
TOO_FAST = text(f"""
SELECT count(*) FROM broadcasts b
JOIN sending_numbers n ON n.id = ANY(b.sending_number_id || b.pool)
JOIN broadcast_sent_message_status s ON s.broadcast_id = b.id
JOIN outgoing_messages m ON m.id = s.outgoing_message_id AND {number_of("m", "b")} = n.id
WHERE n.phone_number = :number AND b.made_at >= :since AND s.twilio_error_code IN {literals(TooFast)}
""")


@dataclass(frozen=True, slots=True)
class Health:
    """How a number of ours does."""

    phone_number: str
    #: Since when the carrier answers with errors; None while it does not.
    failing_since: datetime | None
    #: Nothing is sent from it before this; None where nothing holds it.
    held_until: datetime | None
    #: When the last text of a broadcast left that the carrier has taken, and that it has refused for good, with why.
    last_accepted_at: datetime | None
    last_refused_at: datetime | None
    last_refused_code: str | None
    #: Texts that were refused or not delivered, of those that began lately.
    failed_lately: int


async def read(connection: Connection, numbers: Sequence[str], carrier: str, now: datetime) -> Sequence[Health]:
    """Return how some numbers of ours do, in their order; `carrier` is that of those who have none of their own."""
    given = {"numbers": list(numbers), "carrier": carrier, "since": now - LATELY}
    return all_rows(await connection.execute(NUMBERS, given), Health)


async def last_reply_at(connection: Connection) -> datetime | None:
    """Return when the last reply was written; None if there is none."""
    at: datetime | None = (await connection.execute(LAST_REPLY)).scalar_one()
    return at


async def too_fast(connection: Connection, number: str, since: datetime) -> int:
    """Return how many texts from a number came too fast for it, of broadcasts that began at a time or later."""
    return int((await connection.execute(TOO_FAST, {"number": number, "since": since})).scalar_one())
