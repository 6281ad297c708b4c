"""From the first revision to the last while texts go out: nobody waits for long, and nothing fails."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from libs.common.migrate import migrate
from tests.support import servers

WORKERS = 4
TEXTS = 20_000
#: The longest that one statement may take, in seconds: it waits for the instant in which a column is added.
LONGEST = 3.0

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
INSERT INTO outbox (message_id, kind, type, schema_version, broadcast_id, data, occurred_at, deliver_at, correlation_id)
VALUES (gen_random_uuid(), 'event', 'BatchSent', 1, 1, '{}', now(), now(), gen_random_uuid())
"""
RELAY = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT 5 FOR UPDATE SKIP LOCKED)"

FILL = """
INSERT INTO sending_numbers (phone_number) VALUES ('+13135550100');
INSERT INTO broadcasts (id, state, run_at, first_message, second_message, second_delay, max_recipients,
                        sending_number_id, recurring, made_at)
VALUES (1, 'sending_first', now(), 'a', 'b', 600, 100000, 1, false, now());
INSERT INTO audience_segments (name, filter) VALUES ('all', '{{}}');
INSERT INTO contacts (phone_number) SELECT '+1313' || (5000000 + n) FROM generate_series(1, {texts}) AS n;
INSERT INTO outgoing_messages (id, broadcast_id, contact_id, segment_id, is_second, recipient_phone_number)
SELECT n, 1, n, 1, false, '+1313' || (5000000 + n) FROM generate_series(1, {texts}) AS n;
INSERT INTO batches (id, broadcast_id, is_second, due_at)
SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, 1, false, now() FROM generate_series(1, {workers}) AS n;
"""


#: Where the rows of each table are stored: a table that was rewritten is stored elsewhere.
STORED = "SELECT relname, relfilenode FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"


def stored(url: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        return dict(connection.execute(STORED).fetchall())


def work(url: str, number: int, over: threading.Event) -> tuple[int, float]:
    """Claim, start, publish and give back again and again; give how often, and the longest that a statement took."""
    batch = f"00000000-0000-0000-0000-00000000000{number}"
    rounds, longest = 0, 0.0
    with psycopg.connect(url, autocommit=True) as connection:
        while not over.is_set():
            ids: list[int] = []
            for statement in (CLAIM, START, PUBLISH, RELAY, GIVE_BACK):
                began = time.monotonic()
                with connection.transaction():
                    cursor = connection.execute(statement, {"batch": batch, "ids": ids})
                    if statement is START:
                        ids = [row[0] for row in cursor.fetchall()]
                longest = max(longest, time.monotonic() - began)
            rounds += 1
    return rounds, longest


@pytest.mark.timeout(180)
def test_a_migration_from_the_first_revision_to_the_last_lets_everybody_go_on() -> None:
    with servers.database(migrated=False) as url:
        migrate(url, "0001")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL.format(texts=TEXTS, workers=WORKERS).encode())
        before = stored(url)
        over = threading.Event()
        with ThreadPoolExecutor(WORKERS) as pool:
            workers = [pool.submit(work, url, number, over) for number in range(1, WORKERS + 1)]
            try:
                time.sleep(1.0)
                migrate(url)
                time.sleep(1.0)
            finally:
                over.set()
            found = [worker.result() for worker in workers]
        after = stored(url)
    assert {name: after[name] for name in before} == before, "a table was rewritten, which locks it for as long"
    assert all(rounds > 0 for rounds, _ in found)
    assert max(longest for _, longest in found) < LONGEST
