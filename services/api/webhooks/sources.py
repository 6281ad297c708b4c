"""When each source of webhooks was last heard, and since when it is refused.

A request only notes it in its process. A task of the process writes down what was noted, once a minute at most: a flood
of unsigned requests never asks the database.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy import text

from libs.common import database
from libs.common.database import Connection, DatabaseError, Engine, all_rows

log = structlog.stdlib.get_logger(__name__)

WRITE_EVERY = 60.0  # seconds

#: Adds what one process has noted. A refusal counts as long as no process has taken anything since.
WRITE = text("""
INSERT INTO webhook_sources AS s (source, taken_at, refused_at, refused_since)
VALUES (:source, :taken, :refused, :since)
ON CONFLICT (source) DO UPDATE SET
    taken_at = greatest(s.taken_at, excluded.taken_at),
    refused_at = greatest(s.refused_at, excluded.refused_at),
    refused_since = least(
        CASE WHEN (s.refused_since > excluded.taken_at) IS NOT FALSE THEN s.refused_since END,
        CASE WHEN (excluded.refused_since > s.taken_at) IS NOT FALSE THEN excluded.refused_since END)
""")

ALL = text("SELECT source AS name, taken_at, refused_at, refused_since FROM webhook_sources ORDER BY source")


@dataclass(frozen=True, slots=True)
class Source:
    """When a source was last heard."""

    name: str
    #: When one was last taken.
    taken_at: datetime | None = None
    #: When one was last refused.
    refused_at: datetime | None = None
    #: When the first one was refused after the last that was taken; None if none was.
    refused_since: datetime | None = None


def taken(source: Source, at: datetime) -> Source:
    """Return a source of which one was taken."""
    return replace(source, taken_at=at, refused_since=None)


def refused(source: Source, at: datetime) -> Source:
    """Return a source of which one was refused."""
    return replace(source, refused_at=at, refused_since=source.refused_since or at)


class Noted:
    """What this process has heard and not written down yet."""

    def __init__(self) -> None:
        self._heard: dict[str, Source] = {}

    def took(self, name: str, at: datetime) -> None:
        """Note that one was taken."""
        self._heard[name] = taken(self._heard.get(name, Source(name)), at)

    def refused(self, name: str, at: datetime) -> None:
        """Note that one was refused."""
        self._heard[name] = refused(self._heard.get(name, Source(name)), at)

    async def write(self, engine: Engine) -> None:
        """Write down what was noted since the last time; keep it where that fails."""
        heard = dict(self._heard)
        if not heard:
            return
        async with database.transaction(engine) as connection:
            # In one order, so that two processes never wait for each other.
            for name in sorted(heard):
                each = heard[name]
                values = {"taken": each.taken_at, "refused": each.refused_at, "since": each.refused_since}
                await connection.execute(WRITE, {"source": name, **values})
        for name, each in heard.items():
            if self._heard[name] == each:
                del self._heard[name]

    async def keep_writing(self, engine: Engine) -> None:
        """Write it down every minute until cancelled."""
        while True:
            await asyncio.sleep(WRITE_EVERY)
            try:
                await self.write(engine)
            except DatabaseError as error:
                log.warning("webhook_sources_not_written", error=type(error).__name__)


async def everything(connection: Connection) -> Sequence[Source]:
    """Return when each source was last heard, as far as it is written down."""
    return all_rows(await connection.execute(ALL), Source)
