"""What the carrier's log proves about a message whose answer was lost. Pure.

**Found** is a message of which the log has an entry. **Not found** is one that is not there although the log has got
past it: it shows an entry that was created after the message can last have arrived. The entry may be anybody's and in
either direction. A log without such an entry may lag or stand still. It proves nothing, however long that lasts.

When a message can last have arrived. A worker looks whether it may still send for the last time `lease` after the
attempt began. Stopped right then, it may write its request until its alarm ends it, almost another `lease` later, and
the carrier may take `request_timeout` over it (`settings/workers.py`). Twilio logs a message as it takes it. Missive
takes a message, and hands it to Twilio later: it has the rest of `settle_after` for that.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from libs.common.carriers.clocks import Offset
from libs.common.carriers.log_matching import Candidate
from libs.common.carriers.twilio import LogEntry
from libs.common.domain.text_normalization import normalise
from libs.common.settings import CarrierSettings


def arrives_within(settings: CarrierSettings) -> timedelta:
    """Return how long after its attempt began a message can last get into Twilio's log, whoever it went through.

    A number may have another carrier by now than when the attempt began: the longest time of those in use holds.
    """
    if settings.uses_missive:
        return timedelta(seconds=settings.settle_after)
    return timedelta(seconds=2 * settings.lease + settings.request_timeout)


def has_got_past(entries: Iterable[LogEntry], arrived_by: datetime, offset: Offset, now: datetime) -> bool:
    """Whether a log shows something that was certainly created after a time. What is in the future proves nothing."""
    return any(
        entry.created_at is not None and arrived_by < offset.earliest(entry.created_at) <= now for entry in entries
    )


def may_be(entry: LogEntry, candidate: Candidate, within: timedelta, offset: Offset) -> bool:
    """Whether an entry that is not known to be another message's may be this one, whichever the matching gave it to."""
    if entry.to != candidate.number or normalise(entry.body) != normalise(candidate.body):
        return False
    log_time = entry.created_at or entry.sent_at
    if log_time is None:
        return True
    return offset.latest(log_time) >= candidate.attempt_started_at >= offset.earliest(log_time) - within
