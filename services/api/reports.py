"""What became of a broadcast: text by text, event by event, and in figures."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Stream
from msgspec import Struct

from libs.common import events as e
from libs.common import store, texts
from services.api import broadcast_rows, pages, progress, sheet
from services.api.context import Context
from services.api.fields import PAGE, Cursor, Limit, PathId
from services.api.progress import PhasePace
from services.api.schemas import Message, Page, RecordedEvent

TextState = Literal["pending", "claimed", "started", "uncertain", "accepted", "refused", "skipped"]

#: A page of texts, person by person, the first text before the second; the index of `once_a_contact` holds that order.
MESSAGES = """
SELECT m.id, m.contact_id, m.recipient_phone_number AS phone_number, c.name, m.segment_id, m.is_second, m.state,
       m.skip_reason, m.attempts, m.attempt_started_at, s.missive_id, s.missive_conversation_id, s.twilio_id,
       s.twilio_sent_at, s.twilio_sent_status, s.twilio_error_code
FROM outgoing_messages m
JOIN contacts c ON c.id = m.contact_id
LEFT JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id
WHERE m.broadcast_id = %(id)s AND (m.contact_id, m.is_second) > (%(contact)s, %(second)s)
  AND (%(state)s::text IS NULL OR m.state = %(state)s)
  AND (%(is_second)s::boolean IS NULL OR m.is_second = %(is_second)s)
ORDER BY m.contact_id, m.is_second LIMIT %(limit)s
"""


class LedgerReport(Struct, kw_only=True):
    """What became of the planned texts: the other figures add up to `planned`."""

    planned: int
    accepted: int
    #: Code to count.
    refused: dict[str, int]
    #: Reason to count.
    skipped: dict[str, int]
    uncertain: int
    #: Texts that may still leave, or whose answer is still awaited.
    undecided: int


class PhaseReport(Struct, kw_only=True):
    """One phase."""

    ledger: LedgerReport
    pace: PhasePace


class SegmentReport(Struct, kw_only=True):
    """What a segment gave; `shortfall` is what it lacked."""

    segment_id: int
    name: str
    ratio: float
    quota: int | None
    drawn: int | None
    shortfall: int | None


class Report(Struct, kw_only=True):
    """The figures of a broadcast; final once `completed_at` is set."""

    broadcast_id: int
    state: str
    run_at: datetime
    made_at: datetime | None
    second_due_at: datetime | None
    completed_at: datetime | None
    recipients: int | None
    ledger: LedgerReport
    first: PhaseReport
    second: PhaseReport
    #: Status in the carrier's log to accepted texts; `unknown` where it was not read yet.
    statuses: dict[str, int]
    delivered: int
    undelivered: int
    #: People who answered.
    replies: int
    #: People who opted out in answer.
    opt_outs: int
    segments: list[SegmentReport]
    #: Texts a second that the sending number may start.
    allowed_rate: float
    next_broadcast_id: int | None


@get("/broadcasts/{broadcast_id:int}/messages")
async def messages(
    api: NamedDependency[Context],
    broadcast_id: PathId,
    in_state: Annotated[TextState | None, QueryParameter(name="state")] = None,
    is_second: Annotated[bool | None, QueryParameter(name="isSecond")] = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Page[Message]:
    """List the texts of a broadcast, person by person."""
    contact, second = pages.pair(cursor)
    async with api.pool.connection() as connection:
        await broadcast_rows.check_exists(connection, broadcast_id)
        found = await connection.execute(
            MESSAGES,
            {
                "id": broadcast_id,
                "contact": contact,
                "second": second,
                "state": in_state,
                "is_second": is_second,
                "limit": limit + 1,
            },
        )
        rows = [Message(**row) for row in await found.fetchall()]
    return pages.cut(rows, limit, lambda row: f"{row.contact_id}.{int(row.is_second)}")


@get("/broadcasts/{broadcast_id:int}/events")
async def events(
    api: NamedDependency[Context], broadcast_id: PathId, limit: Limit = PAGE, cursor: Cursor = None
) -> Page[RecordedEvent]:
    """List the events of a broadcast, oldest first."""
    after = pages.number(cursor, 0)
    async with api.pool.connection() as connection:
        await broadcast_rows.check_exists(connection, broadcast_id)
        rows = await store.of_broadcast(connection, broadcast_id, after=after, limit=limit + 1)
    return pages.cut([RecordedEvent(**row) for row in rows], limit, lambda event: str(event.position))


@get("/broadcasts/{broadcast_id:int}/report")
async def report(api: NamedDependency[Context], broadcast_id: PathId) -> Report:
    """Give the figures of a broadcast."""
    async with api.pool.connection() as connection, connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        broadcast = await broadcast_rows.one(connection, broadcast_id, api.settings.zone)
        figures = await progress.read(connection, broadcast_id)
        total, first, second = map(_ledger, await texts.ledgers(connection, broadcast_id))
    return Report(
        broadcast_id=broadcast_id,
        state=broadcast.state,
        run_at=broadcast.run_at,
        made_at=broadcast.made_at,
        second_due_at=broadcast.second_due_at,
        completed_at=broadcast.completed_at,
        recipients=broadcast.recipients,
        ledger=total,
        first=PhaseReport(ledger=first, pace=figures.first_pace),
        second=PhaseReport(ledger=second, pace=figures.second_pace),
        statuses=figures.progress.statuses,
        delivered=figures.progress.delivered,
        undelivered=figures.progress.undelivered,
        replies=figures.progress.replies,
        opt_outs=figures.progress.opt_outs,
        segments=[
            SegmentReport(
                segment_id=item.segment_id,
                name=item.name,
                ratio=item.ratio,
                quota=item.quota,
                drawn=item.drawn,
                shortfall=None if item.quota is None or item.drawn is None else item.quota - item.drawn,
            )
            for item in broadcast.segments
        ],
        allowed_rate=api.settings.send_rate,
        next_broadcast_id=broadcast.next_broadcast_id,
    )


@get("/broadcasts/{broadcast_id:int}/report.csv", media_type="text/csv")
async def report_csv(api: NamedDependency[Context], broadcast_id: PathId) -> Stream:
    """Give one line a text, as CSV (RFC 4180, UTF-8)."""
    async with api.pool.connection() as connection:
        await broadcast_rows.check_exists(connection, broadcast_id)
    name = f"broadcast-{broadcast_id}.csv"
    return Stream(
        _lines(api, broadcast_id),
        media_type="text/csv; charset=utf-8; header=present",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def _lines(api: Context, broadcast_id: int) -> AsyncIterator[str]:
    """Read page by page: a client that reads slowly holds neither memory nor a transaction open."""
    yield sheet.line(Message.__struct_fields__)
    contact, second = 0, False
    while True:
        async with api.pool.connection() as connection:
            found = await connection.execute(
                MESSAGES,
                {
                    "id": broadcast_id,
                    "contact": contact,
                    "second": second,
                    "state": None,
                    "is_second": None,
                    "limit": sheet.LINES,
                },
            )
            rows = await found.fetchall()
        if not rows:
            return
        yield "".join(sheet.line(row.values()) for row in rows)
        contact, second = rows[-1]["contact_id"], rows[-1]["is_second"]


def _ledger(ledger: e.Ledger) -> LedgerReport:
    return LedgerReport(
        planned=ledger.planned,
        accepted=ledger.accepted,
        refused=dict(sorted(ledger.refused.items())),
        skipped=dict(sorted(ledger.skipped.items())),
        uncertain=ledger.uncertain,
        undecided=texts.undecided(ledger),
    )


HANDLERS = (messages, events, report, report_csv)
