"""The verdict: what two ledgers, the carrier's and the database's, say of a run. Pure functions over plain values.

The simulator's ledger is the judge of what left; the database tells what was promised: which texts were planned, how
each ended, when each attempt, opt-out and reply was committed. Times are epoch seconds.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

#: Windows in which texts are counted, in seconds.
WINDOWS = (1.0, 10.0, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A text that the carrier accepted."""

    to: str
    body: str
    at: float
    #: Whether it was handed over to the network: one that was not reaches nobody.
    left: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text that was planned, and how the database says that it ended."""

    id: int
    broadcast_id: int
    is_second: bool
    number: str
    body: str
    #: The state, as in `outgoing_messages`.
    state: str
    #: Why it was skipped, or refused.
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt to send a text: from its commit on the request may leave."""

    text: int
    committed_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A recorded reply to a broadcast."""

    broadcast_id: int
    number: str
    committed_at: float


def twice(sent: Iterable[Sent], texts: Iterable[Text]) -> list[str]:
    """Give the texts that reached somebody more often than is on record; equal ones may both be meant."""
    ours = Counter((text.number, text.body) for text in texts if text.state == "accepted")
    theirs = Counter((item.to, item.body) for item in sent if item.left)
    return [
        f"{to} got {body[:40]!r} {count} times, on record are {ours[to, body]}"
        for (to, body), count in theirs.items()
        if count > max(1, ours[to, body])
    ]


def lost(sent: Sequence[Sent], texts: Sequence[Text], opted_out: Iterable[str], replies: Iterable[Reply]) -> list[str]:
    """Give the texts that did not end as promised, and those that only one of the two ledgers knows."""
    no = set(opted_out)
    replied = {(reply.broadcast_id, reply.number) for reply in replies}
    refused = {(text.broadcast_id, text.number) for text in texts if text.state == "refused" and not text.is_second}
    found = []
    for text in texts:
        key = (text.broadcast_id, text.number)
        if text.state not in ("accepted", "refused", "skipped"):
            found.append(f"text {text.id} is still {text.state}")
        elif text.state == "skipped" and (
            (text.why == "replied" and key not in replied)
            or (text.why == "opted_out" and text.number not in no)
            or (text.why == "first_refused" and key not in refused)
        ):
            found.append(f"text {text.id} was skipped as {text.why}, which is not so")
    ours = Counter((text.number, text.body) for text in texts if text.state == "accepted")
    theirs = Counter((item.to, item.body) for item in sent)
    for to, body in ours.keys() | theirs.keys():
        we, they = ours[to, body], theirs[to, body]
        if they < we:
            found.append(f"{to}: {we} of {body[:40]!r} are on record as accepted, the carrier has {they}")
        elif they and not we:
            found.append(f"{to}: the carrier has {body[:40]!r}, not on record as accepted")
    return found


def after_stop(
    attempts: Iterable[Attempt],
    sent: Iterable[Sent],
    texts: Iterable[Text],
    opt_outs: Mapping[str, float],
    replies: Iterable[Reply],
    *,
    grace: float,
) -> list[str]:
    """Give the texts that left after a recorded no.

    `opt_outs` is when each number's opt-out was committed. An attempt may not be committed after it, whatever the
    clocks say, since one database orders both; what was committed before may arrive up to `grace` seconds later. A
    second message is held to the recipient's reply in the same way.
    """
    planned = {text.id: text for text in texts}
    replied: dict[tuple[int, str], float] = {}
    for reply in replies:
        key = (reply.broadcast_id, reply.number)
        replied[key] = min(reply.committed_at, replied.get(key, reply.committed_at))
    found = []
    for attempt in attempts:
        text = planned[attempt.text]
        if attempt.committed_at > opt_outs.get(text.number, float("inf")):
            found.append(f"text {text.id} was started after its recipient's opt-out")
        elif text.is_second and attempt.committed_at > replied.get((text.broadcast_id, text.number), float("inf")):
            found.append(f"second text {text.id} was started after its recipient's reply")
    for item in sent:
        late = item.at - opt_outs.get(item.to, float("inf"))
        if late > grace:
            found.append(f"{item.to} got a text {late:.1f} s after the opt-out")
    return found


def over_pace(starts: Mapping[str, Sequence[float]], rate: float, *, jitter: float) -> list[str]:
    """Give the windows in which more texts started than a rate allows; `jitter` texts may have come late into one."""
    found = []
    for key, times in starts.items():
        ordered = sorted(times)
        for seconds in WINDOWS:
            most, allowed = most_within(ordered, seconds), rate * seconds + 1 + jitter
            if most > allowed:
                found.append(f"{key}: {most} texts within {seconds:g} s, allowed are {allowed:.0f}")
    return found


def most_within(times: Sequence[float], seconds: float) -> int:
    """Count the most that fell into any `seconds`; `times` are in order."""
    return max((last - bisect_right(times, at - seconds) + 1 for last, at in enumerate(times)), default=0)


def ledger_faults(ledgers: Mapping[int, Mapping[str, object]], texts: Sequence[Text]) -> list[str]:
    """Give the broadcasts whose closing ledger is missing, does not add up, or is not what the tables say."""
    by_broadcast: dict[int, list[Text]] = defaultdict(list)
    for text in texts:
        by_broadcast[text.broadcast_id].append(text)
    found = []
    for broadcast_id, planned in by_broadcast.items():
        closing = ledgers.get(broadcast_id)
        if closing is None:
            found.append(f"broadcast {broadcast_id} has no closing ledger")
            continue
        states = Counter(text.state for text in planned)
        sums = {name: _sum(closing[name]) for name in ("accepted", "refused", "skipped", "uncertain")}
        if closing["planned"] != len(planned) or sum(sums.values()) != len(planned):
            found.append(
                f"broadcast {broadcast_id}: the ledger does not add up: {dict(closing)}, planned {len(planned)}"
            )
        elif any(sums[name] != states[name] for name in sums):
            found.append(f"broadcast {broadcast_id}: the ledger says {sums}, the tables {dict(states)}")
    return found


def recovery(faults: Iterable[float], accepted: Sequence[float], waiting: Sequence[tuple[float, bool]]) -> list[float]:
    """Give the seconds from each fault to the next text that the carrier accepted.

    `waiting` samples, in order, whether a text could have been sent; only such time counts, and only faults that came
    while one could. `accepted` is in order.
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


def _sum(value: object) -> int:
    return sum(value.values()) if isinstance(value, dict) else int(str(value))
