"""A migration while messages are sent: nobody waits for long, and nothing fails.

There is one revision so far. A second, made up, does all that a migration of tables in use may do.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event

from libs.common.database.migrate import migrate
from tests.support import lateness, revisions, servers

WORKERS = 5
MESSAGES = 20_000
#: The longest that one statement may take, in seconds: it queues up behind a migration that waits for a long reader.
LONGEST = 3.0
#: The longest that a lock may be held, in seconds, that keeps others from writing to a table that was there before.
HELD = 0.5
LOOK_EVERY = 0.01  # seconds
#: A reader's transaction, in seconds: longer than a migration may have others wait.
READS_FOR = 3.5
AROUND = 0.5  # seconds of load before and after

#: What the first release does all the time, by the columns that it knows.
CLAIM = """
UPDATE outgoing_messages SET state = 'claimed', claimed_by = %(batch)s WHERE id IN (
    SELECT id FROM outgoing_messages WHERE state = 'pending' ORDER BY id LIMIT 5 FOR UPDATE SKIP LOCKED) RETURNING id
"""
START = """
UPDATE outgoing_messages SET state = 'started', attempts = attempts + 1, attempt_started_at = now()
WHERE claimed_by = %(batch)s AND state = 'claimed' RETURNING id
"""
GIVE_BACK = """
UPDATE outgoing_messages SET state = 'pending', claimed_by = NULL, not_before = now() WHERE id = ANY(%(ids)s)
"""
PUBLISH = """
INSERT INTO outbox (message_id, kind, type, schema_version, broadcast_id, data, occurred_at, deliver_at, correlation_id,
                    actor)
VALUES (gen_random_uuid(), 'event', 'BatchSent', 1, 1, '{}', now(), now(), gen_random_uuid(), 'service:sender')
"""
RELAY = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT 5 FOR UPDATE SKIP LOCKED)"
CLOSE = "UPDATE batches SET due_at = now() WHERE id = %(batch)s"
ROUND = ((CLAIM,), (START,), (PUBLISH,), (RELAY,), (GIVE_BACK,))
#: Two tables in one transaction: a batch is closed, and what comes next is written down.
CLOSING = ((CLOSE, PUBLISH),)


FILL = """
INSERT INTO sending_numbers (phone_number) VALUES ('+13135550100');
INSERT INTO broadcasts (id, state, run_at, first_message, second_message, second_delay, max_recipients,
                        sending_number_id, recurring, made_at)
VALUES (1, 'sending_first', now(), 'a', 'b', 600, 100000, 1, false, now());
INSERT INTO audience_segments (name, filter) VALUES ('all', '{{"all": []}}');
INSERT INTO contacts (phone_number) SELECT '+1313' || (5000000 + n) FROM generate_series(1, {messages}) AS n;
INSERT INTO outgoing_messages (id, broadcast_id, contact_id, segment_id, is_second, recipient_phone_number)
SELECT n, 1, n, 1, false, '+1313' || (5000000 + n) FROM generate_series(1, {messages}) AS n;
INSERT INTO batches (id, broadcast_id, is_second, due_at)
SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, 1, false, now() FROM generate_series(1, {workers}) AS n;
"""


#: Where the rows of each table are stored: a table that was rewritten is stored elsewhere.
STORED = "SELECT relname, relfilenode FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
#: Locks on tables that keep others from writing, or from everything. (The server's own vacuum lets go when asked.)
LOCKS = """
SELECT c.relname, l.mode, l.pid
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_stat_activity a USING (pid)
WHERE l.granted AND l.locktype = 'relation' AND c.relkind = 'r' AND c.relname = ANY(%(tables)s)
    AND a.datname = current_database() AND a.backend_type = 'client backend'
    AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
"""


@dataclass(slots=True)
class Seen:
    """What a change was like for everybody else."""

    rounds: list[int] = field(default_factory=list)
    #: The longest that a statement of the load took, in seconds.
    longest: float = 0.0
    #: How long each lock was held at a stretch, in seconds, by table and kind.
    held: dict[tuple[str, str], float] = field(default_factory=dict)
    #: The tables that were rewritten, which locks them for as long.
    rewritten: set[str] = field(default_factory=set)
    #: How late the machine was at worst, in seconds.
    late: float = 0.0


def stored(url: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        return dict(connection.execute(STORED).fetchall())


def work(url: str, number: int, over: threading.Event) -> tuple[int, float]:
    """Send, or as the last worker close batches, again and again; return how often and the longest statement."""
    batch = f"00000000-0000-0000-0000-00000000000{number}"
    rounds, longest = 0, 0.0
    with psycopg.connect(url, autocommit=True) as connection:
        while not over.is_set():
            ids: list[int] = []
            for transaction in CLOSING if number == WORKERS else ROUND:
                with connection.transaction():
                    for statement in transaction:
                        began = time.monotonic()
                        cursor = connection.execute(statement, {"batch": batch, "ids": ids})
                        longest = max(longest, time.monotonic() - began)
                        if statement is START:
                            ids = [row[0] for row in cursor.fetchall()]
            rounds += 1
    return rounds, longest


def look(url: str, tables: list[str], over: threading.Event) -> dict[tuple[str, str], float]:
    """Look at the locks on tables again and again; return how long each was held at most."""
    held: dict[tuple[str, str], float] = {}
    since: dict[tuple[str, str, int], float] = {}
    with psycopg.connect(url, autocommit=True) as connection:
        while not over.is_set():
            found = connection.execute(LOCKS, {"tables": tables}).fetchall()
            now = time.monotonic()
            since = {lock: since.get(lock, now) for lock in found}
            for (table, mode, _), began in since.items():
                held[table, mode] = max(held.get((table, mode), 0.0), now - began)
            time.sleep(LOOK_EVERY)
    return held


def read(url: str, began: threading.Event, seconds: float) -> None:
    """Read for long, as an export does."""
    with psycopg.connect(url) as connection:
        connection.execute("SELECT count(*) FROM outbox")
        began.set()
        time.sleep(seconds)


def under_load(url: str, change: Callable[[], None], *, reads_for: float = READS_FOR) -> Seen:
    """Make a change while messages go out and somebody reads for long; whatever fails for them is raised."""
    before = stored(url)
    over, reads = threading.Event(), threading.Event()
    with lateness.measured() as late, ThreadPoolExecutor(WORKERS + 2) as engine:
        workers = [engine.submit(work, url, number, over) for number in range(1, WORKERS + 1)]
        locks = engine.submit(look, url, list(before), over)
        try:
            time.sleep(AROUND)
            engine.submit(read, url, reads, reads_for)
            reads.wait(60)
            change()
            time.sleep(AROUND)
        finally:
            over.set()
    after = stored(url)
    done = [worker.result() for worker in workers]
    return Seen(
        rounds=[rounds for rounds, _ in done],
        longest=max(longest for _, longest in done),
        held=locks.result(),
        rewritten={name for name in before if after.get(name) != before[name]},
        late=late.worst,
    )


def assert_everybody_goes_on(seen: Seen) -> None:
    assert seen.rewritten == set()
    assert {lock: seconds for lock, seconds in seen.held.items() if seconds > HELD + seen.late} == {}
    assert seen.longest < LONGEST + seen.late
    assert all(rounds > 0 for rounds in seen.rounds)


def objections(sql: str, tables: set[str]) -> list[str]:
    """Return the statements that keep a large table locked while they look at all of it; a small one shows nothing."""
    found = []
    for statement in re.sub(r"--[^\n]*", "", sql).split(";"):
        words = " ".join(statement.lower().split())
        index = re.match(r"create (?:unique )?index (?!concurrently\b).*?\bon (?:only )?(\w+)", words)
        table = re.match(r"alter table (?:if exists )?(?:only )?(\w+) (.*)", words)
        if index and index[1] in tables:
            found.append(words)
        if table and table[1] in tables:
            # One part of it may be fine and the next one not.
            for part in re.split(r", (?=add |alter |drop |validate )", table[2]):
                adds = re.match(r"add .*\b(constraint|check|references|foreign key|unique|primary key|exclude)\b", part)
                if "set not null" in part or (adds and "not valid" not in part and "using index" not in part):
                    found.append(part)
    return found


@contextmanager
def recorded() -> Iterator[list[str]]:
    """Yield all statements that SQLAlchemy executes within the block."""
    statements: list[str] = []

    def record(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", record)


@pytest.fixture(scope="module")
def first_release() -> Iterator[str]:
    """A database of the first release with a broadcast under way, to be copied."""
    with servers.database(migrated=False) as url:
        migrate(url, "0001")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL.format(messages=MESSAGES, workers=WORKERS).encode())
        yield url


def test_a_migration_from_the_first_revision_to_the_last_lets_everybody_go_on(first_release: str) -> None:
    with servers.copied(first_release) as url, revisions.second():
        assert_everybody_goes_on(under_load(url, lambda: migrate(url)))


def test_no_migration_looks_at_all_of_a_table_while_it_keeps_others_from_it(first_release: str) -> None:
    tables = set(stored(first_release))
    with servers.copied(first_release) as url, revisions.second(), recorded() as statements:
        migrate(url)
    assert len(statements) > 10
    assert [found for statement in statements for found in objections(statement, tables)] == []


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX slow ON outgoing_messages (contact_id)",
        "CREATE UNIQUE INDEX IF NOT EXISTS slow ON outbox (message_id)",
        "ALTER TABLE outbox ALTER COLUMN broadcast_id SET NOT NULL",
        "ALTER TABLE outbox ADD CONSTRAINT a CHECK (id > 0) NOT VALID, ADD CONSTRAINT b CHECK (id > 0)",
        "ALTER TABLE batches ADD FOREIGN KEY (broadcast_id) REFERENCES broadcasts",
        "ALTER TABLE outbox ADD COLUMN attempts integer CHECK (attempts >= 0)",
    ],
)
def test_what_looks_at_all_of_a_table_is_found(statement: str) -> None:
    assert objections(statement, {"outbox", "batches", "outgoing_messages"})
    assert not objections(statement, {"contacts"}), "a table that the migration itself has made"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX CONCURRENTLY fine ON outbox (message_id)",
        "ALTER TABLE outbox ADD COLUMN traceparent text; -- SET NOT NULL comes with the next release",
        "ALTER TABLE outbox DROP CONSTRAINT a, ADD CONSTRAINT a CHECK (type IN ('b', 'c')) NOT VALID",
        "ALTER TABLE outbox VALIDATE CONSTRAINT a",
        "ALTER TABLE outbox ADD CONSTRAINT a UNIQUE USING INDEX b",
    ],
)
def test_what_takes_a_lock_for_an_instant_is_none_of_it(statement: str) -> None:
    assert not objections(statement, {"outbox"})


@pytest.mark.parametrize(
    ("statements", "what"),
    [
        ("ALTER TABLE broadcasts ADD COLUMN a text; SELECT pg_sleep(3)", "'broadcasts', 'AccessExclusiveLock'"),
        ("CREATE INDEX slow ON batches (due_at); SELECT pg_sleep(3)", "'batches', 'ShareLock'"),
        ("ALTER TABLE outgoing_messages ALTER COLUMN failures TYPE bigint", "outgoing_messages"),
        ("SET lock_timeout = '30s'; ALTER TABLE outbox ADD COLUMN a text", r"< \(3\.0"),
    ],
)
def test_a_migration_that_keeps_others_waiting_is_seen(first_release: str, statements: str, what: str) -> None:
    def change() -> None:
        with psycopg.connect(url) as connection:
            connection.execute(statements.encode())

    with servers.copied(first_release) as url:
        seen = under_load(url, change, reads_for=2 * READS_FOR)
    with pytest.raises(AssertionError, match=what):
        assert_everybody_goes_on(seen)


def test_a_migration_that_locks_two_tables_the_other_way_about_is_seen(first_release: str) -> None:
    def change() -> None:
        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE outbox")
            time.sleep(0.2)
            connection.execute("LOCK TABLE batches")

    with servers.copied(first_release) as url, pytest.raises(psycopg.errors.DeadlockDetected):
        under_load(url, change)
