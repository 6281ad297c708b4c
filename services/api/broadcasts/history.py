"""What happened to a broadcast, and who did it: the events of its own stream, without those of its messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.database import Connection
from libs.common.domain.actors import Actor, parse
from libs.common.domain.events import Event
from libs.common.eventstore import store

LONGEST = 100  # steps, the newest

#: The newest events of a stream. A broadcast's own has few, however many people it goes to.
NEWEST = text(f"""
SELECT type, schema_version, data, occurred_at, actor, {store.ACTOR_NAME} AS actor_name
FROM events WHERE stream = :stream ORDER BY version DESC LIMIT :limit
""").columns(data=JSONB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that happened to a broadcast."""

    event: Event
    at: datetime
    actor: Actor
    #: The user's name; None where it was no user.
    name: str | None = None


async def read(connection: Connection, broadcast_id: int) -> Sequence[Step]:
    """Return what happened to a broadcast, the newest first."""
    rows = await connection.execute(NEWEST, {"stream": store.stream(broadcast_id), "limit": LONGEST})
    return [
        Step(event=store.recorded_event(type_, version, data, at).event, at=at, actor=parse(actor), name=name)
        for type_, version, data, at, actor, name in rows
    ]
