"""Which messages of a database that was restored to the past were sent since, by the carrier's log. Pure.

An attempt that began after the point of the restore is not in the database, so `log_matching`, which goes by attempts,
is no help. Here an entry may be any message to its number that has the same words and was planned before it. Entries
are assigned in the order of time, each to the oldest message that may have it, to messages whose attempt is on record
before others. Messages that were skipped since the restore come last: they may have been sent before. That finds as
many messages as can be found. Where it is not known which of two equal messages was sent, it may take one for the
other, but never counts fewer than were sent: nobody gets more messages than were planned for them.

Times are compared by the carrier's clock as it was measured (`carriers.clocks`): an entry that may be as new as the
plan counts as so.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from libs.common.carriers.clocks import SAME, Offset
from libs.common.carriers.twilio import LogEntry
from libs.common.domain.states import UNSENT, MessageState
from libs.common.domain.text_normalization import normalise

#: How long after it took a message a provider may hand it over to Twilio.
HANDED_OVER = timedelta(hours=1)
#: No attempt is on record that the log may know.
NOT_BEGUN = (*UNSENT, MessageState.SKIPPED)
#: An entry without a time counts as new.
NO_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Planned:
    """A message of which no entry of the log is known."""

    message_id: int
    broadcast: int
    is_second: bool
    state: MessageState
    from_number: str = field(repr=False)
    number: str = field(repr=False)
    body: str = field(repr=False)
    #: Its attempt began then; if none is on record, it was planned then, and cannot have been sent before.
    not_before: datetime

    @property
    def turn(self) -> int:
        """Return when it may choose among the entries: those of a lower turn come first.

        First what has an attempt on record, then what was not sent as far as is known, then what is not to be sent.
        """
        if self.state in UNSENT:
            return 1
        return 2 if self.state is MessageState.SKIPPED else 0

    def may_be(self, entry: LogEntry, offset: Offset) -> bool:
        """Whether an entry may be its, by the carrier's clock, which is `offset` ahead of ours."""
        if latest(entry, offset) < self.not_before:
            return False
        # What the carrier has taken was sent then. A message of a broadcast long over must not take today's entry.
        return self.state is not MessageState.ACCEPTED or earliest(entry, offset) <= self.not_before + HANDED_OVER


def match(entries: Sequence[LogEntry], planned: Sequence[Planned], offset: Offset = SAME) -> dict[int, LogEntry]:
    """Return the entry of each message that was sent, by the message's id. No entry and no message is used twice."""
    found: dict[int, LogEntry] = {}
    remaining = sorted(entries, key=lambda entry: (time(entry), entry.sid))
    for turn in sorted({message.turn for message in planned}):
        groups: dict[tuple[str, str, str], list[Planned]] = defaultdict(list)
        for message in sorted(planned, key=lambda item: (item.not_before, item.is_second, item.message_id)):
            if message.turn == turn:
                groups[message.from_number, message.number, normalise(message.body)].append(message)
        remaining, unused = [], remaining
        for entry in unused:
            group = groups.get((entry.from_number, entry.to, normalise(entry.body)), [])
            fitting = next((item for item in group if item.may_be(entry, offset)), None)
            if fitting is None:
                remaining.append(entry)
            else:
                found[fitting.message_id] = entry
                group.remove(fitting)
    return found


def time(entry: LogEntry) -> datetime:
    """Return when a message was sent by the carrier's clock, to the second, downwards."""
    return entry.created_at or entry.sent_at or NO_TIME


def earliest(entry: LogEntry, offset: Offset) -> datetime:
    """Return the earliest time by our clock at which a message may have been sent."""
    log_time = time(entry)
    return log_time if log_time == NO_TIME else offset.earliest(log_time)


def latest(entry: LogEntry, offset: Offset) -> datetime:
    """Return the latest time by our clock at which a message may have been sent."""
    log_time = time(entry)
    return log_time if log_time == NO_TIME else offset.latest(log_time)
