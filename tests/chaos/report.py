"""What a run came to: figures, faults found, a table, JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from libs.common import settings
from libs.common.domain.rate_windows import Window
from libs.common.rate_limits.rate import BLOCK_SECONDS
from libs.common.runtime.server import FAILED
from libs.simulator.request_log import most_within
from services.sender.app import PREFETCH
from tests.chaos import consent, pace_checks
from tests.chaos.evidence import Evidence
from tests.chaos.judge import Excuses, ledger_faults, lost, twice
from tests.chaos.plan import SENDERS

SHOWN = 8  # findings of a kind that are printed
#: Why nonsense that we have published is put aside; what the services publish can always be read.
NONSENSE = ("message_put_aside not JSON", "message_put_aside envelope: ")
#: Ends that are the plan's or by design: killed, woken past the lease, told to end (-15: before it could listen), a
#: server away at the start.
EXPECTED_ENDS = frozenset({-9, -14, -15, 0, FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The figures of a run; each finding is a line that says what is wrong."""

    seed: int
    seconds: float
    #: Faults that happened, by kind, and those that hit nothing.
    faults: dict[str, int]
    left_out: dict[str, int]
    #: The states in which they met a broadcast.
    struck: dict[str, int]
    broadcasts: int
    planned: int
    #: Messages that the carrier accepted, and attempts that were made for it.
    accepted: int
    attempts: int
    outcomes: dict[str, int]
    twice: list[str]
    lost: list[str]
    after_stop: list[str]
    over_pace: list[str]
    #: Broadcasts that did not end, ledgers that do not add up, replies that count for another broadcast, tables that
    #: history does not give, faults that did not happen.
    other: list[str]
    recover_median: float | None
    recover_worst: float | None
    #: The worst while messages left, while the follow-ups were not due, and while the log was read.
    recover: dict[str, float]
    #: By how many messages the pace was ahead of its rate at most; so many may be late.
    ahead: float
    late: int
    #: How many messages each of the provider's windows held at most.
    fullest: dict[str, int]
    most_at_once: int
    #: How processes ended, by name and status.
    ends: dict[str, int]
    alarms: dict[str, int]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not (self.twice or self.lost or self.after_stop or self.over_pace or self.other)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**asdict(self), "is_clean": self.is_clean}


def judge(
    found: Evidence,
    *,
    seed: int,
    rate: float,
    windows: Sequence[Window],
    interval: float,
    grace: float,
    is_over: bool,
    seconds: float,
    least: int,
    done: Counter[str],
    left_out: Counter[str],
    times: Sequence[tuple[float, str]],
    waiting: Sequence[tuple[float, bool]],
    deaths: Mapping[tuple[str, int], int],
    poisoned: int,
    alarms: Counter[str],
    not_rebuilt: Sequence[str],
) -> Result:
    """Judge the evidence."""
    struck = [at for at, kind in times if kind != "pause"]
    recovered = {"sending": pace_checks.recovery(struck, sorted(item.at for item in found.sent), waiting)}
    recovered |= pace_checks.lateness(struck, found.steps, interval=interval)
    all_recovered = [value for values in recovered.values() for value in values]
    # Each batch that a sender has at hand may be late with one block.
    late = len(SENDERS) * PREFETCH * max(1, int(rate * BLOCK_SECONDS))
    may = consent.answered(found.inbound, found.messages, found.sent, found.attempts)
    states = Counter(state for state in found.states.values() if state not in ("completed", "cancelled"))
    other = [f"{count} broadcasts are {state}" for state, count in states.items()]
    other += [] if is_over else ["not every broadcast was over in time"]
    other += [] if done.total() >= least else [f"only {done.total()} faults happened, {least} were to"]
    other += ledger_faults(found.ledgers, found.messages)
    other += consent.miscredited(may, found.replies)
    other += [f"{table} is not what its history gives" for table in not_rebuilt]
    other += [
        f"{count} × {what}"
        for what, count in alarms.items()
        if not (poisoned and any(reason in what for reason in NONSENSE))
    ]
    other += [
        f"{name} ended with status {status}, {count} times"
        for (name, status), count in deaths.items()
        if status not in EXPECTED_ENDS
    ]
    return Result(
        seed=seed,
        seconds=round(seconds, 1),
        faults=dict(sorted(done.items())),
        left_out=dict(left_out),
        struck=dict(pace_checks.struck(struck, found.steps)),
        broadcasts=len(found.states),
        planned=len(found.messages),
        accepted=len(found.sent),
        attempts=len(found.attempts),
        outcomes=dict(Counter(f"{message.state} {message.why or ''}".strip() for message in found.messages)),
        twice=twice(found.sent, found.messages, found.attempts),
        lost=lost(found.sent, found.messages, _excuses(found)),
        after_stop=_after_stop(found, may, grace),
        over_pace=_over_pace(found, rate, windows, late),
        other=other,
        recover_median=round(median(all_recovered), 2) if all_recovered else None,
        recover_worst=round(max(all_recovered), 2) if all_recovered else None,
        recover={state: round(max(values), 2) for state, values in recovered.items() if values},
        ahead=round(max((pace_checks.rush(at, rate).ahead for at in found.starts.values()), default=0.0), 1),
        late=late,
        fullest={_name(window): most_within(sorted(found.arrivals), window.seconds) for window in windows},
        most_at_once=found.most_at_once,
        ends=dict(Counter({f"{name} {status}": count for (name, status), count in deaths.items()})),
        alarms=dict(alarms),
    )


def _excuses(found: Evidence) -> Excuses:
    """Return for what messages may have ended unsent: an opt-out needs somebody who said so."""
    said = {message.number for message in found.inbound if consent.wish(message.body) == "stop"}
    told = {number for number, source in found.told if source == "staff"}
    return Excuses(
        refused=found.refused,
        opted_out=frozenset(said | told | found.unsubscribed),
        unreachable=frozenset(found.unreachable),
        replied=frozenset((r.broadcast_id, r.number) for r in found.replies if r.broadcast_id is not None),
        begun={attempt.message_id: attempt.committed_at for attempt in found.attempts},
        shown_until=found.shown_until,
        ended={(step.broadcast_id, step.is_second): step.at for step in found.steps if step.type == "PhaseFinished"},
    )


def _after_stop(found: Evidence, may: Mapping[str, set[int | None]], grace: float) -> list[str]:
    wanted = [*found.opt_outs, *consent.noes(found.inbound)]
    replied = consent.first_replies(found.inbound, may, found.replies)
    late = consent.after_no(found.attempts, found.sent, found.messages, wanted, replied, grace=grace)
    return late + consent.forgotten(found.inbound, (no.number for no in found.opt_outs), found.replies)


def _over_pace(found: Evidence, rate: float, windows: Sequence[Window], late: int) -> list[str]:
    """Return what was too fast: messages of a number, of all numbers for a window, and requests on their way."""
    all_starts = [at for starts in found.starts.values() for at in starts]
    over = pace_checks.over_pace(found.starts, rate, late=late)
    # On their way requests may be held up once more, as many as there may be at once.
    arrivals = {"arrivals": found.arrivals}
    over += pace_checks.over_pace(arrivals, rate * max(1, len(found.starts)), late=2 * late + found.most_at_once)
    for window in windows:
        over += pace_checks.over_pace({_name(window): all_starts}, window.requests / window.seconds, late=late)
    if found.violations:
        over.append(f"the carrier turned {found.violations} requests away for its limits")
    return over


def _name(window: Window) -> str:
    return f"{window.requests}/{window.seconds:g}"


def show(results: Sequence[Result], console: Console) -> None:
    """Print the table, and what was found."""
    kinds = sorted({kind for result in results for kind in result.faults})
    table = Table(*["", *(f"seed {result.seed}" for result in results)], title="chaos")
    for kind in kinds:
        table.add_row(kind, *(str(result.faults.get(kind, 0)) for result in results))
    table.add_section()
    for name, figures in _figures(results).items():
        table.add_row(name, *figures)
    console.print(table)
    for result in results:
        for name in ("twice", "lost", "after_stop", "over_pace", "other"):
            findings = getattr(result, name)
            for finding in findings[:SHOWN]:
                console.print(f"seed {result.seed}, {name}: {finding}", markup=False, highlight=False)
            if len(findings) > SHOWN:
                console.print(f"seed {result.seed}, {name}: … and {len(findings) - SHOWN} more")


def _figures(results: Sequence[Result]) -> dict[str, list[str]]:
    return {
        "faults that happened": [str(sum(result.faults.values())) for result in results],
        "that hit nothing": [str(sum(result.left_out.values())) for result in results],
        "broadcasts": [str(result.broadcasts) for result in results],
        "messages planned": [str(result.planned) for result in results],
        "messages accepted": [str(result.accepted) for result in results],
        "attempts": [str(result.attempts) for result in results],
        "twice": [str(len(result.twice)) for result in results],
        "lost": [str(len(result.lost)) for result in results],
        "after STOP": [str(len(result.after_stop)) for result in results],
        "over pace": [str(len(result.over_pace)) for result in results],
        "anything else": [str(len(result.other)) for result in results],
        "to recover, median s": [f"{result.recover_median}" for result in results],
        "to recover, worst s": [f"{result.recover_worst}" for result in results],
        **{
            f"  {state}": [f"{result.recover.get(state)}" for result in results]
            for state in ("sending", "waiting", "syncing")
        },
        "ahead of the pace, most messages": [f"{result.ahead} of {result.late}" for result in results],
        "fullest windows": [
            ", ".join(f"{most} of {name}" for name, most in result.fullest.items()) or "none" for result in results
        ],
        "seconds": [f"{result.seconds:.0f}" for result in results],
    }


assert settings.BATCHES_IN_FLIGHT == PREFETCH, "the allowance for late blocks counts on it"
