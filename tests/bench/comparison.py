"""Two checkouts side by side: the same work in short rounds, now of one and now of the other, on the same busy machine.

A figure is the median of its rounds; a ratio is the median of the ratios of rounds that followed each other.
"""

import asyncio
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from tests.bench import carrier, large, replies, sending, starting
from tests.bench.checkouts import Checkout

#: What a ratio may be: at most, or for what should be large at least.
MARK = 1.1
CPU_MARK = 1.15  # of what the processes of a broadcast take for a message
RATE_MARKS = {"messages a second": 0.95, "webhooks a second": 1 / MARK}

MAKES = 3  # rounds of `/make` at most: each writes two rows a recipient
BATCHES = 4  # a round
REPLIES = 500  # a round
MESSAGES = 2000  # a round

#: What is measured, in this order.
PARTS = ("starting", "sending", "replies", "large")

Round = Callable[[], Mapping[str, float]]


@dataclass(slots=True)
class Figures:
    """What was measured of both, round by round."""

    before: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    after: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, before: Round, after: Round, rounds: int) -> None:
        """Do rounds of both, each time the other one first."""
        for number in range(rounds):
            sides = [(before, self.before), (after, self.after)]
            for work, found in sides if number % 2 else reversed(sides):
                for name, value in work().items():
                    found[name].append(value)

    def ratio(self, name: str) -> float:
        """Return how many times as much it is after as before."""
        return statistics.median(
            after / before for before, after in zip(self.before[name], self.after[name], strict=True)
        )


def mark(name: str) -> float:
    """Return what a ratio may be at most, or for a rate at least."""
    return RATE_MARKS.get(name) or (CPU_MARK if name.endswith("CPU ms a message") else MARK)


def keeps(name: str, ratio: float) -> bool:
    """Whether a ratio keeps its mark."""
    return ratio >= mark(name) if name in RATE_MARKS else ratio <= mark(name)


def compare(before: Checkout, after: Checkout, *, people: int, rounds: int, parts: Sequence[str] = PARTS) -> Figures:
    """Measure both, or some parts alone."""
    figures = Figures()
    with _folders() as (one, two):
        sides = (before, one), (after, two)
        if "starting" in parts:
            _starting(figures, *sides, rounds)
        if "sending" in parts:
            _sending(figures, *sides, rounds)
        if "replies" in parts:
            _replies(figures, *sides, rounds)
        if "large" in parts:
            _large(figures, *sides, people, rounds)
    return figures


def table(figures: Figures) -> Table:
    """Return the figures with their marks."""
    shown = Table("", "before", "after", "ratio", "mark")
    for name, values in figures.before.items():
        ratio = figures.ratio(name)
        asked = f"{'≥' if name in RATE_MARKS else '≤'} {mark(name):.2f}"
        shown.add_row(
            name,
            f"{statistics.median(values):.3g}",
            f"{statistics.median(figures.after[name]):.3g}",
            f"{ratio:.2f}",
            asked if keeps(name, ratio) else f"[bold red]{asked}[/]",
        )
    return shown


Side = tuple[Checkout, Path]


def _starting(figures: Figures, before: Side, after: Side, rounds: int) -> None:
    with starting.started(*before) as one, starting.started(*after) as two:
        for work in (one, two):  # modules are compiled
            work()
        figures.add(one, two, rounds)


def _sending(figures: Figures, before: Side, after: Side, rounds: int) -> None:
    with carrier.answering() as url:
        figures.add(
            lambda: sending.measure(*before, url, MESSAGES), lambda: sending.measure(*after, url, MESSAGES), rounds
        )


def _replies(figures: Figures, before: Side, after: Side, rounds: int) -> None:
    people = REPLIES * (rounds + 1)

    def load(where: replies.Answered) -> Round:
        places = iter(range(0, people, REPLIES))

        def work() -> Mapping[str, float]:
            first = next(places)
            took = asyncio.run(replies.load(where, range(first, first + REPLIES)))
            assert took.recorded == took.sent, took
            return {"webhooks a second": took.a_second, "a webhook, CPU ms": took.cpu}

        return work

    with replies.answered(*before, people=people) as one, replies.answered(*after, people=people) as two:
        works = load(one), load(two)
        for work in works:  # connections, statements and caches are made
            work()
        figures.add(*works, rounds)


def _large(figures: Figures, before: Side, after: Side, people: int, rounds: int) -> None:
    with ExitStack() as stack:
        one = stack.enter_context(large.filled(*before, people))
        two = stack.enter_context(large.filled(*after, people))
        figures.add(one.make, two.make, min(rounds, MAKES))
        for each in (one, two):
            each.settle()
            each.send(1)
            each.look_up()
        figures.add(lambda: one.send(BATCHES), lambda: two.send(BATCHES), rounds)
        figures.add(one.look_up, two.look_up, rounds)


@contextmanager
def _folders() -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        yield Path(one), Path(two)
