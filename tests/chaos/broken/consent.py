"""Services that record what people write, and go on texting them: nobody looks at opt-outs and replies any more.

Three things stand against that, and one would do: texts are taken out when a no is recorded, passed over when they are
claimed, and looked at once more in the statement that starts them. So all three are taken away; draws still leave out
who has opted out before them.
"""

from typing import Any

from libs.common import texts
from services.sender import batches
from tests.chaos.broken import without

OPT_OUTS = "AND NOT EXISTS (SELECT FROM opt_outs o WHERE o.phone_number = m.recipient_phone_number)"
REPLIES = """AND NOT (m.is_second AND EXISTS (
          SELECT FROM replies r WHERE r.broadcast_id = m.broadcast_id AND r.contact_id = m.contact_id))"""


def take_away() -> None:
    """Take the protection away."""
    skip = texts.skip

    async def skip_unless_wanted(connection: Any, broadcast_id: int, ids: Any, reason: str, now: Any) -> None:
        if reason not in ("opted_out", "replied"):
            await skip(connection, broadcast_id, ids, reason, now)

    async def nothing(*_about: object, **_more: object) -> int:
        return 0

    texts.skip = skip_unless_wanted  # type: ignore[assignment]
    texts.skip_unwanted = nothing
    batches.START = without(batches.START, OPT_OUTS, REPLIES)
