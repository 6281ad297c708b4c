"""How a message came, for handlers that a test calls without a broker."""

from uuid import UUID, uuid4

from libs.common.messaging.consumer import Delivery


def delivery(message_id: UUID | None = None, *, redelivered: bool = False) -> Delivery:
    """Return the delivery of a message that follows from nothing else."""
    return Delivery(message_id=message_id or uuid4(), correlation_id=uuid4(), redelivered=redelivered)


def delivery_of(message_id: UUID, correlation_id: UUID) -> Delivery:
    """Return the first delivery of a message of the outbox."""
    return Delivery(message_id=message_id, correlation_id=correlation_id, redelivered=False)
