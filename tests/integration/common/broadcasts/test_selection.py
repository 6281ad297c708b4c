"""Whom a broadcast takes: shares of every kind, groups that are left out, the frequency cap, and who fills up.

What is drawn, and what is shown before, is held against a naive model that looks at people one by one.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from libs.common import database
from libs.common.broadcasts import making, repository, selection
from libs.common.domain import events as e
from libs.common.domain.broadcast import call_back
from libs.common.domain.frequency import Cap
from libs.common.domain.states import LeftOut
from libs.common.errors import EmptyDraw
from libs.common.operations import rebuild
from services.api.broadcasts import recipients_preview
from services.api.broadcasts.recipients_preview import Recipients
from tests.support.world import NOW, World

TAGS = ("a", "b", "c", "d", "e")
#: A batch that some messages are in.
BATCH = "00000000-0000-0000-0000-000000000001"


@dataclass(slots=True)
class Person:
    """Somebody as the model knows them."""

    id: int
    tags: frozenset[str]
    opted_out: bool = False
    #: When each of their texts began to leave; of those that are still to leave, now.
    texts: list[datetime] = field(default_factory=list)


async def crowd(world: World, chance: random.Random, people: int) -> list[Person]:
    """Add people with random tags, of whom some have opted out."""
    found = []
    for _ in range(people):
        tags = [tag for tag in TAGS if chance.random() < 0.4]
        [contact] = await world.contacts(1, *tags)
        found.append(Person(contact, frozenset(tags), opted_out=chance.random() < 0.1))
        if found[-1].opted_out:
            number = await world.number_of(contact)
            await world.query("INSERT INTO opt_outs VALUES (%s, %s, 'staff', now(), NULL, 'user:1')", number, contact)
    return found


async def scatter(world: World, chance: random.Random, broadcast_id: int) -> None:
    """Have a broadcast's messages be in every state that there is, and of any age."""
    await world.query(
        "INSERT INTO batches (id, broadcast_id, is_second, due_at) VALUES (%s, %s, false, %s) ON CONFLICT DO NOTHING",
        BATCH, broadcast_id, NOW,
    )  # fmt: skip
    for row in await world.messages(broadcast_id) + await world.messages(broadcast_id, is_second=True):
        state = chance.choice(
            ["pending", "claimed", "started", "uncertain", "accepted", "accepted", "accepted", "refused", "skipped"]
        )
        attempted = state in ("started", "uncertain", "accepted", "refused")
        await world.query(
            "UPDATE outgoing_messages SET state = %s, claimed_by = %s, attempts = %s, attempt_started_at = %s,"
            " skip_reason = %s WHERE id = %s",
            state, BATCH if state in ("claimed", "started") else None, int(attempted),
            NOW - timedelta(days=chance.choice([1, 3, 7, 8, 40])) if attempted else None,
            "cancelled" if state == "skipped" else None, row["id"],
        )  # fmt: skip
        if state == "accepted" and chance.random() < 0.2:
            await world.query(
                "INSERT INTO broadcast_sent_message_status (outgoing_message_id, broadcast_id, is_second, outcome)"
                " SELECT id, broadcast_id, is_second, 'not_handed_over' FROM outgoing_messages WHERE id = %s",
                row["id"],
            )


async def remember_texts(world: World, people: Sequence[Person]) -> None:
    """Count everybody's texts, by looking at each message."""
    rows = await world.query(
        "SELECT m.contact_id, m.state, m.attempt_started_at, s.outcome FROM outgoing_messages m"
        " LEFT JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id"
    )
    for person in people:
        person.texts = [
            NOW if row["state"] in ("pending", "claimed") else row["attempt_started_at"]
            for row in rows
            if row["contact_id"] == person.id
            and row["state"] not in ("refused", "skipped")
            and row["outcome"] != "not_handed_over"
        ]


def left_out(person: Person, excluded: Sequence[str], caps: Sequence[Cap], texts: int) -> LeftOut | None:
    """Say why somebody gets nothing."""
    if person.opted_out:
        return LeftOut.OPTED_OUT
    if person.tags & set(excluded):
        return LeftOut.EXCLUDED
    for cap in caps:
        lately = [at for at in person.texts if at >= NOW - timedelta(days=cap.days)]
        if len(lately) + texts > cap.texts:
            return LeftOut.CAPPED
    return None


def a_share(chance: random.Random, segment_id: int) -> e.Segment:
    kind = chance.randrange(3)
    if kind == 0:
        return e.Segment(segment_id=segment_id)
    if kind == 1:
        return e.Segment(segment_id=segment_id, count=chance.randrange(1, 15))
    return e.Segment(segment_id=segment_id, ratio=chance.choice([10, 25, 33]))


async def preview(world: World, broadcast_id: int) -> Recipients:
    loaded = await world.load(broadcast_id)
    async with database.transaction(world.engine) as connection:
        return await recipients_preview.read(connection, selection.of(loaded, world.settings.cap), NOW)


def with_cap(world: World, cap: str) -> None:
    world.settings = world.settings.model_copy(update={"frequency_cap": cap})
    world.settings.__dict__.pop("cap", None)  # a copy has what its original had read


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_drawn_is_what_the_model_and_the_preview_say(world: World, seed: int) -> None:
    chance = random.Random(seed)
    people = await crowd(world, chance, 50)
    segments = {tag: await world.segment(tag) for tag in TAGS}
    for _ in range(3):
        before = await world.scheduled(await world.segment(*chance.sample(TAGS, 2)))
        await world.make(before)
        await scatter(world, chance, before)
    capped = filled = 0
    for _ in range(12):
        await remember_texts(world, people)
        tags = chance.sample(TAGS, 5)
        drawn_from, excluded = tags[: chance.randrange(1, 4)], tags[3 : chance.randrange(3, 5)]
        fallback = tags[4] if chance.random() < 0.8 else None
        own, organisation = chance.choice([None, Cap(texts=4, days=7)]), chance.choice(["", "6/30"])
        with_cap(world, organisation)
        second = chance.choice([None, "Still there?"])
        wished = [a_share(chance, segments[tag]) for tag in drawn_from]
        broadcast = await world.scheduled(
            second_message=second, segments=tuple(wished), max_recipients=chance.randrange(1, 40),
            excluded=tuple(segments[tag] for tag in excluded),
            fallback=None if fallback is None else segments[fallback],
            cap_texts=own and own.texts, cap_days=own and own.days,
        )  # fmt: skip
        caps = [cap for cap in (own, world.settings.cap) if cap is not None]
        reasons = {each.id: left_out(each, excluded, caps, 2 if second else 1) for each in people}
        named = [each for each in people if each.tags & set(drawn_from)]
        model = Counter(reason for each in named if (reason := reasons[each.id]) is not None)
        able = [each for each in named if reasons[each.id] is None]

        shown = await preview(world, broadcast)
        assert dict(shown.left_out) == dict(model)
        assert shown.members == len(able)
        assert shown.gets_it.least <= shown.gets_it.most
        if shown.gets_it.most == 0:
            with pytest.raises(EmptyDraw):
                await world.make(broadcast)
            continue
        made = await world.make(broadcast)
        event = (await world.happened("BroadcastMade"))[-1]
        messages = await world.messages(broadcast)
        drawn = {row["contact_id"]: row["segment_id"] for row in messages}
        by_segment = Counter(drawn.values())

        assert made.recipients == len(drawn) == len(messages)
        assert all(reasons[contact] is None for contact in drawn)
        tags_of = {segments[tag]: tag for tag in TAGS}
        assert all(tags_of[segment] in next(p for p in people if p.id == contact).tags
                   for contact, segment in drawn.items())  # fmt: skip
        assert shown.gets_it.least <= made.recipients <= shown.gets_it.most
        assert event["left_out"] == {reason.value: number for reason, number in model.items()}
        assert {each["segment_id"]: each["quota"] for each in event["draws"]} == {
            each.segment_id: each.quota.most for each in shown.groups
        }
        for group, wish in zip(shown.groups, wished, strict=True):
            assert group.gets_it.least <= by_segment[wish.segment_id] <= group.gets_it.most
        short = sum(each["quota"] - each["drawn"] for each in event["draws"])
        if fallback is None:
            assert event["fallback"] is None
        else:
            spare = [
                each for each in people
                if fallback in each.tags
                and reasons[each.id] is None
                and drawn.get(each.id) in (None, segments[fallback])
            ]  # fmt: skip
            assert by_segment[segments[fallback]] == event["fallback"]["drawn"] == min(short, len(spare))
            filled += event["fallback"]["drawn"]
        capped += model[LeftOut.CAPPED]
    assert capped + filled > 5


async def sent(world: World, contact: int, *ages: float, state: str = "accepted") -> None:
    """Have somebody have got texts, so many days ago."""
    tag = f"only {contact} {len(ages)} {state} {await world.value('SELECT count(*) FROM broadcasts')}"
    await world.query("UPDATE contacts SET tags = tags || %s WHERE id = %s", [tag], contact)
    segment = await world.segment(tag)
    for age in ages:
        with_cap(world, "")
        past = await world.scheduled(segment, second_message=None)
        await world.make(past)
        await world.query(
            "UPDATE outgoing_messages SET state = %s, attempts = 1, attempt_started_at = %s WHERE broadcast_id = %s",
            state, NOW - timedelta(days=age), past,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("cap", "second", "ages", "is_drawn"),
    [
        ("1/7", None, [], True),
        ("1/7", None, [6.9], False),
        ("1/7", None, [7.1], True),
        ("2/7", None, [1], True),
        ("2/7", None, [1, 2], False),
        # The follow-up is a text as well: there has to be room for both.
        ("2/7", "Still there?", [], True),
        ("2/7", "Still there?", [1], False),
        ("3/7", "Still there?", [1], True),
    ],
)
async def test_nobody_gets_more_texts_than_the_cap_says(
    world: World,
    cap: str,
    second: str | None,
    ages: list[float],
    is_drawn: bool,
) -> None:
    [ana] = await world.contacts(1, "all")
    [bo] = await world.contacts(1, "all", "new")
    await sent(world, ana, *ages)
    with_cap(world, cap)
    broadcast = await world.scheduled(await world.segment("all"), second_message=second)
    await world.make(broadcast)
    drawn = {row["contact_id"] for row in await world.messages(broadcast)}
    assert drawn == ({ana, bo} if is_drawn else {bo})


@pytest.mark.parametrize(("state", "counts"), [("uncertain", True), ("accepted", True), ("refused", False)])
async def test_what_may_have_left_counts_and_what_was_refused_does_not(
    world: World,
    state: str,
    counts: bool,
) -> None:
    [ana] = await world.contacts(1, "all")
    await world.contacts(1, "all")
    await sent(world, ana, 1, state=state)
    with_cap(world, "1/7")
    broadcast = await world.scheduled(await world.segment("all"), second_message=None)
    assert (await world.make(broadcast)).recipients == (1 if counts else 2)


async def test_two_broadcasts_at_once_keep_the_cap(world: World) -> None:
    """What the first is still to send counts for the second."""
    await world.contacts(5, "all")
    with_cap(world, "1/7")
    segment = await world.segment("all")
    await world.make(await world.scheduled(segment, second_message=None))
    with pytest.raises(EmptyDraw):
        await world.make(await world.scheduled(segment, second_message=None))


async def test_a_broadcast_tightens_the_organisations_cap_and_never_loosens_it(world: World) -> None:
    [ana] = await world.contacts(1, "all")
    [bo] = await world.contacts(1, "all")
    await sent(world, ana, 1)
    segment = await world.segment("all")
    with_cap(world, "1/7")
    loose = await world.scheduled(segment, second_message=None, cap_texts=9, cap_days=1)
    assert dict((await preview(world, loose)).left_out) == {LeftOut.CAPPED: 1}
    with_cap(world, "9/7")
    tight = await world.scheduled(segment, second_message=None, cap_texts=1, cap_days=2)
    await world.make(tight)
    assert [row["contact_id"] for row in await world.messages(tight)] == [bo]
    assert (await world.happened("BroadcastMade"))[-1]["caps"] == [{"texts": 9, "days": 7}, {"texts": 1, "days": 2}]


async def test_who_is_in_a_group_that_is_left_out_gets_nothing_whatever_draws_them(world: World) -> None:
    wanted = await world.contacts(3, "a", "b")
    await world.contacts(3, "a", "staff")
    await world.contacts(3, "b", "staff")
    a, b, staff = [await world.segment(tag) for tag in ("a", "b", "staff")]
    broadcast = await world.scheduled(a, fallback=b, excluded=(staff,), max_recipients=100)
    await world.make(broadcast)
    assert sorted(row["contact_id"] for row in await world.messages(broadcast)) == wanted
    assert await world.query("SELECT reason, people FROM broadcasts_left_out") == [{"reason": "excluded", "people": 3}]


async def test_a_made_broadcast_keeps_what_its_groups_were(world: World) -> None:
    await world.contacts(3, "a")
    await world.contacts(3, "b")
    a, b, staff = [await world.segment(tag) for tag in ("a", "b", "staff")]
    broadcast = await world.scheduled(a, fallback=b, excluded=(staff,), max_recipients=5)
    await world.make(broadcast)
    await world.query("UPDATE audience_segments SET filter = '{\"all\": []}'")
    rows = await world.query("SELECT role, quota, drawn, filter FROM broadcasts_segments ORDER BY role")
    assert [tuple(row.values()) for row in rows] == [
        ("excluded", None, None, {"any": [{"tag": "staff"}]}),
        ("fallback", 2, 2, {"any": [{"tag": "b"}]}),
        ("share", 5, 3, {"any": [{"tag": "a"}]}),
    ]
    event = (await world.happened("BroadcastMade"))[-1]
    assert event["excluded"] == [{"segment_id": staff, "filter": {"any": [{"tag": "staff"}]}}]


async def test_the_next_one_of_a_broadcast_that_repeats_keeps_whom_it_leaves_out_and_who_fills_up(world: World) -> None:
    await world.contacts(3, "a")
    a, b, staff = [await world.segment(tag) for tag in ("a", "b", "staff")]
    broadcast = await world.scheduled(
        segments=(e.Segment(segment_id=a, count=2),), fallback=b, excluded=(staff,), cap_texts=3, cap_days=9,
        recurring=True,
    )  # fmt: skip
    made = await world.make(broadcast)
    assert made.broadcast.next_broadcast_id is not None
    following = await world.load(made.broadcast.next_broadcast_id)
    assert following.segments == (e.Segment(segment_id=a, count=2),)
    assert (following.excluded, following.fallback, following.cap) == ((staff,), b, Cap(texts=3, days=9))
    rows = await world.query(
        "SELECT segment_id, role, count FROM broadcasts_segments WHERE broadcast_id = %s ORDER BY segment_id",
        following.id,
    )
    assert [tuple(row.values()) for row in rows] == [(a, "share", 2), (b, "fallback", None), (staff, "excluded", None)]


async def test_one_that_is_called_back_forgets_what_it_had_drawn_and_a_rebuild_finds_the_same(world: World) -> None:
    await world.contacts(3, "a")
    await world.contacts(3, "a", "staff")
    a, b, staff = [await world.segment(tag) for tag in ("a", "b", "staff")]
    run_at = NOW + timedelta(hours=1)
    wish: dict[str, Any] = {"fallback": b, "excluded": (staff,), "run_at": run_at, "cap_texts": 5, "cap_days": 5}
    await world.make(await world.scheduled(a, **wish))
    back = await world.scheduled(a, **wish)
    await world.make(back)
    await world.apply(back, *call_back(await world.load(back), attempted=0, have_it=0, planned=3))
    assert await world.value("SELECT count(*) FROM broadcasts_left_out WHERE broadcast_id = %s", back) == 0
    assert await world.column("SELECT filter FROM broadcasts_segments WHERE broadcast_id = %s", back) == [None] * 3
    async with database.transaction(world.engine) as connection:
        before = await rebuild.fingerprints(connection)
        await rebuild.rebuild(connection)
        assert await rebuild.fingerprints(connection) == before
    assert before["broadcasts_left_out"][0] == 1


async def test_who_has_the_message_already_is_drawn_again_whatever_the_rules_say(world: World) -> None:
    """A restore has undone a draw: whoever was texted is a recipient."""
    ids = await world.contacts(4, "a")
    await world.query("UPDATE contacts SET tags = tags || '{staff}'::text[] WHERE id = %s", ids[0])
    await sent(world, ids[1], 1)
    with_cap(world, "2/7")
    a, staff = await world.segment("a"), await world.segment("staff")
    broadcast = await world.scheduled(a, excluded=(staff,), max_recipients=2)
    numbers = [await world.number_of(each) for each in ids[:2]]
    async with database.transaction(world.engine) as connection:
        loaded = await repository.load(connection, broadcast)
        await making.remake_for_restore(connection, loaded, world.schedule, NOW, numbers=numbers)
    assert {row["contact_id"] for row in await world.messages(broadcast)} == set(ids[:2])
