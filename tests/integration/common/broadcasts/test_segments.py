"""Whom a filter takes in: the same people by the database as by a plain reading of the filter in Python."""

import operator
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import audience, drawing, segment_sql
from libs.common.domain import segments
from libs.common.domain.attributes import Kind, Value, kind_of
from libs.common.domain.segments import (
    AllOf,
    AnyOf,
    Attribute,
    Did,
    Filter,
    InImport,
    Not,
    Op,
    Since,
    Tag,
)
from tests.support.world import NOW, World

TAGS = ("north", "south", "staff")
ATTRIBUTES: dict[str, tuple[Value, ...]] = {
    "city": ("Flint", "Detroit", "2026", "zebra"),
    "age": (17, 18, 18.5, 40, "18"),
    "since": ("2026-01-31", "2025-12-31", "2026-02-01", "soon"),
    "member": (True, False, "true"),
}
LANGUAGES = (None, "es", "es-MX", "en", "est")
ZONES = (None, "America/Detroit", "America/Chicago")
COMPARE: dict[Op, Any] = {Op.LT: operator.lt, Op.LE: operator.le, Op.GT: operator.gt, Op.GE: operator.ge}


@dataclass
class Somebody:
    """A contact as a model of it."""

    id: int = 0
    tags: tuple[str, ...] = ()
    attributes: dict[str, Value] = field(default_factory=dict)
    language: str | None = None
    time_zone: str | None = None
    joined: datetime = NOW
    replied: datetime | None = None
    texted: datetime | None = None
    imports: tuple[int, ...] = ()


def takes_in(filter_: Filter, who: Somebody) -> bool:
    """Whether a filter takes somebody in, as docs/segments.md says it."""
    match filter_:
        case AllOf(parts):
            return all(takes_in(part, who) for part in parts)
        case AnyOf(parts):
            return any(takes_in(part, who) for part in parts)
        case Not(part):
            return not takes_in(part, who)
        case Tag(tag):
            return tag in who.tags
        case InImport(import_id):
            return import_id in who.imports
        case Since(did, _):
            at = {Did.JOINED: who.joined, Did.REPLIED: who.replied, Did.TEXTED: who.texted}[did]
            return at is not None and at >= filter_.moment(NOW)
        case Attribute(name, op, value):
            return compares(known(who, name), op, value, is_language=name == "language")
    raise AssertionError(filter_)


def known(who: Somebody, name: str) -> Value | None:
    return {"language": who.language, "time_zone": who.time_zone}.get(name, who.attributes.get(name))


def same(one: Value, other: Value, *, is_language: bool) -> bool:
    if is_language and str(one).startswith(f"{other}-"):
        return True
    return kind_of(one) is kind_of(other) and one == other


def compares(has: Value | None, op: Op, value: Any, *, is_language: bool) -> bool:
    if op is Op.EXISTS:
        return (has is not None) is value
    if op is Op.NE:
        return has is None or not same(has, value, is_language=is_language)
    if has is None:
        return False
    if op is Op.EQ:
        return same(has, value, is_language=is_language)
    if op is Op.IN:
        return any(same(has, each, is_language=is_language) for each in value)
    return kind_of(has) is kind_of(value) and bool(COMPARE[op](has, value))


def people(chance: random.Random) -> Iterator[Somebody]:
    for _ in range(120):
        yield Somebody(
            tags=tuple(tag for tag in TAGS if chance.random() < 0.4),
            attributes={name: chance.choice(values) for name, values in ATTRIBUTES.items() if chance.random() < 0.6},
            language=chance.choice(LANGUAGES),
            time_zone=chance.choice(ZONES),
            joined=NOW - timedelta(days=chance.choice((0, 5, 10, 90))),
            replied=chance.choice((None, NOW - timedelta(days=chance.choice((1, 10, 40))))),
            texted=chance.choice((None, NOW - timedelta(days=chance.choice((1, 10, 40))))),
            imports=tuple(each for each in (1, 2) if chance.random() < 0.3),
        )


def condition(chance: random.Random, depth: int) -> Any:
    """Return a filter at random, as JSON."""
    kind = chance.choice(("all", "any", "not") if depth and chance.random() < 0.6 else ("leaf",))
    if kind in ("all", "any"):
        parts = [condition(chance, depth - 1) for _ in range(chance.randint(1, 4))]
        return {kind: parts}
    if kind == "not":
        return {"not": condition(chance, depth - 1)}
    match chance.randrange(6):
        case 0 | 1:
            return chance.choice(TAGS)
        case 2 | 3:
            return {
                "attribute": (name := chance.choice((*ATTRIBUTES, "language", "time_zone"))),
                **compared(chance, name),
            }
        case 4:
            did = chance.choice(list(Did))
            since = chance.choice(("7 days", "30 days", (NOW - timedelta(days=10)).isoformat()))
            return {did.value: since}
    return {"import": chance.randint(1, 3)}


def compared(chance: random.Random, name: str) -> dict[str, Any]:
    fields = {"language": ("es", "es-MX", "en", "fr"), "time_zone": ("America/Detroit", "Asia/Tokyo")}
    values: tuple[Value, ...] = fields.get(name) or ATTRIBUTES[name]
    op = chance.choice(list(Op))
    if op is Op.EXISTS:
        return {"exists": chance.random() < 0.5}
    if op is Op.IN:
        return {"in": chance.sample(values, chance.randint(1, 2))}
    if op in COMPARE:
        ordered = [each for each in values if name not in fields and kind_of(each) in (Kind.NUMBER, Kind.DATE)]
        if not ordered:
            return {"eq": chance.choice(values)}
        return {op.value: chance.choice(ordered)}
    return {op.value: chance.choice(values)}


async def add(world: World, everybody: list[Somebody]) -> None:
    for _ in (1, 2, 3):
        await world.query("INSERT INTO contact_imports (state, file_name, actor) VALUES ('done', '', 'key:test')")
    ids = await world.contacts(len(everybody))
    broadcast = await world.scheduled(await world.segment())
    for contact, who in zip(ids, everybody, strict=True):
        who.id = contact
        await world.query(
            "UPDATE contacts SET tags = %s, attributes = %s, language = %s, time_zone = %s, created_at = %s"
            " WHERE id = %s",
            list(who.tags), Jsonb(who.attributes), who.language, who.time_zone, who.joined, contact,
        )  # fmt: skip
        for import_id in who.imports:
            await world.query("INSERT INTO contact_import_members VALUES (%s, %s)", import_id, contact)
        if who.replied:
            await world.query(
                "INSERT INTO replies (provider_id, phone_number, contact_id, body, received_at, channel) "
                "SELECT 'SM' || id, phone_number, id, 'x', %s, 'sms' FROM contacts WHERE id = %s",
                who.replied, contact,
            )  # fmt: skip
    await world.make(broadcast)
    for who in everybody:
        at, state = (who.texted, "accepted") if who.texted else (None, "pending")
        await world.query(
            "UPDATE outgoing_messages SET state = %s, attempts = %s, attempt_started_at = %s "
            "WHERE contact_id = %s AND NOT is_second",
            state, int(bool(at)), at, who.id,
        )  # fmt: skip


async def found_by(connection: database.Connection, filter_: Filter) -> list[int]:
    named = segment_sql.condition(filter_, NOW)
    statement = text(f"SELECT c.id FROM contacts c WHERE {named.sql} ORDER BY c.id")
    return list((await connection.execute(statement, named.given)).scalars())


async def test_a_filter_takes_in_the_same_people_in_the_database_as_in_words(world: World) -> None:
    chance = random.Random(14)
    everybody = list(people(chance))
    await add(world, everybody)
    taken: set[int] = set()
    async with database.transaction(world.engine) as connection:
        for number in range(400):
            given = condition(chance, 4)
            filter_ = segments.read(given)
            expected = [who.id for who in everybody if takes_in(filter_, who)]
            assert await found_by(connection, filter_) == expected, (number, given)
            assert await audience.count(connection, segment_sql.condition(filter_, NOW)) == len(expected), given
            taken.add(len(expected))
    assert len(taken) > 30  # not everybody or nobody each time


@pytest.mark.parametrize(("one", "other"), [
    ({"any": ["a", "b"]}, {"any": ["c", "d", "e"]}),
    ({"attribute": "age", "ge": 5}, {"attribute": "height", "ge": 7.5}),
    ({"attribute": "city", "in": ["a"]}, {"attribute": "town", "in": ["b", 5, True]}),
    ({"all": ["a", {"replied_since": "3 days"}]}, {"all": ["b", {"replied_since": "2026-01-01T00:00:00Z"}]}),
])  # fmt: skip
def test_filters_of_one_shape_have_one_statement(one: Any, other: Any) -> None:
    statements = [drawing.draw_of(segment_sql.condition(segments.read(each), NOW).sql) for each in (one, other)]
    assert statements[0] is statements[1]


async def test_a_broadcast_keeps_whom_its_segments_took_in_when_it_was_made(world: World) -> None:
    await world.contacts(2, "north")
    inner = await world.segment("north")
    outer = await world.segment(rule={"all": [{"segment": inner}, {"not": "staff"}]})
    broadcast = await world.scheduled(outer)
    await world.make(broadcast)
    await world.query("UPDATE audience_segments SET filter = %s", Jsonb({"tag": "other"}))
    made = {"all": [{"any": [{"tag": "north"}]}, {"not": {"tag": "staff"}}]}
    assert await world.column("SELECT filter FROM broadcasts_segments") == [made]
    assert await world.column("SELECT data -> 'draws' -> 0 -> 'filter' FROM events WHERE type = 'BroadcastMade'") == [
        made
    ]


async def test_what_is_drawn_is_what_was_counted(world: World) -> None:
    chance = random.Random(7)
    everybody = list(people(chance))
    await add(world, everybody)
    rule = {"any": [{"attribute": "age", "ge": 18}, {"not": {"replied_since": "30 days"}}]}
    segment = await world.segment(rule=rule)
    async with database.transaction(world.engine) as connection:
        filter_ = (await audience.filters(connection, [segment]))[segment]
        counted = await audience.count(connection, segment_sql.condition(filter_, world.clock.now))
        [part] = await audience.parts(connection, audience.conditions([filter_], world.clock.now))
    broadcast = await world.scheduled(segment, max_recipients=1000)
    await world.make(broadcast)
    drawn = await world.value("SELECT drawn FROM broadcasts_segments WHERE broadcast_id = %s", broadcast)
    assert counted == part.people == drawn > 0
    assert NOW.tzinfo is UTC
