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
from tests.chaos.judge import Attempt, Message, Reply, Sent

EVER = float("inf")
#: How much later than its message a reply may seem to be written: one carrier says when to the second, and its clock is
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
    """Return what a message asks for: Twilio's keywords, with a full stop or without."""
    match handsets.keyword(body.strip().rstrip(".")):
        case "stop":
            return "stop"
        case "start":
            return "start"
        case _:
            return None


def noes(inbound: Iterable[Inbound]) -> list[No]:
    """Return the times in which people want nothing: from the acknowledgement of a STOP to their next START."""
    found = []
    for number, written in _by_number(inbound).items():
        starts = [incoming for incoming in written if wish(incoming.body) == "start"]
        for stop in written:
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
    messages: Iterable[Message],
    wanted: Iterable[No],
    replied: Mapping[tuple[int, str], float],
    *,
    grace: float,
) -> list[str]:
    """Return the messages that left after a no.

    An attempt may not be committed after one, whatever the clocks say, since one database orders both; what was
    committed before may arrive up to `grace` seconds later. A second message is held to the first reply to its
    broadcast, whose time `replied` gives by broadcast and number, in the same way.
    """
    planned = {message.id: message for message in messages}
    times: dict[str, list[No]] = defaultdict(list)
    for no in wanted:
        times[no.number].append(no)
    found = []
    for attempt in attempts:
        message = planned[attempt.message_id]
        if any(no.since < attempt.committed_at < no.until for no in times[message.number]):
            found.append(f"message {message.id} was started after its recipient's opt-out")
        elif message.is_second and attempt.committed_at > replied.get((message.broadcast_id, message.number), EVER):
            found.append(f"second message {message.id} was started after its recipient's reply")
    for item in sent:
        late = max((item.at - no.since for no in times[item.to] if no.since < item.at < no.until), default=0.0)
        if late > grace:
            found.append(f"{item.to} got a message {late:.1f} s after the opt-out")
    return found


def forgotten(inbound: Iterable[Inbound], opted_out: Iterable[str], replies: Iterable[Reply]) -> list[str]:
    """Return what was acknowledged and is not on record: replies, and STOPs that no START has ended since."""
    known, no = {reply.sid for reply in replies}, set(opted_out)
    written = list(inbound)
    found = [
        f"reply {incoming.sid} was taken and is not on record"
        for incoming in written
        if incoming.acknowledged_at is not None and incoming.sid not in known
    ]
    last = {item.number: item for item in sorted(noes(written), key=lambda item: item.since)}
    found += [
        f"the STOP of {number} was taken and is not on record"
        for number, item in last.items()
        if item.until == EVER and number not in no
    ]
    return found


def answered(
    inbound: Iterable[Inbound], messages: Sequence[Message], sent: Iterable[Sent], attempts: Iterable[Attempt]
) -> dict[str, set[int | None]]:
    """Return the broadcasts that each message may be a reply to, by its sid; None among them if it may be to none.

    It is the one whose message, from the number that was written to, was the last to reach the person before they
    wrote. Where that was a follow-up, the one whose first message was the last to do so is as good: it may still
    have one to send. One whose message began to leave after that one had begun to, and before the message was
    taken, cannot be told from it: we know when messages begin to leave, not when they arrive, and that time is on
    record before it is committed. To a number that nothing came from, a message may be about anything that the
    person got.
    """
    by_words = {(message.number, message.from_number, message.body): message for message in messages}
    planned = {message.id: message for message in messages}
    begun: dict[str, list[tuple[float, Message]]] = defaultdict(list)
    for attempt in attempts:
        message = planned[attempt.message_id]
        begun[message.number].append((attempt.started_at, message))
    reached: dict[tuple[str, str], list[tuple[float, float, Message]]] = defaultdict(list)
    for item in sent:
        known = by_words.get((item.to, item.from_number, item.body))
        if item.reached_at is not None and known is not None:
            reached[item.to, item.from_number].append((item.reached_at, item.at, known))
    found: dict[str, set[int | None]] = {}
    for incoming in inbound:
        latest = max(incoming.at + SKEW, incoming.acknowledged_at or incoming.at)
        under_way = [(at, message) for at, message in begun[incoming.number] if at <= latest]
        before = sorted(
            (entry for entry in reached[incoming.number, incoming.to] if entry[0] <= incoming.at), key=lambda x: x[0]
        )
        if not before:
            found[incoming.sid] = {None, *(message.broadcast_id for _, message in under_way)}
            continue
        firsts = [entry for entry in before if not entry[2].is_second]
        last = (before[-1], *firsts[-1:])
        since = min(_began(message, taken_at, begun[incoming.number]) for _, taken_at, message in last)
        found[incoming.sid] = {
            *(message.broadcast_id for _, _, message in last),
            *(message.broadcast_id for at, message in under_way if at > since and message.from_number == incoming.to),
        }
    return found


def _began(message: Message, taken_at: float, begun: Iterable[tuple[float, Message]]) -> float:
    """Return when the attempt began by which the carrier got a message."""
    return max((at for at, other in begun if other.id == message.id and at <= taken_at), default=taken_at)


def miscredited(may: Mapping[str, set[int | None]], replies: Iterable[Reply]) -> list[str]:
    """Return the replies that count for a broadcast that they cannot be to, and those that nobody wrote."""
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
    """Return when the first reply to a broadcast of each person held: it was recorded, or acknowledged."""
    found: dict[tuple[int, str], float] = {}
    held = [((reply.broadcast_id, reply.number), reply.committed_at) for reply in replies]
    held += [
        ((next(iter(may[incoming.sid])), incoming.number), incoming.acknowledged_at)
        for incoming in inbound
        if incoming.acknowledged_at is not None and len(may[incoming.sid]) == 1
    ]
    for (broadcast_id, number), at in held:
        if broadcast_id is not None:
            found[broadcast_id, number] = min(at, found.get((broadcast_id, number), at))
    return found


def _by_number(inbound: Iterable[Inbound]) -> dict[str, list[Inbound]]:
    found: dict[str, list[Inbound]] = defaultdict(list)
    for incoming in inbound:
        found[incoming.number].append(incoming)
    return found
