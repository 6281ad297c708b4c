"""What cannot be handled is put aside with the reason, can be looked at and sent back; the queue goes on."""

import asyncio
import re
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import aio_pika
import msgspec
import pytest
from structlog.testing import capture_logs

from libs.common import database
from libs.common.domain.commands import MakeBroadcast
from libs.common.messaging import broker_setup, consumer, dead_letters, topology
from libs.common.messaging.consumer import Delivered, Route
from libs.common.messaging.envelope import Envelope
from tests.support import broker
from tests.support.processes import until

HERE = "tests/integration/common/messaging/test_dead_letters.py"

NUMBER = "+13135551234"


def envelope(**changes: Any) -> bytes:
    now = datetime.now(UTC)
    given = Envelope(
        id=uuid4(), type="MakeBroadcast", version=1, time=now, due=now, correlation_id=uuid4(), causation_id=None,
        actor="service:planner",
        data={"broadcast_id": 1},
    )  # fmt: skip
    return msgspec.json.encode({**msgspec.to_builtins(given), **changes})


class Handled:
    """A handler that remembers, and fails as it is told."""

    def __init__(self, *errors: Exception) -> None:
        self.messages: list[MakeBroadcast] = []
        self._errors = list(errors)

    async def handle(self, message: MakeBroadcast, delivery: Delivered) -> None:
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

    found: list[dead_letters.DeadLetter] = await until(there)
    return found


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (f"nonsense {NUMBER}".encode(), "not JSON"),
        (b'{"type": "\xff"}', "not JSON"),
        (b'{"data": ' + b'{"a": ' * 20_000 + b"1" + b"}" * 20_001, "nested too deeply"),
        (b'{"id": "x"}', "envelope"),
        (envelope(due="2026-03-04T15:00:00"), "timezone component"),
        (envelope(time="2026-03-04T15:00:00"), "timezone component"),
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

        await until(went_on)
    assert letter.queue == "planner.MakeBroadcast"
    assert reason in letter.reason
    assert NUMBER not in letter.reason
    assert await dead_letters.send_back(amqp_url) == 1


@pytest.mark.parametrize("error", [ValueError(NUMBER), AssertionError(NUMBER)])
async def test_a_handler_that_fails_for_good_has_its_message_put_aside_with_the_error_and_its_place_at_once(
    amqp_url: str, error: Exception
) -> None:
    """Its words may quote what somebody wrote; its name alone said too little."""
    handled = Handled(error)
    with capture_logs() as logs:
        async with broker.consuming(amqp_url, handled.routes):
            await send(amqp_url, envelope())
            (letter,) = await letters(amqp_url, 1)
    assert (letter.type, letter.broadcast_id) == ("MakeBroadcast", 1)
    assert re.fullmatch(
        rf"the handler failed: {type(error).__name__} at {HERE}:\d+, in handle",
        letter.reason,
    )
    told = [(entry["event"], entry["reason"]) for entry in logs if entry["log_level"] == "error"]
    assert told == [("message_put_aside", letter.reason)]


async def test_what_fails_for_good_is_delivered_once_and_not_twenty_times(amqp_url: str) -> None:
    tries = 0

    class Counted(Handled):
        async def handle(self, message: MakeBroadcast, delivery: Delivered) -> None:
            nonlocal tries
            tries += 1
            raise AssertionError

    async with broker.consuming(amqp_url, Counted().routes):
        await send(amqp_url, envelope())
        await letters(amqp_url, 1)
        await asyncio.sleep(0.5)
    assert tries == 1


async def test_a_dead_letter_that_is_sent_back_is_handled(amqp_url: str) -> None:
    handled = Handled(ValueError())
    async with broker.consuming(amqp_url, handled.routes):
        await send(amqp_url, envelope())
        (letter,) = await letters(amqp_url, 1)
        assert await dead_letters.send_back(amqp_url, "another") == 0
        assert await dead_letters.send_back(amqp_url, letter.id) == 1

        async def done() -> bool:
            return len(handled.messages) == 1

        await until(done)
    assert await dead_letters.browse(amqp_url) == []


async def test_a_dead_letter_may_be_looked_at_as_often_as_one_likes(amqp_url: str) -> None:
    """A quorum queue drops what was handed out too often."""
    async with broker.consuming(amqp_url, Handled(ValueError()).routes):
        await send(amqp_url, envelope())
        (letter,) = await letters(amqp_url, 1)
    for _ in range(2 * dead_letters.RENEW_AFTER + 5):
        # What was looked at is there again a moment after the end of the connection.
        assert await letters(amqp_url, 1) == [letter]
    (message,) = await broker.messages(amqp_url, topology.dead_letters("planner").name)
    assert int(str(message.headers.get(dead_letters.HANDED_OUT) or 0)) <= dead_letters.RENEW_AFTER + 1


async def test_hundreds_of_dead_letters_are_listed_within_a_second(amqp_url: str) -> None:
    """They were got one by one, each with a journey to the broker and back."""
    await broker_setup.set_up(amqp_url, "auto")
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        dead = await channel.get_exchange(topology.DEAD.name, ensure=False)
        bodies = [envelope() for _ in range(210)]
        await asyncio.gather(*(dead.publish(aio_pika.Message(body), routing_key="sender") for body in bodies))
    took = []
    for _ in range(3):  # of three tries the fastest: the machine may be busy with something else
        began = time.monotonic()
        found = await dead_letters.browse(amqp_url)
        took.append(time.monotonic() - began)
        assert len({letter.id for letter in found}) == 210
    assert min(took) < 1.0


async def test_while_the_database_is_away_a_message_waits_with_its_handler(
    amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "RETRIES", (0.05,) * 5)
    handled = Handled(*(database.DatabaseUnavailable() for _ in range(4)))
    async with broker.consuming(amqp_url, handled.routes):
        await send(amqp_url, envelope())

        async def done() -> bool:
            return len(handled.messages) == 1

        await until(done)
    assert await dead_letters.browse(amqp_url) == []


async def test_a_handler_that_is_tried_again_knows_that_it_did_not_finish_before(
    amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it holds from its first try is its own: nobody need wait until that has run out."""
    monkeypatch.setattr(consumer, "RETRIES", (0.05,))
    seen: list[bool] = []

    class Second(Handled):
        async def handle(self, message: MakeBroadcast, delivery: Delivered) -> None:
            seen.append(delivery.redelivered)
            await super().handle(message, delivery)

    handled = Second(database.DatabaseUnavailable())
    async with broker.consuming(amqp_url, handled.routes):
        await send(amqp_url, envelope())
        await send(amqp_url, envelope())

        async def both() -> bool:
            return len(handled.messages) == 2

        await until(both)
    assert sorted(seen) == [False, False, True]


async def test_a_message_whose_handler_was_cut_off_is_delivered_again(amqp_url: str) -> None:
    begun = asyncio.Event()

    class Stuck(Handled):
        async def handle(self, message: MakeBroadcast, delivery: Delivered) -> None:
            begun.set()
            await asyncio.Event().wait()

    async with broker.consuming(amqp_url, Stuck().routes, graceful_timeout=0.2):
        await send(amqp_url, envelope())
        await asyncio.wait_for(begun.wait(), 90)
    seen: list[bool] = []

    class Second(Handled):
        async def handle(self, message: MakeBroadcast, delivery: Delivered) -> None:
            seen.append(delivery.redelivered)

    async with broker.consuming(amqp_url, Second().routes):

        async def again() -> bool:
            return bool(seen)

        await until(again)
    assert seen == [True]
