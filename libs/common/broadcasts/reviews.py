"""What people do with replies: read them, and decide about those that are likely to ask for a stop."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from libs.common.broadcasts import opt_outs, repository
from libs.common.database import Connection, EnumText, first_row
from libs.common.domain import events as e
from libs.common.domain.states import ConsentSource, Review
from libs.common.errors import Conflict, NotFound
from libs.common.texts import gettext_noop as n_

#: Notes who has read a reply, once.
READ = text("""
UPDATE replies SET read_at = coalesce(read_at, :now), read_by = coalesce(read_by, :by) WHERE id = :id
RETURNING id
""")

#: Locks a reply that somebody decides about.
LOCK = text("SELECT phone_number, contact_id, review FROM replies WHERE id = :id FOR NO KEY UPDATE").columns(
    review=EnumText(Review)
)

DECIDE = text("""
UPDATE replies SET review = :review, reviewed_at = :now, reviewed_by = :by,
    read_at = coalesce(read_at, :now), read_by = coalesce(read_by, :by)
WHERE id = :id
""")


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A reply that somebody decides about."""

    #: E.164; None where it came from no phone number.
    phone_number: str | None
    contact_id: int | None
    review: Review | None


async def mark_read(connection: Connection, reply_id: int, by: str, now: datetime) -> None:
    """Note that somebody has read a reply; the first who has stays on record. Raise NotFound."""
    cursor = await connection.execute(READ, {"id": reply_id, "by": by, "now": now})
    if cursor.first() is None:
        raise NotFound(f"there is no reply {reply_id}")


async def decide(
    connection: Connection, reply_id: int, *, opts_out: bool, by: str, now: datetime, why: str = ""
) -> None:
    """Record what a person makes of a reply: that its writer wants nothing more, or that it was no opt-out.

    The former may be said of any reply with a number, the latter of one that waits; the number is free again once none
    of its replies waits. `why` is kept with the consent; without it, which reply it was. To decide again in the same
    way changes nothing. Raise NotFound, Conflict.
    """
    reply = first_row(await connection.execute(LOCK, {"id": reply_id}), Reviewed)
    if reply is None:
        raise NotFound(f"there is no reply {reply_id}")
    review = Review.OPT_OUT if opts_out else Review.NO_OPT_OUT
    if reply.review == review:
        return
    number = reply.phone_number
    if opts_out and number is None and reply.review != Review.WAITING:
        raise Conflict(n_("the reply names no phone number: nobody can be opted out by it"))
    if not opts_out and reply.review != Review.WAITING:
        raise Conflict(n_("the reply does not wait for anybody to look; a contact is let in again by itself"))
    await connection.execute(DECIDE, {"id": reply_id, "review": review, "by": by, "now": now})
    event = e.OptOutReviewed(reply_id=reply_id, contact_id=reply.contact_id, opted_out=opts_out)
    stream = f"reply-{reply_id}" if reply.contact_id is None else f"contact-{reply.contact_id}"
    await repository.append_events(connection, stream, [event], now)
    if opts_out and number is not None:
        await opt_outs.opt_out(connection, number, ConsentSource.STAFF, now, note=why or _from(reply_id))


async def opt_in(connection: Connection, reply_id: int, now: datetime, *, why: str = "") -> None:
    """Record that whoever wrote a reply wants texts again, since that is what they wrote. Raise NotFound, Conflict.

    `why` is kept with the consent; without it, which reply it was.
    """
    reply = first_row(await connection.execute(LOCK, {"id": reply_id}), Reviewed)
    if reply is None:
        raise NotFound(f"there is no reply {reply_id}")
    if reply.phone_number is None:
        raise Conflict(n_("the reply names no phone number: nobody can be let in again by it"))
    if reply.review == Review.WAITING:
        raise Conflict(n_("the reply waits for somebody to decide whether it asks for a stop"))
    await opt_outs.opt_in(connection, reply.phone_number, ConsentSource.STAFF, now, note=why or _from(reply_id))


def _from(reply_id: int) -> str:
    """Return what a consent says that follows from a reply: not its words, which are erased with the person."""
    return f"reply {reply_id}"
