"""Which entry of the carrier's log is which text: one to one, by number, body and time. Pure.

A text and its entry agree on the number and on what the body says (`carriers.bodies`). Where somebody got the same
words twice, time decides: an entry belongs to the last attempt that began before it, so that a second message cannot
take the entry of the first, nor the first that of the second when only one page of the log is known. An entry that is
older than every attempt, typed by hand or sent yesterday, belongs to none.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from libs.common.carriers.bodies import normalise
from libs.common.carriers.twilio import LogEntry

#: How far the carrier's clock may be behind ours, and its times are cut to the second.
SKEW = timedelta(seconds=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A text that may be in the log."""

    text: int
    number: str = field(repr=False)
    body: str = field(repr=False)
    attempt_started_at: datetime


def match(entries: Sequence[LogEntry], candidates: Sequence[Candidate]) -> dict[int, LogEntry]:
    """Give the entry of each text that has one. No entry and no text is used twice."""
    open_texts: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for candidate in sorted(candidates, key=lambda c: (c.attempt_started_at, c.text)):
        open_texts[candidate.number, normalise(candidate.body)].append(candidate)
    found: dict[int, LogEntry] = {}
    dated = {entry.sid: entry for entry in entries if (entry.created_at or entry.sent_at) is not None}
    for entry in sorted(dated.values(), key=lambda item: (_time(item), item.sid), reverse=True):
        group = open_texts.get((entry.to, normalise(entry.body)), [])
        began_before = [c for c in group if c.attempt_started_at <= _time(entry) + SKEW]
        if began_before:
            found[began_before[-1].text] = entry
            group.remove(began_before[-1])
    return found


def _time(entry: LogEntry) -> datetime:
    time = entry.created_at or entry.sent_at
    assert time is not None
    return time
