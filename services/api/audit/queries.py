"""Who did what, from history: events of people and programs, or all events of one thing."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.database import Connection, all_rows
from libs.common.database.event_predicates import BY_PEOPLE
from libs.common.eventstore.store import ACTOR_NAME
from services.api.http.fields import Moment

_COLUMNS = f"position, occurred_at, actor, {ACTOR_NAME} AS actor_name, stream AS subject, type, data"

#: What people and programs did, the newest first.
ALL = text(f"""
SELECT {_COLUMNS} FROM events WHERE {BY_PEOPLE} AND position < :before ORDER BY position DESC LIMIT :limit
""").columns(data=JSONB)

#: What one person or program did.
BY_ACTOR = text(f"""
SELECT {_COLUMNS} FROM events
WHERE {BY_PEOPLE} AND actor = :actor AND position < :before ORDER BY actor DESC, position DESC LIMIT :limit
""").columns(data=JSONB)

#: What was done to one thing, by whomever. A stream's versions rise with the positions.
BY_SUBJECT = text(f"""
SELECT {_COLUMNS} FROM events
WHERE stream = :subject AND position < :before
  AND (CAST(:actor AS text) IS NULL OR actor = CAST(:actor AS text))
ORDER BY version DESC LIMIT :limit
""").columns(data=JSONB)


class Entry(Struct):
    """Something that somebody did."""

    position: int
    occurred_at: Moment
    #: `user:7`, `key:website`, `console:ana`; with a subject also `carrier:twilio` and `service:planner`.
    actor: str
    #: The user's name; null where it was no user.
    actor_name: str | None
    #: What it was done to: `broadcast-12`, `contact-5`, `segment-3`, `number-1`, `user-7`, `key-2`.
    subject: str
    #: The event's type and content, as in the history of a broadcast.
    type: str
    data: dict[str, Any]


async def page(
    connection: Connection, *, actor: str | None, subject: str | None, before: int, limit: int
) -> Sequence[Entry]:
    """Return entries before a position, the newest first."""
    statement = BY_SUBJECT if subject is not None else BY_ACTOR if actor is not None else ALL
    parameters: dict[str, Any] = {"before": before, "limit": limit}
    if statement is not ALL:
        parameters["actor"] = actor
    if statement is BY_SUBJECT:
        parameters["subject"] = subject
    return all_rows(await connection.execute(statement, parameters), Entry)
