"""Claims, fences and the statement that starts a text."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from libs.common import consent, database
from libs.common.carriers.outcomes import Accepted, Deferred, Refused, Unknown
from libs.common.consent import Inbound
from services.sender import batches
from tests.support.world import NOW, World

ACCEPTED = Accepted(missive_id="M1")


async def record_opt_out(world: World, text: dict[str, Any]) -> None:
    """Record an opt-out and nothing else, as if the row of the text could not be seen."""
    await world.query(
        "INSERT INTO opt_outs VALUES (%s, %s, 'sms', now())", text["recipient_phone_number"], text["contact_id"]
    )


async def record_reply(world: World, text: dict[str, Any]) -> None:
    """Record a reply and nothing else, as if the row of the text could not be seen."""
    await world.query(
        "INSERT INTO replies (provider_id, contact_id, broadcast_id, body, received_at)"
        " SELECT '1', contact_id, broadcast_id, '', now() FROM outgoing_messages WHERE id = %s",
        text["id"],
    )


async def test_two_claims_at_once_never_take_the_same_text(world: World) -> None:
    """Fault 15: overlapping runs took the same rows."""
    broadcast = await world.made(40)
    one, other = [await world.take(await world.plan(broadcast)) for _ in range(2)]
    assert one is not None
    assert other is not None
    held = await asyncio.gather(world.claim(one, size=30), world.claim(other, size=30))
    assert sum(held) == 40
    claims = [claim["texts"] for claim in await world.happened("BatchClaimed")]
    assert len({text for claim in claims for text in claim}) == sum(map(len, claims)) == 40


async def test_a_claim_passes_over_what_another_holds_without_waiting_for_it(world: World) -> None:
    """Fault 15: overlapping runs took the same rows."""
    broadcast = await world.made(10)
    one, other = [await world.take(await world.plan(broadcast)) for _ in range(2)]
    assert one is not None
    assert other is not None
    async with database.transaction(world.pool) as connection:
        assert await batches.claim(connection, one, size=6, now=NOW) == 6
        assert await world.claim(other, size=6) == 4


async def test_a_batch_never_holds_more_than_its_size(world: World) -> None:
    batch = await world.claimed(await world.made(10), size=4)
    assert await world.claim(batch, size=4) == 4
    await world.start(batch, count=1)
    assert await world.claim(batch, size=4) == 4


async def test_a_text_that_has_to_wait_is_not_claimed(world: World) -> None:
    broadcast = await world.made(2)
    batch = await world.claimed(broadcast, size=1)
    [started] = await world.start(batch)
    await world.answer(started, Deferred(code="http_429", reason="too fast", retry_after=60))
    await world.close(batch, started=1)
    other = await world.claimed(broadcast)
    assert await world.column("SELECT id FROM outgoing_messages WHERE claimed_by = %s", other.id) != [
        started.attempt.text
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
    async with database.transaction(world.pool) as connection:
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
    """Fault 19: the same text taken twice."""
    broadcast = await world.made(5)
    old = await world.claimed(broadcast, size=3)
    assert await world.take(old.id, redelivered=True) is not None
    before = await world.dump()
    assert await world.claim(old, size=5) == 3
    assert await world.start(old) == []
    assert not await world.close(old)
    async with database.transaction(world.pool) as connection:
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
    assert lost.attempt.text not in {item.attempt.text for item in started}


async def test_a_text_is_started_once_however_many_workers_try(world: World) -> None:
    """Fault 15: overlapping runs took the same rows."""
    batch = await world.claimed(await world.made(20))
    both = await asyncio.gather(*(world.start(batch, count=3) for _ in range(6)))
    texts = [item.attempt.text for started in both for item in started]
    assert len(texts) == len(set(texts))
    assert {item.attempt.number for started in both for item in started} == {1}


@pytest.mark.parametrize("lever", ["pause", "cancel"])
async def test_nothing_starts_once_staff_have_stopped_the_broadcast(world: World, lever: str) -> None:
    """Fault 33: pause and resume sent again."""
    broadcast = await world.made()
    batch = await world.claimed(broadcast)
    await getattr(world, lever)(broadcast)
    assert await world.start(batch) == []


async def test_a_start_that_meets_a_pause_under_way_waits_for_it_and_starts_nothing(world: World) -> None:
    broadcast = await world.made()
    batch = await world.claimed(broadcast)
    async with database.transaction(world.pool) as connection:
        await connection.execute("UPDATE broadcasts SET state = 'paused', paused_from = state")
        starting = asyncio.create_task(world.start(batch))
        await world.until_somebody_waits()
    assert await starting == []


async def test_a_paused_broadcast_goes_on_with_all_that_had_not_started(world: World) -> None:
    """Fault 33: resume skipped those between the highest sent and the lowest unsent."""
    broadcast = await world.made(4)
    batch = await world.claimed(broadcast)
    await world.start(batch, count=2)
    await world.pause(broadcast)
    await world.close(batch, started=2)
    await world.resume(broadcast)
    assert len(await world.start(await world.claimed(broadcast))) == 2


async def test_nothing_of_a_phase_starts_in_the_other(world: World) -> None:
    batch = await world.claimed(await world.made(), is_second=True)
    assert await world.start(batch) == []


async def test_nothing_starts_in_quiet_hours(world: World) -> None:
    """Fault 33: texting hours were enforced in UTC."""
    batch = await world.claimed(await world.made())
    assert await world.start(batch, quiet=True) == []


async def test_who_has_opted_out_is_not_started_even_where_the_skipping_missed_them(world: World) -> None:
    """Fault 23: no check of opt-outs between the draw and the text."""
    broadcast = await world.made(2)
    batch = await world.claimed(broadcast)
    texts = await world.texts(broadcast)
    await record_opt_out(world, texts[0])
    assert [item.attempt.text for item in await world.start(batch)] == [texts[1]["id"]]


async def erase(world: World, contact: int) -> None:
    """Erase a contact, as far as its own row goes."""
    await world.query("UPDATE contacts SET phone_number = NULL, erased_at = now() WHERE id = %s", contact)


async def test_who_was_erased_is_not_started_even_where_the_skipping_missed_them(world: World) -> None:
    broadcast = await world.made(2)
    batch = await world.claimed(broadcast)
    texts = await world.texts(broadcast)
    await erase(world, texts[0]["contact_id"])
    assert [item.attempt.text for item in await world.start(batch)] == [texts[1]["id"]]


@pytest.mark.parametrize("is_second", [False, True])
async def test_a_text_that_comes_back_after_its_recipient_was_erased_never_leaves_and_ends_the_phase(
    world: World, is_second: bool
) -> None:
    """An erasure takes out what has not left; what was under way then may come back with its number."""
    broadcast = await second_phase(world, 1) if is_second else await world.made(1)
    batch = await world.claimed(broadcast, is_second=is_second)
    [started] = await world.start(batch)
    [text] = await world.texts(broadcast, is_second=is_second)
    await erase(world, text["contact_id"])
    await world.answer(started, Deferred(code="http_429", reason="too fast", retry_after=0))
    await world.close(batch, started=1)
    assert await world.states(broadcast, is_second=is_second) == ["pending"]
    again = await world.claimed(broadcast, is_second=is_second)
    assert await world.start(again) == []
    await world.close(again)
    [text] = await world.texts(broadcast, is_second=is_second)
    assert (text["state"], text["skip_reason"]) == ("skipped", "erased")
    for batch_id in await world.opens(broadcast):
        taken = await world.take(batch_id)
        assert taken is not None
        await world.close(taken)
    assert await world.advance(broadcast) == ("syncing" if is_second else "waiting")


async def second_phase(world: World, contacts: int = 2) -> int:
    broadcast = await world.made(contacts, second_delay=0)
    await world.send(broadcast)
    assert await world.advance(broadcast) == "sending_second"
    return broadcast


async def test_who_has_replied_is_not_started_even_where_the_skipping_missed_them(world: World) -> None:
    """Fault 25: a reply that came before did not stop the second message."""
    broadcast = await second_phase(world)
    batch = await world.claimed(broadcast, is_second=True)
    texts = await world.texts(broadcast, is_second=True)
    await record_reply(world, texts[0])
    assert [item.attempt.text for item in await world.start(batch)] == [texts[1]["id"]]


async def test_a_claim_leaves_out_who_has_replied_or_opted_out(world: World) -> None:
    """Faults 23, 24."""
    broadcast = await second_phase(world, 3)
    texts = await world.texts(broadcast, is_second=True)
    await record_opt_out(world, texts[0])
    await record_reply(world, texts[1])
    batch = await world.take(await world.plan(broadcast, is_second=True))
    assert batch is not None
    assert await world.claim(batch) == 1
    rows = await world.texts(broadcast, is_second=True)
    assert [(row["state"], row["skip_reason"]) for row in rows] == [
        ("skipped", "opted_out"), ("skipped", "replied"), ("claimed", None)
    ]  # fmt: skip


async def test_who_never_got_the_first_message_gets_no_second(world: World) -> None:
    broadcast = await world.made(1, second_delay=0)
    batch = await world.claimed(broadcast)
    [started] = await world.start(batch)
    await world.answer(started, Refused(code="21211", reason="not valid"))
    await world.close(batch, started=1)
    await world.advance(broadcast)
    rows = await world.texts(broadcast, is_second=True)
    assert [(row["state"], row["skip_reason"]) for row in rows] == [("skipped", "first_refused")]


async def test_who_was_passed_over_with_the_first_message_gets_no_second(world: World) -> None:
    """Its answer was lost, its phase went on without it, and only then the log told that it had never left."""
    broadcast = await second_phase(world, 1)
    await world.query(
        "UPDATE outgoing_messages SET state = 'skipped', skip_reason = 'phase_over', claimed_by = NULL"
        " WHERE NOT is_second"
    )
    batch = await world.claimed(broadcast, is_second=True)
    assert await world.start(batch) == []
    [text] = await world.texts(broadcast, is_second=True)
    assert (text["state"], text["skip_reason"]) == ("skipped", "phase_over")


async def test_a_reply_while_the_second_text_is_claimed_stops_it(world: World) -> None:
    """Fault 25: replies that come during the second phase still stop the text if it has not left."""
    broadcast = await second_phase(world, 1)
    batch = await world.claimed(broadcast, is_second=True)
    [text] = await world.texts(broadcast, is_second=True)
    async with database.transaction(world.pool) as connection:
        reply = Inbound(
            provider_id="1", phone_number=text["recipient_phone_number"], body="yes", received_at=world.clock.now
        )
        assert await consent.receive(connection, reply, world.clock.now)
    assert await world.start(batch) == []
    assert await world.states(broadcast, is_second=True) == ["skipped"]


async def test_closing_gives_back_what_was_not_started(world: World) -> None:
    """Fault 18: what was not reached in 60 s was lost."""
    broadcast = await world.made(3)
    batch = await world.claimed(broadcast)
    [started] = await world.start(batch, count=1)
    assert await world.close(batch, started=1)
    assert await world.states(broadcast) == ["started", "pending", "pending"]
    [sent] = await world.happened("BatchSent")
    assert started.attempt.text not in sent["returned"]
    assert len(sent["returned"]) == 2


async def test_closing_twice_says_once_that_the_batch_is_over(world: World) -> None:
    batch = await world.claimed(await world.made())
    assert [await world.close(batch), await world.close(batch)] == [True, False]
    assert len(await world.planned("BatchSent")) == 1


async def test_an_answer_counts_even_if_the_batch_was_lost_meanwhile(world: World) -> None:
    """Fault 17: sent texts were given back and sent again."""
    broadcast = await world.made(1)
    batch = await world.claimed(broadcast)
    [started] = await world.start(batch)
    new = await world.take(batch.id, redelivered=True)
    assert new is not None
    await world.close(new)
    await world.answer(started, ACCEPTED)
    assert await world.states(broadcast) == ["accepted"]


@pytest.mark.parametrize("meanwhile", ["pending", "claimed", "skipped", "uncertain"])
async def test_an_acceptance_counts_even_after_the_text_was_given_back(world: World, meanwhile: str) -> None:
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
    [text] = await world.texts(broadcast)
    assert (text["state"], text["skip_reason"], text["claimed_by"]) == ("accepted", None, None)
    assert await world.value("SELECT count(*) FROM broadcast_sent_message_status") == 1


@pytest.mark.parametrize(
    "late",
    [Deferred(code="http_429", reason="too fast"), Refused(code="21211", reason="no"), Unknown(reason="timeout")],
)
async def test_a_late_answer_other_than_an_acceptance_does_not_touch_a_text_that_was_given_back(
    world: World, late: Deferred | Refused | Unknown
) -> None:
    broadcast = await world.made(1)
    [started] = await world.start(await world.claimed(broadcast))
    await world.query("UPDATE outgoing_messages SET state = 'pending', claimed_by = NULL WHERE NOT is_second")
    before = await world.texts(broadcast)
    await world.answer(started, late)
    assert await world.texts(broadcast) == before


async def test_the_answer_to_an_older_attempt_does_not_touch_a_newer_one(world: World) -> None:
    """Fault 17: results were handled after others had moved the text on."""
    broadcast = await world.made(1)
    batch = await world.claimed(broadcast)
    [old] = await world.start(batch)
    await world.query("UPDATE outgoing_messages SET state = 'claimed' WHERE NOT is_second")
    [new] = await world.start(batch)
    assert new.attempt.number == old.attempt.number + 1
    before = await world.texts(broadcast)
    await world.answer(old, Deferred(code="http_429", reason="too fast"))
    assert await world.texts(broadcast) == before


async def test_an_answer_that_comes_twice_counts_once(world: World) -> None:
    broadcast = await world.made(1)
    [started] = await world.start(await world.claimed(broadcast))
    await world.answer(started, ACCEPTED)
    await world.answer(started, ACCEPTED)
    assert await world.value("SELECT count(*) FROM broadcast_sent_message_status") == 1
    assert len(await world.happened("TextAccepted")) == 1


async def test_every_text_that_may_have_left_has_its_attempt_on_record_first(world: World) -> None:
    world.clock.now = NOW + timedelta(seconds=3)
    broadcast = await world.made(2)
    started = await world.start(await world.claimed(broadcast))
    rows = await world.texts(broadcast)
    assert {(row["state"], row["attempts"], row["attempt_started_at"]) for row in rows} == {
        ("started", 1, world.clock.now)
    }
    [event] = await world.happened("TextsStarted")
    assert event["texts"] == [item.attempt.text for item in started]
