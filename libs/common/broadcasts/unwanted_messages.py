"""Messages that were planned and must not leave: which they are, why, and how they are skipped.

Whoever opted out or was erased after the draw gets nothing more. A second message also needs a first one that reached
its recipient, and no reply to it.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import TextualSelect, text

from libs.common.broadcasts import messages
from libs.common.broadcasts.suppression import erased, held, opted_out, replied
from libs.common.carriers.error_codes import is_unreachable
from libs.common.database import Connection, EnumText, literals
from libs.common.domain.states import UNSENT, MessageState, Outcome, SkipReason

#: Whether Missive never handed over the first message to the recipient of `m`.
NOT_HANDED_OVER = f"""
EXISTS (SELECT FROM outgoing_messages f JOIN broadcast_sent_message_status s ON s.outgoing_message_id = f.id
        WHERE f.broadcast_id = m.broadcast_id AND f.contact_id = m.contact_id AND NOT f.is_second
          AND s.outcome = '{Outcome.NOT_HANDED_OVER}')
"""

#: Narrows statements on `m` down to the messages of a batch. It is a part of some and no part of others: with a
#: parameter that may be null, a plan made for any value would read every message of the broadcast.
OF_BATCH = "AND m.id = ANY(:message_ids)"


def _unwanted_seconds(which: str) -> TextualSelect:
    """Return what locks the second messages that must not leave, with the reason.

    They are those of who opted out, who was erased, who replied since the first message's attempt began, whose first
    message failed since the number takes none, was refused for good, was never handed over by Missive, or was skipped:
    for the same reason then.
    """
    return text(f"""
SELECT m.id, CASE
    WHEN {opted_out("m.recipient_phone_number")}
        THEN '{SkipReason.OPTED_OUT}'
    WHEN {erased("m")}
        THEN '{SkipReason.ERASED}'
    WHEN {replied("m")}
        THEN '{SkipReason.REPLIED}'
    WHEN EXISTS (SELECT FROM outgoing_messages f JOIN broadcast_sent_message_status s ON s.outgoing_message_id = f.id
                 WHERE f.broadcast_id = m.broadcast_id AND f.contact_id = m.contact_id AND NOT f.is_second
                 AND {is_unreachable("s")}) THEN '{SkipReason.NUMBER_UNREACHABLE}'
    WHEN EXISTS (SELECT FROM outgoing_messages f WHERE f.broadcast_id = m.broadcast_id
                 AND f.contact_id = m.contact_id AND NOT f.is_second AND f.state = '{MessageState.REFUSED}')
        THEN '{SkipReason.FIRST_REFUSED}'
    WHEN {NOT_HANDED_OVER} THEN '{SkipReason.NOT_HANDED_OVER}'
    ELSE (SELECT f.skip_reason FROM outgoing_messages f WHERE f.broadcast_id = m.broadcast_id
          AND f.contact_id = m.contact_id AND NOT f.is_second)
    END AS reason
FROM outgoing_messages m
WHERE m.broadcast_id = :broadcast_id AND m.is_second AND m.state IN {literals(UNSENT)} {which}
  AND ({opted_out("m.recipient_phone_number")}
       OR {erased("m")}
       OR {replied("m")}
       OR EXISTS (SELECT FROM outgoing_messages f
                  LEFT JOIN broadcast_sent_message_status s ON s.outgoing_message_id = f.id
                  WHERE f.broadcast_id = m.broadcast_id AND f.contact_id = m.contact_id AND NOT f.is_second
                  AND (f.state IN {literals((MessageState.REFUSED, MessageState.SKIPPED))}
                       OR s.outcome = '{Outcome.NOT_HANDED_OVER}' OR {is_unreachable("s")})))
ORDER BY m.id LIMIT :limit FOR NO KEY UPDATE OF m
""").columns(reason=EnumText(SkipReason))


def _unwanted_firsts(which: str) -> TextualSelect:
    """Return what locks the first messages of those who opted out, or were erased, after the draw."""
    return text(f"""
SELECT m.id, CASE
    WHEN {opted_out("m.recipient_phone_number")}
        THEN '{SkipReason.OPTED_OUT}'
    ELSE '{SkipReason.ERASED}' END AS reason
FROM outgoing_messages m
WHERE m.broadcast_id = :broadcast_id AND NOT m.is_second AND m.state IN {literals(UNSENT)} {which}
  AND ({opted_out("m.recipient_phone_number")}
       OR {erased("m")})
ORDER BY m.id LIMIT :limit FOR NO KEY UPDATE OF m
""").columns(reason=EnumText(SkipReason))


#: Lock what must not leave of a phase: of the whole broadcast, or of the messages of a batch.
UNWANTED_SECONDS = _unwanted_seconds("")
UNWANTED_SECONDS_OF_BATCH = _unwanted_seconds(OF_BATCH)
UNWANTED_FIRSTS = _unwanted_firsts("")
UNWANTED_FIRSTS_OF_BATCH = _unwanted_firsts(OF_BATCH)

#: Locks the pending messages of a phase whose numbers are held back.
HELD_BACK = text(f"""
SELECT m.id FROM outgoing_messages m
WHERE m.broadcast_id = :broadcast_id AND m.is_second = :is_second AND m.state = '{MessageState.PENDING}'
  AND {held("m.recipient_phone_number")}
ORDER BY m.id LIMIT :limit FOR NO KEY UPDATE OF m
""")


async def skip_unwanted(
    connection: Connection,
    broadcast_id: int,
    now: datetime,
    *,
    is_second: bool,
    message_ids: Sequence[int] | None = None,
) -> int:
    """Skip what must not leave: who opted out or was erased, and for second messages who replied or got no first one.

    One query finds them, a bounded number at a time. With `message_ids` it looks at those alone. Return how many.
    """
    which: dict[str, object] = {"broadcast_id": broadcast_id, "limit": messages.CHUNK}
    if message_ids is None:
        query = UNWANTED_SECONDS if is_second else UNWANTED_FIRSTS
    else:
        query = UNWANTED_SECONDS_OF_BATCH if is_second else UNWANTED_FIRSTS_OF_BATCH
        which["message_ids"] = list(message_ids)
    total = 0
    while True:
        rows = (await connection.execute(query, which)).all()
        by_reason: dict[SkipReason, list[int]] = {}
        for message_id, reason in rows:
            by_reason.setdefault(reason, []).append(message_id)
        for reason, unwanted in by_reason.items():
            await messages.skip(connection, broadcast_id, unwanted, reason, now)
        total += len(rows)
        if len(rows) < messages.CHUNK:
            return total


async def skip_held(connection: Connection, broadcast_id: int, now: datetime, *, is_second: bool) -> int:
    """Skip what remains, in a phase that is over, of those whose numbers are held back; return how many."""
    total = 0
    while True:
        cursor = await connection.execute(
            HELD_BACK, {"broadcast_id": broadcast_id, "is_second": is_second, "limit": messages.CHUNK}
        )
        held_back: list[int] = list(cursor.scalars())
        await messages.skip(connection, broadcast_id, held_back, SkipReason.HELD_FOR_REVIEW, now)
        total += len(held_back)
        if len(held_back) < messages.CHUNK:
            return total
