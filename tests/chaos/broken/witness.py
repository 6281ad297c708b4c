"""A twilio_sync that believes the log on the word of its own broadcast, as it did once.

The log was taken for up to date where it showed a message of the broadcast that the carrier had taken later than the
one in question; where none was taken later, the last one before it; where there was none at all, without a word.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from libs.common import database
from libs.common.carriers import message_log
from libs.common.carriers.clocks import SAME, Offset
from services.twilio_sync.queries import SyncedBroadcast, UncertainMessage
from services.twilio_sync.settling import AT_ONCE, Settle

#: The newest messages that the carrier is known to have taken, of those that the log should have by now.
LAST_TAKEN = text("""
SELECT recipient_phone_number AS number, attempt_started_at AS at FROM outgoing_messages
WHERE broadcast_id = :broadcast_id AND state = 'accepted' AND attempt_started_at <= :before
  AND recipient_phone_number IS NOT NULL
ORDER BY attempt_started_at DESC LIMIT 3
""")


def take_away() -> None:
    """Take the protection away."""
    Settle._look_up = look_up  # type: ignore[assignment, method-assign]


async def look_up(settle: Settle, look: Any, uncertain: Sequence[UncertainMessage]) -> None:
    """Settle each message by what the log shows, as soon as a witness is there, or none is known."""
    offset = (await settle._newest(uncertain[0].attempt_started_at)).offset or SAME
    for message in uncertain[:AT_ONCE]:
        if not await settle._keep(look):
            return
        at = message.attempt_started_at
        lagged = await lags(settle, look.broadcast, at, offset)
        entries = await settle._log(message, offset)
        believed = bool(entries) or not (lagged or await lags(settle, look.broadcast, at, offset))
        await settle._settle(look, message, entries, offset, proven=believed)


async def lags(settle: Settle, broadcast: SyncedBroadcast, at: datetime, offset: Offset) -> bool:
    """Whether the log lacks the message that is to bear witness."""
    before = settle._worker.clock() - timedelta(seconds=settle._settings.settle_after / 2)
    async with database.transaction(settle._worker.engine) as connection:
        names = {"broadcast_id": broadcast.id, "before": before}
        taken = (await connection.execute(LAST_TAKEN, names)).mappings().all()
    witnesses = [row for row in taken if row["at"] >= at] or taken[:1]
    for row in witnesses:
        since = offset.log_time_from(row["at"])
        if await message_log.read_between(
            settle._twilio, since, from_number=broadcast.phone_numbers[0], to=row["number"]
        ):
            return False
    return bool(witnesses)
