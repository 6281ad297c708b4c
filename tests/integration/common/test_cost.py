"""What is asked again and again reads little, however much there is: invariant 7."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from libs.common import making, retention, texts
from services.api import contacts, progress
from services.planner import facts
from services.sender import batches
from services.twilio_sync import queries
from tests.support import servers
from tests.support.world import NOW, World

TEXTS = 20_000
ENOUGH = 150  # pages; each of the tables below has several hundred

#: One broadcast to many people: the first texts have left, the second are to be sent. Some were erased.
FILL = f"""
INSERT INTO sending_numbers (phone_number) VALUES ('+13135550100');
INSERT INTO broadcasts (id, state, run_at, first_message, second_message, second_delay, max_recipients,
                        sending_number_id, recurring, recipients, made_at, completed_at)
VALUES (1, 'completed', now(), 'a', 'b', 600, 100000, 1, false, 100000, now(), now());
INSERT INTO audience_segments (name, filter) VALUES ('all', '{{}}');
INSERT INTO contacts (phone_number) SELECT '+1313' || (5000000 + n) FROM generate_series(1, {TEXTS}) AS n;
INSERT INTO outgoing_messages (id, broadcast_id, contact_id, segment_id, is_second, recipient_phone_number, state,
                               attempts, attempt_started_at)
SELECT n, 1, n, 1, false, '+1313' || (5000000 + n), 'accepted', 1, now() FROM generate_series(1, {TEXTS}) AS n;
INSERT INTO outgoing_messages (id, broadcast_id, contact_id, segment_id, is_second, recipient_phone_number)
SELECT {TEXTS} + n, 1, n, 1, true, '+1313' || (5000000 + n) FROM generate_series(1, {TEXTS}) AS n;
INSERT INTO replies (provider_id, phone_number, contact_id, broadcast_id, body, received_at)
SELECT 'SM' || n, '+1313' || (5000000 + n), n, NULL, repeat('x', 200), now() FROM generate_series(1, {TEXTS}) AS n;
INSERT INTO events (stream, version, id, type, schema_version, broadcast_id, data, occurred_at, correlation_id)
SELECT 's' || n, 1, gen_random_uuid(), CASE WHEN n % 1000 = 0 THEN 'OptedOut' ELSE 'TextAccepted' END, 1, 1,
       '{{"contact_id": 1}}', now(), gen_random_uuid() FROM generate_series(1, {TEXTS}) AS n;
UPDATE contacts SET phone_number = NULL, erased_at = now() WHERE id % 5000 = 0;
"""

ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "the newest text taken": (queries.LAST_TAKEN, {"broadcast_id": 1, "before": NOW.replace(year=2100)}),
    "what batches have claimed": (texts.CLAIMED_OF, {"broadcast_id": 1}),
    "what is pending": (texts.PENDING_OF, {"broadcast_id": 1, "is_second": True, "after": TEXTS + 19_000, "limit": 10}),
    "numbers of the erased": (facts.FORGET_ERASED, {}),
    "texts to somebody": (contacts.FORGET_TEXTS, {"id": 17, "phone_number": "+13135000017"}),
    "replies of somebody": (contacts.FORGET_REPLIES, {"id": 17, "phone_number": "+13135000017"}),
    "whether a number is known": (contacts.KNOWN, {"phone_number": "+13130000000"}),
    "who answered and opted out": (progress.PEOPLE, {"id": 1}),
    "numbers to forget": (retention.FORGET_NUMBERS, {"broadcast_id": 1, "after": "+13135019990", "limit": 2}),
}


@pytest.fixture(scope="module")
def large() -> Iterator[str]:
    with servers.database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL.encode())
            connection.execute("VACUUM ANALYZE")
        yield url


def pages(connection: psycopg.Connection[Any], statement: str, parameters: dict[str, Any]) -> int:
    """Carry a statement out and give how many pages it looked at."""
    cursor = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}".encode(), parameters)
    [[[found]]] = cursor.fetchall()
    return int(found["Plan"]["Shared Hit Blocks"] + found["Plan"]["Shared Read Blocks"])


@pytest.mark.parametrize("statement", ["claim", "skip"])
async def test_the_first_batch_of_a_large_broadcast_reads_no_more_than_any(world: World, statement: str) -> None:
    """Right after the draw PostgreSQL has not counted its texts, unless it is told to."""
    await world.made(10)
    await world.query("ANALYZE outgoing_messages")  # it knows of that broadcast alone
    broadcast = await world.made(4 * making.LARGE, max_recipients=4 * making.LARGE)
    batch = await world.claimed(broadcast)
    held = [row["id"] for row in await world.texts(broadcast) if row["state"] == "claimed"]
    asked = {
        "claim": (batches.CLAIM, {**batches._names(batch), "size": 52, "now": NOW}),
        "skip": (texts.UNWANTED_FIRSTS, {"broadcast_id": broadcast, "texts": held, "limit": 50}),
    }
    with psycopg.connect(world.settings.database_url) as connection:
        read = pages(connection, *asked[statement])
        connection.rollback()
    assert len(held) == 50
    assert read < 2 * ENOUGH


@pytest.mark.parametrize("statement", ["claim", "count"])
async def test_what_looks_for_pending_texts_does_not_pass_all_that_has_left(world: World, statement: str) -> None:
    """While most texts are pending, as PostgreSQL last counted them, the primary key seems as good a way to some."""
    broadcast = await world.made(8 * making.LARGE, max_recipients=8 * making.LARGE)
    batch = await world.claimed(broadcast)
    asked = {
        "claim": (batches.CLAIM, {**batches._names(batch), "size": 52, "now": NOW}),
        "count": (facts.PHASE, {"broadcast_id": broadcast, "is_second": False, "enough": 100, "now": NOW}),
    }
    with psycopg.connect(world.settings.database_url, autocommit=True) as connection:
        connection.execute(
            "UPDATE outgoing_messages SET state = 'skipped', skip_reason = 'cancelled' WHERE state = 'pending' "
            "AND NOT is_second AND id < (SELECT max(id) - 2000 FROM outgoing_messages WHERE NOT is_second)"
        )
        connection.execute("VACUUM outgoing_messages")
        read = pages(connection, *asked[statement])
    assert read < 2 * ENOUGH


@pytest.mark.parametrize("what", ASKED)
def test_what_is_asked_again_and_again_reads_little_of_a_large_broadcast(large: str, what: str) -> None:
    with psycopg.connect(large) as connection:
        read = pages(connection, *ASKED[what])
        connection.rollback()
    assert read < ENOUGH


def test_texts_that_were_skipped_just_now_are_not_looked_at_again_for_the_next(large: str) -> None:
    """Rows squared: each step in which a broadcast is skipped would go over all that was skipped before."""
    query, parameters = ASKED["what is pending"]
    with psycopg.connect(large) as connection:
        connection.execute(
            "UPDATE outgoing_messages SET state = 'skipped', skip_reason = 'cancelled' WHERE is_second AND id <= %s",
            (parameters["after"],),
        )
        read = pages(connection, query, parameters)
        connection.rollback()
    assert read < ENOUGH
