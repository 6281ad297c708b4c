"""What a run came to: figures, faults found, a table, JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from libs.common import settings
from libs.common.serving import FAILED
from services.sender.app import PREFETCH
from services.sender.send import BLOCK_SECONDS
from tests.chaos import judge as verdicts
from tests.chaos.evidence import Evidence
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
    faults: dict[str, int]
    left_out: dict[str, int]
    broadcasts: int
    planned: int
    #: Texts that the carrier accepted, and attempts that were made for it.
    accepted: int
    attempts: int
    outcomes: dict[str, int]
    twice: list[str]
    lost: list[str]
    after_stop: list[str]
    over_pace: list[str]
    #: Broadcasts that did not end, ledgers that do not add up, forgotten replies, tables that history does not give.
    other: list[str]
    recover_median: float | None
    recover_worst: float | None
    most_at_once: int
    #: How processes ended, by name and status.
    ends: dict[str, int]
    alarms: dict[str, int]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not (self.twice or self.lost or self.after_stop or self.over_pace or self.other)

    def to_json(self) -> dict[str, Any]:
        """Give it as plain values."""
        return {**asdict(self), "is_clean": self.is_clean}


def judge(
    found: Evidence,
    *,
    seed: int,
    rate: float,
    grace: float,
    is_over: bool,
    seconds: float,
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
    accepted = sorted(item.at for item in found.sent)
    recovered = verdicts.recovery([at for at, kind in times if kind != "pause"], accepted, waiting)
    starts = {number: sorted(at) for number, at in found.starts.items()}
    block = max(1, int(rate * BLOCK_SECONDS))
    # Each batch that a sender has at hand may be late with one block.
    jitter = len(SENDERS) * PREFETCH * block
    over_pace = verdicts.over_pace(starts, rate, jitter=jitter)
    over_pace += verdicts.over_pace({"arrivals": found.arrivals}, rate * max(1, len(starts)), jitter=2 * jitter)
    if found.violations:
        over_pace.append(f"the carrier turned {found.violations} requests away for its limits")
    states = Counter(state for state in found.states.values() if state not in ("completed", "cancelled"))
    other = [f"{count} broadcasts are {state}" for state, count in states.items()]
    other += [] if is_over else ["not every broadcast was over in time"]
    other += verdicts.ledger_faults(found.ledgers, found.texts)
    other += [f"reply {sid} was taken and is not on record" for sid in found.forgotten_replies]
    other += [f"{table} is not what its history gives" for table in found.not_rebuilt or not_rebuilt]
    other += [
        f"{count} × {what}"
        for what, count in alarms.items()
        if not (poisoned and any(reason in what for reason in NONSENSE))
    ]
    ends = Counter({f"{name} {status}": count for (name, status), count in deaths.items()})
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
        broadcasts=len(found.states),
        planned=len(found.texts),
        accepted=len(found.sent),
        attempts=len(found.attempts),
        outcomes=dict(Counter(f"{text.state} {text.why or ''}".strip() for text in found.texts)),
        twice=verdicts.twice(found.sent, found.texts),
        lost=verdicts.lost(found.sent, found.texts, found.opt_outs, found.replies),
        after_stop=verdicts.after_stop(
            found.attempts, found.sent, found.texts, found.opt_outs, found.replies, grace=grace
        ),
        over_pace=over_pace,
        other=other,
        recover_median=round(median(recovered), 2) if recovered else None,
        recover_worst=round(max(recovered), 2) if recovered else None,
        most_at_once=found.most_at_once,
        ends=dict(ends),
        alarms=dict(alarms),
    )


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
        "faults": [str(sum(result.faults.values())) for result in results],
        "left out": [str(sum(result.left_out.values())) for result in results],
        "broadcasts": [str(result.broadcasts) for result in results],
        "texts planned": [str(result.planned) for result in results],
        "texts accepted": [str(result.accepted) for result in results],
        "attempts": [str(result.attempts) for result in results],
        "twice": [str(len(result.twice)) for result in results],
        "lost": [str(len(result.lost)) for result in results],
        "after STOP": [str(len(result.after_stop)) for result in results],
        "over pace": [str(len(result.over_pace)) for result in results],
        "anything else": [str(len(result.other)) for result in results],
        "to recover, median s": [f"{result.recover_median}" for result in results],
        "to recover, worst s": [f"{result.recover_worst}" for result in results],
        "seconds": [f"{result.seconds:.0f}" for result in results],
    }


assert settings.LANES == PREFETCH, "the allowance for late blocks counts on it"
