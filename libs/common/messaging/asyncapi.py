"""What goes over RabbitMQ, as an AsyncAPI 3 document made from the code: data, no page that loads others' scripts.

FastStream knows the queues; what is in them it takes for the handlers' arguments. Over RabbitMQ each message is an
envelope around those, so that its schemas are made here, by what writes and reads the messages (msgspec).
"""

from collections.abc import Sequence
from typing import Any, get_args, get_type_hints

import msgspec
from faststream.rabbit import RabbitExchange
from faststream.specification import AsyncAPI

from libs.common.domain import codec
from libs.common.domain.events import PUBLISHED
from libs.common.messaging import topology
from libs.common.messaging.consumer import QUEUE, REASON, Route
from libs.common.messaging.envelope import Envelope
from libs.common.observability import spans

TRACE = {"type": "string", "description": "Which span of which trace it follows from (W3C Trace Context)."}
HEADERS = {"type": "object", "properties": {spans.HEADER: TRACE}}
REFERENCE = "#/components/schemas/{name}"
#: What could not be handled, as it came: it may be anything.
DEAD_LETTER = {
    "name": "dead letter",
    "title": "What could not be handled, as it came",
    "headers": {
        "type": "object",
        "properties": {
            REASON: {"type": "string", "description": "Why it could not be handled."},
            QUEUE: {"type": "string", "description": "The queue that it was in."},
            spans.HEADER: TRACE,
        },
        "required": [REASON, QUEUE],
    },
    "payload": {},
}


def document(
    specification: AsyncAPI, service: str, routes: Sequence[Route], sends: Sequence[topology.Work]
) -> dict[str, Any]:
    """Return the document of a service. `sends` is the work that it publishes, of whatever service that is."""
    found: dict[str, Any] = specification.to_specification().to_jsonable()
    taken = {route.work.name: types(route) for route in routes}
    sent = {channel(work): published(work) for work in sends}
    every = list(dict.fromkeys(cls for classes in (*taken.values(), *sent.values()) for cls in classes))
    _, schemas = msgspec.json.schema_components(every, ref_template=REFERENCE)
    envelopes = {envelope_name(cls): envelope(cls) for cls in every}
    messages = {f"{queue}:SubscribeMessage": message(queue, classes) for queue, classes in taken.items()}
    messages |= {f"{name}:Message": message(name, classes) for name, classes in sent.items()}
    messages[f"{topology.DEAD.name}:Message"] = DEAD_LETTER
    found["components"] = {"messages": messages, "schemas": {**schemas, **envelopes}}
    for work in sends:
        _add_sent(found, channel(work), topology.exchange(work), topology.queue(work).routing())
    _add_sent(found, topology.DEAD.name, topology.DEAD, service)
    return found


def _add_sent(found: dict[str, Any], name: str, exchange: RabbitExchange, address: str) -> None:
    """Add a channel that a service publishes to, and the operation."""
    found["channels"][name] = {
        "address": address,
        "servers": [{"$ref": f"#/servers/{server}"} for server in found["servers"]],
        "messages": {"Message": {"$ref": f"#/components/messages/{name}:Message"}},
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {"name": exchange.name, "type": exchange.type.value, "durable": True, "vhost": "/"},
                "bindingVersion": "0.3.0",
            }
        },
    }
    found["operations"][name] = {
        "action": "send",
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/Message"}],
    }


def channel(work: topology.Work) -> str:
    """Return the name of the channel that some work is published to."""
    return f"{topology.COMMANDS.name}.{work.command}" if work.command else topology.EVENTS.name


def published(work: topology.Work) -> tuple[type[codec.Message], ...]:
    """Return the types of message that are published for some work."""
    return (codec.TYPES[work.command],) if work.command else PUBLISHED


def message(name: str, classes: Sequence[type[codec.Message]]) -> dict[str, Any]:
    """Return the description of what is in a queue, or goes to an exchange."""
    return {
        "name": name,
        "title": f"What is in {name}",
        "contentType": "application/json",
        "correlationId": {"location": "$message.payload#/correlation_id"},
        "headers": HEADERS,
        "payload": {"oneOf": [{"$ref": REFERENCE.format(name=envelope_name(cls))} for cls in classes]},
    }


def types(route: Route) -> tuple[type[codec.Message], ...]:
    """Return the types of message that a route's handler takes, as its first argument."""
    taken = next(iter(get_type_hints(route.handler).values()))
    return get_args(taken) or (taken,)


def envelope(cls: type[codec.Message]) -> dict[str, Any]:
    """Return the schema of a type's envelope."""
    _, components = msgspec.json.schema_components([Envelope], ref_template=REFERENCE)
    schema: dict[str, Any] = components[Envelope.__name__]
    named = {
        "type": {"const": cls.__name__},
        "version": {"const": codec.version(cls.__name__)},
        "data": {"$ref": REFERENCE.format(name=cls.__name__)},
    }
    return {**schema, "title": envelope_name(cls), "properties": {**schema["properties"], **named}}


def envelope_name(cls: type[codec.Message]) -> str:
    """Return how the schema of a type's envelope is called."""
    return f"{cls.__name__}.{Envelope.__name__}"
