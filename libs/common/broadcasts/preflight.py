"""Looking at a broadcast's messages for everybody who may get it, before it is made.

The same expressions render and count here as when it is made (`personal_words`, `part_counts`), over those whom the
draw may take (`audience`). Where a broadcast draws some of them by lot, this looks at all.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import TextClause, text

from libs.common.broadcasts import audience, link_names, part_counts, personal_words
from libs.common.broadcasts.audience import Rules
from libs.common.broadcasts.personal_words import Shape
from libs.common.broadcasts.segment_sql import Condition
from libs.common.broadcasts.selection import Conditions
from libs.common.database import Connection, all_rows
from libs.common.domain import message_parts, templates
from libs.common.domain.message_bodies import LONGEST
from libs.common.domain.slugs import Slugs
from libs.common.domain.templates import Template, parse

AT_ONCE = 1_000  # people whose parts are measured one by one, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCount:
    """How many messages of a phase need so many parts."""

    is_second: bool
    parts: int
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What the messages of a broadcast are to those who may get it."""

    #: Those who may get it, each once.
    people: int = 0
    #: Those of them whose messages cannot be made: they lack a value, or a message would be too long.
    wrong: int = 0
    #: How many lack the value of each variable.
    lacking: Mapping[str, int]
    too_long: int = 0
    parts: Sequence[PartCount] = ()

    def of(self, *, is_second: bool) -> dict[int, int]:
        """Return how many messages of a phase need so many parts, by the parts."""
        return {each.parts: each.messages for each in self.parts if each.is_second == is_second}

    @property
    def total(self) -> int:
        """The parts of both messages of all whose messages can be made."""
        return sum(each.parts * each.messages for each in self.parts)

    @property
    def longer(self) -> int:
        """How many first messages need more parts than the shortest."""
        first = self.of(is_second=False)
        return sum(first.values()) - first.get(min(first, default=0), 0)


@dataclass(frozen=True, slots=True)
class Fault:
    """Somebody whose messages cannot be made."""

    contact_id: int
    phone_number: str
    name: str
    #: The variables that they lack a value of.
    lacking: list[str]
    #: Units of UTF-16 of each message; null where it cannot be made.
    first_units: int | None
    second_units: int | None


@dataclass(frozen=True, slots=True)
class _Group:
    lacking: list[str]
    too_long: bool
    first_parts: int | None
    second_parts: int | None
    people: int


def _looked_at(conditions: tuple[str, ...], rules: Rules, first: Shape, second: Shape) -> str:
    """Return the query that renders both messages for each contact `c` whom one of some conditions names."""
    named = " OR ".join(f"({each})" for each in conditions)
    source = " ".join(f"WHEN {each} THEN CAST(:source_{n} AS bigint)" for n, each in enumerate(conditions))
    names_segment = any(piece and piece[0] == templates.SEGMENT for piece in (*first, *second))
    lacks = ", ".join([*personal_words.missing(first, "f"), *personal_words.missing(second, "s")])
    return f"""
SELECT c.id AS contact_id, c.phone_number, c.name, r.lacking, r.first, r.second,
       {part_counts.utf16_units("r.first")} AS first_units, {part_counts.utf16_units("r.second")} AS second_units
FROM contacts c {rules.join}
CROSS JOIN LATERAL (SELECT {f"CASE {source} END" if names_segment else "0"} AS segment_id) g
CROSS JOIN LATERAL (
    SELECT {personal_words.rendered(first, "f")} AS first,
           {personal_words.rendered(second, "s") if second else "CAST(NULL AS text)"} AS second,
           array_remove(CAST(ARRAY[{lacks}] AS text[]), NULL) AS lacking OFFSET 0) r
WHERE ({named}) AND c.erased_at IS NULL AND ({audience.left_out(rules)}) IS NULL
"""


_TOO_LONG = f"(first_units > {LONGEST} OR second_units > {LONGEST}) IS TRUE"


@lru_cache(maxsize=audience.SHAPES)
def _counted(conditions: tuple[str, ...], rules: Rules, first: Shape, second: Shape) -> TextClause:
    return text(f"""
WITH looked_at AS ({_looked_at(conditions, rules, first, second)})
SELECT lacking, {_TOO_LONG} AS too_long, {part_counts.parts("first")} AS first_parts,
       {part_counts.parts("second")} AS second_parts, count(*) AS people
FROM looked_at GROUP BY 1, 2, 3, 4
""")


@lru_cache(maxsize=audience.SHAPES)
def _listed(conditions: tuple[str, ...], rules: Rules, first: Shape, second: Shape) -> TextClause:
    return text(f"""
WITH looked_at AS ({_looked_at(conditions, rules, first, second)})
SELECT contact_id, phone_number, name, lacking, first_units, second_units FROM looked_at
WHERE contact_id > :after AND (cardinality(lacking) > 0 OR {_TOO_LONG}) ORDER BY contact_id LIMIT :limit
""")


@lru_cache(maxsize=audience.SHAPES)
def _undecided(conditions: tuple[str, ...], rules: Rules, first: Shape, second: Shape) -> TextClause:
    return text(f"""
WITH looked_at AS ({_looked_at(conditions, rules, first, second)})
SELECT contact_id, CASE WHEN {part_counts.parts("first")} = 0 THEN first END AS first,
       CASE WHEN {part_counts.parts("second")} = 0 THEN second END AS second
FROM looked_at
WHERE contact_id > :after AND cardinality(lacking) = 0 AND NOT {_TOO_LONG}
  AND ({part_counts.parts("first")} = 0 OR {part_counts.parts("second")} = 0)
ORDER BY contact_id LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class _Question:
    """Whose messages are looked at, and which."""

    asked: Conditions
    first: Template
    second: Template
    slugs: Slugs
    #: The file that has words for each person.
    file: int | None

    @property
    def sources(self) -> list[tuple[int, Condition]]:
        """The segments with their conditions.

        Who is in several has the longest name of them: so no message is longer than it is counted.
        """
        both = zip(self.asked.sources, self.asked.named, strict=True)
        if not link_names.has_segment(self.first) and not link_names.has_segment(self.second):
            return list(both)
        return sorted(both, key=lambda each: -len(self.slugs.segments.get(each[0], "")))

    @property
    def shape(self) -> tuple[tuple[str, ...], Rules, Shape, Shape]:
        first = personal_words.shape(self.first, self.file)
        second = personal_words.shape(self.second, self.file) if self.second.pieces else ()
        return tuple(each.sql for _, each in self.sources), self.asked.rules, first, second

    @property
    def parameters(self) -> dict[str, Any]:
        found = {**self.asked.rules.given, **link_names.parameters(self.slugs)}
        for number, (segment_id, each) in enumerate(self.sources):
            found |= {**each.given, f"source_{number}": segment_id}
        for template, prefix in ((self.first, "f"), (self.second, "s")):
            found |= personal_words.parameters(template, prefix, self.file)
        return found


def needs_a_look(first: str, second: str | None) -> bool:
    """Whether people get different words. Raise TemplateError."""
    return parse(first).is_personal or parse(second or "").is_personal


async def read(
    connection: Connection, asked: Conditions, first: str, second: str | None, slugs: Slugs, file: int | None = None
) -> Preflight:
    """Return what two messages are to all who may get them; `second` is None where there is no follow-up.

    `file` is the one that has words for each person, if any. Raise TemplateError.
    """
    question = _Question(asked, parse(first), parse(second or ""), slugs, file)
    if not asked.named:
        return Preflight(lacking={})
    groups = all_rows(await connection.execute(_counted(*question.shape), question.parameters), _Group)
    lacking: Counter[str] = Counter()
    parts: Counter[tuple[bool, int]] = Counter()
    for group in groups:
        lacking.update(dict.fromkeys(group.lacking, group.people))
        if group.lacking or group.too_long:
            continue
        for is_second, count in ((False, group.first_parts), (True, group.second_parts)):
            if count:
                parts[is_second, count] += group.people
    if any(0 in (group.first_parts, group.second_parts) for group in groups):
        parts += await _measured(connection, question)
    return Preflight(
        people=sum(group.people for group in groups),
        wrong=sum(group.people for group in groups if group.lacking or group.too_long),
        lacking=dict(lacking),
        too_long=sum(group.people for group in groups if group.too_long),
        parts=[
            PartCount(is_second=is_second, parts=count, messages=people)
            for (is_second, count), people in sorted(parts.items())
        ],
    )


async def faults(
    connection: Connection,
    asked: Conditions,
    first: str,
    second: str | None,
    slugs: Slugs,
    file: int | None = None,
    *,
    after: int,
    limit: int,
) -> list[Fault]:
    """Return those whose messages cannot be made, in the order of their ids, behind `after`. Raise TemplateError."""
    if not asked.named:
        return []
    question = _Question(asked, parse(first), parse(second or ""), slugs, file)
    given = {**question.parameters, "after": after, "limit": limit}
    return all_rows(await connection.execute(_listed(*question.shape), given), Fault)


async def _measured(connection: Connection, question: _Question) -> Counter[tuple[bool, int]]:
    """Count the parts that SQL could not tell."""
    found: Counter[tuple[bool, int]] = Counter()
    async for first, second in _bodies(connection, question):
        for is_second, body in ((False, first), (True, second)):
            if body is not None:
                found[is_second, message_parts.parts_of(body)] += 1
    return found


async def _bodies(connection: Connection, question: _Question) -> AsyncIterator[tuple[str | None, str | None]]:
    after = 0
    while True:
        given = {**question.parameters, "after": after, "limit": AT_ONCE}
        rows = (await connection.execute(_undecided(*question.shape), given)).tuples().all()
        for contact_id, first, second in rows:
            after = contact_id
            yield first, second
        if len(rows) < AT_ONCE:
            return
