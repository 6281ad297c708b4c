"""Send a message again although nobody knows whether it was sent: a person decides so, by name, on record.

Nothing else sends an uncertain message again without proof that it was never sent
(`libs/common/carriers/log_evidence.py`). The person has asked the recipient, or knows better than the log; that it may
come twice is theirs to decide. Nobody decides over a no: who has opted out, or replied, gets nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from libs.common.broadcasts import repository
from libs.common.broadcasts.suppression import erased, held, opted_out, replied
from libs.common.database import Connection, EnumText, first_row
from libs.common.domain import events as e
from libs.common.domain.states import BroadcastState, MessageState
from libs.common.errors import Conflict, NotFound
from libs.common.eventstore import store
from libs.common.observability import redaction
from libs.common.texts import gettext_noop as n_

#: Locks a message of a broadcast; tells whether its recipient wants nothing more.
MESSAGE = text(f"""
SELECT m.is_second, m.state, m.recipient_phone_number IS NULL OR {erased("m")} AS is_erased,
       {opted_out("m.recipient_phone_number")} AS is_opted_out, {held("m.recipient_phone_number")} AS is_held,
       m.is_second AND {replied("m")} AS has_replied
FROM outgoing_messages m WHERE m.id = :message_id AND m.broadcast_id = :broadcast_id FOR NO KEY UPDATE OF m
""").columns(state=EnumText(MessageState))


@dataclass(frozen=True, slots=True)
class Wanted:
    """A message that somebody wants to send again, and what may speak against it."""

    is_second: bool
    state: MessageState
    is_erased: bool
    is_opted_out: bool
    is_held: bool
    has_replied: bool


async def send_again(
    connection: Connection, broadcast_id: int, message_id: int, *, by: str, reason: str, now: datetime
) -> None:
    """Put an uncertain message back into the pool because somebody says so.

    Raise NotFound; raise Conflict unless it is uncertain, its phase still runs and its recipient wants it.
    """
    broadcast = await repository.load(connection, broadcast_id)
    cursor = await connection.execute(MESSAGE, {"message_id": message_id, "broadcast_id": broadcast_id})
    message = first_row(cursor, Wanted)
    if message is None:
        raise NotFound(f"broadcast {broadcast_id} has no message {message_id}")
    if message.state != MessageState.UNCERTAIN:
        raise Conflict(n_("it is known what became of this message: only one of which nobody knows is sent again"))
    phase = BroadcastState.SENDING_SECOND if message.is_second else BroadcastState.SENDING_FIRST
    if phase not in (broadcast.state, broadcast.paused_from):
        raise Conflict(n_("the phase of this message is over"))
    for is_unwanted, words in (
        (message.is_erased, n_("the recipient was erased")),
        (message.is_opted_out, n_("the recipient has opted out")),
        (message.is_held, n_("the recipient may have opted out, and nobody has looked at their reply yet")),
        (message.has_replied, n_("the recipient has replied")),
    ):
        if is_unwanted:
            raise Conflict(words)
    event = e.MessageSentAgain(
        broadcast_id=broadcast_id,
        message_id=message_id,
        # Events hold no phone number, whoever writes it.
        by=redaction.redact_numbers(by),
        reason=redaction.redact_numbers(reason),
        not_before=now,
    )
    await repository.append_events(connection, store.stream(broadcast_id, "messages"), [event], now, publish=True)
