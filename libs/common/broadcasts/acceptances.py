"""The statement that records that the carrier has taken a message: one round trip, since it comes with each message.

An acceptance counts even if the message was given back meanwhile, or skipped: better known than sent again. It belongs
to the attempt that asked, and counts for nothing once a newer one has begun.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts.messages import Attempt, batch_stream
from libs.common.database import Connection, Engine, first_row, literals
from libs.common.domain import codec
from libs.common.domain import events as e
from libs.common.domain.cause import Cause
from libs.common.domain.states import UNANSWERED, UNSENT, MessageState
from libs.common.eventstore import projections, store
from libs.common.rate_limits import concurrency

_EVENT = store.appended(
    "acceptance",
    source="message",
    stream="CAST(:stream AS text)",
    event=e.MessageAccepted,
    data="CAST(CAST(:accepted_data AS text) AS jsonb)",
)

#: Records an acceptance, with its event. The carrier works, so the next failure is a first one again
#: (`rate_limits/rate.py`). No row where another answer stands, or a newer attempt has begun.
RECORD = text(f"""
WITH message AS (
    {projections.ACCEPT}
    WHERE id = :message_id AND attempts = :attempt
      AND state IN {literals((*UNANSWERED, *UNSENT, MessageState.SKIPPED))}
    RETURNING {projections.ACCEPTED}
), status AS ({projections.ADD_STATUS}), {_EVENT}, pace AS (
    UPDATE pace SET failures = 0 WHERE key = :carrier AND failures > 0
), permit AS (
    {concurrency.FREE} WHERE key = :carrier AND n = ANY(CAST(:permits AS integer[]))
)
SELECT id FROM message
""")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A message whose acceptance was recorded."""

    id: int


async def record(
    connection: Connection, attempt: Attempt, event: e.MessageAccepted, now: datetime, *, carrier: str
) -> bool:
    """Record an acceptance in the caller's transaction; False if a newer attempt has begun or another answer stands.

    Raise NotUnique where another message is known by the same sid of Twilio's.
    """
    parameters = _parameters(attempt, event, store.origin(connection, now), carrier, ())
    recorded = first_row(await connection.execute(RECORD, parameters), Recorded)
    if recorded is not None:
        store.count(connection, e.MessageAccepted)
    return recorded is not None


async def record_alone(
    engine: Engine,
    cause: Cause,
    attempt: Attempt,
    event: e.MessageAccepted,
    now: datetime,
    *,
    carrier: str,
    permits: Sequence[int],
) -> bool:
    """Record an acceptance as `record` does, without a transaction around it, and free the request's permits.

    Raise DatabaseError, of which there are several kinds.
    """
    origin = store.origin_of(database.signed(engine, cause), now)
    parameters = _parameters(attempt, event, origin, carrier, permits)
    recorded = await database.execute_alone(engine, RECORD, parameters, Recorded)
    if recorded is not None:
        store.count_committed([e.MessageAccepted])
    return recorded is not None


def _parameters(
    attempt: Attempt, event: e.MessageAccepted, origin: dict[str, Any], carrier: str, permits: Sequence[int]
) -> dict[str, Any]:
    return {
        "message_id": attempt.message_id,
        "attempt": attempt.number,
        "left_at": event.left_at,
        "missive_id": event.missive_id,
        "missive_conversation_id": event.missive_conversation_id,
        "twilio_id": event.twilio_id,
        "twilio_status": event.twilio_status,
        "stream": batch_stream(attempt.broadcast_id, attempt.batch_id),
        "accepted_data": json.dumps(codec.encode(event)),
        "carrier": carrier,
        "permits": list(permits),
        **origin,
        **store.identity("acceptance", e.MessageAccepted),
    }
