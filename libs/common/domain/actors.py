"""Who did something: every event names one.

An actor is a kind and a name, written `user:7` or `key:website`. It is a user's id, not an e-mail address: events hold
nothing personal.
"""

from dataclasses import dataclass
from enum import StrEnum

LONGEST = 100  # characters of a name


class ActorKind(StrEnum):
    """What an actor is."""

    USER = "user"  # a person who is signed in; the name is the user's id
    KEY = "key"  # an API key; the name is the key's
    CARRIER = "carrier"  # `missive` or `twilio`, by a webhook
    SERVICE = "service"  # a service by itself: its timers, and what follows from messages
    CONSOLE = "console"  # the command line; the name is that of the machine's user


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something."""

    kind: ActorKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    @property
    def user_id(self) -> int | None:
        """The user's id; None where it is no user."""
        return int(self.name) if self.kind is ActorKind.USER else None


#: Where nobody else is named.
BROADSHEET = Actor(ActorKind.SERVICE, "broadsheet")


def parse(written: str) -> Actor:
    """Return the actor that was written so. Raise ValueError."""
    kind, _, name = written.partition(":")
    if not name:
        raise ValueError("an actor is a kind and a name, such as user:7")
    return Actor(ActorKind(kind), name)


def user(user_id: int) -> Actor:
    """Return the actor that a user is."""
    return Actor(ActorKind.USER, str(user_id))


def key(name: str) -> Actor:
    """Return the actor that an API key is."""
    return Actor(ActorKind.KEY, name)


def carrier(name: str) -> Actor:
    """Return the actor that a carrier is."""
    return Actor(ActorKind.CARRIER, name)


def service(name: str) -> Actor:
    """Return the actor that a service is."""
    return Actor(ActorKind.SERVICE, name)


def console(name: str) -> Actor:
    """Return the actor that somebody at the command line is."""
    return Actor(ActorKind.CONSOLE, name[:LONGEST] or "unknown")
