"""How far a broadcast is: the figures of the report and of the live stream come from here.

Each figure is counted in the database; nothing is held per message.
"""

from dataclasses import dataclass
from datetime import datetime

from msgspec import Struct, field
from sqlalchemy import text

from libs.common.database import Connection, EnumText, TypedJson, first_row, one_row
from libs.common.domain.states import DELIVERED, UNDELIVERED, BroadcastState, Outcome, ReplyKind
from libs.common.errors import NotFound
from libs.common.eventstore import store
from libs.common.settings import Settings
from services.api.broadcasts import pace
from services.api.broadcasts.counts import Counted, InState
from services.api.http.fields import Moment

#: The broadcast itself.
BROADCAST = text("""
SELECT state, paused_from, pause_reason, recipients, second_due_at FROM broadcasts WHERE id = :id
""").columns(state=EnumText(BroadcastState), paused_from=EnumText(BroadcastState))

#: When it was paused, and when it went on or ended: in its own stream, which is short however many it goes to.
PAUSES = text("""
SELECT type, occurred_at FROM events
WHERE stream = :stream
  AND type IN ('BroadcastPaused', 'BroadcastResumed', 'BroadcastCancelled', 'BroadcastCalledBack') ORDER BY version
""")

#: How many people answered in words of their own, how many there is another kind of answer of, and how many opted out
#: in answer to this broadcast.
PEOPLE = text(f"""
SELECT (SELECT count(DISTINCT contact_id) FROM replies
        WHERE broadcast_id = :id AND kind = '{ReplyKind.OWN_WORDS}') AS replies,
       (SELECT coalesce(jsonb_object_agg(other.kind, other.people), '{{}}')
        FROM (SELECT kind, count(DISTINCT contact_id) AS people FROM replies
              WHERE broadcast_id = :id AND kind <> '{ReplyKind.OWN_WORDS}' GROUP BY kind) AS other) AS other_replies,
       (SELECT count(DISTINCT data ->> 'contact_id') FROM events
        WHERE broadcast_id = :id AND type = 'OptedOut') AS opt_outs
""").columns(other_replies=TypedJson(dict[str, int]))


class PhaseProgress(Struct, kw_only=True):
    """How many messages of a phase are in which state."""

    pending: int = 0
    claimed: int = 0
    started: int = 0
    uncertain: int = 0
    accepted: int = 0
    refused: int = 0
    skipped: int = 0
    #: Taken by Missive, and never handed to Twilio; not among the accepted.
    not_handed_over: int = 0


class PhasePace(Struct, kw_only=True):
    """How fast the messages of a phase began to leave, in messages a second of the time in which they might.

    Pauses and quiet hours are left out.
    """

    started: int = 0
    first_started_at: Moment | None = None
    last_started_at: Moment | None = None
    rate: float | None = None


class Progress(Struct, kw_only=True):
    """How far a broadcast is."""

    broadcast_id: int
    state: BroadcastState
    paused_from: BroadcastState | None
    pause_reason: str | None
    recipients: int | None
    second_due_at: Moment | None
    first: PhaseProgress
    second: PhaseProgress
    #: People who answered in words of their own.
    replies: int
    #: People of whom there is another kind of answer, by kind: `reaction`, `automatic`, `delivery_notice`.
    other_replies: dict[str, int] = field(default_factory=dict)
    opt_outs: int
    delivered: int
    undelivered: int
    #: Status in the carrier's log to accepted messages; `unknown` where it was not read yet.
    statuses: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All that is counted about a broadcast."""

    progress: Progress
    #: Code to count of the messages that the carrier took and did not deliver; `unknown` where it gave no code.
    undelivered_codes: dict[str, int]
    first_pace: PhasePace
    second_pace: PhasePace


@dataclass(frozen=True, slots=True)
class _Broadcast:
    """Where a broadcast is."""

    state: BroadcastState
    paused_from: BroadcastState | None
    pause_reason: str | None
    recipients: int | None
    second_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class _People:
    """How many people answered, and how many opted out in answer."""

    replies: int
    other_replies: dict[str, int]
    opt_outs: int


async def read(connection: Connection, broadcast_id: int, settings: Settings, counted: Counted) -> Figures:
    """Return the figures of a broadcast whose messages were counted. Raise NotFound."""
    who = {"id": broadcast_id}
    broadcast = first_row(await connection.execute(BROADCAST, who), _Broadcast)
    if broadcast is None:
        raise NotFound(f"there is no broadcast {broadcast_id}")
    phases = {False: PhaseProgress(), True: PhaseProgress()}
    paces = {False: PhasePace(), True: PhasePace()}
    for messages in counted.messages:
        phase = phases[messages.is_second]
        setattr(phase, messages.state, getattr(phase, messages.state) + messages.count)
        _add(paces[messages.is_second], messages)
    statuses: dict[str, int] = {}
    undelivered: dict[str, int] = {}
    for found in counted.statuses:
        if found.outcome is Outcome.REFUSED:
            continue
        if found.outcome is Outcome.NOT_HANDED_OVER:
            phases[found.is_second].not_handed_over += found.count
            phases[found.is_second].accepted -= found.count
            continue
        status = found.status or "unknown"
        statuses[status] = statuses.get(status, 0) + found.count
        if status in UNDELIVERED:
            code = found.code or "unknown"
            undelivered[code] = undelivered.get(code, 0) + found.count
    people = one_row(await connection.execute(PEOPLE, who), _People)
    progress = Progress(
        broadcast_id=broadcast_id,
        state=broadcast.state,
        paused_from=broadcast.paused_from,
        pause_reason=broadcast.pause_reason,
        recipients=broadcast.recipients,
        second_due_at=broadcast.second_due_at,
        first=phases[False],
        second=phases[True],
        replies=people.replies,
        other_replies=people.other_replies,
        opt_outs=people.opt_outs,
        delivered=sum(statuses.get(status, 0) for status in DELIVERED),
        undelivered=sum(statuses.get(status, 0) for status in UNDELIVERED),
        statuses=dict(sorted(statuses.items())),
    )
    changes = (await connection.execute(PAUSES, {"stream": store.stream(broadcast_id)})).tuples().all()
    paused = pace.pauses(changes)
    for each in paces.values():
        first, last = each.first_started_at, each.last_started_at
        quiet = pace.quiet_spans(first, last, settings.quiet, settings.zone) if first and last else []
        each.rate = pace.rate(each.started, first, last, [*paused, *quiet])
    return Figures(
        progress=progress,
        undelivered_codes=dict(sorted(undelivered.items())),
        first_pace=paces[False],
        second_pace=paces[True],
    )


def _add(phase: PhasePace, messages: InState) -> None:
    phase.started += messages.started
    first, last = messages.first_started_at, messages.last_started_at
    if first is not None and last is not None:
        phase.first_started_at = min(phase.first_started_at or first, first)
        phase.last_started_at = max(phase.last_started_at or last, last)
