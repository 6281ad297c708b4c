"""The messages of a broadcast, counted by what is on record of them.

One pass over the messages and one over their statuses, however much is made of it: joined row by row, the two cost
several times as much. A message has a status as soon as the carrier has taken or refused it, and not before.

What was counted is kept while nothing happens to a broadcast, as to one that is over: all that changes a count appends
an event. An event may be seen before an earlier one, whose transaction goes on for longer. So nothing is kept before
the last event is older than any transaction.
"""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, text

from libs.common import database
from libs.common.broadcasts.explanations import Result
from libs.common.database import Connection, EnumText, all_rows, first_row
from libs.common.domain.states import BroadcastState, MessageState, Outcome, SkipReason

LATELY = timedelta(minutes=1)
#: How old the last event of a broadcast is before its counts are kept: longer than a transaction takes.
SETTLED = timedelta(seconds=2 * database.LONG_WORK)
MOST_KEPT = 1_000  # broadcasts in a process

#: How many messages of each phase are in which state, how many of them have begun to leave, how many of these lately,
#: and when the first and the last did.
MESSAGES = text("""
SELECT is_second, state, skip_reason, count(*) AS count, count(*) FILTER (WHERE attempts > 0) AS started,
       count(*) FILTER (WHERE attempt_started_at > :since) AS started_lately,
       min(attempt_started_at) AS first_started_at, max(attempt_started_at) AS last_started_at
FROM outgoing_messages WHERE broadcast_id = :id GROUP BY is_second, state, skip_reason
""").columns(state=EnumText(MessageState), skip_reason=EnumText(SkipReason))

#: What the carrier said of the messages of each phase.
STATUSES = text("""
SELECT is_second, outcome, twilio_sent_status AS status, twilio_error_code AS code, count(*) AS count
FROM broadcast_sent_message_status WHERE broadcast_id = :id GROUP BY 1, 2, 3, 4
""").columns(outcome=EnumText(Outcome))

#: What happened last to a broadcast: one look into an index.
LAST_EVENT = text("SELECT id, occurred_at FROM events WHERE broadcast_id = :id ORDER BY position DESC LIMIT 1")

#: In which state a broadcast is, or goes on once it is paused no more.
GOES_ON = text("SELECT coalesce(paused_from, state) AS state FROM broadcasts WHERE id = :id").columns(
    state=EnumText(BroadcastState)
)


@dataclass(frozen=True, slots=True)
class InState:
    """The messages of a phase in a state."""

    is_second: bool
    state: MessageState
    skip_reason: SkipReason | None
    count: int
    #: How many of them have begun to leave, how many of these lately, and when the first and the last did.
    started: int
    started_lately: int
    first_started_at: datetime | None
    last_started_at: datetime | None


@dataclass(frozen=True, slots=True)
class WithStatus:
    """The messages of a phase of which the carrier said the same."""

    is_second: bool
    outcome: Outcome
    #: What its log says; null where it was not read yet.
    status: str | None
    code: str | None
    count: int

    @property
    def state(self) -> MessageState:
        """The state that such messages have."""
        return MessageState.REFUSED if self.outcome is Outcome.REFUSED else MessageState.ACCEPTED


@dataclass(frozen=True, slots=True)
class Counted:
    """All messages of a broadcast, counted."""

    messages: Sequence[InState]
    statuses: Sequence[WithStatus]
    #: In which state the broadcast is, or goes on; None where nobody has asked.
    goes_on: BroadcastState | None = None

    def results(self, *, is_second: bool) -> list[tuple[Result, int]]:
        """Return what there is on record of the messages of a phase, each combination once, with how many have it."""
        phase = BroadcastState.SENDING_SECOND if is_second else BroadcastState.SENDING_FIRST
        runs = None if self.goes_on is None else self.goes_on is phase
        statuses = [each for each in self.statuses if each.is_second is is_second]
        with_status: Counter[MessageState] = Counter()
        for each in statuses:
            with_status[each.state] += each.count
        found = [
            (replace(_result(each, each.skip_reason), phase_runs=runs), each.count - with_status[each.state])
            for each in self.messages
            if each.is_second is is_second and each.count > with_status[each.state]
        ]
        return found + [(_result(each, None, each.outcome, each.status, each.code), each.count) for each in statuses]


def _result(
    of: InState | WithStatus,
    reason: SkipReason | None,
    outcome: Outcome | None = None,
    status: str | None = None,
    code: str | None = None,
) -> Result:
    return Result(is_second=of.is_second, state=of.state, skip_reason=reason, outcome=outcome, status=status, code=code)


async def messages(connection: Connection, broadcast_id: int, now: datetime) -> list[InState]:
    """Return the messages of a broadcast by their states, as they are at `now`."""
    await database.plan_anew(connection)
    return all_rows(await connection.execute(MESSAGES, {"id": broadcast_id, "since": now - LATELY}), InState)


@dataclass(frozen=True, slots=True)
class _LastEvent:
    """What happened last to a broadcast."""

    id: UUID
    occurred_at: datetime


#: What is kept of each broadcast, the last used last, with the event up to which it was counted.
_kept: WeakKeyDictionary[Engine, OrderedDict[int, tuple[UUID, Counted]]] = WeakKeyDictionary()


async def read(connection: Connection, broadcast_id: int, now: datetime) -> Counted:
    """Return all messages of a broadcast, counted at `now` in a transaction that sees one moment."""
    last = first_row(await connection.execute(LAST_EVENT, {"id": broadcast_id}), _LastEvent)
    kept = _kept.setdefault(connection.sync_engine, OrderedDict())
    found = kept.pop(broadcast_id, None)
    if last is None or last.occurred_at > now - SETTLED:
        return await _count(connection, broadcast_id, now)
    if found is None or found[0] != last.id:
        found = last.id, await _count(connection, broadcast_id, now)
    kept[broadcast_id] = found
    while len(kept) > MOST_KEPT:
        kept.popitem(last=False)
    return found[1]


async def _count(connection: Connection, broadcast_id: int, now: datetime) -> Counted:
    by_state = await messages(connection, broadcast_id, now)
    statuses = all_rows(await connection.execute(STATUSES, {"id": broadcast_id}), WithStatus)
    goes_on: BroadcastState | None = (await connection.execute(GOES_ON, {"id": broadcast_id})).scalar()
    return Counted(by_state, statuses, goes_on)
