"""Why a broadcast waits: the reasons, and which of them holds. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

LONG = 5.0  # seconds that a slot, or a hold, is off before anybody is told of it
#: How long nothing may leave of a broadcast though it might, for each that sends at the time: they take turns.
PATIENCE = timedelta(minutes=2)
UNUSED = 30.0  # seconds for which a slot is not taken, where nobody is there who would


class WaitReason(StrEnum):
    """Why nothing leaves, or not as fast as it might."""

    RESTORE = "restore"  # the database was restored, and is not compared with the carriers yet
    HOLD = "hold"  # it can be called back
    QUIET_HOURS = "quiet_hours"
    NUMBER_OFF = "number_off"  # its number is switched off
    NUMBER_HOURS = "number_hours"  # its number does not send at this time of day
    DAILY_CAP = "daily_cap"  # its number has sent all that it may send today
    CARRIER_ERRORS = "carrier_errors"
    CARRIER_LIMIT = "carrier_limit"  # the carrier has said that its limit is used up
    PACE = "pace"  # the next slot is some time off
    TRY_AGAIN = "try_again"  # all that remains was turned away for now
    REVIEW = "review"  # all that remains waits until a person has decided whether it was an opt-out
    ANSWERS = "answers"  # all have left, and of some nobody knows yet
    STUCK = "stuck"  # nothing leaves though it might: the sender, the planner or the broker may be down


#: Nobody can tell when it goes on: that is up to a person.
OPEN_END = (WaitReason.RESTORE, WaitReason.NUMBER_OFF, WaitReason.REVIEW, WaitReason.STUCK)


@dataclass(frozen=True, slots=True)
class Phase:
    """What remains of a phase."""

    remaining: int
    uncertain: int
    started_lately: int
    claimed: int = 0
    last_started: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claimable:
    """Whether something may be claimed now."""

    claimable: bool
    first_not_before: datetime | None
    held_back: int
    #: Whether something might have been claimed before the patience began.
    claimable_long: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """A limit as it stands, in seconds from now."""

    key: str
    next_in: float
    held_for: float
    failures: int
    failing_for: float | None
    #: For how long nobody has been held back, and nobody has taken the sending number's slot.
    free_for: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Why it waits."""

    reason: WaitReason
    until: datetime | None = None
    since: datetime | None = None
    about: int = 0
    #: The limit whose slot is waited for.
    key: str = ""


def why(
    phase: Phase,
    claimable: Claimable,
    slots: Sequence[Slot],
    quiet: datetime | None,
    now: datetime,
    *,
    hold: datetime | None = None,
    is_restored: bool = False,
    number: Wait | None = None,
    stuck_since: datetime | None = None,
) -> Wait | None:
    """Return why a phase waits at `now`: of several reasons that which lasts whatever becomes of the others. Pure.

    `number` is why its sending number starts nothing, if it does not.
    """
    if is_restored:
        return Wait(reason=WaitReason.RESTORE)
    if not phase.remaining and phase.uncertain:
        return Wait(reason=WaitReason.ANSWERS, about=phase.uncertain)
    if not phase.remaining:
        return Wait(reason=WaitReason.STUCK, since=stuck_since) if stuck_since is not None else None
    if quiet is not None:
        return Wait(reason=WaitReason.QUIET_HOURS, until=quiet)
    if hold is not None and hold > now:
        return Wait(reason=WaitReason.HOLD, until=hold)
    if number is not None:
        return number
    if stuck_since is not None:
        return Wait(reason=WaitReason.STUCK, since=stuck_since)
    held = max(slots, key=lambda slot: slot.held_for, default=None)
    failing = max(slots, key=lambda slot: slot.failures, default=None)
    if failing is not None and (failing.failures > 1 or (failing.failures and failing.held_for > LONG)):
        since = now - timedelta(seconds=failing.failing_for or 0)
        until = now + timedelta(seconds=failing.held_for) if failing.held_for else None
        return Wait(reason=WaitReason.CARRIER_ERRORS, until=until, since=since)
    if held is not None and held.held_for > LONG:
        return Wait(reason=WaitReason.CARRIER_LIMIT, until=now + timedelta(seconds=held.held_for))
    if not claimable.claimable and claimable.first_not_before is not None:
        return Wait(reason=WaitReason.TRY_AGAIN, until=claimable.first_not_before)
    if not claimable.claimable and claimable.held_back == phase.remaining:
        return Wait(reason=WaitReason.REVIEW, about=claimable.held_back)
    slowest = max(slots, key=lambda slot: slot.next_in, default=None)
    if slowest is not None and slowest.next_in > LONG:
        return Wait(reason=WaitReason.PACE, until=now + timedelta(seconds=slowest.next_in), key=slowest.key)
    return None


def stuck(
    phase: Phase, claimable: Claimable, slots: Sequence[Slot], since: datetime, now: datetime, patience: timedelta
) -> datetime | None:
    """Return since when nothing has left though it might have, if that is past all patience. Pure.

    A phase of which nothing remains is stuck as long as it does not end. What a worker has claimed is nobody's any more
    after such a time. `since` is when the broadcast last went over to something else.
    """
    is_free = all(slot.free_for > UNUSED and slot.next_in <= 0 for slot in slots)
    might_leave = (claimable.claimable_long or phase.claimed) and is_free
    last = max(since, phase.last_started or since)
    return last if (might_leave or not phase.remaining) and now - last > patience else None
