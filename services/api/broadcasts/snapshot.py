"""All that is shown of a broadcast while it runs, read at one moment."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import text

from libs.common.database import Connection
from libs.common.settings import Settings
from services.api.broadcasts import counts, history, outcomes, progress, queries, waiting
from services.api.broadcasts.history import Step
from services.api.broadcasts.outcomes import Outcomes
from services.api.broadcasts.progress import Figures
from services.api.broadcasts.waiting import Going
from services.api.http.fields import BIGGEST
from services.api.replies import queries as replies
from services.api.replies.queries import Filters
from services.api.replies.schemas import Reply
from services.api.schemas import Broadcast

NEWEST = 5  # replies that are shown

#: The position of the last event of a broadcast: one look into an index. All that changes a figure appends an event.
LAST_EVENT = text("SELECT position FROM events WHERE broadcast_id = :id ORDER BY position DESC LIMIT 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A broadcast with all figures, all of one moment."""

    broadcast: Broadcast
    figures: Figures
    first: Outcomes
    second: Outcomes
    #: How it goes on; None where it does not send.
    going: Going | None
    #: What happened to it, the newest first.
    steps: Sequence[Step]
    #: The newest replies.
    replies: Sequence[Reply]
    #: The same as long as nothing changes, in any process.
    version: str


async def last_event(connection: Connection, broadcast_id: int) -> int | None:
    """Return the position of the last event of a broadcast."""
    position: int | None = (await connection.execute(LAST_EVENT, {"id": broadcast_id})).scalar_one_or_none()
    return position


async def read(connection: Connection, broadcast_id: int, settings: Settings, now: datetime) -> Snapshot:
    """Count everything about a broadcast at `now`, in a transaction that sees one moment. Raise NotFound."""
    broadcast = await queries.one(connection, broadcast_id, settings.zone)
    counted = await counts.read(connection, broadcast_id, now)
    figures = await progress.read(connection, broadcast_id, settings, counted)
    first, second = outcomes.of(counted)
    going = await waiting.read(connection, broadcast_id, settings, now, counted.messages)
    steps = await history.read(connection, broadcast_id)
    newest = Filters(broadcast_id=broadcast_id)
    answers = (await replies.page(connection, newest, before=BIGGEST, limit=NEWEST)).items
    groups = [[(group.explanation.key, group.messages) for group in each.groups] for each in (first, second)]
    shown = msgspec.json.encode((broadcast, figures, groups, len(steps), going and going.version, answers))
    return Snapshot(
        broadcast=broadcast,
        figures=figures,
        first=first,
        second=second,
        going=going,
        steps=steps,
        replies=answers,
        version=hashlib.sha256(shown).hexdigest()[:16],
    )
