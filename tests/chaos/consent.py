"""What people wrote back, by the carrier's own ledger, and whether it was heeded. Pure functions over plain values.

What was acknowledged (2xx) has been recorded: from then on it holds. Two messages of one person of which the second was
written before the first was acknowledged may be taken in either order, since only one of the two carriers says when a
message was written; nothing is concluded from them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from libs.simulator import handsets
from tests.chaos.judge import Attempt, Reply, Sent, Text

EVER = float("inf")
#: How much later than its text a reply may seem to be written: one carrier says when to the second, and its clock is
#: not ours.
SKEW = 5.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """A message that somebody wrote to one of our numbers."""

    sid: str
    number: str
    #: Our number.
    to: str
    body: str
    at: float
    #: When the first webhook about it was answered with 2xx; None if none was.
    acknowledged_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class No:
    """A time in which somebody wants nothing."""

    number: str
    since: float
    until: float = EVER


def wish(body: str) -> Literal["stop", "start"] | None:
    """Tell what a message asks for: Twilio's keywords, with a full stop or without."""
    match handsets.keyword(body.strip().rstrip(".")):
        case "stop":
            return "stop"
        case "start":
            return "start"
        case _:
            return None


def noes(inbound: Iterable[Inbound]) -> list[No]:
    """Give the times in which people want nothing: from the acknowledgement of a STOP to their next START."""
    found = []
    for number, messages in _by_number(inbound).items():
        starts = [message for message in messages if wish(message.body) == "start"]
        for stop in messages:
            if wish(stop.body) != "stop" or stop.acknowledged_at is None:
                continue
            since = stop.acknowledged_at
            if any(start.at < since and (start.acknowledged_at or EVER) > stop.at for start in starts):
                continue  # in either order
            until = min((start.at for start in starts if start.at >= since), default=EVER)
            found.append(No(number=number, since=since, until=until))
    return found


def after_no(
    attempts: Iterable[Attempt],
    sent: Iterable[Sent],
    texts: Iterable[Text],
    wanted: Iterable[No],
    replied: Mapping[tuple[int, str], float],
    *,
    grace: float,
) -> list[str]:
    """Give the texts that left after a no.

    An attempt may not be committed after one, whatever the clocks say, since one database orders both; what was
    committed before may arrive up to `grace` seconds later. A second message is held to the first reply to its
    broadcast, whose time `replied` gives by broadcast and number, in the same way.
    """
    planned = {text.id: text for text in texts}
    times: dict[str, list[No]] = defaultdict(list)
    for no in wanted:
        times[no.number].append(no)
    found = []
    for attempt in attempts:
        text = planned[attempt.text]
        if any(no.since < attempt.committed_at < no.until for no in times[text.number]):
            found.append(f"text {text.id} was started after its recipient's opt-out")
        elif text.is_second and attempt.committed_at > replied.get((text.broadcast_id, text.number), EVER):
            found.append(f"second text {text.id} was started after its recipient's reply")
    for item in sent:
        late = max((item.at - no.since for no in times[item.to] if no.since < item.at < no.until), default=0.0)
        if late > grace:
            found.append(f"{item.to} got a text {late:.1f} s after the opt-out")
    return found


def forgotten(inbound: Iterable[Inbound], opted_out: Iterable[str], replies: Iterable[Reply]) -> list[str]:
    """Give what was acknowledged and is not on record: replies, and STOPs that no START has ended since."""
    known, no = {reply.sid for reply in replies}, set(opted_out)
    messages = list(inbound)
    found = [
        f"reply {message.sid} was taken and is not on record"
        for message in messages
        if message.acknowledged_at is not None and message.sid not in known
    ]
    last = {item.number: item for item in sorted(noes(messages), key=lambda item: item.since)}
    found += [
        f"the STOP of {number} was taken and is not on record"
        for number, item in last.items()
        if item.until == EVER and number not in no
    ]
    return found


def answered(
    inbound: Iterable[Inbound], texts: Sequence[Text], sent: Iterable[Sent], attempts: Iterable[Attempt]
) -> dict[str, set[int | None]]:
    """Give the broadcasts that each message may be a reply to, by its sid; None among them if it may be to none.

    It is the one whose text, from the number that was written to, was the last to reach the person before they wrote.
    Where that was a follow-up, the one whose first text was the last to do so is as good: it may still have one to
    send. One whose text began to leave after that one had begun to, and before the message was taken, cannot be told
    from it: we know when texts begin to leave, not when they arrive. To a number that nothing came from, a message may
    be about anything that the person got.
    """
    by_words = {(text.number, text.from_number, text.body): text for text in texts}
    planned = {text.id: text for text in texts}
    begun: dict[str, list[tuple[float, Text]]] = defaultdict(list)
    for attempt in attempts:
        text = planned[attempt.text]
        begun[text.number].append((attempt.committed_at, text))
    reached: dict[tuple[str, str], list[tuple[float, float, Text]]] = defaultdict(list)
    for item in sent:
        known = by_words.get((item.to, item.from_number, item.body))
        if item.reached_at is not None and known is not None:
            reached[item.to, item.from_number].append((item.reached_at, item.at, known))
    found: dict[str, set[int | None]] = {}
    for message in inbound:
        latest = max(message.at + SKEW, message.acknowledged_at or message.at)
        under_way = [(at, text) for at, text in begun[message.number] if at <= latest]
        before = sorted(
            (entry for entry in reached[message.number, message.to] if entry[0] <= message.at), key=lambda x: x[0]
        )
        if not before:
            found[message.sid] = {None, *(text.broadcast_id for _, text in under_way)}
            continue
        firsts = [entry for entry in before if not entry[2].is_second]
        last = (before[-1], *firsts[-1:])
        since = min(_began(text, taken_at, begun[message.number]) for _, taken_at, text in last)
        found[message.sid] = {
            *(text.broadcast_id for _, _, text in last),
            *(text.broadcast_id for at, text in under_way if at > since and text.from_number == message.to),
        }
    return found


def _began(text: Text, taken_at: float, begun: Iterable[tuple[float, Text]]) -> float:
    """Give when the attempt began by which the carrier got a text."""
    return max((at for at, other in begun if other.id == text.id and at <= taken_at), default=taken_at)


def miscredited(may: Mapping[str, set[int | None]], replies: Iterable[Reply]) -> list[str]:
    """Give the replies that count for a broadcast that they cannot be to, and those that nobody wrote."""
    return [
        f"reply {reply.sid} counts for broadcast {reply.broadcast_id}, and is to {sorted(map(str, may[reply.sid]))}"
        if reply.sid in may
        else f"reply {reply.sid} is on record, and nobody wrote it"
        for reply in replies
        if reply.broadcast_id not in may.get(reply.sid, ())
    ]


def first_replies(
    inbound: Iterable[Inbound], may: Mapping[str, set[int | None]], replies: Iterable[Reply]
) -> dict[tuple[int, str], float]:
    """Give when the first reply to a broadcast of each person held: it was recorded, or acknowledged."""
    found: dict[tuple[int, str], float] = {}
    held = [((reply.broadcast_id, reply.number), reply.committed_at) for reply in replies]
    held += [
        ((next(iter(may[message.sid])), message.number), message.acknowledged_at)
        for message in inbound
        if message.acknowledged_at is not None and len(may[message.sid]) == 1
    ]
    for (broadcast_id, number), at in held:
        if broadcast_id is not None:
            found[broadcast_id, number] = min(at, found.get((broadcast_id, number), at))
    return found


def _by_number(inbound: Iterable[Inbound]) -> dict[str, list[Inbound]]:
    found: dict[str, list[Inbound]] = defaultdict(list)
    for message in inbound:
        found[message.number].append(message)
    return found
