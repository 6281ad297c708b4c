"""`make bench`: what each step of a message costs, on a small and on a large broadcast, and how long pages take.

Figures are ratios: how much slower a step is when the broadcast has 100 times as many recipients, how much of the
allowance is used. Absolute times are printed beside them for this machine alone. With `--against PATH` this checkout is
compared with another one; `--pages` measures the pages of the desk alone, `--import` how files of contacts are read,
`--variables` how broadcasts are made in which each person has their own words.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import checkouts, comparison, imports, pace, pages, replies, steps, variables
from tests.bench.newsroom import Newsroom
from tests.support import servers

REPLIES = 500  # a second
PACE = 100.0  # messages a second
PACED = 10.0  # seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--large", type=int, default=1_000_000, help="recipients of the large broadcast")
    parser.add_argument("--small", type=int, default=10_000, help="recipients of the small one")
    parser.add_argument("--replies", type=float, default=60, help="seconds for which 500 replies a second come")
    parser.add_argument("--against", type=Path, help="another checkout, set up, to be compared with; nothing else then")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each in a comparison, and of variables")
    parser.add_argument(
        "--only", action="append", choices=comparison.PARTS, help="a part of the comparison; may be repeated"
    )
    parser.add_argument("--pages", action="store_true", help="only how long each page of the desk takes")
    parser.add_argument(
        "--import", type=int, nargs="?", const=1_000_000, dest="lines", help="only reading a file of so many"
    )
    parser.add_argument("--variables", action="store_true", help="only how broadcasts with variables are made")
    parser.add_argument("--people", type=int, default=1_000_000, help="contacts in the desk's database")
    parser.add_argument("--broadcasts", type=int, default=1_000, help="past broadcasts in it")
    given = parser.parse_args()
    if given.small < steps.FEWEST:
        parser.error(f"at least {steps.FEWEST} recipients are needed to measure both ends of a broadcast")
    try:
        if given.lines is not None:
            Console().print(imports.table(imports.measure(given.lines)))
            return
        if given.variables:
            Console().print(variables.table(variables.measure(given.large, given.rounds)))
            return
        if given.against is not None:
            against(given.against, given.large, given.rounds, given.only or comparison.PARTS)
            return
        if not given.pages:
            report(given.small, given.large, given.replies)
        desk(Newsroom(people=given.people, past=given.broadcasts))
    finally:
        servers.close()


def against(root: Path, large: int, rounds: int, parts: Sequence[str]) -> None:
    """Measure this checkout beside another one and print both."""
    figures = comparison.compare(checkouts.other(root), checkouts.THIS, people=large, rounds=rounds, parts=parts)
    Console().print(comparison.table(figures))


def report(small: int, large: int, seconds: float) -> None:
    """Measure this checkout and print it."""
    console = Console()
    console.print(_growth(asyncio.run(steps.measure(small)), asyncio.run(steps.measure(large))))
    used = asyncio.run(pace.share_used(PACE, PACED))
    console.print(f"pace used by {pace.SENDERS} senders at {PACE:.0f} messages a second: {used:.1%} of the allowance")
    one = _replies(REPLIES * 10, rate=None, workers=1)
    console.print(f"a reply: {one.cpu:.2f} ms of the API's processor time; {one.a_second:.0f} a second by one process")
    two = _replies(int(REPLIES * seconds), rate=REPLIES, workers=2)
    console.print(
        f"{REPLIES} a second for {two.seconds:.0f} s by two processes: {two.recorded:,} of {two.sent:,} on record, "
        f"p99 {two.p99:.0f} ms, {two.cpu:.2f} ms of processor time each"
    )
    console.print(variables.table(variables.measure(large, rounds=1)))


def desk(newsroom: Newsroom) -> None:
    """Measure the pages of the desk and print them."""
    console = Console()
    console.print(pages.table(pages.measure(newsroom, console.print)))


def _growth(small: steps.Measured, large: steps.Measured) -> Table:
    table = Table("step", f"{small.recipients:,} recipients", f"{large.recipients:,} recipients", "ratio")
    for name, less, more in (
        ("make, s", small.make, large.make),
        ("claim, ms a message", small.early.claim, large.early.claim),
        ("claim with half of the messages sent, ms a message", small.late.claim, large.late.claim),
        ("start, ms a message", small.early.start, large.early.start),
        ("answer, ms a message", small.early.answer, large.early.answer),
    ):
        table.add_row(name, f"{less:.3f}", f"{more:.3f}", f"{more / less:.2f}")
    return table


def _replies(people: int, *, rate: float | None, workers: int) -> replies.Measured:
    """Have so many people reply to a broadcast over so many processes of the API."""
    with (
        tempfile.TemporaryDirectory() as folder,
        replies.answered(checkouts.THIS, Path(folder), people=people, workers=workers) as where,
    ):
        return asyncio.run(replies.load(where, range(people), rate=rate))


if __name__ == "__main__":
    main()
