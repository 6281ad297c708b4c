"""What is executed for each batch, each message and each look of the watchdog reads little of 200,000 messages.

Also when the server executes a plan that it has made for any parameters, as it may for prepared statements.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Executable

from libs.common.broadcasts import acceptances, delivery_status, messages, places
from libs.common.broadcasts.unwanted_messages import UNWANTED_FIRSTS_OF_BATCH, UNWANTED_SECONDS_OF_BATCH
from libs.common.domain import events as e
from libs.common.domain.actors import BROADSHEET
from libs.common.domain.cause import Cause
from libs.common.eventstore import projections, store
from libs.common.messaging import outbox
from services.planner import queries as planner
from services.planner import watchdog_queries
from services.sender import batches
from services.twilio_sync import queries
from tests.support import servers, witness
from tests.support.plans import pages
from tests.support.world import FROM, NOW

OTHER = "+13135550199"
PEOPLE = 100_000  # each has two messages
BATCH = UUID(int=1)
HELD = 50  # messages that the batch has claimed; 10 of them are started
STEPS = 20_000  # that wait in the outbox, nearly all for later
ENDED = 20_000  # batches that are closed
LATER = NOW.replace(year=2100)
#: The messages of the batch, and the first messages of the same people.
SECONDS = [PEOPLE + n for n in range(1, HELD + 1)]
FIRSTS = list(range(1, HELD + 1))

FILL = f"""
INSERT INTO sending_numbers (phone_number) VALUES ('{FROM}'), ('{OTHER}');
INSERT INTO broadcasts (id, state, run_at, first_message, second_message, second_delay, max_recipients,
                        sending_number_id, pool, recurring, recipients, made_at)
VALUES (1, 'sending_second', now(), 'a', 'b', 600, 100000, 1, '{{2}}', false, 100000, now());
INSERT INTO audience_segments (name, filter) VALUES ('all', '{{}}');
INSERT INTO contacts (phone_number) SELECT '+1313' || (5000000 + n) FROM generate_series(1, {PEOPLE}) AS n;
INSERT INTO opt_outs (phone_number, contact_id, source, opted_out_at, actor)
SELECT phone_number, id, 'sms', now(), 'carrier:twilio' FROM contacts WHERE id > {PEOPLE} - 5000;
INSERT INTO replies (provider_id, phone_number, contact_id, broadcast_id, body, received_at)
SELECT 'SM' || n, '+1313' || (5000000 + n), n, 1, 'yes', now() FROM generate_series({PEOPLE} - 9000, {PEOPLE}) AS n;
INSERT INTO batches (id, broadcast_id, is_second, pool_index, due_at, fence, lease_until)
VALUES ('{BATCH}', 1, true, 1, now(), 1, now() + interval '1 year');
INSERT INTO batches (id, broadcast_id, is_second, due_at, fence, closed_at)
SELECT gen_random_uuid(), 1, n % 2 = 0, now(), 1, now() FROM generate_series(1, {ENDED}) AS n;
INSERT INTO syncs (broadcast_id, number, due_at) VALUES (1, 1, now());
INSERT INTO outgoing_messages (id, broadcast_id, contact_id, segment_id, is_second, recipient_phone_number, state,
                               attempts, attempt_started_at)
SELECT n, 1, n, 1, false, '+1313' || (5000000 + n), 'accepted', 1, now() FROM generate_series(1, {PEOPLE}) AS n;
INSERT INTO broadcast_sent_message_status (outgoing_message_id, broadcast_id, is_second, outcome, missive_id, twilio_id,
                                           twilio_sent_status)
SELECT n, 1, false, 'accepted', 'M' || n, CASE WHEN n > 1000 THEN 'SM' || n END,
       CASE WHEN n > 1000 THEN 'delivered' END FROM generate_series(1, {PEOPLE}) AS n;
INSERT INTO outgoing_messages (id, broadcast_id, contact_id, segment_id, is_second, recipient_phone_number, state,
                               pool_index, claimed_by, attempts, attempt_started_at)
SELECT {PEOPLE} + n, 1, n, 1, true, '+1313' || (5000000 + n),
       CASE WHEN n <= 10 THEN 'started' WHEN n <= {HELD} THEN 'claimed' ELSE 'pending' END,
       CASE WHEN n <= {HELD} OR n > {PEOPLE} / 2 THEN 1 ELSE 0 END,
       CASE WHEN n <= {HELD} THEN CAST('{BATCH}' AS uuid) END, CASE WHEN n <= 10 THEN 1 ELSE 0 END,
       CASE WHEN n <= 10 THEN now() END FROM generate_series(1, {PEOPLE}) AS n;
INSERT INTO outbox (message_id, kind, type, schema_version, broadcast_id, data, occurred_at, deliver_at, correlation_id,
                    actor)
SELECT gen_random_uuid(), 'command', 'MakeBroadcast', 1, n, '{{}}', now(),
       CASE WHEN n <= 50 THEN now() ELSE now() + interval '50 years' END, gen_random_uuid(), 'service:planner'
FROM generate_series(1, {STEPS}) AS n;
"""

OF_BATCH = {
    "batch_id": BATCH,
    "fence": 1,
    "broadcast_id": 1,
    "is_second": True,
    # Half of what is pending is of the other number, and older.
    "pool_index": 1,
    "state": "sending_second",
    "now": LATER,
}
ENTRIES = [
    {"message_id": n, "twilio_id": f"X{n}", "status": "sent", "error_code": None, "sent_at": None} for n in FIRSTS
]
(ACCEPTED,) = projections.STATEMENTS[e.MessageAccepted]
SYNCED, PAGE = projections.STATEMENTS[e.StatusesSynced]
ORIGIN = store.origin_of(Cause(actor=BROADSHEET), NOW)
ANSWER = {"missive_id": "M", "missive_conversation_id": None, "twilio_id": None, "twilio_status": None}

#: What is executed, by what it does; and how many pages it may look at.
HOT: dict[str, tuple[Executable, dict[str, Any], int]] = {
    "claim": (batches.CLAIM, {**OF_BATCH, "open": [""], "size": 2 * HELD}, 2300),
    "events of a claim": (
        projections.STATEMENTS[e.BatchClaimed][0], {"message_ids": SECONDS, "batch_id": BATCH}, 1400),
    "skip of a batch": (
        UNWANTED_SECONDS_OF_BATCH, {"broadcast_id": 1, "message_ids": SECONDS, "limit": messages.CHUNK}, 700),
    "skip of a batch of the first": (
        UNWANTED_FIRSTS_OF_BATCH, {"broadcast_id": 1, "message_ids": FIRSTS, "limit": messages.CHUNK}, 60),
    "what a batch holds": (batches.HELD, {"batch_id": BATCH}, 150),
    "start": (
        batches.START,
        {**OF_BATCH, "count": 10, "open": [""], "stream": "broadcast-1-batch", "started_data": "{}", **ORIGIN,
         **store.identity("start", e.MessagesStarted)}, 800),
    "renew": (batches.RENEW, {"batch_id": BATCH, "fence": 1, "lease_until": LATER}, 50),
    "answer": (
        messages.ANSWERABLE, {"message_id": PEOPLE + 1, "attempt": 1, "states": ["started", "uncertain"]}, 20,
    ),
    "recording an acceptance": (
        acceptances.RECORD,
        {"message_id": PEOPLE + 1, "attempt": 1, "left_at": None, **ANSWER, "stream": "broadcast-1-batch",
         "accepted_data": "{}", "carrier": "missive", "permits": [1], **ORIGIN,
         **store.identity("acceptance", e.MessageAccepted)}, 200),
    "an acceptance from history": (ACCEPTED, {"message_id": PEOPLE + 1, "left_at": None, **ANSWER}, 140),
    "skip for a number": (messages.OPEN_TO, {"phone_number": "+13135000017"}, 30),
    "skip for a person": (messages.OPEN_SECOND, {"broadcast_id": 1, "contact_id": 17}, 30),
    "count of claimable": (
        planner.PHASE,
        {"broadcast_id": 1, "is_second": True, "pool_index": 1, "enough": 200, "open": [""], "now": LATER}, 200),
    "places of what is pending": (
        places.PENDING, {"broadcast_id": 1, "is_second": True, "lowest": 1, "highest": 1}, 60),
    "places of what is pending from any number": (
        places.PENDING, {"broadcast_id": 1, "is_second": True, "lowest": 0, "highest": places.HIGHEST}, 60),
    "places of what a batch holds": (places.OF_BATCH, {"batch_id": BATCH}, 150),
    "take from the outbox": (outbox.TAKE, {"until": LATER.replace(year=2040), "now": NOW.replace(year=2040),
                                           "lease_until": LATER, "limit": 100}, 1000),
    "lost messages": (messages.LOST, {"before": NOW, "limit": messages.CHUNK}, 60),
    "what is under way": (watchdog_queries.UNDER_WAY, {"now": LATER}, 30),
    "overdue batches": (watchdog_queries.OVERDUE_BATCHES, {"now": LATER, "before": LATER, "wait": False}, 100),
    "batches that nobody has opened": (watchdog_queries.UNOPENED_BATCHES, {"before": LATER}, 60),
    "overdue passes": (watchdog_queries.OVERDUE_SYNCS, {"now": LATER, "before": LATER}, 50),
    "passes that are overdue": (watchdog_queries.OVERDUE_PASSES, {"before": LATER}, 30),
    "steps to publish": (watchdog_queries.STEPS_TO_PUBLISH, {"now": LATER.replace(year=2040)}, 60),
    "match": (
        queries.CANDIDATES, {"numbers": [f"+1313{5000000 + n}" for n in FIRSTS], "from_numbers": [FROM]}, 550),
    "match by what is known": (queries.KNOWN_SIDS, {"sids": [f"SM{n}" for n in range(2001, 2051)]}, 150),
    "status": (SYNCED, {"data": {"statuses": ENTRIES}}, 1200),
    "page of statuses": (PAGE, {"next_page": None, "number": 1, "broadcast_id": 1}, 30),
    "who did not get a message": (delivery_status.ABOUT, {"message_ids": FIRSTS}, 60),
    "whether a message is unsettled": (planner.UNSETTLED, {"broadcast_id": 1}, 30),
}  # fmt: skip


@pytest.fixture(scope="module")
def busy() -> Iterator[str]:
    with servers.database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL.encode())
            connection.execute("VACUUM ANALYZE")
        yield url


@pytest.mark.parametrize("what", HOT)
async def test_what_sending_needs_reads_little_of_a_large_broadcast(busy: str, what: str) -> None:
    statement, parameters, most = HOT[what]
    await witness.query(busy, "VACUUM (INDEX_CLEANUP ON)")  # what was rolled back before is not this statement's
    assert await pages(busy, statement, parameters) < most
