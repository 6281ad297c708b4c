"""What is asked again and again reads little, however much there is: invariant 7."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Executable

from libs.common.broadcasts import (
    audience,
    drawing,
    erasure,
    frequency_cap,
    making,
    messages,
    places,
    segment_sql,
    unreachable,
)
from libs.common.broadcasts.audience import Rules
from libs.common.broadcasts.unwanted_messages import UNWANTED_FIRSTS_OF_BATCH
from libs.common.domain import segments
from libs.common.domain.actors import BROADSHEET
from libs.common.domain.cause import Cause
from libs.common.domain.frequency import Cap
from libs.common.eventstore import store
from libs.common.operations import retention
from services.api.broadcasts import progress
from services.api.broadcasts import queries as broadcasts
from services.api.contacts import queries as contacts
from services.api.replies import queries as written
from services.planner import queries as planner_queries
from services.planner import watchdog_queries
from services.sender import batches
from services.twilio_sync import queries
from tests.support import servers, witness
from tests.support.plans import pages, pages_of_long_work
from tests.support.world import HERE, NOW, World

MESSAGES = 20_000
ENOUGH = 150  # pages; each of the tables below has several hundred

#: One broadcast to many people: the first messages have left, the second are to be sent. Some were erased.
FILL = f"""
INSERT INTO sending_numbers (phone_number) VALUES ('+13135550100');
INSERT INTO broadcasts (id, state, run_at, first_message, second_message, second_delay, max_recipients,
                        sending_number_id, recurring, recipients, made_at, completed_at)
VALUES (1, 'completed', now(), 'a', 'b', 600, 100000, 1, false, 100000, now(), now());
INSERT INTO audience_segments (name, filter) VALUES ('all', '{{}}');
INSERT INTO contacts (phone_number) SELECT '+1313' || (5000000 + n) FROM generate_series(1, {MESSAGES}) AS n;
INSERT INTO outgoing_messages (id, broadcast_id, contact_id, segment_id, is_second, recipient_phone_number, state,
                               attempts, attempt_started_at)
SELECT n, 1, n, 1, false, '+1313' || (5000000 + n), 'accepted', 1, now() FROM generate_series(1, {MESSAGES}) AS n;
INSERT INTO outgoing_messages (id, broadcast_id, contact_id, segment_id, is_second, recipient_phone_number)
SELECT {MESSAGES} + n, 1, n, 1, true, '+1313' || (5000000 + n) FROM generate_series(1, {MESSAGES}) AS n;
INSERT INTO replies (provider_id, phone_number, contact_id, broadcast_id, body, received_at)
SELECT 'SM' || n, '+1313' || (5000000 + n), n, NULL, repeat('x', 200), now() FROM generate_series(1, {MESSAGES}) AS n;
INSERT INTO events (stream, version, id, type, schema_version, broadcast_id, data, occurred_at, correlation_id, actor)
SELECT 's' || n, 1, gen_random_uuid(), CASE WHEN n % 1000 = 0 THEN 'OptedOut' ELSE 'MessageAccepted' END, 1, 1,
       '{{"contact_id": 1}}', now(), gen_random_uuid(), 'service:sender' FROM generate_series(1, {MESSAGES}) AS n;
UPDATE contacts SET phone_number = NULL, erased_at = now() WHERE id % 5000 = 0;
"""

ASKED: dict[str, tuple[Executable, dict[str, Any]]] = {
    "what is uncertain": (queries.UNCERTAIN, {"broadcast_id": 1, "before": NOW.replace(year=2100), "limit": 1000}),
    "what remains uncertain": (queries.LEFT_UNCERTAIN, {"broadcast_id": 1, "before": NOW}),
    "whether another was taken": (queries.TAKEN_SINCE, {"broadcast_id": 1, "at": NOW}),
    "looks that are overdue": (watchdog_queries.OVERDUE_SETTLING, {"before": NOW, "due_before": NOW}),
    "what batches have claimed": (messages.CLAIMED_OF, {"broadcast_id": 1}),
    "what is pending": (
        messages.PENDING_OF,
        {"broadcast_id": 1, "is_second": True, "pool_index": 0, "place": "", "after": MESSAGES + 19_000, "limit": 10},
    ),
    "numbers of the erased": (erasure.FORGET_SETTLED, {}),
    "messages to somebody": (erasure.FORGET_MESSAGES, {"id": 17, "phone_number": "+13135000017"}),
    "replies of somebody": (erasure.FORGET_REPLIES, {"id": 17, "phone_number": "+13135000017"}),
    "whether a number is known": (erasure.KNOWN, {"phone_number": "+13130000000"}),
    "who answered and opted out": (progress.PEOPLE, {"id": 1}),
    "replies that wait for a person": (written.page_of(("waiting",), ()), {"before": MESSAGES * 2, "limit": 51}),
    "replies to a broadcast": (
        written.page_of(("broadcast_id",), ()),
        {"before": MESSAGES * 2, "broadcast_id": 1, "limit": 51},
    ),
    "messages far on in a broadcast": (
        broadcasts.MESSAGES_PAGE,
        {"id": 1, "contact": MESSAGES - 100, "second": True, "state": None, "is_second": None, "limit": 26},
    ),
    "how many have not left": (broadcasts.UNSENT_OF, {"ids": [1]}),
    "who takes no messages": (
        contacts.page_of("unreachable"),
        {"after": 0, "limit": 51},
    ),
}


@pytest.fixture(scope="module")
def large() -> Iterator[str]:
    with servers.database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL.encode())
            connection.execute("VACUUM ANALYZE")
        yield url


@pytest.mark.parametrize("statement", ["claim", "skip"])
async def test_the_first_batch_of_a_large_broadcast_reads_no_more_than_any(world: World, statement: str) -> None:
    """Right after the draw PostgreSQL has not counted its messages, unless it is told to."""
    await world.made(10)
    await world.query("ANALYZE outgoing_messages")  # it knows of that broadcast alone
    broadcast = await world.made(4 * making.LARGE, max_recipients=4 * making.LARGE)
    batch = await world.claimed(broadcast)
    held = [row["id"] for row in await world.messages(broadcast) if row["state"] == "claimed"]
    asked: dict[str, tuple[Executable, dict[str, Any]]] = {
        "claim": (batches.CLAIM, {**batches._names(batch), "size": 52, "open": [HERE], "now": NOW}),
        "skip": (UNWANTED_FIRSTS_OF_BATCH, {"broadcast_id": broadcast, "message_ids": held, "limit": 50}),
    }
    read = await pages(world.settings.database_url.get_secret_value(), *asked[statement])
    assert len(held) == 50
    assert read < 2 * ENOUGH


@pytest.mark.parametrize("statement", ["claim", "count"])
async def test_what_looks_for_pending_messages_does_not_pass_all_that_has_left(world: World, statement: str) -> None:
    """While most messages are pending, as PostgreSQL last counted them, the primary key seems as good a way to some."""
    broadcast = await world.made(8 * making.LARGE, max_recipients=8 * making.LARGE)
    batch = await world.claimed(broadcast)
    asked = {
        "claim": (batches.CLAIM, {**batches._names(batch), "size": 52, "open": [HERE], "now": NOW}),
        "count": (
            planner_queries.PHASE,
            {"broadcast_id": broadcast, "is_second": False, "pool_index": 0, "enough": 100, "open": [HERE], "now": NOW},
        ),
    }
    with psycopg.connect(world.settings.database_url.get_secret_value(), autocommit=True) as connection:
        connection.execute(
            "UPDATE outgoing_messages SET state = 'skipped', skip_reason = 'cancelled' WHERE state = 'pending' "
            "AND NOT is_second AND id < (SELECT max(id) - 2000 FROM outgoing_messages WHERE NOT is_second)"
        )
        connection.execute("VACUUM outgoing_messages")
    read = await pages(world.settings.database_url.get_secret_value(), *asked[statement])
    assert read < 2 * ENOUGH


@pytest.mark.parametrize("statement", ["claim", "count", "places", "first that waits"])
async def test_nothing_is_read_of_those_who_sleep(world: World, statement: str) -> None:
    """However many wait for the morning: half of them come before the others in the index, half after them."""
    broadcast = await world.made(4 * making.LARGE, max_recipients=4 * making.LARGE)
    await world.query(
        "UPDATE outgoing_messages SET place = CASE WHEN id % 2 = 0 THEN 'A' ELSE 'Z' END WHERE id % 50 > 0"
    )
    await world.query("VACUUM ANALYZE outgoing_messages")
    batch = await world.claimed(broadcast)
    phase = {"broadcast_id": broadcast, "is_second": False, "pool_index": 0}
    asked: dict[str, tuple[Executable, dict[str, Any]]] = {
        "claim": (batches.CLAIM, {**batches._names(batch), "size": 52, "open": [HERE], "now": NOW}),
        "count": (planner_queries.PHASE, {**phase, "enough": 100, "open": [HERE], "now": NOW}),
        "places": (
            places.PENDING,
            {"broadcast_id": broadcast, "is_second": False, "lowest": 0, "highest": places.HIGHEST},
        ),
        "first that waits": (planner_queries.FIRST_NOT_BEFORE, {**phase, "open": [HERE], "now": NOW}),
    }
    most = {"first that waits": 10 * ENOUGH}  # it looks at each of the others, 200 here
    assert await pages(world.settings.database_url.get_secret_value(), *asked[statement]) < most.get(statement, ENOUGH)


@pytest.mark.parametrize("statement", ["count", "draw"])
async def test_numbers_that_take_no_messages_cost_a_draw_next_to_nothing(large: str, statement: str) -> None:
    """They are left out by looking at them once, not by looking for each contact among them."""
    everybody = segment_sql.condition(segments.EVERYBODY, NOW)
    drawn = {
        "broadcast_id": 1, "segment_id": 1, "quota": 100, "seed": "7", "numbers": [],
        "chunk": drawing.CHUNK, "stream": "s", "schema_version": 1, "has_second": True,
        **store.origin_of(Cause(actor=BROADSHEET), NOW), **places.known(),
    }  # fmt: skip
    asked = {"count": (audience.count_of(everybody.sql), {}), "draw": (drawing.draw_of(everybody.sql), drawn)}
    fill = """
        INSERT INTO unreachable_numbers (phone_number, contact_id, code, since)
        SELECT phone_number, id, '30005', now() FROM contacts WHERE id % 20 = 3 AND erased_at IS NULL
    """
    before = await pages_of_long_work(large, *asked[statement])
    await witness.query(large, fill)
    await witness.query(large, "ANALYZE unreachable_numbers")
    try:
        after = await pages_of_long_work(large, *asked[statement])
    finally:
        await witness.query(large, "TRUNCATE unreachable_numbers")
    assert after < before + ENOUGH


async def test_judging_a_number_reads_no_more_than_its_own_messages(large: str) -> None:
    read = await pages(large, unreachable.MARK, {"numbers": ["+13135000017"], "enough": unreachable.ENOUGH})
    assert read < 60  # its plan looks at the ends of indexes, too


async def test_forgetting_goes_on_behind_what_is_forgotten(large: str) -> None:
    parameters = {"broadcast_id": 1, "after": "+13135019990", "limit": 2}
    assert await pages_of_long_work(large, retention.FORGET_NUMBERS, parameters) < ENOUGH


@pytest.mark.parametrize("what", ASKED)
async def test_what_is_asked_again_and_again_reads_little_of_a_large_broadcast(large: str, what: str) -> None:
    read = await pages(large, *ASKED[what])
    assert read < ENOUGH


async def test_messages_that_were_skipped_just_now_are_not_looked_at_again_for_the_next(large: str) -> None:
    """Rows squared: each step in which a broadcast is skipped would go over all that was skipped before."""
    query, parameters = ASKED["what is pending"]
    skip = "UPDATE outgoing_messages SET state = '{}', skip_reason = {} WHERE is_second AND id <= %s"
    await witness.query(large, skip.format("skipped", "'cancelled'"), parameters["after"])
    try:
        read = await pages(large, query, parameters)
    finally:
        await witness.query(large, skip.format("pending", "NULL"), parameters["after"])
    assert read < ENOUGH


@pytest.fixture(scope="module")
def past() -> Iterator[str]:
    """A broadcast that is over: all of its messages were taken, or skipped."""
    with servers.database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL.encode())
            connection.execute(
                "UPDATE outgoing_messages SET state = 'skipped', skip_reason = 'replied' WHERE state = 'pending'"
            )
            connection.execute("VACUUM ANALYZE")
        yield url


async def test_the_frequency_cap_reads_the_texts_of_its_days_and_none_before_them(past: str) -> None:
    """What was ever sent does not count, and is not looked at; what counts is read once, not once a contact."""
    everybody = segment_sql.condition(segments.EVERYBODY, NOW)

    async def read(cap: Cap | None, now: datetime) -> int:
        capped = frequency_cap.capped([] if cap is None else [cap], 1, now)
        rules = Rules(join=capped.join, capped=capped.condition or "false")
        given = {
            **capped.given, "broadcast_id": 1, "segment_id": 1, "quota": 100, "seed": "7", "numbers": [],
            "chunk": drawing.CHUNK, "stream": "s", "schema_version": 1, "has_second": False,
            **store.origin_of(Cause(actor=BROADSHEET), NOW), **places.known(),
        }  # fmt: skip
        return await pages_of_long_work(past, drawing.draw_of(everybody.sql, rules), given)

    later = datetime.now(UTC) + timedelta(days=30)
    without = await read(None, later)
    assert await read(Cap(texts=1, days=7), later) < without + ENOUGH, "nothing was sent in these days"
    assert await read(Cap(texts=2, days=7), later - timedelta(days=29)) < 3 * without, "all had a text in these days"
