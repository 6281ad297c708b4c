"""Looking into the dead letters, and sending them back to the queue they came from."""

from dataclasses import dataclass
from typing import Any

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from libs.common import messaging, topology, tracing
from libs.common.errors import UnreadableMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that a service could not handle."""

    service: str
    #: The message's id, or an empty text where it has none.
    id: str
    #: Its type, or `unreadable`.
    type: str
    queue: str
    reason: str
    broadcast_id: int | None


async def browse(amqp_url: str) -> list[DeadLetter]:
    """Give all dead letters; they stay where they are."""
    letters = []
    async with await aio_pika.connect(amqp_url, timeout=10) as connection:
        channel = await connection.channel()
        for service in topology.SERVICES:
            queue = await channel.get_queue(topology.dead_letters(service).name, ensure=False)
            # What is not acknowledged goes back when the channel closes.
            while (message := await queue.get(fail=False)) is not None:
                letters.append(_describe(service, message))
    return letters


async def send_back(amqp_url: str, message_id: str | None = None) -> int:
    """Send dead letters back to their queues, all of them or the one of an id; give how many.

    Each is confirmed in its queue before it is taken out of the dead letters.
    """
    sent = 0
    async with await aio_pika.connect(amqp_url, timeout=10) as connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        for service in topology.SERVICES:
            queue = await channel.get_queue(topology.dead_letters(service).name, ensure=False)
            taken = []
            while (message := await queue.get(fail=False)) is not None:
                taken.append(message)
            for message in taken:
                letter = _describe(service, message)
                if message_id not in (None, letter.id) or not letter.queue:
                    continue
                again = aio_pika.Message(
                    message.body,
                    headers={key: value for key, value in message.headers.items() if key == tracing.HEADER},
                    content_type=message.content_type,
                    delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                    message_id=message.message_id,
                    correlation_id=message.correlation_id,
                    type=message.type,
                )
                await channel.default_exchange.publish(
                    again, routing_key=letter.queue, mandatory=True, timeout=messaging.PUBLISH_TIMEOUT
                )
                await message.ack()
                sent += 1
    return sent


def _describe(service: str, message: AbstractIncomingMessage) -> DeadLetter:
    headers: dict[str, Any] = dict(message.headers)
    try:
        envelope = messaging.open_envelope(message.body)
    except UnreadableMessage:
        id_, type_, broadcast_id = message.message_id or "", "unreadable", None
    else:
        id_, type_, broadcast_id = str(envelope.id), envelope.type, envelope.data.get("broadcast_id")
    return DeadLetter(
        service=service,
        id=id_,
        type=type_,
        queue=str(headers.get(messaging.QUEUE) or headers.get("x-first-death-queue") or ""),
        reason=str(headers.get(messaging.REASON) or headers.get("x-first-death-reason") or ""),
        broadcast_id=broadcast_id if isinstance(broadcast_id, int) else None,
    )
