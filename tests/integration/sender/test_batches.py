"""Claims, leases, fences, and the closing of a batch."""

import asyncio

from libs.common import database
from libs.common.carriers.outcomes import Accepted, Deferred
from services.sender import batches
from tests.support.world import NOW, World

ACCEPTED = Accepted(missive_id="M1")


async def test_two_claims_at_once_never_take_the_same_message(world: World) -> None:
    """Fault 15: overlapping runs took the same rows."""
    broadcast = await world.made(40)
    one, other = [await world.take(await world.plan(broadcast)) for _ in range(2)]
    assert one is not None
    assert other is not None
    held = await asyncio.gather(world.claim(one, size=30), world.claim(other, size=30))
    assert sum(held) == 40
    claims = [claim["message_ids"] for claim in await world.happened("BatchClaimed")]
    assert len({message for claim in claims for message in claim}) == sum(map(len, claims)) == 40


async def test_a_claim_passes_over_what_another_holds_without_waiting_for_it(world: World) -> None:
    """Fault 15: overlapping runs took the same rows."""
    broadcast = await world.made(10)
    one, other = [await world.take(await world.plan(broadcast)) for _ in range(2)]
    assert one is not None
    assert other is not None
    async with database.transaction(world.engine) as connection:
        assert await batches.claim(connection, one, size=6, rules=world.settings.rules, now=NOW) == 6
        assert await world.claim(other, size=6) == 4


async def test_a_batch_never_holds_more_than_its_size(world: World) -> None:
    batch = await world.claimed(await world.made(10), size=4)
    assert await world.claim(batch, size=4) == 4
    await world.start(batch, count=1)
    assert await world.claim(batch, size=4) == 4


async def test_a_message_that_has_to_wait_is_not_claimed(world: World) -> None:
    broadcast = await world.made(2)
    batch = await world.claimed(broadcast, size=1)
    [started] = await world.start(batch)
    await world.answer(started, Deferred(code="http_429", reason="too fast", retry_after=60))
    await world.close(batch, started=1)
    other = await world.claimed(broadcast)
    assert await world.column("SELECT id FROM outgoing_messages WHERE claimed_by = %s", other.id) != [
        started.attempt.message_id
    ]
    world.clock.forward(seconds=60)
    assert await world.claim(other) == 2


async def test_a_batch_that_a_stirring_worker_has_is_left_alone(world: World) -> None:
    batch_id = await world.plan(await world.made())
    assert await world.take(batch_id) is not None
    world.clock.forward(seconds=world.settings.lease - 0.1)
    assert await world.take(batch_id) is None


async def test_a_batch_whose_worker_has_gone_quiet_is_taken_with_a_newer_fence(world: World) -> None:
    """Fault 16: a crash left claimed rows claimed for ever."""
    batch_id = await world.plan(await world.made())
    first = await world.take(batch_id)
    world.clock.forward(seconds=world.settings.lease + 0.1)
    second = await world.take(batch_id)
    assert first is not None
    assert second is not None
    assert second.fence == first.fence + 1


async def test_a_renewed_batch_is_not_taken_by_another(world: World) -> None:
    """Fault 19: a lease shorter than a slow provider call."""
    batch = await world.claimed(await world.made())
    world.clock.forward(seconds=world.settings.lease - 0.1)
    async with database.transaction(world.engine) as connection:
        assert await batches.renew(connection, batch, lease=world.settings.lease, now=world.clock.now)
    world.clock.forward(seconds=world.settings.lease - 0.1)
    assert await world.take(batch.id) is None


async def test_a_redelivered_batch_is_taken_at_once(world: World) -> None:
    batch_id = await world.plan(await world.made())
    assert await world.take(batch_id) is not None
    assert await world.take(batch_id, redelivered=True) is not None


async def test_a_closed_batch_is_never_taken_again(world: World) -> None:
    batch = await world.claimed(await world.made())
    assert await world.close(batch)
    world.clock.forward(days=1)
    assert await world.take(batch.id, redelivered=True) is None


async def test_no_statement_of_a_worker_that_lost_its_batch_changes_anything(world: World) -> None:
    """Fault 19: the same message taken twice."""
    broadcast = await world.made(5)
    old = await world.claimed(broadcast, size=3)
    assert await world.take(old.id, redelivered=True) is not None
    before = await world.dump()
    assert await world.claim(old, size=5) == 3
    assert await world.start(old) == []
    assert not await world.close(old)
    async with database.transaction(world.engine) as connection:
        assert not await batches.renew(connection, old, lease=15, now=world.clock.now)
    assert await world.dump() == before


async def test_the_worker_that_takes_over_starts_what_the_first_had_claimed(world: World) -> None:
    """Fault 16: a crash left claimed rows claimed for ever, and the phase "finished" without them."""
    broadcast = await world.made(5)
    old = await world.claimed(broadcast, size=3)
    [lost] = await world.start(old, count=1)
    new = await world.take(old.id, redelivered=True)
    assert new is not None
    assert await world.claim(new, size=3) == 3
    started = await world.start(new)
    assert len(started) == 3
    assert lost.attempt.message_id not in {item.attempt.message_id for item in started}


async def test_a_message_is_started_once_however_many_workers_try(world: World) -> None:
    """Fault 15: overlapping runs took the same rows."""
    batch = await world.claimed(await world.made(20))
    both = await asyncio.gather(*(world.start(batch, count=3) for _ in range(6)))
    messages = [item.attempt.message_id for started in both for item in started]
    assert len(messages) == len(set(messages))
    assert {item.attempt.number for started in both for item in started} == {1}


async def test_closing_gives_back_what_was_not_started(world: World) -> None:
    """Fault 18: what was not reached in 60 s was lost."""
    broadcast = await world.made(3)
    batch = await world.claimed(broadcast)
    [started] = await world.start(batch, count=1)
    assert await world.close(batch, started=1)
    assert await world.states(broadcast) == ["started", "pending", "pending"]
    [sent] = await world.happened("BatchSent")
    assert started.attempt.message_id not in sent["returned"]
    assert len(sent["returned"]) == 2


async def test_closing_twice_says_once_that_the_batch_is_over(world: World) -> None:
    batch = await world.claimed(await world.made())
    assert [await world.close(batch), await world.close(batch)] == [True, False]
    assert len(await world.planned("BatchSent")) == 1
