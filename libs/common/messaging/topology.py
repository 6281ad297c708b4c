"""The broker's exchanges and queues, as data.

Every queue is a quorum queue, so that it survives the loss of a node, and hands what cannot be handled to the dead
letters of its service. A queue holds one kind of work; its name says whose and what.
"""

from dataclasses import dataclass

from faststream.rabbit import ExchangeType, QueueType, RabbitExchange, RabbitQueue

COMMANDS = RabbitExchange("broadsheet.commands", type=ExchangeType.DIRECT, durable=True)
EVENTS = RabbitExchange("broadsheet.events", type=ExchangeType.TOPIC, durable=True)
DEAD = RabbitExchange("broadsheet.dead", type=ExchangeType.DIRECT, durable=True)

#: Deliveries of one message before the broker takes it for poison.
DELIVERY_LIMIT = 20

SERVICES = ("planner", "sender", "twilio_sync")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A queue and what it is for."""

    service: str
    #: The type of the commands in it; None for the events.
    command: str | None

    @property
    def name(self) -> str:
        """The queue's name, such as `sender.SendBatch`."""
        return f"{self.service}.{self.command or 'events'}"


PLANNER_EVENTS = Work(service="planner", command=None)
MAKE_BROADCAST = Work(service="planner", command="MakeBroadcast")
START_SECOND_PHASE = Work(service="planner", command="StartSecondPhase")
SEND_BATCH = Work(service="sender", command="SendBatch")
SYNC_STATUSES = Work(service="twilio_sync", command="SyncStatuses")
SETTLE_UNCERTAIN = Work(service="twilio_sync", command="SettleUncertain")

WORK = (PLANNER_EVENTS, MAKE_BROADCAST, START_SECOND_PHASE, SEND_BATCH, SYNC_STATUSES, SETTLE_UNCERTAIN)


def exchange(work: Work) -> RabbitExchange:
    """Return the exchange that a queue is bound to."""
    return COMMANDS if work.command else EVENTS


def queue(work: Work) -> RabbitQueue:
    """Return the queue of some work, bound to its exchange by the command's type, or to all events."""
    return RabbitQueue(
        work.name,
        queue_type=QueueType.QUORUM,
        durable=True,
        routing_key=work.command or "#",
        arguments={
            "x-dead-letter-exchange": DEAD.name,
            "x-dead-letter-routing-key": work.service,
            "x-delivery-limit": DELIVERY_LIMIT,
        },
    )


def dead_letters(service: str) -> RabbitQueue:
    """Return the queue of what a service could not handle."""
    return RabbitQueue(f"{service}.dead", queue_type=QueueType.QUORUM, durable=True, routing_key=service)
