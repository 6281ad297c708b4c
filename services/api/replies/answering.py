"""Answer a reply from here: as a message of one, from the number that was written to, where that sends by Twilio.

Where Missive carries its texts, one answers there.
"""

from uuid import UUID

from sqlalchemy import text

from libs.common.broadcasts import reviews, single_messages
from libs.common.broadcasts.messages import number_of
from libs.common.broadcasts.single_messages import Draft
from libs.common.database import Connection
from libs.common.domain import message_bodies
from libs.common.domain.sending_numbers import CarrierName
from libs.common.domain.states import Channel, SinglePurpose
from libs.common.errors import Conflict
from libs.common.texts import gettext_noop as n_
from services.api.broadcasts import wishes
from services.api.context import Context
from services.api.http.errors import InvalidFields
from services.api.numbers import register
from services.api.replies import queries
from services.api.replies.schemas import Reply

#: The number of ours from which somebody had a broadcast.
SENT_FROM = text(f"""
SELECT n.phone_number FROM outgoing_messages m
JOIN broadcasts b ON b.id = m.broadcast_id
JOIN sending_numbers n ON n.id = {number_of("m", "b")}
WHERE m.broadcast_id = :broadcast_id AND m.contact_id = :contact_id AND NOT m.is_second
""")


async def may_answer(connection: Connection, api: Context, reply: Reply) -> bool:
    """Whether somebody can be answered from here."""
    is_text = reply.phone_number is not None and reply.channel is Channel.SMS
    return is_text and await _by_twilio(connection, api, await _answers_from(connection, api, reply))


async def _answers_from(connection: Connection, api: Context, reply: Reply) -> str:
    """Return the number that an answer leaves from: whoever wrote knows us by the one that was written to.

    Where that is not told, or is ours no more, it is the one that they had the broadcast from.
    """
    if reply.written_to in api.settings.own_numbers:
        return str(reply.written_to)
    which = {"broadcast_id": reply.broadcast_id, "contact_id": reply.contact_id}
    sent_from: str | None = (await connection.execute(SENT_FROM, which)).scalar()
    return sent_from or api.settings.from_number


async def _by_twilio(connection: Connection, api: Context, phone_number: str) -> bool:
    number = await register.of(connection, phone_number)
    return number.carrier_or(api.settings.carrier) is CarrierName.TWILIO


async def answer(connection: Connection, api: Context, reply_id: int, *, body: str, by: str, request_id: UUID) -> int:
    """Have an answer to a reply sent; return its id. Raise NotFound, Conflict, InvalidFields."""
    reply = await queries.one(connection, reply_id)
    sends_from = await _answers_from(connection, api, reply)
    if not await _by_twilio(connection, api, sends_from):
        raise Conflict(n_("texts go through Missive: answer there"))
    if reply.phone_number is None or reply.channel is not Channel.SMS:
        raise Conflict(n_("only a text message from a phone number can be answered from here"))
    try:
        words = message_bodies.checked(body)
    except ValueError as error:
        raise InvalidFields(("body", str(error))) from error
    draft = Draft(
        purpose=SinglePurpose.ANSWER,
        request_id=request_id,
        phone_number=reply.phone_number,
        body=words,
        sending_number_id=await wishes.number_id(connection, sends_from),
        reply_id=reply_id,
        broadcast_id=reply.broadcast_id,
    )
    single_id = await single_messages.ask(connection, draft, api.clock())
    await reviews.mark_read(connection, reply_id, by, api.clock())
    return single_id
