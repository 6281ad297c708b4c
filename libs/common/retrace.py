"""Which texts of a database that was restored to the past have left since, by the carrier's log. Pure.

An attempt that began after the point of the restore is not in the database, so `matching`, which goes by attempts, is
no help. Here an entry may be any text to its number that says what it says and was planned before it. Entries are given
away in the order of time, each to the oldest text that may have it, to texts whose attempt is on record before others.
That finds as many texts as can be found. Where it is not known which of two equal texts left, it may take one for the
other, but never counts fewer than left: nobody gets more texts than were planned for them.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from libs.common.carriers.bodies import normalise
from libs.common.carriers.twilio import LogEntry
from libs.common.matching import SKEW

#: How long after it took a text a provider may hand it over to Twilio.
HANDED_OVER = timedelta(hours=1)
#: An entry without a time counts as new.
NO_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A text of which no entry of the log is known."""

    text: int
    broadcast: int
    is_second: bool
    #: As in `outgoing_messages`.
    state: str
    from_number: str = field(repr=False)
    number: str = field(repr=False)
    body: str = field(repr=False)
    #: Its attempt began then; if none is on record, it was planned then, and cannot have left before.
    not_before: datetime

    @property
    def is_begun(self) -> bool:
        """Whether its attempt is on record."""
        return self.state not in ("pending", "claimed")

    def may_be(self, at: datetime) -> bool:
        """Tell whether it can have left at a time."""
        # What the carrier has taken left then. A text of a broadcast long over must not take today's entry.
        latest = self.not_before + HANDED_OVER if self.state == "accepted" else NO_TIME
        return self.not_before - SKEW <= at <= latest


def retrace(entries: Sequence[LogEntry], planned: Sequence[Planned]) -> dict[int, LogEntry]:
    """Give the entry of each text that has left, by the text's id. No entry and no text is used twice."""
    found: dict[int, LogEntry] = {}
    left = sorted(entries, key=lambda entry: (time(entry), entry.sid))
    for begun in (True, False):
        groups: dict[tuple[str, str, str], list[Planned]] = defaultdict(list)
        for text in sorted(planned, key=lambda item: (item.not_before, item.is_second, item.text)):
            if text.is_begun is begun:
                groups[text.from_number, text.number, normalise(text.body)].append(text)
        left, unused = [], left
        for entry in unused:
            group = groups.get((entry.from_number, entry.to, normalise(entry.body)), [])
            fitting = next((item for item in group if item.may_be(time(entry))), None)
            if fitting is None:
                left.append(entry)
            else:
                found[fitting.text] = entry
                group.remove(fitting)
    return found


def time(entry: LogEntry) -> datetime:
    """Give when a text left, to the second, downwards."""
    return entry.created_at or entry.sent_at or NO_TIME
