"""The broadcast: what may happen to it, and what that makes of it.

Pure: `evolve` folds events into the state, the other functions give the events that follow from a wish, or raise
Conflict. No I/O, no clock.

    scheduled ──make──▶ sending_first ──▶ waiting ──▶ sending_second ──▶ syncing ──▶ completed
        │                    └───────────────┴──── pause / resume ─┘
        ├◀─call back─────────┘ (before a message has left; missed where its time is over)
        ├──day over──▶ missed ──send now──▶ sending_first
        └──cancel──▶ cancelled ◀── from any state that sends or waits

Without a follow-up, `syncing` comes right after `sending_first`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from libs.common.domain import events as e
from libs.common.domain.frequency import Cap
from libs.common.domain.states import SENDING, BroadcastState, Late, PauseReason
from libs.common.errors import AlreadySent, Conflict, NotApproved, NotInState
from libs.common.texts import gettext_noop as n_

#: States from which staff may stop a broadcast for a while.
PAUSABLE = SENDING
#: Why a broadcast did not go out whose time was over when it was called back.
CALLED_BACK = "called_back"
#: States that nothing leads out of.
FINAL = (BroadcastState.COMPLETED, BroadcastState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broadcast:
    """A broadcast as its events left it. The table `broadcasts` has a row of these fields."""

    id: int
    state: BroadcastState
    run_at: datetime
    first_message: str
    #: None for a broadcast without a follow-up.
    second_message: str | None
    second_delay: int
    #: In rows of their own (`broadcasts_segments`).
    segments: tuple[e.Segment, ...]
    #: As events hold them; in the same rows.
    excluded: tuple[int, ...] = ()
    fallback: int | None = None
    #: The frequency cap of its own: texts within days.
    cap_texts: int | None = None
    cap_days: int | None = None
    max_recipients: int
    sending_number_id: int
    recurring: bool
    #: Who wrote it, or changed it last.
    author: str = ""
    #: Who approved it as it is.
    approved_by: str | None = None
    #: `HH:MM` of each weekday from Monday on, empty where it leaves one out. Without, it recurs on each working day.
    week: tuple[str, ...] = ()
    #: It goes to nobody until somebody says that it is none.
    draft: bool = False
    #: What its conversations are labelled in Missive.
    label: str = ""
    #: What becomes of a message that would come too late in the day for its recipient.
    late: Late = Late.WAIT
    #: Further numbers that it is sent from.
    pool: tuple[int, ...] = ()
    previous_id: int | None = None
    next_broadcast_id: int | None = None
    seed: int | None = None
    recipients: int | None = None
    made_at: datetime | None = None
    #: No message leaves before this.
    hold_until: datetime | None = None
    missed_reason: str | None = None
    paused_from: BroadcastState | None = None
    pause_reason: str | None = None
    second_due_at: datetime | None = None
    sync_started_at: datetime | None = None
    completed_at: datetime | None = None
    #: The version that its stream was loaded at; not in the row.
    version: int = 0

    @property
    def cap(self) -> Cap | None:
        """The frequency cap of its own."""
        if self.cap_texts is None or self.cap_days is None:
            return None
        return Cap(texts=self.cap_texts, days=self.cap_days)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers that it is sent from, its own first: a message's `pool_index` counts them."""
        return (self.sending_number_id, *self.pool)

    @property
    def has_follow_up(self) -> bool:
        """Whether who does not reply gets a second message."""
        return self.second_message is not None

    @property
    def is_draft(self) -> bool:
        """Whether it goes to nobody as it is: its time may come and go."""
        return self.draft or not self.segments


def evolve(state: Broadcast | None, event: e.Event, at: datetime) -> Broadcast | None:
    """Return the state after an event that was recorded `at`; events that do not change it leave it as it is."""
    match event:
        case e.BroadcastScheduled():
            return Broadcast(
                id=event.broadcast_id,
                state=BroadcastState.SCHEDULED,
                run_at=event.run_at,
                first_message=event.first_message,
                second_message=event.second_message,
                second_delay=event.second_delay,
                segments=event.segments,
                max_recipients=event.max_recipients,
                sending_number_id=event.sending_number_id,
                recurring=event.recurring,
                week=event.week,
                previous_id=event.previous_id,
                author=event.author,
                draft=event.draft,
                label=event.label,
                excluded=event.excluded,
                fallback=event.fallback,
                cap_texts=event.cap_texts,
                cap_days=event.cap_days,
                late=event.late,
                pool=event.pool,
            )
        case _ if state is None:
            return None
        case e.BroadcastEdited():
            return replace(
                state,
                run_at=event.run_at,
                first_message=event.first_message,
                second_message=event.second_message,
                second_delay=event.second_delay,
                segments=event.segments,
                max_recipients=event.max_recipients,
                sending_number_id=event.sending_number_id,
                recurring=event.recurring,
                week=event.week,
                author=event.author,
                approved_by=None,
                draft=event.draft,
                label=event.label,
                excluded=event.excluded,
                fallback=event.fallback,
                cap_texts=event.cap_texts,
                cap_days=event.cap_days,
                late=event.late,
                pool=event.pool,
            )
        case e.RepeatingStopped():
            return replace(state, recurring=False, week=())
        case e.BroadcastApproved():
            return replace(state, approved_by=event.by)
        case e.BroadcastMade():
            return replace(
                state,
                state=BroadcastState.SENDING_FIRST,
                made_at=at,
                draft=False,
                recipients=event.recipients,
                seed=event.seed,
                hold_until=event.hold_until,
                # A missed broadcast that is sent after all has its successor already.
                next_broadcast_id=event.next_broadcast_id or state.next_broadcast_id,
            )
        case e.BroadcastCalledBack():
            is_ahead = state.run_at > at
            return replace(
                state,
                state=BroadcastState.SCHEDULED if is_ahead else BroadcastState.MISSED,
                missed_reason=None if is_ahead else CALLED_BACK,
                paused_from=None,
                pause_reason=None,
                seed=None,
                recipients=None,
                made_at=None,
                hold_until=None,
            )
        case e.BroadcastMissed():
            return replace(
                state,
                state=BroadcastState.MISSED,
                missed_reason=event.reason,
                next_broadcast_id=event.next_broadcast_id,
            )
        case e.BroadcastPaused():
            return replace(state, state=BroadcastState.PAUSED, paused_from=state.state, pause_reason=event.reason)
        case e.BroadcastResumed():
            assert state.paused_from is not None  # a paused broadcast knows where it goes on
            return replace(state, state=state.paused_from, paused_from=None, pause_reason=None)
        case e.BroadcastCancelled():
            return replace(
                state,
                state=BroadcastState.CANCELLED,
                paused_from=None,
                pause_reason=None,
                next_broadcast_id=event.next_broadcast_id or state.next_broadcast_id,
                # What was sent before has statuses to be read.
                sync_started_at=None if state.made_at is None else at,
            )
        case e.PhaseFinished(is_second=False) if state.has_follow_up:
            return replace(state, state=BroadcastState.WAITING, second_due_at=event.second_due_at)
        case e.SecondPhaseStarted():
            return replace(state, state=BroadcastState.SENDING_SECOND)
        case e.PhaseFinished():
            return replace(state, state=BroadcastState.SYNCING, sync_started_at=at)
        case e.BroadcastCompleted():
            is_cancelled = state.state == BroadcastState.CANCELLED
            return replace(state, state=state.state if is_cancelled else BroadcastState.COMPLETED, completed_at=at)
        case _:
            return state


def fold(history: Iterable[tuple[e.Event, datetime]]) -> Broadcast | None:
    """Return the state after a history: events with the time that each was recorded at."""
    state: Broadcast | None = None
    for event, at in history:
        state = evolve(state, event, at)
    return state


def _only_from(broadcast: Broadcast, wish: str, *states: BroadcastState) -> None:
    if broadcast.state not in states:
        raise NotInState(broadcast.state, wish)


def edit(broadcast: Broadcast, edited: e.BroadcastEdited) -> list[e.Event]:
    """Change what a scheduled broadcast will be."""
    _only_from(broadcast, n_("be changed"), BroadcastState.SCHEDULED)
    before = tuple(getattr(broadcast, name) for name in EDITABLE)
    return [] if before == tuple(getattr(edited, name) for name in EDITABLE) else [edited]


EDITABLE = (
    "run_at", "first_message", "second_message", "second_delay", "segments", "max_recipients", "sending_number_id",
    "recurring", "week", "draft", "label", "excluded", "fallback", "cap_texts", "cap_days",
    "late", "pool",
)  # fmt: skip


def unchanged(broadcast: Broadcast) -> e.BroadcastEdited:
    """Return the event that changes nothing, to be filled with what does change."""
    return e.BroadcastEdited(broadcast_id=broadcast.id, **{name: getattr(broadcast, name) for name in EDITABLE})


def stop_repeating(broadcast: Broadcast) -> list[e.Event]:
    """Let a scheduled broadcast go out once more, and not again; nothing happens if it does not repeat."""
    _only_from(broadcast, n_("stop repeating"), BroadcastState.SCHEDULED)
    return [e.RepeatingStopped(broadcast_id=broadcast.id)] if broadcast.recurring else []


def approve(broadcast: Broadcast, by: str) -> list[e.Event]:
    """Approve a broadcast as it is; nothing happens if somebody has. Its author cannot: it takes two."""
    _only_from(broadcast, n_("be approved"), BroadcastState.SCHEDULED, BroadcastState.MISSED)
    if broadcast.approved_by is not None:
        return []
    if broadcast.author == by:
        raise Conflict(n_("whoever wrote a broadcast, or changed it last, cannot approve it: somebody else has to"))
    return [e.BroadcastApproved(broadcast_id=broadcast.id, by=by)]


def may_make(broadcast: Broadcast, *, by_hand: bool, needs_approval: bool = False) -> None:
    """Raise Conflict unless the broadcast may be made; a missed one only if a person says so.

    Raise NotApproved if it needs an approval that it does not have.
    """
    _only_from(broadcast, n_("be made"), BroadcastState.SCHEDULED, *((BroadcastState.MISSED,) if by_hand else ()))
    if broadcast.draft:
        raise Conflict(n_("a draft cannot be made: schedule it first"))
    if needs_approval and broadcast.approved_by is None:
        raise NotApproved


def call_back(broadcast: Broadcast, *, attempted: int, have_it: int, planned: int) -> list[e.Event]:
    """Take a broadcast back of which nothing has left; nothing happens if it does not send.

    `attempted` of the `planned` first messages have been tried, and `have_it` of them have left, or may have. Raise
    AlreadySent, Conflict.
    """
    if broadcast.state in (BroadcastState.SCHEDULED, BroadcastState.MISSED):
        return []
    if attempted:
        raise AlreadySent(
            f"{have_it} have it, or may have, and {planned - have_it} do not: pause it, or cancel the rest"
        )
    sends = broadcast.paused_from if broadcast.state == BroadcastState.PAUSED else broadcast.state
    if sends != BroadcastState.SENDING_FIRST:
        raise NotInState(broadcast.state, n_("be called back"))
    return [e.BroadcastCalledBack(broadcast_id=broadcast.id)]


def needs_successor(broadcast: Broadcast) -> bool:
    """Return whether the end of this broadcast's day creates the next one."""
    return broadcast.recurring and not broadcast.is_draft and broadcast.next_broadcast_id is None


def successor(broadcast: Broadcast, *, broadcast_id: int, run_at: datetime) -> e.BroadcastScheduled:
    """Return the next broadcast: the same messages, segments and settings at another time."""
    return e.BroadcastScheduled(
        broadcast_id=broadcast_id,
        run_at=run_at,
        first_message=broadcast.first_message,
        second_message=broadcast.second_message,
        second_delay=broadcast.second_delay,
        segments=broadcast.segments,
        max_recipients=broadcast.max_recipients,
        sending_number_id=broadcast.sending_number_id,
        pool=broadcast.pool,
        recurring=True,
        week=broadcast.week,
        previous_id=broadcast.id,
        author=broadcast.author,
        label=broadcast.label,
        excluded=broadcast.excluded,
        fallback=broadcast.fallback,
        cap_texts=broadcast.cap_texts,
        cap_days=broadcast.cap_days,
        late=broadcast.late,
    )


def miss(broadcast: Broadcast, reason: str, next_broadcast_id: int | None) -> list[e.Event]:
    """Note that a broadcast's day went by, or that it could not be made."""
    _only_from(broadcast, n_("be missed"), BroadcastState.SCHEDULED)
    return [e.BroadcastMissed(broadcast_id=broadcast.id, reason=reason, next_broadcast_id=next_broadcast_id)]


def pause(broadcast: Broadcast, reason: str = PauseReason.STAFF) -> list[e.Event]:
    """Stop for now; nothing happens if it is paused already."""
    if broadcast.state == BroadcastState.PAUSED:
        return []
    _only_from(broadcast, n_("be paused"), *PAUSABLE)
    return [e.BroadcastPaused(broadcast_id=broadcast.id, reason=reason)]


def resume(broadcast: Broadcast) -> list[e.Event]:
    """Go on; nothing happens if it is going on already."""
    if broadcast.state in (*PAUSABLE, BroadcastState.SYNCING):
        return []
    _only_from(broadcast, n_("be resumed"), BroadcastState.PAUSED)
    return [e.BroadcastResumed(broadcast_id=broadcast.id)]


def cancel(broadcast: Broadcast, next_broadcast_id: int | None) -> list[e.Event]:
    """End it; nothing happens if it is cancelled already."""
    if broadcast.state == BroadcastState.CANCELLED:
        return []
    _only_from(
        broadcast, n_("be cancelled"), BroadcastState.SCHEDULED, BroadcastState.MISSED, BroadcastState.PAUSED, *PAUSABLE
    )
    return [e.BroadcastCancelled(broadcast_id=broadcast.id, next_broadcast_id=next_broadcast_id)]


def finish_phase(
    broadcast: Broadcast, *, last_started_at: datetime | None, now: datetime, uncertain: int
) -> list[e.Event]:
    """End the phase under way. Follow-ups, if there are any, are due `second_delay` after the last first message."""
    _only_from(broadcast, n_("be taken on"), BroadcastState.SENDING_FIRST, BroadcastState.SENDING_SECOND)
    is_second = broadcast.state == BroadcastState.SENDING_SECOND
    due = None
    if not is_second and broadcast.has_follow_up:
        due = (last_started_at or now) + timedelta(seconds=broadcast.second_delay)
    return [e.PhaseFinished(broadcast_id=broadcast.id, is_second=is_second, second_due_at=due, uncertain=uncertain)]


def start_second_phase(broadcast: Broadcast, now: datetime) -> list[e.Event]:
    """Begin the follow-ups if they are due; a step that comes too early, or again, does nothing."""
    if broadcast.state != BroadcastState.WAITING or broadcast.second_due_at is None or now < broadcast.second_due_at:
        return []
    return [e.SecondPhaseStarted(broadcast_id=broadcast.id)]
