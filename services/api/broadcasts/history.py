"""What happened to a broadcast, and who did it.

These are the events of its own stream. Of its messages there are those that a person has sent again, and the tests that
somebody asked for before it went out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.database import Connection
from libs.common.database.event_predicates import IS_SENT_AGAIN
from libs.common.domain.actors import Actor, parse
from libs.common.domain.events import Event
from libs.common.domain.states import SinglePurpose
from libs.common.eventstore import store

LONGEST = 100  # steps, the newest

#: The newest events of a stream, and of the messages that were sent again. A broadcast's own stream has few, however
#: many people it goes to; the others have an index.
NEWEST = text(f"""
SELECT type, schema_version, data, occurred_at, actor, {store.ACTOR_NAME} AS actor_name
FROM (
    (SELECT * FROM events WHERE stream = :stream ORDER BY version DESC LIMIT :limit)
    UNION ALL
    (SELECT * FROM events WHERE broadcast_id = :broadcast_id AND {IS_SENT_AGAIN} ORDER BY position DESC LIMIT :limit)
) AS events ORDER BY position DESC LIMIT :limit
""").columns(data=JSONB)

#: The newest tests of a broadcast's words: who asked for how many messages at once.
TESTS = text(f"""
SELECT asked_at, actor, {store.ACTOR_NAME} AS actor_name, messages
FROM (
    SELECT asked_at, asked_by AS actor, count(*) AS messages FROM single_messages
    WHERE broadcast_id = :broadcast_id AND purpose = '{SinglePurpose.TEST}'
    GROUP BY 1, 2 ORDER BY 1 DESC LIMIT :limit
) AS events
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """Somebody had the words of a broadcast sent to a few phones."""

    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that happened to a broadcast."""

    event: Event | Tried
    at: datetime
    actor: Actor
    #: The user's name; None where it was no user.
    name: str | None = None


async def read(connection: Connection, broadcast_id: int) -> Sequence[Step]:
    """Return what happened to a broadcast, the newest first."""
    wanted = {"broadcast_id": broadcast_id, "limit": LONGEST}
    rows = await connection.execute(NEWEST, {**wanted, "stream": store.stream(broadcast_id)})
    steps = [
        Step(event=store.recorded_event(type_, version, data, at).event, at=at, actor=parse(actor), name=name)
        for type_, version, data, at, actor, name in rows
    ]
    steps += [
        Step(event=Tried(messages=messages), at=at, actor=parse(actor), name=name)
        for at, actor, name, messages in await connection.execute(TESTS, wanted)
    ]
    return sorted(steps, key=lambda step: step.at, reverse=True)[:LONGEST]
