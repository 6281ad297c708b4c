"""Conversations as Missive writes them, in webhooks and in its API: whose each one is, and what labels it has.

A conversation has `shared_labels`, all that it has now, and `authors`, everybody who wrote in it
(https://missiveapp.com/docs/developers/webhooks, https://missiveapp.com/docs/developers/rest-api/endpoints).
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from libs.common.carriers import addresses

LONGEST_ID = 255  # characters; Missive's have 36, Twilio's 34
#: Fields of a party of Missive's; real payloads have been seen with the number in any of them.
NUMBER = ("phone_number", "id", "username")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A conversation and its labels."""

    id: str
    #: Whose it is, E.164; None where nobody is known by a number, or several people are.
    phone_number: str | None
    #: The names of its labels.
    labels: tuple[str, ...]


def labelled(
    conversation: Mapping[str, Any], own_numbers: Collection[str], *, messages: Collection[Any] = ()
) -> Labelled | None:
    """Return a conversation with its labels; None where it has no id, or its labels are not told.

    Whose it is follows from its authors, or from the `messages` where these name nobody: whoever is none of our own
    numbers.
    """
    labels = conversation.get("shared_labels")
    conversation_id: Any = conversation.get("id")
    if not isinstance(labels, list) or not is_id(conversation_id):
        return None
    return Labelled(
        id=conversation_id, phone_number=person(conversation, own_numbers, messages=messages), labels=_names(labels)
    )


def person(
    conversation: Mapping[str, Any], own_numbers: Collection[str], *, messages: Collection[Any] = ()
) -> str | None:
    """Return whose a conversation is, E.164; None where nobody is known by a number, or several people are."""
    authors = conversation.get("authors")
    for parties in (authors if isinstance(authors, list) else (), _parties(messages)):
        others = {number for party in parties for number in _numbers(party) if number not in own_numbers}
        if others:
            return others.pop() if len(others) == 1 else None
    return None


def is_id(given: Any) -> bool:
    """Whether something is a provider's id that can be kept: what no provider sends is none."""
    return isinstance(given, str) and 0 < len(given) <= LONGEST_ID and given.isascii() and given.isprintable()


def _parties(messages: Collection[Any]) -> Iterator[Any]:
    for message in messages:
        if isinstance(message, dict):
            receivers = message.get("to_fields")
            yield message.get("from_field")
            yield from receivers if isinstance(receivers, list) else ()


def _numbers(party: Any) -> Iterator[str]:
    if isinstance(party, dict):
        told = (addresses.phone_number(party.get(name)) for name in NUMBER)
        yield from (number for number in told if number is not None)


def _names(labels: list[Any]) -> tuple[str, ...]:
    told = (each.get("name") for each in labels if isinstance(each, dict))
    return tuple(name.replace("\x00", "").strip() for name in told if isinstance(name, str) and name.strip("\x00 "))
