"""One pass over the carrier's log: one page, read, matched and recorded.

A page is read outside any transaction, recorded in one, and the place in the log moves on in the same one: a pass that
dies is made again from where it was. Pages may shift while they are read; what is seen twice changes nothing, since a
status never goes backwards, and what was missed is seen by a later pass, since passes go on while a text is unsettled.

While texts still leave, a pass reads the newest page alone and leaves that place as it is: it is there to hear of what
goes wrong before all have left (`delivery.py`), and its work does not grow with the broadcast.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import structlog

from libs.common import database, delivery, lifecycle, outbox, pace, permits, restored
from libs.common import events as e
from libs.common.carriers import statuses
from libs.common.carriers.codes import Kind, classify
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.missive import Missive
from libs.common.carriers.twilio import LogEntry, LogPage, Twilio
from libs.common.commands import SyncStatuses
from libs.common.database import Connection, Pool
from libs.common.matching import SKEW, Candidate, match
from libs.common.settings import CarrierSettings
from libs.common.worker import Worker
from services.twilio_sync import queries

log = structlog.stdlib.get_logger(__name__)

#: The key of `pace` under which whoever reads the log is held back.
LOG = "twilio:log"
ASK_AT_ONCE = 20  # messages of Missive's that one request asks about


class Sync:
    """Reads the carrier's log for broadcasts."""

    def __init__(self, worker: Worker, settings: CarrierSettings, twilio: Twilio, missive: Missive | None) -> None:
        self._worker = worker
        self._settings = settings
        self._twilio = twilio
        self._missive = missive

    async def sync_statuses(self, message: SyncStatuses) -> None:
        """Make one pass; one that is over already does nothing."""
        async with self._worker.pool.connection() as connection:
            row = await _broadcast(connection, message.broadcast_id)
            held = await restored.held(connection)
        # What left after the point of a restore is not known yet: its entries would be taken for others'.
        if held or not _current(row, message):
            return
        newest_only = message.number is not None and row["sync_started_at"] is None
        try:
            await may_ask(self._worker.pool)
            page = await self._newest(row) if newest_only else await self._read(row)
        except CarrierUnreadable as error:
            await self._again(message, row, error)
            return
        sids = {} if newest_only or page.next_page_uri else await self._ask_missive(row)
        now = self._worker.clock()
        async with database.transaction(self._worker.pool) as connection:
            await lifecycle.load(connection, message.broadcast_id)
            if not _current(await _broadcast(connection, message.broadcast_id), message):
                return
            changes = await changed(connection, message.broadcast_id, row["phone_number"], page.entries)
            changes += await _named(connection, sids, changes)
            event = e.StatusesSynced(
                broadcast_id=message.broadcast_id,
                statuses=tuple(changes),
                number=None if newest_only else message.number or 0,
                next_page=None if newest_only else page.next_page_uri,
            )
            await delivery.record(connection, event, now, publish=True)
            if message.number is not None:
                await connection.execute(queries.PASS_OVER, {"broadcast_id": message.broadcast_id})
        log.info(
            "statuses_synced",
            broadcast_id=message.broadcast_id,
            entries=len(page.entries),
            changed=len(changes),
            unreadable=page.unreadable,
        )

    async def _read(self, row: dict[str, Any]) -> LogPage:
        """Read the page that the broadcast is at; from the beginning, where that page is no longer to be had."""
        if row["twilio_paging"]:
            try:
                return await self._twilio.page(row["twilio_paging"], since=row["made_at"] - SKEW)
            except CarrierUnreadable as error:
                if error.http_status is None or not 400 <= error.http_status < 500 or error.http_status == 429:
                    raise
                log.warning("page_gone", broadcast_id=row["id"], code=error.code)
        return await self._newest(row)

    async def _newest(self, row: dict[str, Any]) -> LogPage:
        """Read the first page of the log, which has the texts that were sent last."""
        return await self._twilio.messages(
            from_number=row["phone_number"], since=row["made_at"] - SKEW, page_size=self._settings.sync_page_size
        )

    async def _again(self, message: SyncStatuses, row: dict[str, Any], error: CarrierUnreadable) -> None:
        """Plan the pass anew, from the same page, after the interval or when the carrier says so."""
        now = self._worker.clock()
        due = now + timedelta(seconds=max(self._settings.sync_interval, error.retry_after or 0.0))
        log.warning("log_unreadable", broadcast_id=message.broadcast_id, code=error.code)
        async with database.transaction(self._worker.pool) as connection:
            await lifecycle.load(connection, message.broadcast_id)
            await leave_alone(connection, error)
            if message.number is not None and _current(await _broadcast(connection, row["id"]), message):
                await connection.execute(queries.PASS_AGAIN, {"broadcast_id": message.broadcast_id, "due": due})
                await outbox.write(connection, [message], now=now, deliver_at=due)

    async def _ask_missive(self, row: dict[str, Any]) -> dict[int, str]:
        """Ask Missive for the sids of texts that were not found in the log; its requests have their slots, too."""
        if self._missive is None:
            return {}
        pool, carrier = self._worker.pool, self._settings.carrier
        before = self._worker.clock() - timedelta(seconds=self._settings.settle_after)
        limits = pace.provider_limits(self._settings)
        async with pool.connection() as connection:
            cursor = await connection.execute(
                queries.WITHOUT_SID, {"broadcast_id": row["id"], "before": before, "limit": ASK_AT_ONCE}
            )
            texts = {item["missive_id"]: item["text"] for item in await cursor.fetchall()}
            if not texts:
                return {}
            await pace.prepare(connection, [limit.key for limit in limits])
            await permits.prepare(connection, carrier, self._settings.send_concurrency)
        # Texts go first; where there is no room the next pass asks again.
        held = await permits.take(
            pool,
            carrier,
            count=self._settings.send_concurrency,
            want=1,
            seconds=self._settings.request_timeout + self._settings.lease,
        )
        try:
            async with pool.connection() as connection:
                if not held or await pace.reserve(connection, limits, within=0.0) is None:
                    return {}
            found = await self._missive.external_ids(list(texts))
        except CarrierUnreadable as error:
            log.warning("missive_unreadable", broadcast_id=row["id"], code=error.code)
            if classify(error.code).kind is Kind.SLOW_DOWN:
                async with pool.connection() as connection:
                    await pace.hold(connection, carrier, error.retry_after)
            return {}
        finally:
            await permits.give_back(pool, carrier, held)
        return {texts[missive_id]: sid for missive_id, sid in found.items() if sid}


async def may_ask(pool: Pool) -> None:
    """Return if Twilio may be asked for its log. Raises CarrierUnreadable for as long as it wants to be left alone."""
    async with pool.connection() as connection:
        seconds, _ = await pace.held(connection, [LOG])
    if seconds:
        raise CarrierUnreadable("the log is left alone for a while", code="left_alone", retry_after=seconds)


async def leave_alone(connection: Connection, error: CarrierUnreadable) -> None:
    """Have nobody ask for the log for as long as the answer said, whatever makes them ask."""
    if error.retry_after is not None:
        await pace.prepare(connection, [LOG])
        await pace.hold(connection, LOG, error.retry_after)


def _current(row: dict[str, Any], message: SyncStatuses) -> bool:
    """Tell whether a pass is still wanted."""
    if row["made_at"] is None:
        return False
    return message.number is None or (message.number == row["sync_number"] and row["sync_due_at"] is not None)


async def _broadcast(connection: Connection, broadcast_id: int) -> dict[str, Any]:
    row = await (await connection.execute(queries.BROADCAST, {"broadcast_id": broadcast_id})).fetchone()
    assert row is not None, "a step was planned for a broadcast that does not exist"
    return row


async def changed(
    connection: Connection, broadcast_id: int, from_number: str, entries: Sequence[LogEntry]
) -> list[e.TextStatus]:
    """Give what the entries say that is news of the broadcast's accepted texts.

    By sid where it is known, else one to one by number, body and time. Other broadcasts' entries are theirs.
    """
    cursor = await connection.execute(queries.KNOWN_SIDS, {"sids": [entry.sid for entry in entries]})
    known = {row["twilio_id"]: row for row in await cursor.fetchall()}
    unknown = [entry for entry in entries if entry.sid not in known and not entry.direction.startswith("inbound")]
    states, candidates = await open_texts(connection, from_number, sorted({entry.to for entry in unknown}))
    news = [
        status(row["text"], entry)
        for entry in entries
        if (row := known.get(entry.sid)) and row["broadcast_id"] == broadcast_id
        and (row["status"] is None or statuses.advances(row["status"], entry.status))
    ]  # fmt: skip
    news += [
        status(text, entry)
        for text, entry in match(unknown, candidates).items()
        if states[text]["state"] == "accepted" and states[text]["broadcast_id"] == broadcast_id
    ]
    # A page may show an entry twice, at two moments.
    return list({item.text: item for item in sorted(news, key=lambda item: statuses.rank(item.status))}.values())


async def _named(connection: Connection, sids: dict[int, str], changes: Sequence[e.TextStatus]) -> list[e.TextStatus]:
    """Give what the provider's own word for a text's sid adds to the changes; a sid is one text's alone."""
    cursor = await connection.execute(queries.KNOWN_SIDS, {"sids": list(sids.values())})
    taken = {row["twilio_id"] for row in await cursor.fetchall()} | {change.twilio_id for change in changes}
    told = {change.text for change in changes}
    free = {sid: text for text, sid in sids.items() if sid not in taken and text not in told}
    return [
        e.TextStatus(text=text, twilio_id=sid, status="accepted", error_code=None, sent_at=None)
        for sid, text in free.items()
    ]


async def open_texts(
    connection: Connection, from_number: str, numbers: Sequence[str]
) -> tuple[dict[int, dict[str, Any]], list[Candidate]]:
    """Lock and give the texts that log entries on some numbers may be: their rows by id, and as candidates."""
    cursor = await connection.execute(queries.CANDIDATES, {"numbers": list(numbers), "from_number": from_number})
    rows = {row["text"]: row for row in await cursor.fetchall()}
    return rows, [
        Candidate(
            text=row["text"], number=row["number"], body=row["body"], attempt_started_at=row["attempt_started_at"]
        )
        for row in rows.values()
    ]


def status(text: int, entry: LogEntry) -> e.TextStatus:
    """Give what an entry says of a text."""
    return e.TextStatus(
        text=text,
        twilio_id=entry.sid,
        status=entry.status,
        error_code=entry.error_code,
        sent_at=entry.sent_at,
    )
