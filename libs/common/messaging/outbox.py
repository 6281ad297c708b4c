"""Messages to be published, written in the transaction that decides them.

What is not committed is never published; what is committed is published at least once, by the relay. A relay that dies
between the broker's confirm and its own commit publishes again: the inbox, or what a step finds, makes that harmless.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common import database
from libs.common.database import Connection, Engine, EnumText
from libs.common.domain import codec
from libs.common.domain.commands import COMMANDS
from libs.common.domain.states import MessageKind
from libs.common.observability import tracing

#: The channel on which an insert into `outbox` is notified.
CHANNEL = "broadsheet_outbox"

#: For how long a relay has what it took to itself; longer than the broker may take over one message.
LEASE = timedelta(seconds=10)

#: Adds one message. What follows from no work that is traced joins the trace of its broadcast, where there is one.
WRITE = text("""
INSERT INTO outbox (message_id, kind, type, schema_version, broadcast_id, data, occurred_at, deliver_at,
                    correlation_id, causation_id, actor, traceparent)
VALUES (:message_id, :kind, :type, :schema_version, :broadcast_id, :data, :now, :deliver_at,
        :correlation_id, :causation_id, :actor,
        coalesce(:traceparent, (SELECT t.traceparent FROM traces t WHERE t.broadcast_id = :traced)))
""").bindparams(bindparam("data", type_=JSONB))

#: Leases what is due within the horizon to a relay, the longest due first; other relays pass over it meanwhile. No lock
#: outlives the statement: whoever forgets a step must not wait for the broker. The rows are found again one by one: a
#: join would be planned for as many as a limit that is not known before might let through, and read the whole table.
TAKE = text("""
UPDATE outbox SET lease_until = :lease_until WHERE id = ANY(ARRAY(
    SELECT id FROM outbox WHERE deliver_at <= :until AND (lease_until IS NULL OR lease_until <= :now)
    ORDER BY deliver_at, id LIMIT :limit FOR UPDATE SKIP LOCKED))
RETURNING id, message_id, kind, type, schema_version, broadcast_id, data, occurred_at, deliver_at, correlation_id,
          causation_id, actor, traceparent
""").columns(data=JSONB, kind=EnumText(MessageKind))

#: Removes what was published.
DONE = text("DELETE FROM outbox WHERE id = ANY(:ids)")

#: Gives back what was not published, to be tried again from then on.
GIVE_BACK = text("UPDATE outbox SET lease_until = :lease_until WHERE id = ANY(:ids)")

#: Forgets planned steps of one type of a broadcast, for a step that is planned anew.
FORGET = text("DELETE FROM outbox WHERE broadcast_id = :broadcast_id AND type = :type")


@dataclass(frozen=True, slots=True)
class Leased:
    """A message that a relay has to itself."""

    id: int
    message_id: UUID
    kind: MessageKind
    type: str
    schema_version: int
    broadcast_id: int | None
    data: dict[str, Any]
    occurred_at: datetime
    deliver_at: datetime
    correlation_id: UUID
    causation_id: UUID | None
    actor: str
    traceparent: str | None


async def write(
    connection: Connection, messages: Sequence[codec.Message], *, now: datetime, deliver_at: datetime | None = None
) -> list[UUID]:
    """Write messages to be published, at once or at `deliver_at`; return their ids."""
    cause = database.cause_of(connection)
    actor = str(database.actor_of(connection))
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
                "kind": MessageKind.COMMAND if isinstance(message, COMMANDS) else MessageKind.EVENT,
                "type": name,
                "schema_version": codec.version(name),
                "broadcast_id": broadcast_id,
                "data": codec.encode(message),
                "now": now,
                "deliver_at": deliver_at or now,
                "correlation_id": cause.correlation_id,
                "causation_id": cause.causation_id,
                "actor": actor,
                "traceparent": traceparent,
                "traced": broadcast_id if tracing.on() else None,
            },
        )
    return ids


async def take(engine: Engine, *, until: datetime, now: datetime, limit: int) -> list[Leased]:
    """Lease and give the messages due by `until`, at most `limit`; others may take them once the lease is over."""
    parameters = {"until": until, "now": now, "lease_until": now + LEASE, "limit": limit}
    leased = await database.fetch_alone(engine, TAKE, parameters, Leased)
    return sorted(leased, key=lambda message: (message.deliver_at, message.id))


async def done(engine: Engine, ids: Sequence[int]) -> None:
    """Remove messages that were published."""
    if ids:
        await database.fetch_alone(engine, DONE, {"ids": list(ids)}, Leased)


async def give_back(engine: Engine, ids: Sequence[int], *, after: datetime) -> None:
    """Let messages that were not published be taken again, from `after` on."""
    if ids:
        await database.fetch_alone(engine, GIVE_BACK, {"ids": list(ids), "lease_until": after}, Leased)


async def forget(connection: Connection, broadcast_id: int, type_: str) -> None:
    """Remove the messages of a type that wait here for a broadcast."""
    await connection.execute(FORGET, {"broadcast_id": broadcast_id, "type": type_})
