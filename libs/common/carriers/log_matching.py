"""Which entry of the carrier's log is which message: one to one, by number, body and time. Pure.

A message and its entry agree on the number and on what the body says (`domain.text_normalization`). Where somebody got
the same words twice, time decides: an entry belongs to the last attempt that began before it, so that a second message
cannot take the entry of the first, nor the first that of the second when only one page of the log is known. An entry
that is older than every attempt, typed by hand or sent yesterday, belongs to none. Times are compared by the carrier's
clock as it was measured (`carriers.clocks`): an entry that may be as new as the attempt counts as so.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from libs.common.carriers.clocks import SAME, Offset
from libs.common.carriers.twilio import LogEntry
from libs.common.domain.text_normalization import normalise


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A message that may be in the log."""

    message_id: int
    number: str = field(repr=False)
    body: str = field(repr=False)
    attempt_started_at: datetime


def match(entries: Sequence[LogEntry], candidates: Sequence[Candidate], offset: Offset = SAME) -> dict[int, LogEntry]:
    """Return the entry of each message that has one. No entry and no message is used twice."""
    unmatched: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for candidate in sorted(candidates, key=lambda c: (c.attempt_started_at, c.message_id)):
        unmatched[candidate.number, normalise(candidate.body)].append(candidate)
    found: dict[int, LogEntry] = {}
    dated = {entry.sid: entry for entry in entries if (entry.created_at or entry.sent_at) is not None}
    for entry in sorted(dated.values(), key=lambda item: (_time(item), item.sid), reverse=True):
        group = unmatched.get((entry.to, normalise(entry.body)), [])
        began_before = [c for c in group if c.attempt_started_at <= offset.latest(_time(entry))]
        if began_before:
            found[began_before[-1].message_id] = entry
            group.remove(began_before[-1])
    return found


def _time(entry: LogEntry) -> datetime:
    time = entry.created_at or entry.sent_at
    assert time is not None
    return time
