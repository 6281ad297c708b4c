"""What cannot be handled is put aside with the reason, can be looked at and sent back; the queue goes on."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
import pytest

from libs.common import dead_letters, messaging, topology
from libs.common.commands import MakeBroadcast
from libs.common.messaging import Envelope, Route
from tests.support import broker
from tests.support.processes import until

NUMBER = "+13135551234"


def envelope(**changes: Any) -> bytes:
    now = datetime.now(UTC)
    given = Envelope(
        id=uuid4(), type="MakeBroadcast", version=1, time=now, due=now, correlation_id=uuid4(), causation_id=None,
        data={"broadcast_id": 1},
    )  # fmt: skip
    return msgspec.json.encode({**msgspec.to_builtins(given), **changes})


class Handled:
    """A handler that remembers, and fails as it is told."""

    def __init__(self, *errors: Exception) -> None:
        self.messages: list[MakeBroadcast] = []
        self._errors = list(errors)

    async def handle(self, message: MakeBroadcast) -> None:
        """Handle a message."""
        if self._errors:
            raise self._errors.pop(0)
        self.messages.append(message)

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routing table with this handler in it."""
        return (Route(work=topology.MAKE_BROADCAST, handler=self.handle, description="test"),)


async def send(amqp_url: str, body: bytes) -> None:
    await broker.publish(amqp_url, topology.COMMANDS.name, "MakeBroadcast", body)


async def letters(amqp_url: str, count: int) -> list[dead_letters.DeadLetter]:
    async def there() -> list[dead_letters.DeadLetter]:
        found = await dead_letters.browse(amqp_url)
        return found if len(found) >= count else []

    found: list[dead_letters.DeadLetter] = await until(there, seconds=10)
    return found


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (f"nonsense {NUMBER}".encode(), "not JSON"),
        (b'{"type": "\xff"}', "not JSON"),
        (b'{"data": ' + b'{"a": ' * 20_000 + b"1" + b"}" * 20_001, "nested too deeply"),
        (b'{"id": "x"}', "envelope"),
        (envelope(type="Unheard"), "unknown type"),
        (envelope(version=0), "has no upcaster"),
        (envelope(data={"broadcast_id": NUMBER}), "MakeBroadcast"),
    ],
)
async def test_what_cannot_be_read_is_put_aside_with_the_reason_and_the_queue_goes_on(
    amqp_url: str, body: bytes, reason: str
) -> None:
    handled = Handled()
    async with broker.consuming(amqp_url, handled.routes):
        await send(amqp_url, body)
        await send(amqp_url, envelope())
        (letter,) = await letters(amqp_url, 1)

        async def went_on() -> bool:
            return len(handled.messages) == 1

        await until(went_on, seconds=5)
    assert letter.queue == "planner.MakeBroadcast"
    assert reason in letter.reason
    assert NUMBER not in letter.reason
    assert await dead_letters.send_back(amqp_url) == 1


async def test_a_handler_that_fails_for_good_has_its_message_put_aside_with_the_errors_name_only(
    amqp_url: str,
) -> None:
    handled = Handled(ValueError(NUMBER))
    async with broker.consuming(amqp_url, handled.routes):
        await send(amqp_url, envelope())
        (letter,) = await letters(amqp_url, 1)
    assert (letter.type, letter.reason, letter.broadcast_id) == ("MakeBroadcast", "ValueError", 1)


async def test_a_dead_letter_that_is_sent_back_is_handled(amqp_url: str) -> None:
    handled = Handled(ValueError())
    async with broker.consuming(amqp_url, handled.routes):
        await send(amqp_url, envelope())
        (letter,) = await letters(amqp_url, 1)
        assert await dead_letters.send_back(amqp_url, "another") == 0
        assert await dead_letters.send_back(amqp_url, letter.id) == 1

        async def done() -> bool:
            return len(handled.messages) == 1

        await until(done, seconds=5)
    assert await dead_letters.browse(amqp_url) == []


async def test_a_dead_letter_may_be_looked_at_as_often_as_one_likes(amqp_url: str) -> None:
    """A quorum queue drops what was handed out too often."""
    async with broker.consuming(amqp_url, Handled(ValueError()).routes):
        await send(amqp_url, envelope())
        (letter,) = await letters(amqp_url, 1)
    for _ in range(2 * dead_letters.RENEW_AFTER + 5):
        assert await dead_letters.browse(amqp_url) == [letter]
    (message,) = await broker.messages(amqp_url, topology.dead_letters("planner").name)
    assert int(str(message.headers.get(dead_letters.HANDED_OUT) or 0)) <= dead_letters.RENEW_AFTER + 1


async def test_while_the_database_is_away_a_message_waits_with_its_handler(
    amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messaging, "RETRIES", (0.05,) * 5)
    handled = Handled(*(psycopg.OperationalError() for _ in range(4)))
    async with broker.consuming(amqp_url, handled.routes):
        await send(amqp_url, envelope())

        async def done() -> bool:
            return len(handled.messages) == 1

        await until(done, seconds=5)
    assert await dead_letters.browse(amqp_url) == []


async def test_a_handler_that_is_tried_again_knows_that_it_did_not_finish_before(
    amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it holds from its first try is its own: nobody need wait until that has run out."""
    monkeypatch.setattr(messaging, "RETRIES", (0.05,))
    seen: list[bool] = []

    class Second(Handled):
        async def handle(self, message: MakeBroadcast) -> None:
            seen.append(messaging.redelivered())
            await super().handle(message)

    handled = Second(psycopg.OperationalError())
    async with broker.consuming(amqp_url, handled.routes):
        await send(amqp_url, envelope())
        await send(amqp_url, envelope())

        async def both() -> bool:
            return len(handled.messages) == 2

        await until(both, seconds=5)
    assert sorted(seen) == [False, False, True]


async def test_a_message_whose_handler_was_cut_off_is_delivered_again(amqp_url: str) -> None:
    begun = asyncio.Event()

    class Stuck(Handled):
        async def handle(self, message: MakeBroadcast) -> None:
            begun.set()
            await asyncio.Event().wait()

    async with broker.consuming(amqp_url, Stuck().routes, graceful_timeout=0.2):
        await send(amqp_url, envelope())
        await asyncio.wait_for(begun.wait(), 10)
    seen: list[bool] = []

    class Second(Handled):
        async def handle(self, message: MakeBroadcast) -> None:
            seen.append(messaging.redelivered())

    async with broker.consuming(amqp_url, Second().routes):

        async def again() -> bool:
            return bool(seen)

        await until(again, seconds=10)
    assert seen == [True]
