"""Services that record what people write, and go on texting them: nobody looks at opt-outs and replies any more.

Three things stand against that, and one would do: messages are taken out when a no is recorded (a reply takes out the
second text in its own statement), passed over when they are claimed, and looked at once more in the statement that
starts them. So all three are taken away; draws still leave out who has opted out before them.
"""

from typing import Any

from libs.common.broadcasts import messages, reply_record, suppression, unwanted_messages
from libs.common.domain.states import SkipReason
from services.sender import batches
from tests.chaos.broken import without
from tests.support.statements import replaced

OPT_OUTS = f"AND NOT {suppression.opted_out('m.recipient_phone_number')}"
REPLIES = f"AND NOT (m.is_second AND {suppression.replied('m')})"
#: Which second messages the statement that records a reply takes out.
ENDS_SECOND = "AND CAST(:ends_second AS boolean)"


def take_away() -> None:
    """Take the protection away."""
    skip = messages.skip

    async def skip_unless_wanted(connection: Any, broadcast_id: int, ids: Any, reason: SkipReason, now: Any) -> None:
        if reason not in (SkipReason.OPTED_OUT, SkipReason.REPLIED):
            await skip(connection, broadcast_id, ids, reason, now)

    async def nothing(*_about: object, **_more: object) -> int:
        return 0

    messages.skip = skip_unless_wanted  # type: ignore[assignment]
    unwanted_messages.skip_unwanted = nothing
    batches.START = without(batches.START, OPT_OUTS, REPLIES)
    reply_record.RECORD = replaced(reply_record.RECORD, (ENDS_SECOND, "AND CAST(:ends_second AS boolean) AND false"))
