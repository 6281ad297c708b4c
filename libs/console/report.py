"""A broadcast's report in words: how far it is, how fast it went, and what became of its messages."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table

from libs.common.broadcasts.outcome_kinds import NOT_GOT

COLUMNS = ("", "planned", "sent", "refused", "skipped", "uncertain", "remaining", "messages a second")
PHASES = (("first", "First message"), ("second", "Follow-up"))


def progress(report: Mapping[str, Any]) -> Table:
    """Return where a broadcast is, phase by phase."""
    table = Table(title=str(report["state"]), title_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="right" if column else "left")
    for name in ("first", "second"):
        ledger, pace = report[name]["ledger"], report[name]["pace"]
        refused, skipped = sum(ledger["refused"].values()), sum(ledger["skipped"].values())
        rate = "" if not pace["rate"] else f"{pace['rate']:.1f} of {report['allowed_rate']:g}"
        cells = (ledger["planned"], ledger["accepted"], refused, skipped, ledger["uncertain"], ledger["undecided"])
        table.add_row(f"{name} message", *map(str, cells), rate)
    table.caption = (
        f"{report['replies']} replies{_others(report)}, {report['opt_outs']} said STOP, "
        f"{report['delivered']} delivered, "
        f"{report['undelivered']} not delivered, {report['unreachable']} at numbers that take no messages"
    )
    return table


def _others(report: Mapping[str, Any]) -> str:
    """Return how many answered otherwise than in words of their own; empty where nobody did."""
    said = ", ".join(f"{people} {kind.replace('_', ' ')}" for kind, people in report["other_replies"].items())
    return f" ({said} besides)" if said else ""


def going(report: Mapping[str, Any]) -> Group:
    """Return where a broadcast is, over a bar: how many of its messages have left, or never will."""
    ledgers = [report[name]["ledger"] for name in ("first", "second")]
    planned = sum(ledger["planned"] for ledger in ledgers)
    left = sum(ledger["undecided"] for ledger in ledgers)
    return Group(progress(report), ProgressBar(total=planned or 1, completed=planned - left))


def outcomes(found: Mapping[str, Any], *, only_wrong: bool = False) -> list[Table]:
    """Return what became of the messages, in words: a table for each phase that has any."""
    tables = []
    for name, title in PHASES:
        rows = [each for each in found[name]["outcomes"] if not only_wrong or each["kind"] in NOT_GOT]
        if not rows:
            continue
        table = Table(title=title, title_justify="left")
        table.add_column("messages", justify="right")
        for column in ("what became of them", "code", "what to do"):
            table.add_column(column)
        for each in rows:
            table.add_row(str(each["messages"]), each["sentence"], each["code"] or "", each["advice"])
        phase = found[name]
        without = f"; of {phase['no_word']} there is no word" if phase["no_word"] else ""
        table.caption = f"{phase['delivered']} of {phase['planned']} got it{without}"
        tables.append(table)
    return tables


def expected(found: Mapping[str, Any]) -> list[str]:
    """Put into words who would get a broadcast."""
    lines = [f"Goes to {_between(found['gets_it'])} people."]
    lines += [
        f"{each['name']}: {_between(each['gets_it'])} of {_between(each['quota'])} wanted, "
        f"of {each['members']:,} who may get it"
        for each in found["segments"]
    ]
    if (filling := found["fallback"]) is not None:
        lines.append(
            f"{filling['name']} fills up: {_between(filling['gets_it'])} of {_between(filling['quota'])} missing, "
            f"of {filling['members']:,} who may get it"
        )
    if found["spare"]["most"]:
        lines.append(f"Over what is wanted, by lot: {_between(found['spare'])}")
    lines += _left_out(found)
    for cap in found["frequency_caps"]:
        lines.append(f"Nobody gets more than {cap['texts']} texts in {cap['days']} days.")
    return lines


def drawn(found: Mapping[str, Any]) -> list[str]:
    """Put into words who was left out of a broadcast, and who filled it up."""
    lines = []
    if filling := found.get("fallback"):
        lines.append(f"{filling['name']} filled up: {filling['drawn'] or 0:,} of {filling['quota'] or 0:,} missing")
    return [*lines, *_left_out(found)]


def _left_out(found: Mapping[str, Any]) -> list[str]:
    return [f"Left out, {each['people']:,}: {each['sentence']}" for each in found.get("left_out", ())]


def _between(found: Mapping[str, int]) -> str:
    least, most = found["least"], found["most"]
    return f"{most:,}" if least == most else f"{least:,} to {most:,}"
