"""Looking into the dead letters, and sending them back to the queue they came from.

A quorum queue counts how often a message was handed out, and from RabbitMQ 4.0 on drops one that was handed out more
than 20 times (https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling). To look counts, too, so a letter
that was looked at often is put in anew.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aio_pika
import aio_pika.exceptions
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, HeadersType

from libs.common import messaging, nodes, topology, tracing
from libs.common.errors import UnreadableMessage

HANDED_OUT = "x-delivery-count"
RENEW_AFTER = 10  # looks


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
    async with await nodes.connect(amqp_url) as connection:
        for service in topology.SERVICES:
            channel, taken = await _take(connection, service)
            for message in taken:
                letters.append(_describe(service, message))
                if int(str(message.headers.get(HANDED_OUT) or 0)) >= RENEW_AFTER:
                    headers = {name: value for name, value in message.headers.items() if name != HANDED_OUT}
                    await _publish(channel, message, topology.dead_letters(service).name, headers)
                    await message.ack()
    return letters


async def send_back(amqp_url: str, message_id: str | None = None) -> int:
    """Send dead letters back to their queues, all of them or the one of an id; give how many.

    Each is confirmed in its queue before it is taken out of the dead letters.
    """
    sent = 0
    async with await nodes.connect(amqp_url) as connection:
        for service in topology.SERVICES:
            channel, taken = await _take(connection, service)
            for message in taken:
                letter = _describe(service, message)
                if message_id not in (None, letter.id) or not letter.queue:
                    continue
                headers = {name: value for name, value in message.headers.items() if name == tracing.HEADER}
                await _publish(channel, message, letter.queue, headers)
                await message.ack()
                sent += 1
    return sent


async def _take(connection: AbstractConnection, service: str) -> tuple[AbstractChannel, list[AbstractIncomingMessage]]:
    """Take all of a service's dead letters: what is not acknowledged goes back when the channel closes."""
    channel = await nodes.open_channel(connection, publisher_confirms=True, on_return_raises=True)
    taken = []
    # A broker on which no service was ever started has no such queue, and no dead letters.
    with suppress(aio_pika.exceptions.ChannelNotFoundEntity):
        queue = await channel.get_queue(topology.dead_letters(service).name, ensure=False)
        while (message := await queue.get(fail=False)) is not None:
            taken.append(message)
    return channel, taken


async def _publish(
    channel: AbstractChannel, message: AbstractIncomingMessage, queue: str, headers: HeadersType
) -> None:
    """Put a copy of a message into a queue; it is there for good when this returns."""
    again = aio_pika.Message(
        message.body,
        headers=headers,
        content_type=message.content_type,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=message.message_id,
        correlation_id=message.correlation_id,
        type=message.type,
    )
    await channel.default_exchange.publish(again, routing_key=queue, mandatory=True, timeout=messaging.PUBLISH_TIMEOUT)


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
