"""Read the labels of Missive's conversations: a pass over all that are tags, once at first and then once a day.

Webhooks tell of each change; the pass brings in what was labelled before there were any, and makes up for those that
were lost. It asks only where no message needs the room, one page a step, and each step is on record: a service that
ends goes on where it was.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from libs.common import database
from libs.common.broadcasts import conversations
from libs.common.broadcasts.missive_room import room
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.http import Ready
from libs.common.carriers.missive import CONVERSATIONS_A_PAGE, LABELS_A_PAGE, Missive
from libs.common.carriers.missive_conversations import Labelled, labelled
from libs.common.messaging import consumer
from libs.common.runtime.worker import Worker
from libs.common.settings import CarrierSettings
from services.twilio_sync import label_queries
from services.twilio_sync.label_queries import Step

log = structlog.stdlib.get_logger(__name__)

EVERY = timedelta(days=1)  # from the end of a pass to the next one
AGAIN = timedelta(minutes=1)  # before a step that did not end is taken again
UNSEEN_AT_ONCE = 500  # conversations


class LabelPass:
    """Reads labels, page by page."""

    def __init__(self, settings: CarrierSettings, missive: Missive) -> None:
        self._settings = settings
        self._missive = missive

    async def run(self, worker: Worker) -> None:
        """Take step after step until cancelled."""
        while True:
            await asyncio.sleep(self._settings.watchdog_interval)
            try:
                while await self.step(worker):
                    pass
            except consumer.TRANSIENT as error:
                log.warning("labels_wait", error=type(error).__name__)

    async def step(self, worker: Worker) -> bool:
        """Take the step that is due; False if none is, or there is no room for a request."""
        now = worker.clock()
        until_then = now + AGAIN
        async with database.transaction(worker.engine) as connection:
            step = await label_queries.take(connection, now, until_then)
        if step is None:
            return False
        if step.is_listed and not step.remaining:
            return await self._end(worker, step, now, until_then)
        further: Step | None = None
        found: Sequence[Labelled] = ()
        try:
            # What Missive wants is heeded there: an error has to come out of it.
            async with room(worker.engine, self._settings) as ready:
                if ready is not None:
                    further, found = await self._read(step, ready)
        except CarrierUnreadable as error:
            log.warning("labels_unreadable", code=error.code)
            return False
        async with database.transaction(worker.engine) as connection:
            for conversation in found:
                await conversations.label(connection, conversation, self._settings.missive_labels_as_tags, now)
            # Without room it is given back, as it was.
            await label_queries.write(connection, further or step, worker.clock(), until_then)
        return further is not None

    async def _read(self, step: Step, ready: Ready) -> tuple[Step, Sequence[Labelled]]:
        """Ask for one page; return where the pass stands then, and the conversations on the page."""
        if not step.is_listed:
            listed = await self._missive.labels(offset=step.listed, ready=ready)
            followed = self._settings.missive_labels_as_tags
            wanted = [each.id for each in listed if conversations.is_followed(each.name, followed)]
            return replace(
                step,
                listed=step.listed + len(listed),
                is_listed=len(listed) < LABELS_A_PAGE,
                remaining=[*step.remaining, *wanted],
            ), ()
        page = await self._missive.conversations(step.remaining[0], until=step.until, ready=ready)
        own_numbers = self._settings.own_numbers
        found = [told for each in page if (told := labelled(each, own_numbers)) is not None]
        oldest = min((each["last_activity_at"] for each in page if _has_time(each)), default=None)
        is_last = len(page) < CONVERSATIONS_A_PAGE or oldest is None or oldest == step.until
        if is_last:
            return replace(step, remaining=step.remaining[1:], until=None), found
        return replace(step, until=oldest), found

    async def _end(self, worker: Worker, step: Step, now: datetime, until_then: datetime) -> bool:
        """Take the tags back of conversations that the pass has not seen: their labels were taken off."""
        async with database.transaction(worker.engine) as connection:
            unseen = await conversations.unseen(connection, step.began_at, UNSEEN_AT_ONCE)
            for conversation_id in unseen:
                gone = Labelled(id=conversation_id, phone_number=None, labels=())
                await conversations.label(connection, gone, (), now)
            if unseen:
                return await label_queries.write(connection, step, worker.clock(), until_then)
            await label_queries.done(connection, step, now, until_then, now + EVERY)
        log.info("labels_read")
        return False


def _has_time(conversation: dict[str, Any]) -> bool:
    return isinstance(conversation.get("last_activity_at"), int | float)
