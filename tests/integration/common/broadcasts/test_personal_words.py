"""Words of one's own: rendered when a broadcast is made, sent, settled by, forgotten with the person."""

from datetime import timedelta

import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import (
    erasure,
    link_names,
    part_counts,
    personal_words,
    preflight,
    repository,
    restore_hold,
    selection,
)
from libs.common.carriers.outcomes import Accepted
from libs.common.domain import message_parts
from libs.common.domain.broadcast import call_back
from libs.common.domain.templates import parse
from libs.common.errors import Unrenderable
from libs.common.operations import rebuild, retention
from libs.common.operations.reconcile import reconcile
from services.api.contacts import stories
from tests.support.twilio_log import TwilioLog
from tests.support.world import NOW, World

HELLO = 'Hi {{ first_name | default: "neighbor" }}, what should we look into?'
AGAIN = "{{ first_name | default: 'neighbor' }}: still there?"
WORDS = "SELECT body FROM message_bodies ORDER BY message_id"


async def named(world: World, *names: str, tag: str = "all") -> list[int]:
    """Add people of these names."""
    ids = await world.contacts(len(names), tag)
    for contact, name in zip(ids, names, strict=True):
        await world.query("UPDATE contacts SET name = %s WHERE id = %s", name, contact)
    return ids


async def made(world: World, *names: str, first: str = HELLO, second: str | None = AGAIN) -> int:
    """Make a broadcast to people of these names."""
    await named(world, *names)
    broadcast = await world.scheduled(await world.segment("all"), first_message=first, second_message=second)
    await world.make(broadcast)
    return broadcast


async def words(world: World, broadcast: int, *, is_second: bool = False) -> dict[str, str]:
    rows = await world.query(
        "SELECT c.name, w.body FROM message_bodies w JOIN outgoing_messages m ON m.id = w.message_id"
        " JOIN contacts c ON c.id = m.contact_id WHERE m.broadcast_id = %s AND m.is_second = %s",
        broadcast, is_second,
    )  # fmt: skip
    return {row["name"]: row["body"] for row in rows}


async def test_each_gets_their_own_words(world: World) -> None:
    broadcast = await made(world, "Ana Diaz", "Bo", "", "  Cy\tMaria  Long ")
    assert await words(world, broadcast) == {
        "Ana Diaz": "Hi Ana, what should we look into?",
        "Bo": "Hi Bo, what should we look into?",
        "": "Hi neighbor, what should we look into?",
        "  Cy\tMaria  Long ": "Hi Cy, what should we look into?",
    }
    assert (await words(world, broadcast, is_second=True))["Bo"] == "Bo: still there?"


@pytest.mark.parametrize(
    ("template", "body"),
    [
        ("{{ name }}!", "Ana Maria Diaz!"), ("{{ first_name }}!", "Ana!"), ("{{ last_name }}!", "Diaz!"),
        ("{{ First Name }} {{ last_name }}, {{first_name}}", "Ana Diaz, Ana"),
        ("it's {{ name }} 'n' \\ {{ last_name | default: \"o'x\" }} :a", "it's Ana Maria Diaz 'n' \\ Diaz :a"),
    ],
)  # fmt: skip
async def test_names_are_divided_as_people_read_them(world: World, template: str, body: str) -> None:
    broadcast = await made(world, "Ana Maria Diaz", first=template, second=None)
    assert await words(world, broadcast) == {"Ana Maria Diaz": body}


async def test_attributes_are_variables_and_come_before_what_the_name_says(world: World) -> None:
    await named(world, "Ana Maria Diaz")
    await world.query(
        "UPDATE contacts SET attributes = %s", Jsonb({"ward": 7, "first_name": "Ana Maria", "street": " "})
    )
    broadcast = await world.scheduled(
        await world.segment("all"), second_message=None,
        first_message="{{ First Name }} {{ last_name }} of ward {{ ward }}, {{ street | default: 'your street' }}",
    )  # fmt: skip
    await world.make(broadcast)
    assert await world.column(WORDS) == ["Ana Maria Diaz of ward 7, your street"]


async def test_without_variables_nothing_is_kept_with_a_message(world: World) -> None:
    broadcast = await made(world, "Ana", first="Hello", second=AGAIN)
    assert await words(world, broadcast) == {}
    assert await words(world, broadcast, is_second=True) == {"Ana": "Ana: still there?"}
    [started] = await world.send(broadcast)
    assert started.body == "Hello"


async def test_what_leaves_is_what_was_rendered_whatever_changes_then(world: World) -> None:
    broadcast = await made(world, "Ana", "Bo")
    await world.query("UPDATE contacts SET name = 'Somebody Else'")
    assert {each.body for each in await world.send(broadcast)} == {
        "Hi Ana, what should we look into?", "Hi Bo, what should we look into?",
    }  # fmt: skip


async def test_a_message_without_its_words_does_not_leave(world: World) -> None:
    broadcast = await made(world, "Ana", "Bo")
    await world.query("DELETE FROM message_bodies WHERE body LIKE 'Hi Ana%%'")
    assert [each.body for each in await world.send(broadcast)] == ["Hi Bo, what should we look into?"]


async def test_who_lacks_a_value_keeps_a_broadcast_from_being_made(world: World) -> None:
    await named(world, "Ana Diaz", "Bo", "")
    broadcast = await world.scheduled(await world.segment("all"), first_message="Hi {{ last_name }}")
    before = await world.dump()
    with pytest.raises(Unrenderable) as caught:
        await world.make(broadcast)
    assert caught.value.people == 2
    assert await world.dump() == before


async def test_a_message_that_gets_too_long_keeps_a_broadcast_from_being_made(world: World) -> None:
    await named(world, "A" * 100, "🎉" * 51)
    broadcast = await world.scheduled(await world.segment("all"), first_message="{{ name }}" + "x" * 1499)
    with pytest.raises(Unrenderable) as caught:
        await world.make(broadcast)
    assert caught.value.people == 1, "an emoji counts as two"


async def test_at_its_time_such_a_broadcast_is_missed_and_says_why(world: World) -> None:
    await named(world, "")
    broadcast = await world.scheduled(await world.segment("all"), first_message="Hi {{ name }}")
    assert await world.advance(broadcast) == "missed"
    assert await world.value("SELECT missed_reason FROM broadcasts WHERE id = %s", broadcast) == "unrenderable"


async def test_parts_are_counted_for_each(world: World) -> None:
    broadcast = await made(world, "A", "B", "C" * 100, "Д", first="{{ name }}" + "x" * 100, second=None)
    rows = await world.query("SELECT is_second, parts, messages FROM broadcasts_parts ORDER BY parts")
    assert [tuple(row.values()) for row in rows] == [(False, 1, 2), (False, 2, 2)]
    assert await world.column("SELECT parts FROM message_bodies ORDER BY message_id") != []
    assert broadcast > 0


async def test_a_broadcast_that_is_called_back_is_rendered_anew(world: World) -> None:
    broadcast = await made(world, "Ana")
    async with database.transaction(world.engine) as connection:
        loaded = await repository.load(connection, broadcast)
        events = call_back(loaded, attempted=0, have_it=0, planned=1)
        await repository.save(connection, loaded, events, world.clock.now)
    assert await world.column(WORDS) == []
    assert await world.value("SELECT count(*) FROM broadcasts_parts") == 0
    await world.query("UPDATE contacts SET name = 'Bo'")
    await world.make(broadcast)
    assert (await world.send(broadcast))[0].body == "Hi Bo, what should we look into?"
    await check_rebuild(world)


async def check_rebuild(world: World) -> None:
    """History gives the very rows that the tables hold, and the words stay."""
    kept = await world.column(WORDS)
    async with database.transaction(world.engine) as connection:
        before = await rebuild.fingerprints(connection)
        await rebuild.rebuild(connection)
        assert before == await rebuild.fingerprints(connection)
    assert await world.column(WORDS) == kept


async def test_a_rebuild_keeps_the_words(world: World) -> None:
    broadcast = await made(world, "Ana", "Bo")
    [first] = await world.send(broadcast, size=1)
    await check_rebuild(world)
    [other] = await world.send(broadcast, size=1)
    assert {first.body, other.body} == {"Hi Ana, what should we look into?", "Hi Bo, what should we look into?"}


async def test_words_are_erased_with_the_person(world: World) -> None:
    broadcast = await made(world, "Ana", "Bo")
    await world.send(broadcast)
    [ana, _bo] = await world.column("SELECT id FROM contacts ORDER BY id")
    async with database.transaction(world.engine) as connection:
        await erasure.erase(connection, ana, world.clock.now)
    kept = await world.column(WORDS)
    assert sorted(kept) == ["Bo: still there?", "Hi Bo, what should we look into?"]
    await check_rebuild(world)


async def test_words_that_are_still_to_be_settled_go_once_they_are(world: World) -> None:
    broadcast = await made(world, "Ana", second=None)
    [_started] = await world.start(await world.claimed(broadcast))
    contact = await world.value("SELECT id FROM contacts")
    async with database.transaction(world.engine) as connection:
        await erasure.erase(connection, contact, world.clock.now)
    assert await world.column(WORDS) == ["Hi Ana, what should we look into?"], "by them it is found in the log"
    await world.answer(_started, Accepted(missive_id="M1"))
    async with database.transaction(world.engine) as connection:
        await erasure.forget_settled(connection)
    assert await world.column(WORDS) == []


async def test_words_are_forgotten_with_the_numbers_of_an_old_broadcast(world: World) -> None:
    broadcast = await made(world, "Ana", second=None)
    await world.send(broadcast)
    await world.query("UPDATE broadcasts SET state = 'completed', completed_at = %s, sync_started_at = %s", NOW, NOW)
    await retention.prune(world.engine, NOW + timedelta(days=1), NOW + timedelta(days=31))
    assert await world.column(WORDS) == []


async def test_a_persons_story_has_what_they_got(world: World) -> None:
    broadcast = await made(world, "Ana", second=None)
    await world.send(broadcast)
    number = await world.value("SELECT phone_number FROM contacts")
    async with database.transaction(world.engine) as connection:
        story = await stories.of_number(connection, number)
    assert [entry.words for entry in story.entries] == ["Hi Ana, what should we look into?"]


async def test_after_a_restore_what_was_sent_is_found_by_the_words_that_people_got(world: World) -> None:
    """The making is lost, a name has changed since, and a colleague typed a text to somebody by hand."""
    ids = await named(world, "Ana", "Bo", "Cy")
    broadcast = await world.scheduled(await world.segment("all"), first_message=HELLO, second_message=None)
    numbers = [await world.number_of(contact) for contact in ids]
    log = TwilioLog()
    at = NOW + timedelta(minutes=1)
    log.add("SM1", numbers[0], "Hi Ana, what should we look into?", at)
    log.add("SM2", numbers[1], "Hi Bob, what should we look into?", at)  # as Bo was called then
    log.add("SM3", numbers[2], "Hi Cy, are you coming?", at)
    async with database.transaction(world.engine) as connection:
        await restore_hold.hold(connection, NOW, NOW)
    world.clock.forward(minutes=10)
    report = await reconcile(world.engine, log.twilio(), world.schedule, world.clock)
    assert report.made == {broadcast: 3}
    assert (report.accepted[broadcast, False], report.strangers) == (2, 1)
    assert [each.body for each in await world.send(broadcast)] == ["Hi Cy, what should we look into?"]


async def test_after_a_restore_a_plain_text_to_one_person_makes_no_broadcast(world: World) -> None:
    [contact] = await named(world, "Ana")
    await world.scheduled(await world.segment("all"), first_message="{{ name }}", second_message=None)
    log = TwilioLog()
    log.add("SM1", await world.number_of(contact), "See you at noon", NOW + timedelta(minutes=1))
    async with database.transaction(world.engine) as connection:
        await restore_hold.hold(connection, NOW, NOW)
    world.clock.forward(minutes=10)
    report = await reconcile(world.engine, log.twilio(), world.schedule, world.clock)
    assert (report.made, report.strangers) == ({}, 1)


BODIES = [
    "a", "a" * 160, "a" * 161, "a" * 306, "a" * 307, "a" * 152 + "€" + "a" * 152, "a" * 152 + "€" + "a" * 153, "[" * 80,
    "[" * 81, "`", "`" * 70, "`" * 71, "ж" * 134, "ж" * 135, "ñ" * 160, "ç" * 70, "ç" * 71, "🎉", "🎉" * 35, "🎉" * 36,
    "🎉" * 66, "🎉" * 67, "a" * 66 + "🎉" + "a" * 66, "👩‍👩‍👧‍👧" * 10, "🇺🇸" * 30, "বাংলা" * 30, "e\u0301" * 60,
    "\n\t" * 50,
    "’" * 71, "漢" * 68, "a" * 69 + "\U0001f3fd", "{}[]~^|\\€" * 17,
]  # fmt: skip


async def test_sql_counts_parts_as_python_does_or_says_that_it_cannot(world: World) -> None:
    statement = text(f"""
SELECT b.body, {part_counts.parts("b.body")} AS parts, {part_counts.utf16_units("b.body")} AS units
FROM unnest(CAST(:bodies AS text[])) WITH ORDINALITY AS b (body, n) ORDER BY n
""")
    async with database.transaction(world.engine) as connection:
        rows = (await connection.execute(statement, {"bodies": BODIES})).all()
    unsure = [row.body for row in rows if row.parts == 0]
    assert [row.parts or message_parts.parts_of(row.body) for row in rows] == [
        message_parts.measure(body).parts for body in BODIES
    ]
    assert [row.units for row in rows] == [message_parts.utf16_units(body) for body in BODIES]
    assert len(unsure) < len(BODIES) / 3


async def test_what_sql_cannot_count_is_measured(world: World) -> None:
    await made(world, "👩‍👩‍👧‍👧" * 9, first="{{ name }} a", second=None)
    body = (await world.column(WORDS))[0]
    assert await world.value("SELECT parts FROM message_bodies") == message_parts.measure(body).parts > 1


LINK = "Read https://example.org/x?utm_campaign={{ broadcast }}&utm_content={{ segment }}"


async def test_links_name_the_broadcast_and_the_segment_for_which_somebody_was_drawn(world: World) -> None:
    await named(world, "Ana", tag="a")
    await named(world, "Bo", tag="b")
    await world.query('UPDATE contacts SET attributes = \'{"segment": "mine", "broadcast": "7"}\'')
    a = await world.segment("a", name="Café & Søn: 18 to 30")
    b = await world.segment("b", name="日本")
    broadcast = await world.scheduled(a, first_message=LINK, second_message=None, fallback=b, max_recipients=2)
    await world.make(broadcast)
    start = f"Read https://example.org/x?utm_campaign={NOW:%Y-%m-%d}-{broadcast}&utm_content="
    assert await words(world, broadcast) == {"Ana": f"{start}cafe-s-n-18-to-30", "Bo": f"{start}segment-{b}"}
    await world.query("UPDATE audience_segments SET name = 'other' WHERE id = %s", a)
    assert (await words(world, broadcast))["Ana"].endswith("cafe-s-n-18-to-30")


async def test_the_parts_of_links_are_those_that_a_look_before_has_counted(world: World) -> None:
    body = "x" * 145 + " {{ broadcast }} {{ segment }}"  # with a date, a digit and a letter that is 160
    for tags in (("a",), ("b",), ("a", "b")):
        await world.contacts(2, *tags)
    a, b = await world.segment("a", name="a"), await world.segment("b", name="b" * 40)
    broadcast = await world.scheduled(a, b, first_message=body, second_message=body)
    loaded = await world.load(broadcast)
    async with database.transaction(world.engine) as connection:
        asked = await selection.conditions(connection, selection.of(loaded, None), NOW)
        zone = world.settings.zone
        slugs = await link_names.read(connection, broadcast, loaded.run_at, asked.sources, zone)
        found = await preflight.read(connection, asked, body, body, slugs)
    longest = {parts: found.of(is_second=False)[parts] for parts in sorted(found.of(is_second=False))}
    assert longest == {1: 2, 2: 4}, "who is in both is counted with the longer name"
    await world.make(broadcast)
    rows = await world.query("SELECT w.body, w.parts FROM message_bodies w")
    assert all(row["parts"] == message_parts.parts_of(row["body"]) for row in rows)
    assert sum(row["parts"] for row in rows) <= found.total


async def test_the_links_of_a_test_are_a_tests(world: World) -> None:
    await named(world, "Ana")
    number = await world.value("SELECT phone_number FROM contacts")
    async with database.transaction(world.engine) as connection:
        found = await personal_words.render_for(connection, parse(LINK), [number])
    assert found == {number: "Read https://example.org/x?utm_campaign=test&utm_content=test"}
