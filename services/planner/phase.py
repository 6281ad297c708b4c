"""What a phase needs next, as a pure function of a few facts."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.common.domain.calendar import SENDING_DAY
from libs.common.settings import BATCHES_IN_FLIGHT

#: How long a phase waits for messages that nobody can tell the fate of; they may still be settled after it.
PATIENCE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFacts:
    """What there is to know of a phase. Counts are exact only as far as they matter."""

    #: Messages that may be claimed now, counted up to what all batches in flight can take.
    claimable: int
    #: When the first of those that have to wait may be claimed; None if none waits.
    first_not_before: datetime | None
    #: Whether a batch holds messages, or waits for answers.
    in_flight: bool
    #: Whether there are messages that wait until a person has looked at what their recipient wrote.
    held_back: bool
    uncertain: int
    #: When the newest of the uncertain attempts began.
    newest_uncertain: datetime | None
    #: Batches planned or under way.
    open_batches: int
    made_at: datetime
    #: The end of the quiet hours that hold now.
    quiet_until: datetime | None
    #: The time until which nothing can start: the broadcast can be called back, the carrier wants to be left alone or
    #: is given time to recover, or the pace has no slot before it.
    held_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanBatches:
    """Have so many batches under way, the next of them due then."""

    batches: int
    due: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipForQuietHours:
    """The quiet hours outlast the day of the broadcast: what remains will not be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipHeldBack:
    """All that remains waits for a person; the others go on without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishPhase:
    """Nothing remains to be sent."""

    uncertain: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Something is under way that will be heard of."""


Step = PlanBatches | SkipForQuietHours | SkipHeldBack | FinishPhase | Wait


def next_step(facts: PhaseFacts, now: datetime, batch_size: int) -> Step:
    """Decide what a phase needs next."""
    if facts.claimable or facts.first_not_before is not None:
        due = now if facts.claimable else max(now, facts.first_not_before or now)
        if facts.quiet_until is not None:
            if facts.quiet_until > facts.made_at + SENDING_DAY:
                return SkipForQuietHours()
            due = max(due, facts.quiet_until)
        if facts.held_until is not None:
            due = max(due, facts.held_until)
        return PlanBatches(batches=min(BATCHES_IN_FLIGHT, math.ceil(facts.claimable / batch_size) or 1), due=due)
    if facts.in_flight or facts.open_batches:
        return Wait()
    if facts.newest_uncertain is not None and now < facts.newest_uncertain + PATIENCE:
        return Wait()
    if facts.held_back:
        return SkipHeldBack()
    return FinishPhase(uncertain=facts.uncertain)
