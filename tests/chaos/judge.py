"""The verdict: what two ledgers, the carrier's and the database's, say of a run. Pure functions over plain values.

The simulator's ledger is the judge of what left, of what people wrote and of what was refused; the database tells what
was promised: which texts were planned, how each ended, when each attempt was committed. Times are epoch seconds.
`consent.py` judges what came after a no, `tempo.py` how fast and how slow it went.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from services.planner.next_steps import PATIENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A text that the carrier accepted."""

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
class Text:
    """A text that was planned, and how the database says that it ended."""

    id: int
    broadcast_id: int
    is_second: bool
    number: str
    #: Our number that it leaves from.
    from_number: str
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
    """For what a text may end without having been sent."""

    #: (number, code) of everything that the carrier refused for good.
    refused: frozenset[tuple[str, str]] = frozenset()
    #: Whoever said no at some time: over the phone, to staff, or to the carrier.
    opted_out: frozenset[str] = frozenset()
    #: (broadcast, number) of the replies on record.
    replied: frozenset[tuple[int, str]] = frozenset()
    #: When each text was last begun, by its id.
    begun: Mapping[int, float] = field(default_factory=dict)
    #: When each phase ended, by broadcast and `is_second`.
    ended: Mapping[tuple[int, bool], float] = field(default_factory=dict)


def twice(sent: Iterable[Sent], texts: Iterable[Text]) -> list[str]:
    """Give the texts that reached somebody more often than is on record; equal ones may both be meant."""
    ours = Counter((text.number, text.body) for text in texts if text.state == "accepted")
    theirs = Counter((item.to, item.body) for item in sent if item.left)
    return [
        f"{to} got {body[:40]!r} {count} times, on record are {ours[to, body]}"
        for (to, body), count in theirs.items()
        if count > max(1, ours[to, body])
    ]


def lost(sent: Sequence[Sent], texts: Sequence[Text], excuses: Excuses) -> list[str]:
    """Give the texts that did not end as promised, and those that only one of the two ledgers knows."""
    refused = {(text.broadcast_id, text.number) for text in texts if text.state == "refused" and not text.is_second}
    found = []
    for text in texts:
        if text.state not in ("accepted", "refused", "skipped"):
            found.append(f"text {text.id} is still {text.state}")
        elif text.state != "accepted" and not _is_excused(text, excuses, refused):
            found.append(f"text {text.id} was {text.state} as {text.why}, which is not so")
    ours = Counter((text.number, text.body) for text in texts if text.state == "accepted")
    theirs = Counter((item.to, item.body) for item in sent)
    handed_over = Counter((item.to, item.body) for item in sent if item.left)
    for to, body in ours.keys() | theirs.keys():
        we, they = ours[to, body], theirs[to, body]
        if they < we:
            found.append(f"{to}: {we} of {body[:40]!r} are on record as accepted, the carrier has {they}")
        elif they and not we:
            record = sorted({f"{x.state} {x.why or ''}".strip() for x in texts if (x.number, x.body) == (to, body)})
            # One that was kept, and whose answer was lost, is in no log: it counts as never sent, and may be skipped.
            if handed_over[to, body] or not all(state.startswith("skipped") for state in record) or not record:
                found.append(f"{to}: the carrier has {body[:40]!r}, not on record as accepted, but as {record}")
    return found


def _is_excused(text: Text, excuses: Excuses, refused: set[tuple[int, str]]) -> bool:
    """Tell whether a text ended for a reason that was there. Nobody cancels, and there are no quiet hours."""
    if text.state == "refused":
        return (text.number, text.why or "") in excuses.refused
    match text.why:
        case "replied":
            return text.is_second and (text.broadcast_id, text.number) in excuses.replied
        case "opted_out":
            return text.number in excuses.opted_out
        case "first_refused":
            return text.is_second and (text.broadcast_id, text.number) in refused
        case "phase_over":
            # A phase ends without a text only after it has waited for its fate, which nobody could tell, for so long.
            ended, begun = excuses.ended.get((text.broadcast_id, text.is_second)), excuses.begun.get(text.id)
            return ended is not None and begun is not None and ended - begun >= PATIENCE.total_seconds()
        case _:
            return False


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


def _sum(value: object) -> int:
    return sum(value.values()) if isinstance(value, dict) else int(str(value))
