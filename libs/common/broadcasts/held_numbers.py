"""Numbers that are held back: their owners may want no more messages, and a person has not looked yet.

A likely opt-out is a row of `replies` that waits for review: what somebody wrote, or a notice where nobody wrote
anything. As long as it waits, nothing leaves for the number (`suppression.held`).
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import text

from libs.common.broadcasts import messages, opt_outs, repository
from libs.common.broadcasts.suppression import held, opted_out
from libs.common.database import Connection, first_row
from libs.common.domain import events as e
from libs.common.domain.keywords import Reason
from libs.common.domain.states import Channel, Review

#: A notice that a number is held back for something other than what its owner wrote; no row where it is already.
NOTICE = text(f"""
INSERT INTO replies (provider_id, phone_number, contact_id, body, received_at, channel, review, review_reason)
SELECT :provider_id, :phone_number, (SELECT id FROM contacts WHERE phone_number = :phone_number), '', :at,
       '{Channel.NOTICE}', '{Review.WAITING}', :reason
WHERE NOT {held(":phone_number")} AND NOT {opted_out(":phone_number")}
RETURNING id, contact_id
""")


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice in the list of replies, just written."""

    id: int
    contact_id: int | None


async def hold(
    connection: Connection,
    phone_number: str,
    reason: Reason,
    now: datetime,
    *,
    at: datetime | None = None,
    broadcast_id: int | None = None,
) -> bool:
    """Hold a number back for something that its owner did not write, until a person has looked.

    It shows in the list of replies as a likely opt-out. `at` is since when it is likely.
    False if the number has opted out, or is held back already.
    """
    await opt_outs.lock_number(connection, phone_number)
    notice = {"phone_number": phone_number, "provider_id": f"notice-{uuid4()}", "at": at or now, "reason": reason}
    written = first_row(await connection.execute(NOTICE, notice), Notice)
    if written is None:
        return False
    await suspect(connection, phone_number, written.id, written.contact_id, reason, now, broadcast_id)
    return True


async def suspect(
    connection: Connection,
    phone_number: str | None,
    reply_id: int,
    contact_id: int | None,
    reason: Reason,
    now: datetime,
    broadcast_id: int | None,
) -> None:
    """Do what follows from a likely opt-out that has just been recorded, unless something clear was said since.

    What batches have claimed goes back to wait with the rest, so that a message which is being started at this moment
    either was sent before or finds that it is claimed no more.
    """
    if phone_number is not None:
        await opt_outs.review(connection, phone_number, now)
    event = e.OptOutSuspected(reply_id=reply_id, contact_id=contact_id, reason=reason, broadcast_id=broadcast_id)
    stream = f"contact-{contact_id}" if contact_id is not None else f"reply-{reply_id}"
    await repository.append_events(connection, stream, [event], now)
    if phone_number is not None:
        await messages.give_back_claimed(connection, phone_number, now)
