"""What became of a broadcast: message by message, event by event, and in figures."""

from collections.abc import AsyncIterator
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Stream
from msgspec import Struct
from msgspec.structs import astuple

from libs.common import database
from libs.common.broadcasts import ledger
from libs.common.broadcasts.explanations import Result, explain
from libs.common.broadcasts.outcome_kinds import Kind
from libs.common.domain import events as e
from libs.common.domain.states import BroadcastState, LeftOut, MessageState
from services.api.broadcasts import counts, expected_audience, outcomes, progress, queries
from services.api.broadcasts.outcomes import Outcomes
from services.api.broadcasts.progress import PhasePace
from services.api.context import Context
from services.api.http import csv_export, pagination
from services.api.http.contract import tells
from services.api.http.fields import PAGE, Cursor, Limit, Moment, PairCursor, PathId
from services.api.numbers import register
from services.api.schemas import FallbackSegment, Message, Page, RecordedEvent, WhyLeftOut


class LedgerReport(Struct, kw_only=True):
    """What became of the planned messages: the other figures add up to `planned`."""

    planned: int
    accepted: int
    #: Code to count.
    refused: dict[str, int]
    #: Reason to count.
    skipped: dict[str, int]
    uncertain: int
    #: Messages that Missive took and Twilio never got: most likely their recipients have said STOP to Twilio.
    not_handed_over: int
    #: Messages that may still leave, or whose answer is still awaited.
    undecided: int


class PhaseReport(Struct, kw_only=True):
    """One phase."""

    ledger: LedgerReport
    pace: PhasePace


class SegmentReport(Struct, kw_only=True):
    """What a segment gave; `shortfall` is what it lacked."""

    segment_id: int
    name: str
    #: One of the three says how many it was asked for.
    ratio: float | None
    count: int | None
    all: bool
    quota: int | None
    drawn: int | None
    shortfall: int | None


class Report(Struct, kw_only=True):
    """The figures of a broadcast; final once `completed_at` is set."""

    broadcast_id: int
    state: BroadcastState
    run_at: Moment
    made_at: Moment | None
    second_due_at: Moment | None
    completed_at: Moment | None
    recipients: int | None
    ledger: LedgerReport
    first: PhaseReport
    second: PhaseReport
    #: Status in the carrier's log to accepted messages; `unknown` where it was not read yet.
    statuses: dict[str, int]
    delivered: int
    undelivered: int
    #: Code to count of the messages that the carrier took and did not deliver; `unknown` where it gave no code.
    undelivered_codes: dict[str, int]
    #: People whose number takes no messages, as the carrier says of a message of this broadcast.
    unreachable: int
    #: People who answered in words of their own.
    replies: int
    #: People of whom there is another kind of answer, by kind: `reaction`, `automatic`, `delivery_notice`.
    other_replies: dict[str, int]
    #: People who opted out in answer.
    opt_outs: int
    segments: list[SegmentReport]
    #: The segment that filled up what the others did not give.
    fallback: FallbackSegment | None
    #: People of the segments who were left out when it was made, each once, by the reason.
    left_out: dict[LeftOut, int]
    #: Messages a second that the sending number may start.
    allowed_rate: float
    next_broadcast_id: int | None


class ExplainedOutcome(Struct, kw_only=True):
    """What became of some messages, in words."""

    #: Stands for the outcome: `delivered`, `skipped-replied`, `undelivered-30003`.
    key: str
    kind: Kind
    sentence: str
    #: What to do about it; empty where there is nothing to do.
    advice: str
    #: The carrier's code, where there is one.
    code: str | None
    messages: int


class PhaseOutcomes(Struct, kw_only=True):
    """What became of the messages of a phase: the outcomes add up to `planned`."""

    planned: int
    delivered: int
    #: Messages that were sent, or may have been, without word whether they were delivered.
    no_word: int
    #: What went wrong comes first.
    outcomes: list[ExplainedOutcome]


class BroadcastOutcomes(Struct, kw_only=True):
    """What became of a broadcast's messages, in words."""

    broadcast_id: int
    first: PhaseOutcomes
    second: PhaseOutcomes
    #: People of its segments who were left out when it was made, and why.
    left_out: list[WhyLeftOut]
    #: The segment that filled up what the others did not give.
    fallback: FallbackSegment | None


#: What a line of the CSV has, after the columns of a message.
IN_WORDS = ("what_became_of_it", "what_to_do")


@get("/broadcasts/{broadcast_id:int}/outcomes")
async def explained(api: NamedDependency[Context], broadcast_id: PathId) -> BroadcastOutcomes:
    """Say in words what became of the messages of a broadcast, and what to do about it."""
    async with database.transaction(api.engine) as connection:
        await queries.take_one_snapshot(connection)
        broadcast = await queries.one(connection, broadcast_id, api.settings.zone)
        first, second = await outcomes.read(connection, broadcast_id, api.clock())
    return BroadcastOutcomes(
        broadcast_id=broadcast_id,
        first=_in_words(first),
        second=_in_words(second),
        left_out=expected_audience.why(broadcast.left_out),
        fallback=broadcast.fallback,
    )


@get("/broadcasts/{broadcast_id:int}/messages")
async def messages(
    api: NamedDependency[Context],
    broadcast_id: PathId,
    in_state: Annotated[MessageState | None, QueryParameter(name="state")] = None,
    is_second: Annotated[bool | None, QueryParameter(name="isSecond")] = None,
    limit: Limit = PAGE,
    cursor: PairCursor = None,
) -> Page[Message]:
    """List the messages of a broadcast, person by person."""
    rows = await queries.messages(
        api.engine,
        broadcast_id,
        after=pagination.pair(cursor),
        state=in_state,
        is_second=is_second,
        limit=limit + 1,
    )
    return pagination.cut(rows, limit, lambda row: f"{row.contact_id}.{int(row.is_second)}")


@get("/broadcasts/{broadcast_id:int}/events")
async def events(
    api: NamedDependency[Context], broadcast_id: PathId, limit: Limit = PAGE, cursor: Cursor = None
) -> Page[RecordedEvent]:
    """List the events of a broadcast, oldest first."""
    after = pagination.number(cursor, 0)
    async with database.transaction(api.engine) as connection:
        await queries.check_exists(connection, broadcast_id)
        found = await queries.events(connection, broadcast_id, after=after, limit=limit + 1)
    return pagination.cut(found, limit, lambda event: str(event.position))


@get("/broadcasts/{broadcast_id:int}/report")
async def report(api: NamedDependency[Context], broadcast_id: PathId) -> Report:
    """Return the figures of a broadcast."""
    async with database.transaction(api.engine) as connection:
        await queries.take_one_snapshot(connection)
        broadcast = await queries.one(connection, broadcast_id, api.settings.zone)
        counted = await counts.read(connection, broadcast_id, api.clock())
        figures = await progress.read(connection, broadcast_id, api.settings, counted)
        unreachable = await queries.count_unreachable(connection, broadcast_id)
        number = await register.of(connection, broadcast.from_number)
        total, first, second = map(_ledger, await ledger.count_by_phase(connection, broadcast_id))
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
        undelivered_codes=figures.undelivered_codes,
        unreachable=unreachable,
        replies=figures.progress.replies,
        other_replies=figures.progress.other_replies,
        opt_outs=figures.progress.opt_outs,
        segments=[
            SegmentReport(
                segment_id=item.segment_id,
                name=item.name,
                ratio=item.ratio,
                count=item.count,
                all=item.all,
                quota=item.quota,
                drawn=item.drawn,
                shortfall=None if item.quota is None or item.drawn is None else item.quota - item.drawn,
            )
            for item in broadcast.segments
        ],
        fallback=broadcast.fallback,
        left_out=broadcast.left_out,
        allowed_rate=number.pace_or(api.settings.send_rate),
        next_broadcast_id=broadcast.next_broadcast_id,
    )


@get(
    "/broadcasts/{broadcast_id:int}/report.csv",
    opt=tells(answers={"Content-Disposition": "the name of the file"}),
    media_type="text/csv",
)
async def report_csv(api: NamedDependency[Context], broadcast_id: PathId) -> Stream:
    """Return one line a message, as CSV (RFC 4180, UTF-8), with what became of it in words."""
    return await spreadsheet(api, broadcast_id)


async def spreadsheet(api: Context, broadcast_id: int) -> Stream:
    """Return an answer with one line a message, as CSV. Raise NotFound."""
    async with database.transaction(api.engine) as connection:
        await queries.check_exists(connection, broadcast_id)
    return csv_export.answer(_lines(api, broadcast_id), f"broadcast-{broadcast_id}.csv")


async def _lines(api: Context, broadcast_id: int) -> AsyncIterator[str]:
    """Read page by page: a client that reads slowly holds neither memory nor a transaction open."""
    yield csv_export.line((*Message.__struct_fields__, *IN_WORDS))
    after = (0, False)
    while True:
        rows = await queries.messages(api.engine, broadcast_id, after=after, limit=csv_export.LINES)
        if not rows:
            return
        yield "".join(csv_export.line((*astuple(row), *_words(row))) for row in rows)
        after = (rows[-1].contact_id, rows[-1].is_second)


def _words(message: Message) -> tuple[str, str]:
    said = explain(
        Result(
            is_second=message.is_second,
            state=message.state,
            skip_reason=message.skip_reason,
            outcome=message.outcome,
            status=message.twilio_sent_status,
            code=message.twilio_error_code,
        )
    )
    return said.sentence, said.advice


def _in_words(found: Outcomes) -> PhaseOutcomes:
    return PhaseOutcomes(
        planned=found.planned,
        delivered=found.of(Kind.DELIVERED),
        no_word=found.of(Kind.SENT, Kind.UNKNOWN),
        outcomes=[
            ExplainedOutcome(
                key=group.explanation.key,
                kind=group.explanation.kind,
                sentence=group.explanation.sentence,
                advice=group.explanation.advice,
                code=group.explanation.code,
                messages=group.messages,
            )
            for group in found.groups
        ],
    )


def _ledger(counted: e.Ledger) -> LedgerReport:
    return LedgerReport(
        planned=counted.planned,
        accepted=counted.accepted,
        refused=dict(sorted(counted.refused.items())),
        skipped=dict(sorted(counted.skipped.items())),
        uncertain=counted.uncertain,
        not_handed_over=counted.not_handed_over,
        undecided=ledger.undecided(counted),
    )


HANDLERS = (messages, events, report, report_csv, explained)
