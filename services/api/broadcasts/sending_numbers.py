"""Our own numbers: whether the carrier takes what they send, when they last sent, and when anybody last wrote to us."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from libs.common.database import Connection, all_rows, literals
from libs.common.domain.states import MessageState, TooFast
from libs.common.rate_limits import rate

#: Some numbers in their order. A number that never sent has no row of its own. What holds the carrier back holds all of
#: them back. The newest broadcasts of a number tell when it last sent.
NUMBERS = text(f"""
SELECT ours.number AS phone_number, pace.failing_since, pace.held_until, newest.at AS last_text_at
FROM unnest(CAST(:numbers AS text[])) WITH ORDINALITY AS ours (number, place)
LEFT JOIN sending_numbers n ON n.phone_number = ours.number
CROSS JOIN LATERAL (
    SELECT min(p.failing_since) FILTER (WHERE p.failures > 0) AS failing_since,
           max(p.held_until) FILTER (WHERE p.held_until > clock_timestamp()) AS held_until
    FROM pace p WHERE p.key IN (CAST(:carrier AS text), '{rate.NUMBER}' || n.id)
) AS pace
CROSS JOIN LATERAL (
    SELECT max(last.at) AS at
    FROM (SELECT id FROM broadcasts WHERE sending_number_id = n.id AND made_at IS NOT NULL
          ORDER BY made_at DESC LIMIT 10) AS b
    CROSS JOIN LATERAL (
        SELECT max(m.attempt_started_at) AS at FROM outgoing_messages m
        WHERE m.broadcast_id = b.id AND m.state = '{MessageState.ACCEPTED}'
    ) AS last
) AS newest
ORDER BY ours.place
""")

#: When the newest replies were written. They come in nearly in that order.
LAST_REPLY = text("SELECT max(received_at) FROM (SELECT received_at FROM replies ORDER BY id DESC LIMIT 100) AS newest")

#: How many texts of a number's broadcasts since a time came too fast for it, or for its campaign.
TOO_FAST = text(f"""
SELECT count(*) FROM broadcasts b
JOIN sending_numbers n ON n.id = b.sending_number_id
JOIN broadcast_sent_message_status s ON s.broadcast_id = b.id
WHERE n.phone_number = :number AND b.made_at >= :since AND s.twilio_error_code IN {literals(TooFast)}
""")


@dataclass(frozen=True, slots=True)
class OwnNumber:
    """A number of ours."""

    phone_number: str
    #: Since when the carrier answers with errors; None while it does not.
    failing_since: datetime | None
    #: Nothing is sent from it before this; None where nothing holds it.
    held_until: datetime | None
    #: When the last text of a broadcast left that the carrier has taken.
    last_text_at: datetime | None


async def read(connection: Connection, numbers: Sequence[str], carrier: str) -> Sequence[OwnNumber]:
    """Return how some numbers of ours are, in their order."""
    cursor = await connection.execute(NUMBERS, {"numbers": list(numbers), "carrier": carrier})
    return all_rows(cursor, OwnNumber)


async def last_reply_at(connection: Connection) -> datetime | None:
    """Return when the last reply was written; None if there is none."""
    at: datetime | None = (await connection.execute(LAST_REPLY)).scalar_one()
    return at


async def too_fast(connection: Connection, number: str, since: datetime) -> int:
    """Return how many texts from a number came too fast for it, of broadcasts that began at a time or later."""
    return int((await connection.execute(TOO_FAST, {"number": number, "since": since})).scalar_one())
