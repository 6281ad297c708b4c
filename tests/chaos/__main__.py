"""`make chaos`: break everything while broadcasts run, and tell what came of it. Exit status 0 only if nothing did."""

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from libs import local
from tests.chaos import plan, report, rig
from tests.chaos.report import Result
from tests.chaos.service_processes import ROOT


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seeds", "--seed", default="1", help="seeds with commas between them, one run each")
    parser.add_argument("--faults", type=int, default=200, help="faults that have to happen in a run")
    parser.add_argument("--messages", type=int, default=3000, help="messages that are planned at least in a run")
    parser.add_argument("--rate", type=float, default=60.0, help="messages a second a sending number; there are two")
    parser.add_argument("--recipients", type=int, default=150, help="recipients of a broadcast")
    parser.add_argument("--spacing", type=float, default=1.0, help="seconds between two faults, on average")
    parser.add_argument("--carrier", choices=("missive", "twilio"), default="missive", help="how messages leave")
    parser.add_argument("--windows", default="", help="Missive's windows, such as 300/10,1500/60")
    parser.add_argument("--only", default="", help="kinds of faults with commas between them; all without it")
    parser.add_argument("--break", dest="broken", choices=sorted(rig.BROKEN), help="take a protection away")
    parser.add_argument(
        "--patience", type=float, default=150.0, help="seconds in which all has to end after the faults"
    )
    parser.add_argument("--logs", type=Path, help="where the logs of the services stay, a folder a seed")
    parser.add_argument("--json", action="store_true", help="print the result of each run as a line of JSON")
    read = parser.parse_args(given)
    if read.windows and read.carrier != "missive":
        parser.error("--windows are Missive's")
    return read


async def runs(given: argparse.Namespace, console: Console) -> list[Result]:
    """Do one run after the other, on the same servers."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _interrupt, asyncio.current_task())
    kinds = plan.kinds_of(given.carrier)
    wanted = [name for name in given.only.split(",") if name]
    kinds = {name: kinds[name] for name in wanted} or kinds
    results = []
    stack = await asyncio.to_thread(local.start, ROOT, ephemeral=True)
    try:
        for seed in map(int, given.seeds.split(",")):
            conditions = rig.Conditions(
                seed=seed,
                faults=plan.plan(seed, given.faults, spacing=given.spacing, kinds=kinds),
                messages=given.messages,
                least=given.faults,
                more=plan.more(seed, spacing=given.spacing, kinds=kinds),
                rate=given.rate,
                recipients=given.recipients,
                broken=given.broken,
                carrier=given.carrier,
                windows=given.windows,
                patience=given.patience,
            )
            logs = given.logs / str(seed) if given.logs else None
            results.append(await rig.run(stack, conditions, lambda line: console.print(line, highlight=False), logs))
            if given.json:
                sys.stdout.write(json.dumps(results[-1].to_json()) + "\n")
                sys.stdout.flush()
            else:
                report.show(results[-1:], console)
    finally:
        await asyncio.shield(asyncio.to_thread(stack.stop))
    return results


def _interrupt(task: "asyncio.Task[object] | None") -> None:
    if task is not None:
        task.cancel()


def main() -> int:
    """Run, and give the exit status."""
    given = arguments()
    # They tell of every connection that is lost; here that is what is meant.
    for noisy in ("aiormq", "aio_pika", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    console = Console(stderr=given.json)
    try:
        results = asyncio.run(runs(given, console))
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("interrupted; everything that was started has ended")
        return 130
    if len(results) > 1 and not given.json:
        report.show(results, console)
    return 0 if all(result.is_clean for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
