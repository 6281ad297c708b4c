"""Fetch the full words of replies of which Missive has sent only the beginning.

Each reply's row says when to ask for it (`words_due_at`). So a service that dies, or a Missive that does not answer,
costs only time. Missive is asked until a day after the reply came. A reply that Missive no longer has stays marked as
cut.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from libs.common import database
from libs.common.broadcasts import replies
from libs.common.broadcasts.inbound import strip_nul
from libs.common.broadcasts.missive_room import room
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.missive import Missive
from libs.common.carriers.missive_words import Words
from libs.common.messaging import consumer
from libs.common.runtime.worker import Worker
from libs.common.settings import CarrierSettings
from services.twilio_sync import queries
from services.twilio_sync.queries import CutReply

log = structlog.stdlib.get_logger(__name__)

AT_ONCE = 20  # messages that one request asks about
AGAIN = timedelta(minutes=1)  # before the same is asked again
PATIENCE = timedelta(days=1)  # from when a reply came


class FullWords:
    """Asks Missive for the words of replies."""

    def __init__(self, settings: CarrierSettings, missive: Missive) -> None:
        self._settings = settings
        self._missive = missive
        self._at_once = AT_ONCE

    async def run(self, worker: Worker) -> None:
        """Ask again and again until cancelled."""
        while True:
            await asyncio.sleep(self._settings.watchdog_interval)
            try:
                while await self.ask(worker):
                    pass
            except consumer.TRANSIENT as error:
                log.warning("words_wait", error=type(error).__name__)

    async def ask(self, worker: Worker) -> bool:
        """Ask for the words of some replies; False if none is due, or there is no room for a request."""
        now = worker.clock()
        async with database.transaction(worker.engine) as connection:
            if not await queries.any_words_due(connection, now):
                return False
        taken: Sequence[CutReply] = ()
        try:
            async with room(worker.engine, self._settings) as ready:
                if ready is None:
                    return False
                async with database.transaction(worker.engine) as connection:
                    taken = await queries.take_cut_replies(connection, now, again=now + AGAIN, limit=self._at_once)
                found = await self._missive.words([reply.missive_id for reply in taken], ready=ready)
        except CarrierUnreadable as error:
            log.warning("words_unreadable", replies=len(taken), code=error.code)
            await self._give_up_old(worker, taken, now)
            return False
        # Where one of them is gone, Missive may say that none is there.
        self._at_once = 1 if not found and len(taken) > 1 else AT_ONCE
        if self._at_once == 1:
            return False
        for reply in taken:
            await self._record(worker, reply, found.get(reply.missive_id), now)
        log.info("words_fetched", replies=len(found))
        return bool(taken)

    async def _record(self, worker: Worker, reply: CutReply, words: Words | None, now: datetime) -> None:
        """Record what Missive has of a reply, and do what it asks for."""
        async with database.transaction(worker.engine) as connection:
            known = await replies.lock_cut(connection, reply.id)
            if known is None:
                return  # reported whole meanwhile, or forgotten
            if words is not None and not words.is_cut:
                await replies.complete(
                    connection, known, now, body=strip_nul(words.text), ended_by=self._settings.follow_up_ended_by
                )
            elif words is None or now > known.received_at + PATIENCE:
                await queries.give_up_words(connection, reply.id)

    async def _give_up_old(self, worker: Worker, taken: Sequence[CutReply], now: datetime) -> None:
        async with database.transaction(worker.engine) as connection:
            for reply in taken:
                if now > reply.received_at + PATIENCE:
                    await queries.give_up_words(connection, reply.id)
