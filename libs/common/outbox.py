"""Messages to be published, written in the transaction that decides them.

What is not committed is never published; what is committed is published at least once, by the relay.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from libs.common import causation, codec, tracing
from libs.common.commands import COMMANDS
from libs.common.database import Connection

#: The channel on which an insert into `outbox` is notified.
CHANNEL = "broadsheet_outbox"

#: Adds one message. What follows from no work that is traced joins the trace of its broadcast, where there is one.
WRITE = """
INSERT INTO outbox (message_id, kind, type, schema_version, broadcast_id, data, occurred_at, deliver_at,
                    correlation_id, causation_id, traceparent)
VALUES (%(message_id)s, %(kind)s, %(type)s, %(schema_version)s, %(broadcast_id)s, %(data)s, %(now)s, %(deliver_at)s,
        %(correlation_id)s, %(causation_id)s,
        coalesce(%(traceparent)s, (SELECT t.traceparent FROM traces t WHERE t.broadcast_id = %(traced)s)))
"""

#: Takes what is due within the horizon, the longest due first; other relays pass over what this one holds.
TAKE = """
DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE deliver_at <= %(until)s ORDER BY deliver_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING id, message_id, kind, type, schema_version, broadcast_id, data, occurred_at, deliver_at, correlation_id,
          causation_id, traceparent
"""

#: Forgets planned steps of one type of a broadcast, for a step that is planned anew.
FORGET = "DELETE FROM outbox WHERE broadcast_id = %(broadcast_id)s AND type = %(type)s"


async def write(
    connection: Connection, messages: Sequence[codec.Message], *, now: datetime, deliver_at: datetime | None = None
) -> list[UUID]:
    """Write messages to be published, at once or at `deliver_at`; give their ids."""
    cause = causation.current()
    traceparent = tracing.current()
    ids = []
    for message in messages:
        name = type(message).__name__
        ids.append(uuid4())
        broadcast_id = getattr(message, "broadcast_id", None)
        await connection.execute(
            WRITE,
            {
                "message_id": ids[-1],
                "kind": "command" if isinstance(message, COMMANDS) else "event",
                "type": name,
                "schema_version": codec.version(name),
                "broadcast_id": broadcast_id,
                "data": Jsonb(codec.encode(message)),
                "now": now,
                "deliver_at": deliver_at or now,
                "correlation_id": cause.correlation_id,
                "causation_id": cause.causation_id,
                "traceparent": traceparent,
                "traced": broadcast_id if tracing.on() else None,
            },
        )
    return ids


async def take(connection: Connection, *, until: datetime, limit: int) -> list[dict[str, Any]]:
    """Remove and give the messages due by `until`, at most `limit`; they come back if the transaction fails."""
    cursor = await connection.execute(TAKE, {"until": until, "limit": limit})
    return sorted(await cursor.fetchall(), key=lambda row: (row["deliver_at"], row["id"]))


async def forget(connection: Connection, broadcast_id: int, type_: str) -> None:
    """Remove the messages of a type that wait here for a broadcast."""
    await connection.execute(FORGET, {"broadcast_id": broadcast_id, "type": type_})
