"""Files of people that wait to be imported, in the database: any process may go on with what another one was given.

A file is kept until it was imported, or for a day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common import database
from libs.common.database import Connection, EnumText, all_rows, first_row, literals
from libs.common.domain.import_states import WITH_FILE, ImportState
from libs.common.errors import NotFound

CHUNK = 1024 * 1024  # bytes
KEPT = timedelta(days=1)  # for which a file waits that nobody imports
#: Without a sign of life for so long an import was cut off.
CUT_OFF = timedelta(seconds=60)
LONGEST_NAME = 100  # characters of a file's name

#: Forgets the files that nobody has imported.
FORGET_OLD = text(f"""
DELETE FROM contact_imports WHERE state IN {literals(WITH_FILE)} AND moved_at < :before
""")

ADD = text(f"""
INSERT INTO contact_imports (state, file_name, actor, created_at, moved_at)
VALUES ('{ImportState.UPLOADED}', :file_name, :by, :now, :now) RETURNING id
""")

#: An import whose file is not kept: it is merged at once.
ADD_RUNNING = text(f"""
INSERT INTO contact_imports (state, file_name, actor, summary, created_at, moved_at)
VALUES ('{ImportState.RUNNING}', :file_name, :by, :found, :now, :now) RETURNING id
""").bindparams(bindparam("found", type_=JSONB))

ADD_CHUNK = text("INSERT INTO contact_import_chunks (import_id, n, data) VALUES (:id, :n, :data)")

_COLUMNS = """
id, state, file_name, actor, created_at, moved_at, roles, summary, done, imported, updated, opted_out, removed,
restored, kept, has_bodies
"""

ONE = text(f"SELECT {_COLUMNS} FROM contact_imports WHERE id = :id").columns(state=EnumText(ImportState), summary=JSONB)

#: The imports that came to an end, the newest first.
ENDED = text(f"""
SELECT {_COLUMNS} FROM contact_imports WHERE state NOT IN {literals(WITH_FILE)} ORDER BY id DESC LIMIT :limit
""").columns(state=EnumText(ImportState), summary=JSONB)

#: All of them before one, the newest first.
PAGE = text(f"SELECT {_COLUMNS} FROM contact_imports WHERE id < :before ORDER BY id DESC LIMIT :limit").columns(
    state=EnumText(ImportState), summary=JSONB
)

CHUNK_OF = text("SELECT data FROM contact_import_chunks WHERE import_id = :id AND n = :n")

#: Keeps what a trial has found; not of one that runs already.
CHECKED = text(f"""
UPDATE contact_imports SET state = '{ImportState.CHECKED}', roles = CAST(:given_roles AS text[]),
    summary = :found, moved_at = :now
WHERE id = :id AND state IN {literals([ImportState.UPLOADED, ImportState.CHECKED])}
""").bindparams(bindparam("found", type_=JSONB))

#: Begins an import that was checked, or goes on with one that was cut off: one caller alone may.
BEGIN = text(f"""
UPDATE contact_imports SET state = '{ImportState.RUNNING}', done = 0, moved_at = :now
WHERE id = :id AND (state = '{ImportState.CHECKED}' OR (state = '{ImportState.RUNNING}' AND moved_at < :cut_off))
  AND EXISTS (SELECT FROM contact_import_chunks c WHERE c.import_id = :id)
RETURNING id
""")

#: Whether its file is kept: one that is merged at once has none.
HAS_FILE = text("SELECT EXISTS (SELECT FROM contact_import_chunks WHERE import_id = :id)")

#: Notes what was done in the same transaction.
NOTE = text("""
UPDATE contact_imports SET done = done + :people, imported = imported + :new_ones, updated = updated + :changed,
    opted_out = opted_out + :out, moved_at = :now
WHERE id = :id
""")

END = text(f"UPDATE contact_imports SET state = '{ImportState.DONE}', moved_at = :now WHERE id = :id")
#: The segment that stands for the people of a file, so that a broadcast can go to them; it is in no list of segments.
STAND_FOR = text("""
INSERT INTO audience_segments (name, filter, import_id)
SELECT CASE WHEN EXISTS (SELECT FROM audience_segments a WHERE a.name = n.name)
            THEN n.name || ' ' || gen_random_uuid() ELSE n.name END, jsonb_build_object('import', i.id), i.id
FROM contact_imports i
CROSS JOIN LATERAL (SELECT coalesce(nullif(i.file_name, '') || ' ', '') || '(' || i.id || ')' AS name) n
WHERE i.id = :id ON CONFLICT (import_id) DO NOTHING
""")
FORGET_FILE = text("DELETE FROM contact_import_chunks WHERE import_id = :id")

#: Throws a file away that is not being imported.
DISCARD = text(f"""
DELETE FROM contact_imports WHERE id = :id AND state IN {literals([ImportState.UPLOADED, ImportState.CHECKED])}
""")


@dataclass(frozen=True, slots=True)
class Upload:
    """An import, and how far it came."""

    id: int
    state: ImportState
    file_name: str
    actor: str
    created_at: datetime
    moved_at: datetime
    #: What each column is, where a person has said so.
    roles: list[str] | None
    #: What the trial has found (`files.outcome.Summary`).
    summary: dict[str, Any] | None
    done: int
    imported: int
    updated: int
    opted_out: int
    #: What became of those people when it was undone.
    removed: int
    restored: int
    kept: int
    #: The words that the file has for each person are kept.
    has_bodies: bool

    def is_cut_off(self, now: datetime) -> bool:
        """Whether it ran, and the process has ended."""
        return self.state is ImportState.RUNNING and self.moved_at < now - CUT_OFF


async def add(connection: Connection, file: IO[bytes], file_name: str, by: str, now: datetime) -> int:
    """Keep a file and return the id of its import; files that nobody has imported are forgotten."""
    await connection.execute(FORGET_OLD, {"before": now - KEPT})
    cursor = await connection.execute(ADD, {"file_name": _shown(file_name), "by": by, "now": now})
    import_id = int(cursor.scalar_one())
    file.seek(0)
    n = 0
    while data := file.read(CHUNK):
        await connection.execute(ADD_CHUNK, {"id": import_id, "n": n, "data": data})
        n += 1
    return import_id


async def begin_at_once(connection: Connection, file_name: str, by: str, summary: dict[str, Any], now: datetime) -> int:
    """Begin an import whose file is not kept; return its id."""
    await connection.execute(FORGET_OLD, {"before": now - KEPT})
    given = {"file_name": _shown(file_name), "by": by, "found": summary, "now": now}
    return int((await connection.execute(ADD_RUNNING, given)).scalar_one())


def _shown(file_name: str) -> str:
    return "".join(each if each.isprintable() else " " for each in file_name)[:LONGEST_NAME]


async def one(connection: Connection, import_id: int) -> Upload:
    """Return an import. Raise NotFound."""
    found = first_row(await connection.execute(ONE, {"id": import_id}), Upload)
    if found is None:
        raise NotFound(f"there is no import {import_id}")
    return found


async def ended(connection: Connection, limit: int) -> Sequence[Upload]:
    """Return the newest imports that came to an end."""
    return all_rows(await connection.execute(ENDED, {"limit": limit}), Upload)


async def page(connection: Connection, before: int, limit: int) -> Sequence[Upload]:
    """Return the newest imports whose id is below `before`, however they stand."""
    return all_rows(await connection.execute(PAGE, {"before": before, "limit": limit}), Upload)


async def chunk(connection: Connection, import_id: int, n: int) -> bytes | None:
    """Return a part of a file; None behind its end."""
    data: bytes | None = (await connection.execute(CHUNK_OF, {"id": import_id, "n": n})).scalar_one_or_none()
    return data


async def fetch(engine: database.Engine, import_id: int, file: IO[bytes]) -> None:
    """Write a file as it was given into `file`, part by part."""
    n = 0
    while True:
        async with database.transaction(engine) as connection:
            data = await chunk(connection, import_id, n)
        if data is None:
            return
        file.write(data)
        n += 1


async def has_file(connection: Connection, import_id: int) -> bool:
    """Whether the file of an import is kept: one that was cut off can go on."""
    return bool((await connection.execute(HAS_FILE, {"id": import_id})).scalar_one())


async def keep_trial(
    connection: Connection, import_id: int, roles: Sequence[str], summary: dict[str, Any], now: datetime
) -> bool:
    """Keep what a trial has found; False where the import runs already."""
    given = {"id": import_id, "given_roles": list(roles), "found": summary, "now": now}
    return (await connection.execute(CHECKED, given)).rowcount > 0


async def begin(connection: Connection, import_id: int, now: datetime) -> bool:
    """Begin an import, or go on with one that was cut off; False where it is not there to be begun."""
    cursor = await connection.execute(BEGIN, {"id": import_id, "now": now, "cut_off": now - CUT_OFF})
    return cursor.first() is not None


async def note(
    connection: Connection, import_id: int, now: datetime, *, people: int, new: int, changed: int, out: int
) -> None:
    """Note how far an import came."""
    given = {"id": import_id, "now": now, "people": people, "new_ones": new, "changed": changed, "out": out}
    await connection.execute(NOTE, given)


async def end(connection: Connection, import_id: int, now: datetime) -> None:
    """End an import; its file is forgotten, and a broadcast may go to its people."""
    await connection.execute(END, {"id": import_id, "now": now})
    await connection.execute(STAND_FOR, {"id": import_id})
    await connection.execute(FORGET_FILE, {"id": import_id})


async def discard(connection: Connection, import_id: int) -> None:
    """Throw a file away, unless it is being imported."""
    await connection.execute(DISCARD, {"id": import_id})
