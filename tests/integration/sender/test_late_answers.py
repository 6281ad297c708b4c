"""Answers that come after others have moved the message on, or twice."""

import pytest

from libs.common.carriers.outcomes import Accepted, Deferred, Refused, Unknown
from tests.support.world import World

ACCEPTED = Accepted(missive_id="M1")


async def test_an_answer_counts_even_if_the_batch_was_lost_meanwhile(world: World) -> None:
    """Fault 17: sent messages were given back and sent again."""
    broadcast = await world.made(1)
    batch = await world.claimed(broadcast)
    [started] = await world.start(batch)
    new = await world.take(batch.id, redelivered=True)
    assert new is not None
    await world.close(new)
    await world.answer(started, ACCEPTED)
    assert await world.states(broadcast) == ["accepted"]


@pytest.mark.parametrize("meanwhile", ["pending", "claimed", "skipped", "uncertain"])
async def test_an_acceptance_counts_even_after_the_message_was_given_back(world: World, meanwhile: str) -> None:
    """Fault 20: a crash between the answer and its record sends again or forgets."""
    broadcast = await world.made(1)
    batch = await world.claimed(broadcast)
    [started] = await world.start(batch)
    await world.query(
        "UPDATE outgoing_messages SET state = %s, claimed_by = CASE WHEN %s = 'claimed' THEN claimed_by END,"
        " skip_reason = CASE WHEN %s = 'skipped' THEN 'cancelled' END WHERE NOT is_second",
        meanwhile, meanwhile, meanwhile,
    )  # fmt: skip
    await world.answer(started, ACCEPTED)
    [message] = await world.messages(broadcast)
    assert (message["state"], message["skip_reason"], message["claimed_by"]) == ("accepted", None, None)
    assert await world.value("SELECT count(*) FROM broadcast_sent_message_status") == 1


@pytest.mark.parametrize(
    "late",
    [Deferred(code="http_429", reason="too fast"), Refused(code="21211", reason="no"), Unknown(reason="timeout")],
)
async def test_a_late_answer_other_than_an_acceptance_does_not_touch_a_message_that_was_given_back(
    world: World, late: Deferred | Refused | Unknown
) -> None:
    broadcast = await world.made(1)
    [started] = await world.start(await world.claimed(broadcast))
    await world.query("UPDATE outgoing_messages SET state = 'pending', claimed_by = NULL WHERE NOT is_second")
    before = await world.messages(broadcast)
    await world.answer(started, late)
    assert await world.messages(broadcast) == before


async def test_the_answer_to_an_older_attempt_does_not_touch_a_newer_one(world: World) -> None:
    """Fault 17: results were handled after others had moved the message on."""
    broadcast = await world.made(1)
    batch = await world.claimed(broadcast)
    [old] = await world.start(batch)
    await world.query("UPDATE outgoing_messages SET state = 'claimed' WHERE NOT is_second")
    [new] = await world.start(batch)
    assert new.attempt.number == old.attempt.number + 1
    before = await world.messages(broadcast)
    await world.answer(old, Deferred(code="http_429", reason="too fast"))
    assert await world.messages(broadcast) == before


async def test_an_answer_that_comes_twice_counts_once(world: World) -> None:
    broadcast = await world.made(1)
    [started] = await world.start(await world.claimed(broadcast))
    await world.answer(started, ACCEPTED)
    await world.answer(started, ACCEPTED)
    assert await world.value("SELECT count(*) FROM broadcast_sent_message_status") == 1
    assert len(await world.happened("MessageAccepted")) == 1
