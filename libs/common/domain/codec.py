"""Commands and events to JSON and back, by name and version.

The version stands here, not in the dataclass: a field that is added with a default keeps it; one that is renamed or
whose meaning changes raises it, and gets an upcaster. Readers tolerate fields they do not know, so that services of
two releases may share a queue.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from libs.common.domain.commands import COMMANDS, Command
from libs.common.domain.events import EVENTS, Event
from libs.common.errors import UnreadableMessage

Message = Command | Event
TYPES: dict[str, type[Message]] = {cls.__name__: cls for cls in (*COMMANDS, *EVENTS)}

#: Types whose version is not 1.
VERSIONS: dict[str, int] = {}

#: (name, version) to a function that turns that version's data into the next version's.
UPCASTERS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}


def version(name: str) -> int:
    """Return the version that this release writes of a type."""
    return VERSIONS.get(name, 1)


def encode(message: Message) -> dict[str, Any]:
    """Turn a message into plain values that JSON can hold."""
    data: dict[str, Any] = msgspec.to_builtins(message)
    return data


def decode(name: str, written: int, data: dict[str, Any]) -> Message:
    """Turn plain values into the message they were, upcasting what an older release wrote.

    Raise UnreadableMessage, whose text names types and fields but holds no value.
    """
    cls = TYPES.get(name)
    if cls is None:
        raise UnreadableMessage("unknown type of message")
    if written > version(name):
        raise UnreadableMessage(f"{name} version {written} is newer than this release")
    while written < version(name):
        upcast = UPCASTERS.get((name, written))
        if upcast is None:
            raise UnreadableMessage(f"{name} version {written} has no upcaster")
        data, written = upcast(data), written + 1
    try:
        return msgspec.convert(data, cls)
    except msgspec.ValidationError as error:
        raise UnreadableMessage(f"{name}: {error}") from error
