"""What is known of a message by the carrier's id."""

from dataclasses import dataclass

from sqlalchemy import text

from libs.common.database import Connection, first_row

#: Which broadcast a message is of, by the carrier's id.
OF_BROADCAST = text("SELECT broadcast_id FROM broadcast_sent_message_status WHERE twilio_id = :twilio_id")

#: Locks what is known of a message by the carrier's id.
STATUS = text("""
SELECT outgoing_message_id AS message_id, broadcast_id, twilio_sent_status AS status FROM broadcast_sent_message_status
WHERE twilio_id = :twilio_id FOR NO KEY UPDATE
""")


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """A message that the carrier has, with the last status that we know of."""

    message_id: int
    broadcast_id: int
    status: str | None


async def broadcast_of(connection: Connection, twilio_id: str) -> int | None:
    """Return the broadcast of a message; None if no message of ours has this id."""
    broadcast_id: int | None = (await connection.execute(OF_BROADCAST, {"twilio_id": twilio_id})).scalar()
    return broadcast_id


async def lock_message(connection: Connection, twilio_id: str) -> KnownMessage | None:
    """Lock what is known of a message until the transaction ends; None if no message of ours has this id."""
    return first_row(await connection.execute(STATUS, {"twilio_id": twilio_id}), KnownMessage)
