"""Settling: what became of texts whose answer was lost, told by the carrier's log.

Found: the carrier has it, and here is its sid. Not found, `SETTLE_AFTER` seconds after the attempt began: it never
left, and goes back to the pool, or is given up after three times the attempts of any text. An attempt counts only if
the carrier has taken another text since it began: where it takes none, the text is not to blame. A log that cannot be
read says nothing, nor does one that lags, that is, shows no text that the carrier took later: then the text stays
uncertain.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from libs.common import database, delivery, lifecycle, restored, steps, store, texts
from libs.common import events as e
from libs.common.carriers import whole_log
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.twilio import LogEntry, Twilio
from libs.common.commands import SettleUncertain
from libs.common.database import Connection
from libs.common.matching import SKEW, match
from libs.common.settings import CarrierSettings
from libs.common.worker import Worker
from services.twilio_sync import queries
from services.twilio_sync.sync import leave_alone, may_ask, open_texts, status

log = structlog.stdlib.get_logger(__name__)

AT_ONCE = 50  # texts that one step looks up
#: How long after the making lost answers may be an outage's; later they are the text's own, so that a broadcast ends.
OUTAGE = timedelta(hours=24)
#: Lost answers before a text is given up, as a multiple of the attempts: nobody has refused it.
MORE = 3
NO_ANSWER = "no_answer"


class Settle:
    """Settles uncertain texts."""

    def __init__(self, worker: Worker, settings: CarrierSettings, twilio: Twilio) -> None:
        self._worker = worker
        self._settings = settings
        self._twilio = twilio

    async def settle_uncertain(self, message: SettleUncertain) -> None:
        """Look up the uncertain texts of a broadcast that are old enough, and plan a look at the others."""
        settings = self._settings
        before = self._worker.clock() - timedelta(seconds=settings.settle_after)
        async with self._worker.pool.connection() as connection:
            if await restored.held(connection):
                return  # what left after the point of a restore is not known yet; the watchdog asks again
            names = {"broadcast_id": message.broadcast_id}
            broadcast = await (await connection.execute(queries.BROADCAST, names)).fetchone()
            assert broadcast is not None, "a step was planned for a broadcast that does not exist"
            cursor = await connection.execute(queries.UNCERTAIN, {**names, "before": before, "limit": AT_ONCE})
            uncertain = await cursor.fetchall()
        found = not_found = 0
        unreadable: CarrierUnreadable | None = None
        for row in uncertain:
            try:
                await may_ask(self._worker.pool)
                # Asked before and after: a log that catches up, or falls behind, in between is not believed either.
                at = row["attempt_started_at"]
                lagged = await self._lags(broadcast, at)
                entries = await self._log(broadcast["phone_number"], row)
                if not _reach(entries, at) and (lagged or await self._lags(broadcast, at)):
                    raise CarrierUnreadable("the log lags behind", code="log_lags")
            except CarrierUnreadable as error:
                log.warning("log_unreadable", broadcast_id=message.broadcast_id, code=error.code)
                unreadable = error
                break
            async with database.transaction(self._worker.pool) as connection:
                match await self._settle(connection, broadcast, row, entries):
                    case True:
                        found += 1
                    case False:
                        not_found += 1
                    case None:
                        pass
        await self._finish(message.broadcast_id, found, not_found, unreadable)

    async def _log(self, from_number: str, row: dict[str, Any]) -> list[LogEntry]:
        """Read all that the log has on texts to one number since its attempt began. Raises CarrierUnreadable."""
        since = row["attempt_started_at"] - SKEW
        entries = await whole_log.between(self._twilio, since, from_number=from_number, to=row["number"])
        if any(not entry.body and not entry.direction.startswith("inbound") for entry in entries):
            # One without words might be this text: "not found" cannot be concluded.
            raise CarrierUnreadable("the log keeps no bodies", code="no_bodies")
        return entries

    async def _lags(self, broadcast: dict[str, Any], at: datetime) -> bool:
        """Tell whether the log lacks what it should have by now of the time of an attempt and later. Raises as above.

        It has got there if it shows a text that the carrier took later. Where none was taken later, it should have the
        last that was taken before.
        """
        before = self._worker.clock() - timedelta(seconds=self._settings.settle_after / 2)
        async with self._worker.pool.connection() as connection:
            names = {"broadcast_id": broadcast["id"], "before": before}
            taken = await (await connection.execute(queries.LAST_TAKEN, names)).fetchall()
        witnesses = [row for row in taken if row["at"] >= at] or taken[:1]
        for row in witnesses:
            entries = await whole_log.between(
                self._twilio, row["at"] - SKEW, from_number=broadcast["phone_number"], to=row["number"]
            )
            if entries:
                return False
        return bool(witnesses)

    async def _settle(
        self, connection: Connection, about: dict[str, Any], row: dict[str, Any], entries: list[LogEntry]
    ) -> bool | None:
        """Record what the log says of one text: whether it was found; None if it is no longer uncertain."""
        now = self._worker.clock()
        broadcast, _ = await lifecycle.load(connection, about["id"])
        cursor = await connection.execute(queries.KNOWN_SIDS, {"sids": [entry.sid for entry in entries]})
        taken = {item["twilio_id"] for item in await cursor.fetchall()}
        free = [entry for entry in entries if entry.sid not in taken and not entry.direction.startswith("inbound")]
        rows, candidates = await open_texts(connection, about["phone_number"], [row["number"]])
        text = rows.get(row["text"])
        # What was read tells of the attempt that it was read for, not of a newer one.
        if text is None or text["state"] != "uncertain" or text["attempts"] != row["attempts"]:
            return None
        entry = match(free, candidates).get(row["text"])
        counts = entry is None and (
            now > about["made_at"] + OUTAGE or await _taken_since(connection, broadcast.id, text["attempt_started_at"])
        )
        event = self._verdict(broadcast.id, text, entry, now, counts=counts)
        await lifecycle.note(connection, store.stream(broadcast.id, "texts"), [event], now)
        if entry is not None:
            # Times and codes, too: a pass would take a status that is known already for no news.
            told = e.StatusesSynced(broadcast_id=broadcast.id, statuses=(status(row["text"], entry),), number=None)
            await delivery.record(connection, told, now)
        phase = "sending_second" if text["is_second"] else "sending_first"
        if isinstance(event, e.TextReturned) and phase not in (broadcast.state, broadcast.paused_from):
            reason = "cancelled" if broadcast.state == "cancelled" else "phase_over"
            await texts.skip(connection, broadcast.id, [row["text"]], reason, now)
        return entry is not None

    def _verdict(
        self, broadcast_id: int, text: dict[str, Any], entry: LogEntry | None, now: datetime, *, counts: bool
    ) -> e.TextAccepted | e.TextRefused | e.TextReturned:
        if entry is not None:
            return e.TextAccepted(
                broadcast_id=broadcast_id,
                text=text["text"],
                missive_id=None,
                missive_conversation_id=None,
                twilio_id=entry.sid,
                twilio_status=entry.status,
                settled=True,
            )
        if counts and text["failures"] + 1 >= MORE * self._settings.max_attempts:
            return e.TextRefused(broadcast_id=broadcast_id, text=text["text"], code=NO_ANSWER)
        return e.TextReturned(
            broadcast_id=broadcast_id, text=text["text"], code=NO_ANSWER, not_before=now, counts=counts
        )

    async def _finish(
        self, broadcast_id: int, found: int, not_found: int, unreadable: CarrierUnreadable | None
    ) -> None:
        """Tell the planner, and plan a look at what is still uncertain."""
        settings = self._settings
        now = self._worker.clock()
        async with database.transaction(self._worker.pool) as connection:
            if found or not_found:
                event = e.UncertainSettled(broadcast_id=broadcast_id, found=found, not_found=not_found)
                await lifecycle.note(connection, store.stream(broadcast_id, "texts"), [event], now, publish=True)
            cursor = await connection.execute(queries.NEXT_UNCERTAIN, {"broadcast_id": broadcast_id})
            left = await cursor.fetchone()
            if unreadable is not None:
                await leave_alone(connection, unreadable)
            if left is not None and left["at"] is not None:
                wait = settings.sync_interval if unreadable is not None else 1.0
                due = max(
                    left["at"] + timedelta(seconds=settings.settle_after),
                    now + timedelta(seconds=max(wait, (unreadable and unreadable.retry_after) or 0.0)),
                )
                await steps.plan_settling(connection, broadcast_id, due, now)
        if found or not_found:
            log.info("uncertain_settled", broadcast_id=broadcast_id, found=found, not_found=not_found)


def _reach(entries: Sequence[LogEntry], time: datetime) -> bool:
    """Tell whether entries of the log go as far as a time."""
    return any((entry.created_at or entry.sent_at or time) >= time for entry in entries)


async def _taken_since(connection: Connection, broadcast_id: int, at: datetime) -> bool:
    """Tell whether the carrier has taken texts of a broadcast that began to leave after a time."""
    cursor = await connection.execute(queries.TAKEN_SINCE, {"broadcast_id": broadcast_id, "at": at})
    return bool((await cursor.fetchall())[0]["taken"])
