"""Two ways to have the broker deliver a command later, behind one interface.

- `plugin`: an `x-delayed-message` exchange. Exact to the millisecond, but what it holds is on one node only, and
  brokers from 4.3 on cannot load it.
- `ladder`: queues whose messages expire after 1, 2, 4, 8 … units and dead-letter into the next lower rung. A delay is
  its number of units in binary: the routing key spells the bits, a rung whose bit is 1 holds the message for its time,
  one whose bit is 0 passes it on. No message waits behind a longer one, since all of a rung wait equally long.

A delay may be lost with the broker; the planner's watchdog emits what is overdue again.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from aio_pika.abc import AbstractChannel
from aiormq.exceptions import ChannelPreconditionFailed, ConnectionCommandInvalid
from faststream.rabbit import ExchangeType, QueueType, RabbitExchange, RabbitQueue

from libs.common.errors import BrokerUnfit
from libs.common.messaging import declarations, topology
from libs.common.messaging.connection import close, connect, open_channel, translate_errors

Mode = Literal["plugin", "ladder"]
Wish = Literal["auto", "plugin", "ladder"]

NO_PLUGIN = (
    "BROADSHEET_DELAYS is plugin, and the broker has no exchange type x-delayed-message: enable "
    "rabbitmq_delayed_message_exchange there, or set BROADSHEET_DELAYS to auto or ladder"
)

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
    """Return the exchange in front of a rung; below the lowest is the landing."""
    return LANDING if rung < 0 else RabbitExchange(f"broadsheet.delayed.{rung:02}", type=ExchangeType.TOPIC)


def rung_queue(rung: int) -> RabbitQueue:
    """Return the queue that holds messages for `2 ** rung` units and hands them one rung down."""
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
    """Return the routing pattern for messages whose bit of `rung` is `bit`: bits stand from the highest down."""
    return ".".join([*["*"] * (RUNGS - 1 - rung), str(bit), "#"])


def ladder_key(delay: float, command: str) -> str:
    """Spell a delay in seconds as a routing key, rounded up to whole units. Raise ValueError if it is too long."""
    units = math.ceil(round(delay / UNIT, 6))
    if not 0 <= units < 2**RUNGS:
        raise ValueError(f"a delay of {delay:.1f} s is more than the ladder's {LONGEST:.1f} s")
    return ".".join([*f"{units:0{RUNGS}b}", command])


async def probe(amqp_url: str, wish: Wish) -> Mode:
    """Return how the broker is to delay. Raise BrokerUnfit if it cannot as wished, and what its loss raises.

    The question has a connection of its own: to declare a type of exchange that the broker does not know closes the
    connection (AMQP 0-9-1, 503 COMMAND_INVALID), or the channel (RabbitMQ 4: PRECONDITION_FAILED). A plugin that was
    disabled over the same data leaves its exchange behind, which fails at each publish; the declaration shows it, too.
    """
    if wish == "ladder":
        return "ladder"
    connection = await connect(amqp_url)
    try:
        channel = await open_channel(connection)
        with translate_errors():
            await declarations.exchange(channel, PLUGIN)
    except (ConnectionCommandInvalid, ChannelPreconditionFailed) as error:
        if "exchange type" not in str(error):
            raise
        if wish == "plugin":
            raise BrokerUnfit(NO_PLUGIN) from error
        return "ladder"
    else:
        return "plugin"
    finally:
        await close(connection)


async def declare(channel: AbstractChannel, mode: Mode) -> None:
    """Declare the exchanges and queues of a mode and bind the queues of commands to them."""
    if mode == "plugin":
        await declarations.exchange(channel, PLUGIN)
        await _bind_commands(channel, PLUGIN)
        return
    below = await declarations.exchange(channel, LANDING)
    await _bind_commands(channel, LANDING, prefix="#.")
    for rung in range(RUNGS):
        exchange = await declarations.exchange(channel, rung_exchange(rung))
        queue = await declarations.queue(channel, rung_queue(rung))
        await declarations.bind(channel, queue.name, exchange.name, pattern(rung, bit=1))
        await declarations.bind_exchange(below, exchange, pattern(rung, bit=0))
        below = exchange


async def _bind_commands(channel: AbstractChannel, exchange: RabbitExchange, *, prefix: str = "") -> None:
    for work in topology.WORK:
        if work.command:
            await declarations.bind(channel, work.name, exchange.name, f"{prefix}{work.command}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a message is published, and what the broker has to know for it."""

    exchange: str
    routing_key: str
    #: Whether it comes back as an error if no queue takes it.
    mandatory: bool = True
    headers: Mapping[str, int] = field(default_factory=dict)


class WideInt(int):
    """An integer that goes over the wire as AMQP's 32-bit one (`I`), however small it is.

    pamqp writes an integer in the narrowest type that holds it, which it finds by comparing. RabbitMQ 4's plugin takes
    no one-byte integer for a delay, and delivers at once.
    """

    def __le__(self, other: int) -> bool:
        """Whether it is less, or the same; than what fits into two bytes it never is."""
        return other > 0xFFFF and int(self) <= other


def address(mode: Mode, command: str, delay: float) -> Address:
    """Return where a command is published so that it arrives `delay` seconds from now. Raise ValueError if that is too
    long for the ladder.
    """  # noqa: D205
    if delay <= 0:
        return Address(exchange=topology.COMMANDS.name, routing_key=command)
    if mode == "plugin":
        # The exchange holds the message itself, so that it is in no queue yet and a mandatory one would come back.
        return Address(
            exchange=PLUGIN.name,
            routing_key=command,
            mandatory=False,
            headers={"x-delay": WideInt(math.ceil(round(delay * 1000, 3)))},
        )
    return Address(exchange=rung_exchange(RUNGS - 1).name, routing_key=ladder_key(delay, command))
