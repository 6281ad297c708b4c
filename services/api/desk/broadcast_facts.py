"""What the sentence about a broadcast needs to know, from what was read. Pure."""

from libs.common.broadcasts.explanations import STARTING
from libs.common.broadcasts.outcome_kinds import Kind
from libs.common.domain.states import BroadcastState
from services.api.broadcasts.outcomes import Outcomes
from services.api.broadcasts.waiting import Going
from services.api.desk.sentences import Facts, PhaseCount, Stopped
from services.api.schemas import Broadcast


def facts(
    broadcast: Broadcast,
    first: Outcomes,
    second: Outcomes,
    going: Going | None,
    *,
    paused: Stopped | None = None,
    cancelled: Stopped | None = None,
) -> Facts:
    """Return the facts of a broadcast."""
    return Facts(
        state=BroadcastState(broadcast.state),
        run_at=broadcast.run_at,
        is_draft=broadcast.is_draft,
        first=count_of(first),
        second=count_of(second),
        has_follow_up=broadcast.second_message is not None,
        second_due_at=broadcast.second_due_at,
        pause_reason=broadcast.pause_reason,
        paused=paused,
        cancelled=cancelled,
        missed_reason=broadcast.missed_reason,
        going=going,
    )


def count_of(outcomes: Outcomes) -> PhaseCount:
    """Return how far a message is."""
    starting = outcomes.group(STARTING)
    return PhaseCount(
        planned=outcomes.planned,
        delivered=outcomes.of(Kind.DELIVERED),
        sent=outcomes.of(Kind.SENT),
        unanswered=outcomes.of(Kind.UNKNOWN) + (starting.messages if starting else 0),
        remaining=outcomes.of(Kind.WAITING),
        without=outcomes.of(Kind.FAILED, Kind.NOT_SENT),
    )
