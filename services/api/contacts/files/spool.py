"""What was read of a file, put aside until it is merged: a SQLite file, so that memory stays bounded.

A number that comes twice is one person, with the last name that is one, the tags of both, and the no of either. Of the
time zone, the language and each attribute the last that was said counts; of the message the first. People come out in
the order of their numbers, as they are to be locked.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from libs.common.texts import filled
from services.api.contacts.files.outcome import Person, UnreadableFile

CHUNK = 1000  # people that are written at once
MOST_TAGS = 1000  # of one number, over all its lines

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
CREATE TABLE people (
    phone_number TEXT PRIMARY KEY, name TEXT NOT NULL, opted_out INTEGER NOT NULL, attributes TEXT NOT NULL,
    time_zone TEXT NOT NULL, language TEXT NOT NULL, message TEXT NOT NULL, follow_up TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE tags (phone_number TEXT, tag TEXT, PRIMARY KEY (phone_number, tag)) WITHOUT ROWID;
"""
_ADD = """
INSERT INTO people (phone_number, name, opted_out, attributes, time_zone, language, message, follow_up)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (phone_number) DO UPDATE SET
    name = CASE WHEN excluded.name <> '' THEN excluded.name ELSE name END,
    opted_out = max(opted_out, excluded.opted_out),
    attributes = json_patch(attributes, excluded.attributes),
    time_zone = CASE WHEN excluded.time_zone <> '' THEN excluded.time_zone ELSE time_zone END,
    language = CASE WHEN excluded.language <> '' THEN excluded.language ELSE language END,
    message = CASE WHEN message <> '' THEN message ELSE excluded.message END,
    follow_up = CASE WHEN message <> '' THEN follow_up ELSE excluded.follow_up END
"""
_TAG = "INSERT OR IGNORE INTO tags (phone_number, tag) VALUES (?, ?)"
_COUNT = "SELECT count(*) FROM people"
_TOO_MANY_TAGS = "SELECT 1 FROM tags GROUP BY phone_number HAVING count(*) > ? LIMIT 1"
_READ = """
SELECT phone_number, name, opted_out, attributes, time_zone, language, message, follow_up,
       (SELECT group_concat(tag, ';') FROM tags t WHERE t.phone_number = p.phone_number) AS tags
FROM people p WHERE phone_number > ? ORDER BY phone_number LIMIT ?
"""


def write(path: Path, people: Iterable[Person]) -> int:
    """Put people aside and return how many there are. Raise UnreadableFile if one has too many tags."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(_TABLES)
        connection.execute("BEGIN")
        chunk: list[Person] = []
        for person in people:
            chunk.append(person)
            if len(chunk) == CHUNK:
                _add(connection, chunk)
                chunk.clear()
        _add(connection, chunk)
        connection.execute("COMMIT")
        if connection.execute(_TOO_MANY_TAGS, (MOST_TAGS,)).fetchone() is not None:
            raise UnreadableFile("tags", filled("one number has more than %(most)s tags", most=MOST_TAGS))
        return int(connection.execute(_COUNT).fetchone()[0])


def read(path: Path, after: str, limit: int) -> list[Person]:
    """Return the next people behind a number, in the order of their numbers."""
    with closing(sqlite3.connect(path)) as connection:
        rows: Iterator[tuple[str, str, int, str, str, str, str, str, str | None]] = connection.execute(
            _READ, (after, limit)
        )
        return [
            Person(
                number,
                name,
                tuple(tags.split(";")) if tags else (),
                opted_out=bool(opted_out),
                attributes=json.loads(attributes),
                time_zone=zone,
                language=language,
                message=message,
                follow_up=follow_up,
            )
            for number, name, opted_out, attributes, zone, language, message, follow_up, tags in rows
        ]


def _add(connection: sqlite3.Connection, people: list[Person]) -> None:
    given = [
        (each.phone_number, each.name, each.opted_out, json.dumps(each.attributes), each.time_zone, each.language,
         each.message, each.follow_up)
        for each in people
    ]  # fmt: skip
    connection.executemany(_ADD, given)
    connection.executemany(_TAG, [(each.phone_number, tag) for each in people for tag in each.tags])
