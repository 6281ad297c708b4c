"""The broadcast: what may happen to it, and what that makes of it.

Pure: `evolve` folds events into the state, the other functions give the events that follow from a wish, or raise
Conflict. No I/O, no clock.

    scheduled ──make──▶ sending_first ──▶ waiting ──▶ sending_second ──▶ syncing ──▶ completed
        │                    └───────────────┴──── pause / resume ─┘
        ├──day over──▶ missed ──send now──▶ sending_first
        └──cancel──▶ cancelled ◀── from any state that sends or waits
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from libs.common import events as e
from libs.common.errors import Conflict

#: States from which staff may stop a broadcast for a while.
PAUSABLE = ("sending_first", "waiting", "sending_second")
#: States that nothing leads out of.
FINAL = ("completed", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Broadcast:
    """What the rules need to know of a broadcast."""

    id: int
    state: str
    run_at: datetime
    first_message: str
    second_message: str
    second_delay: int
    segments: tuple[e.Segment, ...]
    max_recipients: int
    sending_number_id: int
    recurring: bool
    paused_from: str | None = None
    second_due_at: datetime | None = None
    next_broadcast_id: int | None = None


def evolve(state: Broadcast | None, event: e.Event) -> Broadcast | None:
    """Give the state after an event; events that do not change it leave it as it is."""
    match event:
        case e.BroadcastScheduled():
            return Broadcast(
                id=event.broadcast_id,
                state="scheduled",
                run_at=event.run_at,
                first_message=event.first_message,
                second_message=event.second_message,
                second_delay=event.second_delay,
                segments=event.segments,
                max_recipients=event.max_recipients,
                sending_number_id=event.sending_number_id,
                recurring=event.recurring,
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
            )
        case e.BroadcastMade():
            # A missed broadcast that is sent after all has its successor already.
            return replace(
                state, state="sending_first", next_broadcast_id=event.next_broadcast_id or state.next_broadcast_id
            )
        case e.BroadcastMissed():
            return replace(state, state="missed", next_broadcast_id=event.next_broadcast_id)
        case e.BroadcastPaused():
            return replace(state, state="paused", paused_from=state.state)
        case e.BroadcastResumed():
            return replace(state, state=str(state.paused_from), paused_from=None)
        case e.BroadcastCancelled():
            return replace(
                state,
                state="cancelled",
                paused_from=None,
                next_broadcast_id=event.next_broadcast_id or state.next_broadcast_id,
            )
        case e.PhaseFinished(is_second=False):
            return replace(state, state="waiting", second_due_at=event.second_due_at)
        case e.SecondPhaseStarted():
            return replace(state, state="sending_second")
        case e.PhaseFinished(is_second=True):
            return replace(state, state="syncing")
        case e.BroadcastCompleted():
            return state if state.state == "cancelled" else replace(state, state="completed")
        case _:
            return state


def fold(history: Iterable[e.Event]) -> Broadcast | None:
    """Give the state after a history."""
    state: Broadcast | None = None
    for event in history:
        state = evolve(state, event)
    return state


def _only_from(broadcast: Broadcast, wish: str, *states: str) -> None:
    if broadcast.state not in states:
        raise Conflict(f"a broadcast that is {broadcast.state} cannot be {wish}")


def edit(broadcast: Broadcast, edited: e.BroadcastEdited) -> list[e.Event]:
    """Change what a scheduled broadcast will be."""
    _only_from(broadcast, "changed", "scheduled")
    before = tuple(getattr(broadcast, name) for name in EDITABLE)
    return [] if before == tuple(getattr(edited, name) for name in EDITABLE) else [edited]


EDITABLE = (
    "run_at", "first_message", "second_message", "second_delay", "segments", "max_recipients", "sending_number_id",
    "recurring",
)  # fmt: skip


def may_make(broadcast: Broadcast, *, by_hand: bool) -> None:
    """Raise Conflict unless the broadcast may be made; a missed one only if a person says so."""
    _only_from(broadcast, "made", "scheduled", *(("missed",) if by_hand else ()))


def needs_successor(broadcast: Broadcast) -> bool:
    """Tell whether the end of this broadcast's day creates the next one."""
    return broadcast.recurring and broadcast.next_broadcast_id is None


def successor(broadcast: Broadcast, *, broadcast_id: int, run_at: datetime) -> e.BroadcastScheduled:
    """Give the next broadcast: the same messages, segments and settings at another time."""
    return e.BroadcastScheduled(
        broadcast_id=broadcast_id,
        run_at=run_at,
        first_message=broadcast.first_message,
        second_message=broadcast.second_message,
        second_delay=broadcast.second_delay,
        segments=broadcast.segments,
        max_recipients=broadcast.max_recipients,
        sending_number_id=broadcast.sending_number_id,
        recurring=True,
        previous_id=broadcast.id,
    )


def miss(broadcast: Broadcast, reason: str, next_broadcast_id: int | None) -> list[e.Event]:
    """Note that a broadcast's day went by, or that it could not be made."""
    _only_from(broadcast, "missed", "scheduled")
    return [e.BroadcastMissed(broadcast_id=broadcast.id, reason=reason, next_broadcast_id=next_broadcast_id)]


def pause(broadcast: Broadcast, reason: str = "staff") -> list[e.Event]:
    """Stop for now; nothing happens if it is paused already."""
    if broadcast.state == "paused":
        return []
    _only_from(broadcast, "paused", *PAUSABLE)
    return [e.BroadcastPaused(broadcast_id=broadcast.id, reason=reason)]


def resume(broadcast: Broadcast) -> list[e.Event]:
    """Go on; nothing happens if it is going on already."""
    if broadcast.state in (*PAUSABLE, "syncing"):
        return []
    _only_from(broadcast, "resumed", "paused")
    return [e.BroadcastResumed(broadcast_id=broadcast.id)]


def cancel(broadcast: Broadcast, next_broadcast_id: int | None) -> list[e.Event]:
    """End it; nothing happens if it is cancelled already."""
    if broadcast.state == "cancelled":
        return []
    _only_from(broadcast, "cancelled", "scheduled", "missed", "paused", *PAUSABLE)
    return [e.BroadcastCancelled(broadcast_id=broadcast.id, next_broadcast_id=next_broadcast_id)]


def finish_phase(
    broadcast: Broadcast, *, last_started_at: datetime | None, now: datetime, uncertain: int
) -> list[e.Event]:
    """End the phase under way. The follow-ups are due `second_delay` after the last first message left."""
    _only_from(broadcast, "taken on", "sending_first", "sending_second")
    is_second = broadcast.state == "sending_second"
    due = None if is_second else (last_started_at or now) + timedelta(seconds=broadcast.second_delay)
    return [e.PhaseFinished(broadcast_id=broadcast.id, is_second=is_second, second_due_at=due, uncertain=uncertain)]


def start_second_phase(broadcast: Broadcast, now: datetime) -> list[e.Event]:
    """Begin the follow-ups if they are due; a step that comes too early, or again, does nothing."""
    if broadcast.state != "waiting" or broadcast.second_due_at is None or now < broadcast.second_due_at:
        return []
    return [e.SecondPhaseStarted(broadcast_id=broadcast.id)]


def quotas(max_recipients: int, ratios: Sequence[float]) -> list[int]:
    """Share `max_recipients` out by `ratios` (percent, at most 100 in sum).

    Shares are rounded so that their sum is the rounded sum: three thirds of 100 are 33, 34 and 33.
    """
    shares, taken, total = [], 0, 0.0
    for ratio in ratios:
        total += ratio
        upto = int(max_recipients * total / 100 + 0.5)
        shares.append(min(upto, max_recipients) - taken)
        taken += shares[-1]
    return shares
