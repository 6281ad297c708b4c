"""Answer a reply from here: as a message of one, by Twilio. Where Missive carries the texts, one answers there."""

from uuid import UUID

from sqlalchemy import text

from libs.common.broadcasts import reviews, single_messages
from libs.common.broadcasts.single_messages import Draft
from libs.common.database import Connection
from libs.common.domain import message_bodies
from libs.common.domain.states import Channel, SinglePurpose
from libs.common.errors import Conflict
from libs.common.texts import gettext_noop as n_
from services.api.broadcasts import wishes
from services.api.context import Context
from services.api.http.errors import InvalidFields
from services.api.replies import queries
from services.api.replies.schemas import Reply

#: The number of ours that a broadcast was sent from: whoever wrote knows us by it.
SENT_FROM = text("SELECT sending_number_id FROM broadcasts WHERE id = :broadcast_id")


def may_answer(api: Context, reply: Reply) -> bool:
    """Whether somebody can be answered from here."""
    return api.settings.carrier == "twilio" and reply.phone_number is not None and reply.channel is Channel.SMS


async def answer(connection: Connection, api: Context, reply_id: int, *, body: str, by: str, request_id: UUID) -> int:
    """Have an answer to a reply sent; return its id. Raise NotFound, Conflict, InvalidFields."""
    reply = await queries.one(connection, reply_id)
    if api.settings.carrier != "twilio":
        raise Conflict(n_("texts go through Missive: answer there"))
    if not may_answer(api, reply):
        raise Conflict(n_("only a text message from a phone number can be answered from here"))
    try:
        words = message_bodies.checked(body)
    except ValueError as error:
        raise InvalidFields(("body", str(error))) from error
    assert reply.phone_number is not None
    sent_from: int | None = (await connection.execute(SENT_FROM, {"broadcast_id": reply.broadcast_id})).scalar()
    draft = Draft(
        purpose=SinglePurpose.ANSWER,
        request_id=request_id,
        phone_number=reply.phone_number,
        body=words,
        sending_number_id=sent_from or await wishes.number_id(connection, api.settings.from_number),
        reply_id=reply_id,
        broadcast_id=reply.broadcast_id,
    )
    single_id = await single_messages.ask(connection, draft, api.clock())
    await reviews.mark_read(connection, reply_id, by, api.clock())
    return single_id
