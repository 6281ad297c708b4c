"""The verdict: what two ledgers, the carrier's and the database's, say of a run. Pure functions over plain values.

The simulator's ledger is the judge of what was sent, of what people wrote and of what was refused; the database tells
what was promised: which messages were planned, how each ended, when each attempt was committed. Times are epoch
seconds. `consent.py` judges what came after a no, `pace_checks.py` how fast and how slow it went.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.planner.phase import PATIENCE
from tests.chaos.plan import SETTLE_AFTER

#: States of messages that the carrier took.
TAKEN = ("accepted", "not_handed_over")
#: How messages end.
ENDS = (*TAKEN, "refused", "skipped", "uncertain")
#: Seconds from an attempt to an entry of the log that tells, if the message is not before it, that it was never sent:
#: it is late enough by any clock, and there was time to look.
TELLS_WITHIN = SETTLE_AFTER + 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A message that the carrier accepted."""

    to: str
    #: Our number that it left from.
    from_number: str
    body: str
    at: float
    #: Whether it was handed over to the network: one that was not reaches nobody.
    left: bool = True
    #: When it reached the handset; None if it did not.
    reached_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that was planned, and how the database says that it ended."""

    id: int
    broadcast_id: int
    is_second: bool
    number: str
    #: Our number that it leaves from.
    from_number: str
    body: str
    #: The state, as in `outgoing_messages`, or `not_handed_over`.
    state: str
    #: Why it was skipped, or refused.
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt to send a text: from its commit on the request may leave."""

    message_id: int
    #: The time that is on record, by our clock. A stalled database commits it seconds later.
    started_at: float
    committed_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What somebody wrote back, as the database has it."""

    sid: str
    #: The broadcast that it counts for; None for a reply to nothing.
    broadcast_id: int | None
    number: str
    committed_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A broadcast moved on: the type of the event, and when it was committed."""

    broadcast_id: int
    type: str
    at: float
    is_second: bool = False
    #: When the follow-ups are due.
    due_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Excuses:
    """For what a message may end without having been sent."""

    #: (number, code) of everything that the carrier refused for good.
    refused: frozenset[tuple[str, str]] = frozenset()
    #: Whoever said no at some time: over the phone, to staff, or to the carrier.
    opted_out: frozenset[str] = frozenset()
    #: Numbers of which the carrier said that they take no messages.
    unreachable: frozenset[str] = frozenset()
    #: (broadcast, number) of the replies on record.
    replied: frozenset[tuple[int, str]] = frozenset()
    #: When each message was last begun, by its id.
    begun: Mapping[int, float] = field(default_factory=dict)
    #: The newest entry that the carrier's log has, whoever wrote it: what it may tell from.
    shown_until: float = 0.0
    #: When each phase ended, by broadcast and `is_second`.
    ended: Mapping[tuple[int, bool], float] = field(default_factory=dict)


def twice(sent: Sequence[Sent], messages: Sequence[Message], attempts: Sequence[Attempt] = ()) -> list[str]:
    """Return the messages that reached somebody more often than is on record; equal ones may both be meant.

    Each says when its attempts were committed, and how long after the last of them before it the carrier took it: on a
    machine that stands still, that may be longer than the settings allow the carrier.
    """
    ours = Counter((message.number, message.body) for message in messages if message.state == "accepted")
    theirs = Counter((item.to, item.body) for item in sent if item.left)
    return [
        f"{to} got {body[:40]!r} {count} times, on record are {ours[to, body]}"
        + _times(to, body, sent, messages, attempts)
        for (to, body), count in theirs.items()
        if count > max(1, ours[to, body])
    ]


def _times(to: str, body: str, sent: Sequence[Sent], messages: Sequence[Message], attempts: Sequence[Attempt]) -> str:
    ids = {message.id for message in messages if (message.number, message.body) == (to, body)}
    began = sorted(attempt.committed_at for attempt in attempts if attempt.message_id in ids)
    taken = sorted(item.at for item in sent if (item.to, item.body) == (to, body))
    if not began:
        return ""
    tried = ", ".join(f"{at - began[0]:.1f}" for at in began)
    took = ", ".join(f"{at - began[0]:.1f}" for at in taken)
    return f" (attempts at {tried} s, taken at {took} s)"


def lost(sent: Sequence[Sent], messages: Sequence[Message], excuses: Excuses) -> list[str]:
    """Return the messages that did not end as promised, and those that only one of the two ledgers knows."""
    firsts = {(message.broadcast_id, message.number): message.state for message in messages if not message.is_second}
    kept_from = Counter(item.to for item in sent if not item.left)
    found = []
    for message in messages:
        if message.state == "uncertain" and _cannot_be_told(message, excuses):
            continue
        if message.state not in TAKEN and message.state not in ("refused", "skipped"):
            found.append(f"message {message.id} is still {message.state}")
        elif message.state not in TAKEN and not _is_excused(message, excuses, firsts, kept_from):
            found.append(f"message {message.id} was {message.state} as {message.why}, which is not so")
    ours = Counter((message.number, message.body) for message in messages if message.state in TAKEN)
    kept = Counter((message.number, message.body) for message in messages if message.state == "not_handed_over")
    theirs = Counter((item.to, item.body) for item in sent)
    handed_over = Counter((item.to, item.body) for item in sent if item.left)
    for to, body in ours.keys() | theirs.keys():
        we, they = ours[to, body], theirs[to, body]
        if handed_over[to, body] > we - kept[to, body] and kept[to, body]:
            found.append(f"{to}: {body[:40]!r} was handed over, and is on record as not")
        elif they < we:
            found.append(f"{to}: {we} of {body[:40]!r} are on record as accepted, the carrier has {they}")
        elif they and not we:
            about = [x for x in messages if (x.number, x.body) == (to, body)]
            if any(x.state == "uncertain" and _cannot_be_told(x, excuses) for x in about):
                continue
            record = sorted({f"{x.state} {x.why or ''}".strip() for x in about})
            # One that was kept, and whose answer was lost, is in no log: it counts as never sent, and may be skipped.
            if handed_over[to, body] or not all(state.startswith("skipped") for state in record) or not record:
                found.append(f"{to}: the carrier has {body[:40]!r}, not on record as accepted, but as {record}")
    return found


def _cannot_be_told(message: Message, excuses: Excuses) -> bool:
    """Return whether the log showed nothing from a time at which a message's request could not still be on its way."""
    begun = excuses.begun.get(message.id)
    return begun is not None and excuses.shown_until < begun + TELLS_WITHIN


def _is_excused(
    message: Message, excuses: Excuses, firsts: Mapping[tuple[int, str], str], kept_from: Mapping[str, int]
) -> bool:
    """Return whether a message ended for a reason that was there. Nobody cancels, and there are no quiet hours."""
    if message.state == "refused":
        return (message.number, message.why or "") in excuses.refused
    match message.why:
        case "replied":
            return message.is_second and (message.broadcast_id, message.number) in excuses.replied
        case "opted_out":
            return message.number in excuses.opted_out
        case "first_refused":
            return message.is_second and firsts.get((message.broadcast_id, message.number)) == "refused"
        case "not_handed_over":
            return message.is_second and firsts.get((message.broadcast_id, message.number)) == "not_handed_over"
        case "held_for_review":
            # Nobody writes what may be a no: two messages were kept from them.
            return kept_from.get(message.number, 0) >= 2
        case "number_unreachable":
            return message.is_second and message.number in excuses.unreachable
        case "phase_over":
            # A phase ends without a message only after it has waited for its fate, which nobody could tell, for so
            # long.
            ended, begun = excuses.ended.get((message.broadcast_id, message.is_second)), excuses.begun.get(message.id)
            return ended is not None and begun is not None and ended - begun >= PATIENCE.total_seconds()
        case _:
            return False


def ledger_faults(ledgers: Mapping[int, Mapping[str, object]], messages: Sequence[Message]) -> list[str]:
    """Return the broadcasts whose closing ledger is missing, does not add up, or is not what the tables say."""
    by_broadcast: dict[int, list[Message]] = defaultdict(list)
    for message in messages:
        by_broadcast[message.broadcast_id].append(message)
    found = []
    for broadcast_id, planned in by_broadcast.items():
        closing = ledgers.get(broadcast_id)
        if closing is None:
            found.append(f"broadcast {broadcast_id} has no closing ledger")
            continue
        states = Counter(message.state for message in planned)
        sums = {name: _sum(closing.get(name, 0)) for name in ENDS}
        if closing["planned"] != len(planned) or sum(sums.values()) != len(planned):
            found.append(
                f"broadcast {broadcast_id}: the ledger does not add up: {dict(closing)}, planned {len(planned)}"
            )
        elif any(sums[name] != states[name] for name in sums):
            found.append(f"broadcast {broadcast_id}: the ledger says {sums}, the tables {dict(states)}")
    return found


def _sum(value: object) -> int:
    return sum(value.values()) if isinstance(value, dict) else int(str(value))
