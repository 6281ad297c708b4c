"""Two ways to have the broker deliver a command later, behind one interface.

- `plugin`: an `x-delayed-message` exchange. Exact to the millisecond, but what it holds is on one node only, and
  brokers from 4.3 on cannot load it.
- `ladder`: queues whose messages expire after 1, 2, 4, 8 … units and dead-letter into the next lower rung. A delay is
  its number of units in binary: the routing key spells the bits, a rung whose bit is 1 holds the message for its time,
  one whose bit is 0 passes it on. No message waits behind a longer one, since all of a rung wait equally long.

A delay may be lost with the broker; the planner's watchdog emits what is overdue again.
"""

import math
from typing import Literal

import aio_pika
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPError
from faststream.rabbit import ExchangeType, QueueType, RabbitBroker, RabbitExchange, RabbitQueue

from libs.common import nodes, topology

Mode = Literal["plugin", "ladder"]

UNIT = 0.1  # seconds that the lowest rung holds a message
RUNGS = 12
#: The longest delay that a ladder can hold, in seconds; what is due later waits in the outbox.
LONGEST = UNIT * (2**RUNGS - 1)

PLUGIN = RabbitExchange(
    "broadsheet.delayed.plugin", type=ExchangeType.X_DELAYED_MESSAGE, arguments={"x-delayed-type": "direct"}
)
#: Where a message steps off the ladder; its key still begins with the bits.
LANDING = RabbitExchange("broadsheet.delayed.landing", type=ExchangeType.TOPIC)


def rung_exchange(rung: int) -> RabbitExchange:
    """Give the exchange in front of a rung; below the lowest is the landing."""
    return LANDING if rung < 0 else RabbitExchange(f"broadsheet.delayed.{rung:02}", type=ExchangeType.TOPIC)


def rung_queue(rung: int) -> RabbitQueue:
    """Give the queue that holds messages for `2 ** rung` units and hands them one rung down."""
    return RabbitQueue(
        f"broadsheet.delayed.{rung:02}",
        queue_type=QueueType.QUORUM,
        durable=True,
        arguments={
            "x-message-ttl": int(UNIT * 1000) * 2**rung,
            "x-dead-letter-exchange": rung_exchange(rung - 1).name,
            # A message leaves its rung only once the next one has confirmed it; that asks for this overflow.
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        },
    )


def pattern(rung: int, *, bit: int) -> str:
    """Give the routing pattern for messages whose bit of `rung` is `bit`: bits stand from the highest down."""
    return ".".join([*["*"] * (RUNGS - 1 - rung), str(bit), "#"])


def ladder_key(delay: float, command: str) -> str:
    """Spell a delay in seconds as a routing key, rounded up to whole units. Raises ValueError if it is too long."""
    units = math.ceil(round(delay / UNIT, 6))
    if not 0 <= units < 2**RUNGS:
        raise ValueError(f"a delay of {delay:.1f} s is more than the ladder's {LONGEST:.1f} s")
    return ".".join([*f"{units:0{RUNGS}b}", command])


async def probe(amqp_url: str, wish: Literal["auto", "plugin", "ladder"]) -> Mode:
    """Find out how the broker can delay, on a connection of its own: to ask for a type of exchange that the broker
    does not know closes the connection (AMQP 0-9-1, 503 COMMAND_INVALID).
    """  # noqa: D205
    if wish != "auto":
        return wish
    connection = await nodes.connect(amqp_url)
    try:
        channel = await nodes.open_channel(connection)
        await channel.declare_exchange(
            PLUGIN.name, type=str(PLUGIN.type.value), durable=True, arguments=PLUGIN.arguments
        )
    except (AMQPError, ConnectionError):
        return "ladder"
    else:
        return "plugin"
    finally:
        await nodes.close(connection)


async def declare(channel: AbstractChannel, mode: Mode) -> None:
    """Declare the exchanges and queues of a mode and bind the queues of commands to them."""
    commands = [work for work in topology.WORK if work.command]
    if mode == "plugin":
        exchange = await _exchange(channel, PLUGIN)
        for work in commands:
            queue = await channel.get_queue(work.name, ensure=False)
            await queue.bind(exchange, routing_key=str(work.command))
        return
    below = await _exchange(channel, LANDING)
    for work in commands:
        queue = await channel.get_queue(work.name, ensure=False)
        await queue.bind(below, routing_key=f"#.{work.command}")
    for rung in range(RUNGS):
        exchange = await _exchange(channel, rung_exchange(rung))
        settings = rung_queue(rung)
        queue = await channel.declare_queue(settings.name, durable=True, arguments=settings.arguments)
        await queue.bind(exchange, routing_key=pattern(rung, bit=1))
        await below.bind(exchange, routing_key=pattern(rung, bit=0))
        below = exchange


async def _exchange(channel: AbstractChannel, exchange: RabbitExchange) -> aio_pika.abc.AbstractExchange:
    return await channel.declare_exchange(
        exchange.name, type=exchange.type.value, durable=True, arguments=exchange.arguments
    )


async def publish(broker: RabbitBroker, mode: Mode, message: aio_pika.Message, *, command: str, delay: float) -> None:
    """Hand a command to the broker, to be delivered `delay` seconds from now, and wait for its confirm.

    Raises what the broker raises: a message that no queue takes is an error, too.
    """
    if delay <= 0:
        await broker.publish(
            message,
            exchange=topology.COMMANDS,
            routing_key=command,
            mandatory=True,
            persist=True,
        )
    elif mode == "plugin":
        message.headers["x-delay"] = math.ceil(delay * 1000)
        # The exchange holds the message itself, so that it is in no queue yet and a mandatory one would come back.
        await broker.publish(message, exchange=PLUGIN, routing_key=command, mandatory=False, persist=True)
    else:
        await broker.publish(
            message,
            exchange=rung_exchange(RUNGS - 1),
            routing_key=ladder_key(delay, command),
            mandatory=True,
            persist=True,
        )
