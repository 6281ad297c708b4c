"""The words that are one person's own: rendered in the database when a broadcast is made, and kept with each message.

A message without variables has no row in `message_bodies`: its words are those of its broadcast, and nothing here is
done for it. Whatever reads the words of a message reads `words_of`. They are forgotten where the number of their
message is (`forgetting`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import TextClause, text

from libs.common.broadcasts import file_words, link_names, messages, part_counts, selection
from libs.common.broadcasts.audience import SHAPES
from libs.common.database import Connection
from libs.common.domain import events as e
from libs.common.domain import message_parts, templates
from libs.common.domain.broadcast import Broadcast
from libs.common.domain.message_bodies import LONGEST
from libs.common.domain.states import MessageState, SkipReason
from libs.common.domain.templates import Template, Variable
from libs.common.errors import Unrenderable

#: What is shown by nothing, and what no carrier takes.
_CONTROLS = "".join(map(chr, (*range(1, 32), *range(127, 160))))
_NAME = f"btrim(translate(c.name, '{_CONTROLS}', '{' ' * len(_CONTROLS)}'))"
#: What the variables stand for that come from the name of a contact `c`; null where there is nothing. Who has one name
#: has no last one.
OF_THE_NAME: Mapping[str, str] = {
    templates.NAME: f"nullif({_NAME}, '')",
    templates.FIRST_NAME: rf"substring({_NAME} FROM '^\S+')",
    templates.LAST_NAME: rf"substring({_NAME} FROM '\s(\S+)$')",
}

#: Variables that are no attribute's name.
KNOWN = (*OF_THE_NAME, *templates.OF_THE_BROADCAST)
#: What they stand for that are the words of a file, whose id is the parameter `file`.
OF_THE_FILE: Mapping[str, str] = {
    name: f"""(SELECT fw.{column} FROM contact_import_bodies fw
    WHERE fw.import_id = CAST(:file AS bigint) AND fw.contact_id = c.id)"""
    for name, column in ((templates.MESSAGE, "first_body"), (templates.FOLLOW_UP, "second_body"))
}

#: A piece of a message as a statement is made for it: the name of a variable that is not bound, and whether it has a
#: default; None for words.
Shape = tuple[tuple[str, bool] | None, ...]

#: Messages whose parts a look at each character has to tell, a bounded number.
TO_MEASURE = text("""
SELECT w.message_id, w.body FROM message_bodies w JOIN outgoing_messages m ON m.id = w.message_id
WHERE m.broadcast_id = :broadcast_id AND m.is_second = :is_second AND w.parts = 0 AND w.message_id > :after
ORDER BY w.message_id LIMIT :limit
""")
MEASURED = text("""
UPDATE message_bodies w SET parts = found.parts
FROM unnest(CAST(:ids AS bigint[]), CAST(:parts AS smallint[])) AS found (id, parts) WHERE w.message_id = found.id
""")
AT_ONCE = 5_000  # bodies that are measured at once

#: Puts words in the place of those that some messages have.
REPLACE = text(f"""
INSERT INTO message_bodies AS w (message_id, body, parts)
SELECT m.id, given.body, greatest(1, {part_counts.parts("given.body")})
FROM outgoing_messages m, unnest(CAST(:numbers AS text[]), CAST(:bodies AS text[])) AS given (number, body)
WHERE m.broadcast_id = :broadcast_id AND m.is_second = :is_second AND m.recipient_phone_number = given.number
ON CONFLICT (message_id) DO UPDATE SET body = excluded.body, parts = excluded.parts
""")

#: Locks the messages that are to be sent, have no words, and are of a phase in which everybody has their own.
WORDLESS = text(f"""
SELECT m.id FROM outgoing_messages m
WHERE m.broadcast_id = :broadcast_id AND m.is_second = ANY(CAST(:phases AS boolean[]))
  AND m.state = '{MessageState.PENDING}' AND NOT EXISTS (SELECT FROM message_bodies w WHERE w.message_id = m.id)
ORDER BY m.id FOR NO KEY UPDATE
""")


def own(message: str) -> str:
    """Return the expression for the words that are a recipient's own, by the alias of the message's row, or null."""
    return f"(SELECT own.body FROM message_bodies own WHERE own.message_id = {message}.id)"


def forgetting(update: str) -> TextClause:
    """Return the statement that takes the numbers out of messages, as `m`, with their words as well."""
    return text(f"""
WITH forgotten AS ({update} RETURNING m.id)
DELETE FROM message_bodies w USING forgotten WHERE w.message_id = forgotten.id
""")


def words_of(message: str, broadcast: str) -> str:
    """Return the expression for the words of a message, by the aliases of its row and of its broadcast's."""
    return f"""coalesce({own(message)},
        CASE WHEN {message}.is_second THEN {broadcast}.second_message ELSE {broadcast}.first_message END)"""


def shape(template: Template, file: int | None = None) -> Shape:
    """Return what a statement for a message depends on; `file` is the one that has words for each person, if any."""
    own = (*KNOWN, *(() if file is None else OF_THE_FILE))
    return tuple(
        None if isinstance(piece, str) else (piece.name if piece.name in own else "", piece.default is not None)
        for piece in template.pieces
    )


def rendered(of: Shape, prefix: str) -> str:
    """Return the expression for a message as a contact `c` gets it; null where a value is missing.

    Its parameters are those of `parameters`, of the same prefix.
    """
    return " || ".join(
        f"CAST(:{prefix}{place} AS text)" if piece is None else _or_default(piece, f"{prefix}{place}")
        for place, piece in enumerate(of)
    )


def missing(of: Shape, prefix: str) -> list[str]:
    """Return the expressions that are the name of a variable for which a contact `c` has nothing, and else null."""
    return [
        f"CASE WHEN {_value(piece[0], f'{prefix}{place}')} IS NULL THEN CAST(:{prefix}{place} AS text) END"
        for place, piece in enumerate(of)
        if piece is not None and not piece[1]
    ]


def parameters(template: Template, prefix: str, file: int | None = None) -> dict[str, Any]:
    """Return what the expressions of a message are filled with."""
    found: dict[str, Any] = {}
    if file is not None and any(each.name in OF_THE_FILE for each in template.variables):
        found["file"] = file
    for place, piece in enumerate(template.pieces):
        found[f"{prefix}{place}"] = piece if isinstance(piece, str) else piece.name
        if isinstance(piece, Variable) and piece.default is not None:
            found[f"{prefix}{place}_default"] = piece.default
    return found


def _value(name: str, parameter: str) -> str:
    """Return the expression for a value: the attribute of that name, or what the name of the contact says."""
    if name in link_names.VALUES:
        return link_names.VALUES[name]
    if name in OF_THE_FILE:
        return OF_THE_FILE[name]
    if name == templates.NAME:  # no attribute is called so
        return OF_THE_NAME[name]
    key = f"'{name}'" if name else f"CAST(:{parameter} AS text)"
    own = f"nullif(btrim(c.attributes ->> {key}), '')"
    return f"coalesce({own}, {OF_THE_NAME[name]})" if name else own


def _or_default(piece: tuple[str, bool], parameter: str) -> str:
    value = _value(piece[0], parameter)
    return f"coalesce({value}, CAST(:{parameter}_default AS text))" if piece[1] else value


@lru_cache(maxsize=SHAPES)
def _render(of: Shape) -> TextClause:
    """Return the statement that renders the messages of a phase and counts them by their parts.

    `OFFSET 0` has each message rendered once, and not wherever its words are used.
    """
    return text(f"""
WITH own AS (
    INSERT INTO message_bodies (message_id, body, parts)
    SELECT m.id, r.body, {part_counts.parts("r.body")}
    FROM outgoing_messages m JOIN contacts c ON c.id = m.contact_id
    CROSS JOIN LATERAL (SELECT m.segment_id) g
    CROSS JOIN LATERAL (SELECT {rendered(of, "t")} AS body OFFSET 0) r
    WHERE m.broadcast_id = :broadcast_id AND m.is_second = :is_second
      AND {part_counts.utf16_units("r.body")} BETWEEN 1 AND {LONGEST}
    RETURNING parts
)
SELECT parts, count(*) AS messages FROM own GROUP BY parts ORDER BY parts
""")


async def render(
    connection: Connection, broadcast: Broadcast, recipients: int, zone: ZoneInfo, *, is_strict: bool = True
) -> tuple[e.Parts, ...]:
    """Write the words of each recipient of a broadcast whose messages have variables; return how many parts they need.

    Raise Unrenderable where somebody lacks a value, or would get a message that is too long. Without `is_strict` such
    messages have no words, and do not leave.
    """
    found: list[e.Parts] = []
    sources = selection.of(broadcast, None).sources
    slugs = await link_names.read(connection, broadcast.id, broadcast.run_at, sources, zone)
    file = await file_words.of_broadcast(connection, broadcast.id)
    for is_second, body in ((False, broadcast.first_message), (True, broadcast.second_message)):
        template = templates.parse(body or "")
        if not template.is_personal:
            continue
        where = {"broadcast_id": broadcast.id, "is_second": is_second}
        given = {**where, **parameters(template, "t", file), **link_names.parameters(slugs)}
        rows = (await connection.execute(_render(shape(template, file)), given)).tuples().all()
        counts: Counter[int] = Counter(dict(rows))
        if is_strict and counts.total() < recipients:
            raise Unrenderable(recipients - counts.total())
        if counts.pop(0, 0):
            counts += await _measure(connection, where)
        found += [e.Parts(is_second=is_second, parts=parts, messages=count) for parts, count in sorted(counts.items())]
    return tuple(found)


async def _measure(connection: Connection, where: Mapping[str, Any]) -> Counter[int]:
    """Count the parts of the messages of a phase that SQL could not tell."""
    counts: Counter[int] = Counter()
    after = 0
    while True:
        rows: Sequence[tuple[int, str]] = (
            (await connection.execute(TO_MEASURE, {**where, "after": after, "limit": AT_ONCE})).tuples().all()
        )
        if not rows:
            return counts
        parts = [message_parts.parts_of(body) for _, body in rows]
        await connection.execute(MEASURED, {"ids": [message_id for message_id, _ in rows], "parts": parts})
        counts.update(parts)
        after = rows[-1][0]


@lru_cache(maxsize=SHAPES)
def _render_for(of: Shape) -> TextClause:
    """Return the statement that renders a message for some numbers, as far as there is somebody and nothing lacks."""
    return text(f"""
SELECT c.phone_number, {rendered(of, "t")} AS body FROM contacts c CROSS JOIN (SELECT 0 AS segment_id) g
WHERE c.phone_number = ANY(CAST(:numbers AS text[])) AND {rendered(of, "t")} IS NOT NULL
""")


async def render_for(
    connection: Connection, template: Template, numbers: Sequence[str], file: int | None = None
) -> dict[str, str]:
    """Return a message as some numbers would get it now; without those that nobody has, or that lack a value.

    It is no broadcast's, so its links are those of a test.
    """
    given = {"numbers": list(numbers), **parameters(template, "t", file), **link_names.parameters(link_names.TEST)}
    return dict((await connection.execute(_render_for(shape(template, file)), given)).tuples().all())


async def replace(connection: Connection, broadcast_id: int, bodies: Mapping[str, str], *, is_second: bool) -> None:
    """Put what some numbers have got in the place of what was rendered for them."""
    given = {"broadcast_id": broadcast_id, "is_second": is_second, "numbers": list(bodies)}
    await connection.execute(REPLACE, {**given, "bodies": [body[:LONGEST] for body in bodies.values()]})


async def skip_wordless(connection: Connection, broadcast: Broadcast, now: datetime) -> None:
    """Skip the messages of a broadcast that have no words, where everybody has their own."""
    bodies = ((False, broadcast.first_message), (True, broadcast.second_message))
    phases = [is_second for is_second, body in bodies if templates.parse(body or "").is_personal]
    found = (await connection.execute(WORDLESS, {"broadcast_id": broadcast.id, "phases": phases})).scalars()
    await messages.skip(connection, broadcast.id, list(found), SkipReason.CANCELLED, now)
