"""What ends a follow-up: a person's own words always, the rest as the organisation chooses."""

from collections.abc import Collection

import pytest

from libs.common import database
from libs.common.broadcasts import replies
from libs.common.broadcasts.inbound import Inbound
from libs.common.domain.states import BY_A_PERSON, ReplyKind
from tests.support.world import World

REACTION = "Liked “Hello. Reply STOP to end”"
DRIVING = "I'm driving with Focus turned on. I'll see your message when I get where I'm going."
NOT_DELIVERED = "Free Msg: Unable to send message - Message Blocking is active."


async def write(
    world: World, number: str, body: str, *, ended_by: Collection[ReplyKind] = BY_A_PERSON, is_cut: bool = False
) -> None:
    inbound = Inbound(
        provider_id="SM1",
        phone_number=number,
        body=body,
        received_at=world.clock.now,
        is_cut=is_cut,
        missive_id="m-1" if is_cut else None,
    )
    async with database.transaction(world.engine) as connection:
        assert await replies.receive(connection, inbound, world.clock.now, ended_by=ended_by)


async def answered(world: World, body: str, *, ended_by: Collection[ReplyKind] = BY_A_PERSON) -> int:
    """Have the recipient of a broadcast's first message answer; return the broadcast."""
    broadcast = await world.made(1, second_delay=0)
    [first] = await world.send(broadcast)
    await write(world, first.attempt.to, body, ended_by=ended_by)
    return broadcast


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("Yes!", "own_words"),
        (REACTION, "reaction"),
        (DRIVING, "automatic"),
        (NOT_DELIVERED, "delivery_notice"),
    ],
)
@pytest.mark.parametrize("ended_by", [(), BY_A_PERSON, (ReplyKind.AUTOMATIC, ReplyKind.DELIVERY_NOTICE)])
async def test_the_kinds_that_are_chosen_end_the_follow_up_and_own_words_always(
    world: World, body: str, kind: str, ended_by: tuple[ReplyKind, ...]
) -> None:
    broadcast = await answered(world, body, ended_by=ended_by)
    ends = kind == "own_words" or kind in ended_by
    assert await world.column("SELECT kind FROM replies") == [kind]
    assert await world.column("SELECT data ->> 'kind' FROM events WHERE type = 'ReplyReceived'") == [kind]
    [second] = await world.messages(broadcast, is_second=True)
    assert second["skip_reason"] == ("replied" if ends else None)
    # Whoever plans the follow-ups, and what starts one, look for themselves.
    await world.query("UPDATE outgoing_messages SET state = 'pending', skip_reason = NULL WHERE is_second")
    assert await world.advance(broadcast) == ("syncing" if ends else "sending_second")
    if not ends:
        assert len(await world.start(await world.claimed(broadcast, is_second=True))) == 1


async def test_a_tapback_that_quotes_stop_opts_nobody_out(world: World) -> None:
    await answered(world, REACTION)
    assert await world.column("SELECT count(*) FROM opt_outs") == [0]
    assert await world.column("SELECT count(*) FROM consent_records") == [0]
    assert await world.column("SELECT review FROM replies") == [None]


async def test_what_turns_out_to_be_own_words_ends_the_follow_up_after_all(world: World) -> None:
    broadcast = await world.made(1)
    [first] = await world.send(broadcast)
    await write(world, first.attempt.to, "Message not delivered", is_cut=True)
    assert await world.column("SELECT (kind, ends_follow_up)::text FROM replies") == ["(delivery_notice,f)"]
    async with database.transaction(world.engine) as connection:
        known = await replies.lock_cut(connection, (await world.column("SELECT id FROM replies"))[0])
        assert known is not None
        await replies.complete(
            connection, known, world.clock.now, body="Message not delivered by the city, they never told us"
        )
    assert await world.column("SELECT (kind, ends_follow_up)::text FROM replies") == ["(own_words,t)"]
    [second] = await world.messages(broadcast, is_second=True)
    assert second["skip_reason"] == "replied"


async def test_a_notice_of_delivery_does_not_bring_a_number_back(world: World) -> None:
    broadcast = await world.made(1)
    [first] = await world.send(broadcast)
    await world.query(
        "INSERT INTO unreachable_numbers (phone_number, contact_id, code, since)"
        " SELECT phone_number, id, '30005', now() - interval '100 years' FROM contacts"
    )
    await write(world, first.attempt.to, NOT_DELIVERED)
    assert await world.column("SELECT cleared_at FROM unreachable_numbers") == [None]
