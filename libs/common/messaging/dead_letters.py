"""Looking into the dead letters, sending them back to the queue they came from, and dropping them.

A quorum queue counts how often a message was handed out, and from RabbitMQ 4.0 on drops one that was handed out more
than 20 times (https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling). To look counts, too, so a letter
that was looked at often is put in anew.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aio_pika
import aio_pika.exceptions
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, HeadersType

from libs.common.errors import UnreadableMessage
from libs.common.messaging import consumer, topology
from libs.common.messaging.connection import connect, open_channel
from libs.common.messaging.envelope import open_envelope
from libs.common.observability import spans

HANDED_OUT = "x-delivery-count"
RENEW_AFTER = 10  # looks
NEXT_WITHIN = 2.0  # seconds for the next letter to come
CONFIRMED_WITHIN = 10.0  # seconds for the broker to take a letter back

#: Why the broker itself put a message aside, in words.
BY_THE_BROKER = {
    "delivery_limit": f"handed to a worker {topology.DELIVERY_LIMIT} times, and none has finished it",
    "expired": "it waited too long",
    "maxlen": "its queue was full",
    "rejected": "a worker refused it",
}


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
    """Return all dead letters; they stay where they are."""
    letters = []
    async with await connect(amqp_url) as connection:
        for service in topology.SERVICES:
            channel, taken = await _take(connection, service)
            letters += [_describe(service, message) for message in taken]
            old = [each for each in taken if int(str(each.headers.get(HANDED_OUT) or 0)) >= RENEW_AFTER]
            await asyncio.gather(*(_renew(channel, message, service) for message in old))
    return letters


async def send_back(amqp_url: str, message_id: str | None = None) -> int:
    """Send dead letters back to their queues, all of them or the one of an id; return how many.

    Each is confirmed in its queue before it is taken out of the dead letters.
    """

    async def send(channel: AbstractChannel, message: AbstractIncomingMessage, letter: DeadLetter) -> None:
        headers = {name: value for name, value in message.headers.items() if name == spans.HEADER}
        await _publish(channel, message, letter.queue, headers)
        await message.ack()

    sent = 0
    async with await connect(amqp_url) as connection:
        for service in topology.SERVICES:
            channel, taken = await _take(connection, service)
            chosen = [pair for pair in _named(service, taken, message_id) if pair[1].queue]
            await asyncio.gather(*(send(channel, *pair) for pair in chosen))
            sent += len(chosen)
    return sent


async def drop(amqp_url: str, message_id: str | None = None) -> list[DeadLetter]:
    """Remove dead letters for good, all of them or the one of an id; return what they were."""
    dropped = []
    async with await connect(amqp_url) as connection:
        for service in topology.SERVICES:
            _, taken = await _take(connection, service)
            for message, letter in _named(service, taken, message_id):
                await message.ack()
                dropped.append(letter)
    return dropped


def _named(
    service: str, taken: list[AbstractIncomingMessage], message_id: str | None
) -> list[tuple[AbstractIncomingMessage, DeadLetter]]:
    """Return each message, or the one of an id, with what it is."""
    described = [(message, _describe(service, message)) for message in taken]
    return [(message, letter) for message, letter in described if message_id in (None, letter.id)]


async def _take(connection: AbstractConnection, service: str) -> tuple[AbstractChannel, list[AbstractIncomingMessage]]:
    """Take all of a service's dead letters: what is not acknowledged goes back when the channel closes."""
    channel = await open_channel(connection, publisher_confirms=True, on_return_raises=True)
    taken: list[AbstractIncomingMessage] = []
    try:
        queue = await channel.declare_queue(topology.dead_letters(service).name, passive=True)
    except aio_pika.exceptions.ChannelNotFoundEntity:
        # A broker on which no service was ever started has no such queue, and no dead letters.
        return channel, taken
    waiting = queue.declaration_result.message_count or 0
    came = asyncio.Event()

    async def take(message: AbstractIncomingMessage) -> None:
        taken.append(message)
        came.set()

    if waiting:
        # They are consumed, since to get them one by one takes a journey each.
        tag = await queue.consume(take)
        with suppress(TimeoutError):  # somebody else may have taken some meanwhile
            while len(taken) < waiting:
                came.clear()
                async with asyncio.timeout(NEXT_WITHIN):
                    await came.wait()
        await queue.cancel(tag)
    return channel, taken


async def _renew(channel: AbstractChannel, message: AbstractIncomingMessage, service: str) -> None:
    """Put a letter in anew, as one that was never handed out."""
    headers = {name: value for name, value in message.headers.items() if name != HANDED_OUT}
    await _publish(channel, message, topology.dead_letters(service).name, headers)
    await message.ack()


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
    await channel.default_exchange.publish(again, routing_key=queue, mandatory=True, timeout=CONFIRMED_WITHIN)


def _describe(service: str, message: AbstractIncomingMessage) -> DeadLetter:
    headers: dict[str, Any] = dict(message.headers)
    try:
        envelope = open_envelope(message.body)
    except UnreadableMessage:
        id_, type_, broadcast_id = message.message_id or "", "unreadable", None
    else:
        id_, type_, broadcast_id = str(envelope.id), envelope.type, envelope.data.get("broadcast_id")
    cause = str(headers.get("x-first-death-reason") or "")
    return DeadLetter(
        service=service,
        id=id_,
        type=type_,
        queue=str(headers.get(consumer.QUEUE) or headers.get("x-first-death-queue") or ""),
        reason=str(headers.get(consumer.REASON) or BY_THE_BROKER.get(cause, cause)),
        broadcast_id=broadcast_id if isinstance(broadcast_id, int) else None,
    )
