"""What a phase needs next, as a pure function of a few facts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.common.domain.states import SkipReason
from libs.common.settings import BATCHES_IN_FLIGHT

#: How long a phase waits for messages that nobody can tell the fate of; they may still be settled after it.
PATIENCE = timedelta(minutes=15)
#: How much later a batch may be due than another one that is planned in its place: slots come a little sooner or later.
SOON = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFacts:
    """What there is to know of a phase for one of its broadcast's numbers. Counts are exact only as far as they matter.

    What is claimable, waits or is too late is of that number; what is in flight, held back or uncertain is of all.
    """

    #: How many messages a batch takes.
    batch_size: int
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
    #: When the batches of this number are due, or were, that are planned or under way.
    batches_due: Sequence[datetime]
    #: Whether batches of any number are planned or under way.
    has_batches: bool
    #: When the first place opens where messages of this number wait for the morning; None where none does.
    opens_at: datetime | None
    #: Where what is pending would come too late in the day, and is skipped then.
    too_late: Sequence[str]
    #: Where the quiet hours outlast the day of the broadcast.
    given_up: Sequence[str]
    #: The time until which nothing can start: the broadcast can be called back, the carrier wants to be left alone or
    #: is given time to recover, the pace has no slot before it, or the number is off, out of its hours, or has used up
    #: its day.
    held_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanBatches:
    """Have so many batches of a number under way, the next of them due then."""

    batches: int
    due: datetime

    def missing(self, planned: Sequence[datetime]) -> int:
        """Return how many are to be planned; what waits for a later hour does not stand in for what may go now."""
        return self.batches - sum(due <= self.due + SOON for due in planned)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipForQuietHours:
    """What goes to some places will not be sent: the quiet hours there have begun, and nobody waits for their end."""

    places: Sequence[str]
    reason: SkipReason


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


def next_step(facts: PhaseFacts, now: datetime) -> Step:
    """Decide what a phase needs next."""
    if facts.too_late:
        return SkipForQuietHours(places=facts.too_late, reason=SkipReason.TOO_LATE)
    if facts.given_up:
        return SkipForQuietHours(places=facts.given_up, reason=SkipReason.QUIET_HOURS)
    next_at = [each for each in (facts.first_not_before, facts.opens_at) if each is not None]
    if facts.claimable or next_at:
        due = now if facts.claimable else max(now, min(next_at))
        if facts.held_until is not None:
            due = max(due, facts.held_until)
        return PlanBatches(batches=min(BATCHES_IN_FLIGHT, math.ceil(facts.claimable / facts.batch_size) or 1), due=due)
    if facts.in_flight or facts.has_batches:
        return Wait()
    if facts.newest_uncertain is not None and now < facts.newest_uncertain + PATIENCE:
        return Wait()
    if facts.held_back:
        return SkipHeldBack()
    return FinishPhase(uncertain=facts.uncertain)
