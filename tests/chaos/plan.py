"""What goes wrong, and when: a pure function of the seed.

Each kind of fault says how often it comes and draws its own measures. Measures stay within what the system promises
(`docs/reliability.md`): a request may be held up on its way, but arrives, if at all, well before its message is
settled; the log may lag, or stand still, for as long as it likes, and the carriers' clocks may be off by seconds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

SENDERS = ("sender1", "sender2", "sender3")
SERVICES = ("planner1", "planner2", *SENDERS, "twilio_sync1", "twilio_sync2", "api")
LINKS = ("database", "broker", "carrier")
#: Who uses which link.
USERS: Mapping[str, tuple[str, ...]] = {
    "database": SERVICES,
    "broker": tuple(name for name in SERVICES if name != "api"),
    "carrier": tuple(name for name in SERVICES if name.startswith(("sender", "twilio_sync"))),
}
#: The longest that a link may swallow what is sent over it, in seconds.
LONGEST_HOLE = {"database": 4.0, "broker": 5.0, "carrier": 1.2}
#: What only one of the two carriers can do.
MISSIVE_ONLY = frozenset({"never_handed_over"})
#: Seconds before the services look up a message whose answer was lost.
SETTLE_AFTER = 6.0
#: Seconds for which the log shows nothing new when answers are lost: long enough to seem to say that they were never
#: sent.
SILENCE = (2 * SETTLE_AFTER, 10 * SETTLE_AFTER)
CLOCKS = ("missive", "twilio")
BREATH = (0.5, 1.5)  # the least and the most between two faults, as shares of the spacing


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault."""

    #: Seconds from the beginning.
    at: float
    kind: str
    #: A process, a link, or a link of one process as `link/process`.
    target: str = ""
    #: How long it lasts.
    seconds: float = 0.0
    #: How many requests or messages it hits.
    count: int = 1
    #: The state that a broadcast has to be in first; any, if none is named.
    phase: str = ""


Measures = Callable[[Random], tuple[str, float, int]]


@dataclass(frozen=True, slots=True)
class Kind:
    """How often a kind of fault comes, and how it draws its target, seconds and count."""

    weight: float
    measures: Measures


def _service(random: Random) -> str:
    """Choose a process, senders more often: they are where a message can be lost or doubled."""
    return random.choice(SENDERS if random.random() < 0.5 else SERVICES)


def _process(shortest: float = 0.0, longest: float = 0.0) -> Measures:
    return lambda random: (_service(random), random.uniform(shortest, longest), 1)


def _link(shortest: float, longest: float | None = None, *, links: Sequence[str] = LINKS) -> Measures:
    def draw(random: Random) -> tuple[str, float, int]:
        link = random.choice(links)
        target = link if random.random() < 0.6 else f"{link}/{random.choice(USERS[link])}"
        return target, random.uniform(shortest, LONGEST_HOLE[link] if longest is None else longest), 1

    return draw


def _requests(least: int, most: int, shortest: float = 0.0, longest: float = 0.0) -> Measures:
    return lambda random: ("", random.uniform(shortest, longest), random.randint(least, most))


KINDS: Mapping[str, Kind] = {
    # processes
    "kill": Kind(12, _process()),
    "stop_briefly": Kind(5, _process(0.2, 1.6)),
    "stop_past_the_lease": Kind(7, _process(2.4, 8.0)),
    "terminate": Kind(3, _process()),
    # servers
    "database_crash": Kind(6, _requests(1, 1)),
    "broker_crash": Kind(2, _requests(1, 1)),
    "broker_wiped": Kind(1.5, _requests(1, 1)),
    "queues_deleted": Kind(4, _requests(1, 1)),
    # links
    "cut": Kind(9, _link(0, 0)),
    "refuse": Kind(4, _link(0.3, 3.0)),
    "delay": Kind(5, _link(1.0, 4.0)),
    "swallow": Kind(8, _link(0.3)),
    # messages
    "duplicate": Kind(6, _requests(5, 40)),
    "reorder": Kind(5, _requests(5, 40, 0.5, 4.0)),
    "poison": Kind(1, _requests(1, 3)),
    # the carriers
    "rate_limited": Kind(3, _requests(1, 3)),
    "error_before": Kind(3, _requests(1, 4)),
    "error_after": Kind(5, _requests(1, 4)),
    "cut_before": Kind(3, _requests(1, 4)),
    "cut_after": Kind(6, _requests(1, 6)),
    "gateway_refuses": Kind(3, _requests(1, 4)),
    "gateway_fails": Kind(2, _requests(1, 4)),
    "slow": Kind(4, _requests(1, 3, 1.6, 3.0)),
    "never_handed_over": Kind(2, _requests(1, 3)),
    "log_unreadable": Kind(3, _requests(1, 6)),
    "log_lag": Kind(2, _requests(2, 20, 0.3, 1.0)),
    "log_stands_still": Kind(3, _requests(20, 60, 6.0, 15.0)),
    "silence_at_the_start": Kind(1.5, _requests(1, 1, *SILENCE)),
    "silence_in_the_middle": Kind(1.5, _requests(1, 1, *SILENCE)),
    "silence_after_a_pause": Kind(1, _requests(1, 1, *SILENCE)),
    "silence_in_the_second_phase": Kind(1, _requests(1, 1, *SILENCE)),
    "clock_drifts": Kind(2, lambda random: (random.choice(CLOCKS), random.uniform(10.0, 40.0), 1)),
    "shift_pages": Kind(3, _requests(2, 10)),
    "skip_entries": Kind(2, _requests(2, 10)),
    "webhook_twice": Kind(3, _requests(5, 30)),
    "webhook_late": Kind(2, _requests(3, 10, 0.5, 3.0)),
    # people
    "make_twice": Kind(2, _requests(2, 4)),
    "batch_by_hand": Kind(4, _requests(1, 5)),
    "sync_by_hand": Kind(3, _requests(1, 5)),
    "pause": Kind(3, _requests(1, 1, 0.3, 2.0)),
    "opt_out_by_staff": Kind(3, _requests(1, 10)),
    "change_of_mind": Kind(3, _requests(1, 4, 0.2, 2.0)),
}


def kinds_of(carrier: str) -> Mapping[str, Kind]:
    """Return the kinds that may come where messages leave by way of this carrier."""
    return {name: kind for name, kind in KINDS.items() if carrier == "missive" or name not in MISSIVE_ONLY}


def plan(seed: int, count: int, *, spacing: float, kinds: Mapping[str, Kind] = KINDS) -> tuple[Fault, ...]:
    """Return `count` faults, `spacing` seconds apart on average; each kind occurs if there are faults enough."""
    random = Random(seed)
    names = list(kinds) if count >= len(kinds) else []
    names += random.choices(list(kinds), [kind.weight for kind in kinds.values()], k=count - len(names))
    random.shuffle(names)
    faults, at = [], 0.0
    for name in names:
        at += spacing * random.uniform(*BREATH)
        target, seconds, hits = kinds[name].measures(random)
        faults.append(Fault(at=at, kind=name, target=target, seconds=seconds, count=hits))
    return tuple(faults)


def more(seed: int, *, spacing: float, kinds: Mapping[str, Kind] = KINDS) -> Iterator[Fault]:
    """Yield faults without an end, for those of a plan that hit nothing; `at` counts from the fault before."""
    random = Random(f"more of {seed}")
    while True:
        name = random.choices(list(kinds), [kind.weight for kind in kinds.values()])[0]
        target, seconds, hits = kinds[name].measures(random)
        yield Fault(at=spacing * random.uniform(*BREATH), kind=name, target=target, seconds=seconds, count=hits)


def directed(*steps: tuple[float, str, str, float, int]) -> tuple[Fault, ...]:
    """Return a plan that is written by hand, as (at, kind, target, seconds, count)."""
    return tuple(
        Fault(at=at, kind=kind, target=to, seconds=seconds, count=count) for at, kind, to, seconds, count in steps
    )
