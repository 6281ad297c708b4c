"""Contacts as staff see them, and what is stored about one of them: reading, changing, forgetting."""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import msgspec
from sqlalchemy import TextualSelect, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.broadcasts.suppression import opted_out
from libs.common.carriers.error_codes import classify
from libs.common.database import Connection, all_rows, first_row, folded, one_row
from libs.common.domain import attributes
from libs.common.domain.attributes import Value
from libs.common.errors import NotFound
from services.api.contacts.files.outcome import Person
from services.api.schemas import Contact, Unreachable

LOOKED_AT = 20_000  # contacts among whom those with a tag or a name are looked for first: some milliseconds

_SELECT = f"""
SELECT c.id, c.phone_number, c.name, c.tags, c.attributes, c.time_zone, c.language, c.created_at, c.erased_at,
       {opted_out("c.phone_number")} AS opted_out,
       u.code AS unreachable_code, u.since AS unreachable_since
FROM {{source}} c LEFT JOIN unreachable_numbers u ON u.phone_number = c.phone_number AND u.cleared_at IS NULL
"""

#: One contact.
ONE = text(f"{_SELECT.format(source='contacts')} WHERE c.id = :id").columns(attributes=JSONB)

#: What narrows a list of contacts down.
NARROWED = {
    "phone_number": "c.phone_number = :phone_number",
    "tag": "c.tags @> ARRAY[CAST(:tag AS text)]",
    "words": f"to_tsvector('simple', {folded('c.name')}) @@ to_tsquery('simple', {folded('CAST(:words AS text)')})",
    # An array, which is read first: a join may be planned as a walk through all contacts who are reachable.
    "unreachable": "c.id = ANY (ARRAY(SELECT n.contact_id FROM unreachable_numbers n WHERE n.cleared_at IS NULL))",
    "reachable": "u.phone_number IS NULL",
}


#: What an index finds in no order: many have it, or nobody, and the server cannot tell beforehand which.
IN_NO_ORDER = ("tag", "words")


@cache
def page_of(*narrowed: str) -> TextualSelect:
    """Return the statement for a page of contacts that were not erased, narrowed down by some of `NARROWED`.

    It has no condition that is not asked for: one that a null would lift is planned for any value, and the whole table
    is read.
    """
    return _statement(_page_of("contacts", narrowed))


@cache
def near_of(*narrowed: str) -> TextualSelect:
    """Return the statement for what of a page is among the next `LOOKED_AT` contacts: all, where many are meant."""
    those = f"SELECT * FROM contacts WHERE id > :after AND erased_at IS NULL ORDER BY id LIMIT {LOOKED_AT}"
    return _statement(_page_of(f"({those})", narrowed))


@cache
def found_of(*narrowed: str) -> TextualSelect:
    """Return the statement for a page of those whom the indexes find, all of whom are read: few are meant."""
    conditions = " AND ".join(NARROWED[name] for name in narrowed if name in IN_NO_ORDER)
    found = f"WITH found AS MATERIALIZED (SELECT * FROM contacts c WHERE c.erased_at IS NULL AND {conditions})"
    return _statement(f"{found} {_page_of('found', narrowed)}")


def _page_of(source: str, narrowed: Sequence[str]) -> str:
    conditions = ("c.id > :after", "c.erased_at IS NULL", *(NARROWED[name] for name in narrowed))
    return f"{_SELECT.format(source=source)} WHERE {' AND '.join(conditions)} ORDER BY c.id LIMIT :limit"


def _statement(sql: str) -> TextualSelect:
    return text(sql).columns(attributes=JSONB)


#: Changes somebody; no row where the contact is not as it was seen any more.
CHANGE = text("""
UPDATE contacts SET name = :new_name, tags = CAST(:new_tags AS text[]), attributes = :new_attributes,
    time_zone = :new_time_zone, language = :new_language
WHERE id = :id AND erased_at IS NULL AND name = :seen_name AND tags = CAST(:seen_tags AS text[])
  AND attributes = :seen_attributes AND time_zone IS NOT DISTINCT FROM :seen_time_zone
  AND language IS NOT DISTINCT FROM :seen_language
""").bindparams(bindparam("new_attributes", type_=JSONB), bindparam("seen_attributes", type_=JSONB))

#: Keeps those who are contacts already as they are until the transaction ends, in the order of their numbers.
KEEP = text("""
SELECT count(*) FROM (
    SELECT FROM contacts WHERE phone_number = ANY(CAST(:numbers AS text[])) ORDER BY phone_number FOR NO KEY UPDATE
) AS known
""")

#: What of some attributes somebody is given who has others: what fits within the limit, else what they have already.
_FITTING = f"""
    CASE WHEN (SELECT count(*) FROM jsonb_object_keys(c.attributes || excluded.attributes)) <= {attributes.MOST}
         THEN excluded.attributes
         ELSE (SELECT coalesce(jsonb_object_agg(key, value), '{{}}') FROM jsonb_each(excluded.attributes)
               WHERE c.attributes ? key) END
"""

#: Merges people into the contacts, and notes what each was before and is now, and that they were in the file. In the
#: order of their numbers: two imports never wait for each other both ways.
MERGE = text(f"""
WITH given AS (
    SELECT phone_number, name,
           ARRAY(SELECT DISTINCT tag FROM unnest(string_to_array(tags, ';')) AS tag ORDER BY tag) AS tags,
           CAST(attributes AS jsonb) AS attributes, nullif(time_zone, '') AS time_zone, nullif(language, '') AS language
    FROM unnest(CAST(:numbers AS text[]), CAST(:names AS text[]), CAST(:tags AS text[]), CAST(:attributes AS text[]),
                CAST(:time_zones AS text[]), CAST(:languages AS text[]))
        AS g (phone_number, name, tags, attributes, time_zone, language)
), before AS (
    SELECT c.id, c.name, c.tags, c.attributes, c.time_zone, c.language FROM contacts c JOIN given USING (phone_number)
), merged AS (
    INSERT INTO contacts AS c (phone_number, name, tags, attributes, time_zone, language)
    SELECT phone_number, name, tags, attributes, time_zone, language FROM given ORDER BY phone_number
    ON CONFLICT (phone_number) DO UPDATE SET
        name = CASE WHEN excluded.name <> '' THEN excluded.name ELSE c.name END,
        tags = ARRAY(SELECT DISTINCT tag FROM unnest(c.tags || excluded.tags) AS tag ORDER BY tag),
        attributes = c.attributes || {_FITTING},
        time_zone = coalesce(excluded.time_zone, c.time_zone),
        language = coalesce(excluded.language, c.language)
    WHERE (excluded.name <> '' AND excluded.name <> c.name) OR NOT c.tags @> excluded.tags
       OR NOT c.attributes @> excluded.attributes OR excluded.time_zone <> coalesce(c.time_zone, '')
       OR excluded.language <> coalesce(c.language, '')
    RETURNING c.id, c.phone_number, c.name, c.tags, c.attributes, c.time_zone, c.language, xmax = 0 AS is_new
), noted AS (
    INSERT INTO contact_import_changes AS n (
        import_id, contact_id, name_before, tags_before, attributes_before, time_zone_before, language_before,
        name_after, tags_after, attributes_after, time_zone_after, language_after)
    SELECT :import_id, m.id, b.name, b.tags, b.attributes, b.time_zone, b.language,
           m.name, m.tags, m.attributes, m.time_zone, m.language
    FROM merged m LEFT JOIN before b USING (id)
    ON CONFLICT (import_id, contact_id) DO UPDATE SET
        name_after = excluded.name_after, tags_after = excluded.tags_after,
        attributes_after = excluded.attributes_after, time_zone_after = excluded.time_zone_after,
        language_after = excluded.language_after
), in_the_file AS (
    INSERT INTO contact_import_members (import_id, contact_id)
    SELECT :import_id, id FROM (SELECT id FROM merged UNION SELECT id FROM before) AS known ON CONFLICT DO NOTHING
)
SELECT count(*) FILTER (WHERE m.is_new) AS imported, count(*) FILTER (WHERE NOT m.is_new) AS updated,
       count(*) FILTER (WHERE NOT m.attributes @> g.attributes) AS full
FROM merged m JOIN given g USING (phone_number)
""")


@dataclass(frozen=True, slots=True)
class ContactRow:
    """A contact as it is stored, and what the registers say of its number."""

    id: int
    phone_number: str | None
    name: str
    tags: list[str]
    attributes: dict[str, Value]
    time_zone: str | None
    language: str | None
    created_at: datetime
    erased_at: datetime | None
    opted_out: bool
    unreachable_code: str | None
    unreachable_since: datetime | None

    @property
    def unreachable(self) -> Unreachable | None:
        """Why the number is left out of every draw, if it is."""
        if self.unreachable_code is None or self.unreachable_since is None:
            return None
        meaning = classify(self.unreachable_code).text
        return Unreachable(code=self.unreachable_code, meaning=meaning, since=self.unreachable_since)


@dataclass(frozen=True, slots=True)
class Merged:
    """How many contacts a merge has added and changed."""

    imported: int
    updated: int
    #: Those of whom some attributes were not taken: they have as many as anybody may.
    full: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What staff may change about somebody."""

    name: str
    tags: Sequence[str]
    attributes: Mapping[str, Value]
    time_zone: str | None
    language: str | None


async def one(connection: Connection, contact_id: int) -> Contact:
    """Return a contact. Raise NotFound."""
    row = first_row(await connection.execute(ONE, {"id": contact_id}), ContactRow)
    if row is None:
        raise NotFound(f"there is no contact {contact_id}")
    return _contact(row)


async def page(
    connection: Connection,
    *,
    after: int,
    limit: int,
    phone_number: str | None = None,
    tag: str | None = None,
    name: str | None = None,
    unreachable: bool | None = None,
) -> list[Contact]:
    """Return the first contacts with an id above `after`; what is None narrows nothing down."""
    words = None if name is None else beginnings(name)
    if words == "":  # what was asked for holds no word
        return []
    given = {"phone_number": phone_number, "tag": tag, "words": words}
    narrowed = [name for name, value in given.items() if value is not None]
    if unreachable is not None:
        narrowed.append("unreachable" if unreachable else "reachable")
    statement = near_of if any(name in IN_NO_ORDER for name in narrowed) else page_of
    parameters = {"after": after, "limit": limit, **given}
    rows = all_rows(await connection.execute(statement(*narrowed), parameters), ContactRow)
    if statement is near_of and len(rows) < limit:
        rows = all_rows(await connection.execute(found_of(*narrowed), parameters), ContactRow)
    return [_contact(row) for row in rows]


def beginnings(name: str) -> str:
    """Return the search for names that have a word that begins like each word of `name`, for `to_tsquery`.

    Words are quoted whole, so that they are divided as those of the names are: scripts have marks inside their words.
    """
    composed = unicodedata.normalize("NFC", name.replace("\0", " "))
    words = [word for word in composed.split() if any(map(str.isalnum, word))]
    return " & ".join("'" + word.replace("\\", "\\\\").replace("'", "''") + "':*" for word in words)


async def change(connection: Connection, seen: Contact, known: Known) -> bool:
    """Change what is known of somebody; False if the contact is not as it was seen any more."""
    cursor = await connection.execute(
        CHANGE,
        {
            "id": seen.id,
            "new_name": known.name,
            "new_tags": list(known.tags),
            "new_attributes": known.attributes,
            "new_time_zone": known.time_zone,
            "new_language": known.language,
            "seen_name": seen.name,
            "seen_tags": seen.tags,
            "seen_attributes": seen.attributes,
            "seen_time_zone": seen.time_zone,
            "seen_language": seen.language,
        },
    )
    return cursor.rowcount > 0


async def merge(connection: Connection, import_id: int, people: Sequence[Person]) -> Merged:
    """Merge people into the contacts; nobody loses anything that the file does not say otherwise.

    What changes is noted with the import.
    """
    numbers = [person.phone_number for person in people]
    await connection.execute(KEEP, {"numbers": numbers})
    cursor = await connection.execute(
        MERGE,
        {
            "import_id": import_id,
            "numbers": numbers,
            "names": [person.name for person in people],
            "tags": [";".join(person.tags) for person in people],
            "attributes": [json.dumps(person.attributes) for person in people],
            "time_zones": [person.time_zone for person in people],
            "languages": [person.language for person in people],
        },
    )
    return one_row(cursor, Merged)


def _contact(row: ContactRow) -> Contact:
    return msgspec.convert(row, Contact, from_attributes=True)
