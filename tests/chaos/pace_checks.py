"""How fast messages left, and how long everything stood still after a fault. Pure functions over plain values."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.chaos.judge import Step

#: What a broadcast does from these events on.
STATES = {
    "BroadcastMade": "sending_first",
    "PhaseFinished": "waiting",
    "SecondPhaseStarted": "sending_second",
    "BroadcastCompleted": "completed",
}
#: What a broadcast that syncs goes on by: a pass over the log, or its end.
PASSES = ("StatusesSynced", "BroadcastCompleted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rush:
    """The stretch of time in which messages came furthest ahead of a rate."""

    messages: int
    seconds: float
    #: Messages that are more than the rate gives in that time.
    ahead: float


def rush(times: Iterable[float], rate: float) -> Rush:
    """Return the stretch, of all that there are, in which most messages were more than a rate allows."""
    best, lowest = Rush(messages=0, seconds=0.0, ahead=0.0), (float("inf"), 0, 0.0)
    for place, at in enumerate(sorted(times)):
        debt = place - rate * at
        lowest = min(lowest, (debt, place, at))
        ahead = debt + 1 - lowest[0]
        if ahead > best.ahead:
            best = Rush(messages=place - lowest[1] + 1, seconds=at - lowest[2], ahead=ahead)
    return best


def over_pace(starts: Mapping[str, Sequence[float]], rate: float, *, late: float) -> list[str]:
    """Return whose messages started faster than a rate, in any stretch of time; `late` of them may be of before."""
    found = []
    for key, times in starts.items():
        worst = rush(times, rate)
        if worst.ahead > 1 + late:
            allowed = worst.messages - worst.ahead + 1 + late
            found.append(f"{key}: {worst.messages} messages within {worst.seconds:.2f} s, allowed are {allowed:.0f}")
    return found


def recovery(faults: Iterable[float], accepted: Sequence[float], waiting: Sequence[tuple[float, bool]]) -> list[float]:
    """Return the seconds from each fault to the next message that the carrier accepted.

    `waiting` samples, in order, whether a message could have been sent; only such time counts, and only faults that
    came while one could. `accepted` is in order.
    """
    times = [at for at, _ in waiting]
    found = []
    for fault in faults:
        place = bisect_right(times, fault) - 1
        following = bisect_left(accepted, fault)
        if place < 0 or not waiting[place][1] or following == len(accepted):
            continue
        ends, seconds, at = accepted[following], 0.0, fault
        for index in range(place, len(waiting)):
            until = min(ends, times[index + 1] if index + 1 < len(times) else ends)
            if waiting[index][1]:
                seconds += max(0.0, until - at)
            at = until
            if until >= ends:
                break
        found.append(seconds)
    return found


def lateness(faults: Iterable[float], steps: Iterable[Step], *, interval: float) -> dict[str, list[float]]:
    """Return the seconds by which broadcasts went on later than planned after faults in which no message could leave.

    One that waits is to go on when its follow-ups are due. One that syncs is to have a pass every `interval`; the pass
    that a fault met may end all the same, so the one after it counts, too. Staff's pauses are no lateness.
    """
    found: dict[str, list[float]] = {"waiting": [], "syncing": []}
    histories = _histories(steps)
    for fault in faults:
        for history in histories:
            state, place = _state(history, fault)
            later = history[place:]
            if state == "waiting":
                due = next(step.due_at for step in reversed(history[:place]) if step.type == "PhaseFinished")
                following = next((step for step in later if step.type != "StatusesSynced"), None)
                if due is not None and following is not None and following.type == "SecondPhaseStarted":
                    found[state].append(max(0.0, following.at - max(fault, due)))
            elif state == "syncing":
                passes = [fault, *(step.at for step in later if step.type in PASSES)][:3]
                gaps = [after - before - interval for before, after in pairwise(passes)]
                if gaps:
                    found[state].append(max(0.0, *gaps))
    return found


def struck(faults: Iterable[float], steps: Iterable[Step]) -> Counter[str]:
    """Count the faults that came while a broadcast was in each of its states."""
    histories = _histories(steps)
    states = (_state(history, fault)[0] for fault in faults for history in histories)
    return Counter(state for state in states if state not in ("", "completed"))


def _histories(steps: Iterable[Step]) -> list[list[Step]]:
    by_broadcast: dict[int, list[Step]] = defaultdict(list)
    for step in sorted(steps, key=lambda step: step.at):
        by_broadcast[step.broadcast_id].append(step)
    return list(by_broadcast.values())


def _state(history: Sequence[Step], at: float) -> tuple[str, int]:
    """Return the state at a time (none before there is one) and the place of what came next."""
    place, resumed = bisect_right([step.at for step in history], at), False
    for step in reversed(history[:place]):
        if step.type == "BroadcastResumed":
            resumed = True
        elif step.type == "BroadcastPaused" and not resumed:
            return "paused", place
        elif step.type == "BroadcastPaused":
            resumed = False
        elif step.type in STATES:
            return ("syncing" if step.is_second else STATES[step.type]), place
    return "", place
