"""A newsroom's database after years of work: what the pages of the desk are measured on.

It is written by SQL, past the services, so that it is there within minutes: as a superuser, without triggers and
foreign keys, the indexes last. What is in it depends on its size alone; no number is drawn by lot.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from libs.common.domain import codec
from libs.common.domain import events as e
from tests.bench.checkouts import NUMBER

ADMIN = 1  # the user who looks at the pages
FIRST_NUMBER = 3_132_000_000  # without its country
LARGE_EVERY = 200  # broadcasts
STEP = 15_485_863  # a prime: each of a broadcast's recipients is another contact
EVERY = timedelta(hours=16)  # between two broadcasts
SEGMENTS = 20
#: Tags that somebody looks for: one that many have, one that few have, and one that only the newest people have.
COMMON, RARE, NEWEST = "newsletter", "press", "festival"

#: One statement a table, in this order. `%(people)s` and `%(past)s` are how many there are.
STATEMENTS = (
    f"""
INSERT INTO contacts (phone_number, name, tags, created_at)
SELECT '+1' || ({FIRST_NUMBER} + i)::text,
       (ARRAY['Ana', 'Ben', 'Carla', 'David', 'Elena', 'Farid', 'Grace', 'Hassan', 'Ines', 'James', 'Keisha', 'Luis',
              'Maria', 'Nadia', 'Omar', 'Paula', 'Quentin', 'Rosa', 'Samir', 'Tanya'])[1 + i %% 20] || ' ' ||
       (ARRAY['Adams', 'Brown', 'Castillo', 'Diaz', 'Evans', 'Flores', 'Garcia', 'Haddad', 'Ibrahim', 'Jackson',
              'Khan', 'Lopez', 'Martin', 'Nguyen', 'Okafor', 'Perez', 'Quinn', 'Rivera', 'Smith', 'Taylor',
              'Underwood', 'Vargas', 'Williams', 'Xu', 'Young', 'Zhang'])[1 + i / 20 %% 26]
       || CASE WHEN i %% 1000 = 0 THEN ' Zebrowski' ELSE '' END,
       array_remove(ARRAY['district-' || 1 + i %% 14,
           CASE WHEN i %% 5 < 2 THEN '{COMMON}' END, CASE WHEN i %% 7 = 0 THEN 'spanish' END,
           CASE WHEN i %% 23 = 0 THEN 'arabic' END, CASE WHEN i %% 50 = 0 THEN 'volunteer' END,
           CASE WHEN i %% 10000 = 1 THEN '{RARE}' END,
           CASE WHEN i > %(people)s * 0.98 THEN '{NEWEST}' END], NULL),
       now() - (%(people)s - i) * interval '1 minute'
FROM generate_series(1, %(people)s) AS i
""",
    """
INSERT INTO opt_outs
SELECT phone_number, id, 'sms', created_at, 'record-' || id, 'carrier:twilio' FROM contacts WHERE id %% 33 = 5
""",
    """
INSERT INTO consent_records
SELECT phone_number, 'file-1', 'start', 'file', created_at, '', '', 'user:1' FROM contacts WHERE id %% 5 < 2
UNION ALL SELECT phone_number, record, 'stop', source, opted_out_at, '', '', actor FROM opt_outs
""",
    """
INSERT INTO unreachable_numbers SELECT phone_number, id, '30005', created_at FROM contacts WHERE id %% 100 = 11
""",
    f"""
INSERT INTO audience_segments (name, filter)
SELECT CASE i WHEN 1 THEN 'Everybody' WHEN 2 THEN 'Newsletter' WHEN 3 THEN 'Spanish' ELSE 'District ' || i - 3 END,
       CASE i WHEN 1 THEN '{{"all": []}}'::jsonb WHEN 2 THEN '{{"any": ["{COMMON}"]}}'
              WHEN 3 THEN '{{"all": ["spanish", {{"not": "{RARE}"}}]}}'
              ELSE jsonb_build_object('any', jsonb_build_array('district-' || 1 + (i - 4) %% 14)) END
FROM generate_series(1, {SEGMENTS}) AS i
""",
    f"""
INSERT INTO users (email, name, role)
SELECT CASE i WHEN {ADMIN} THEN 'ana@example.org' ELSE 'staff-' || i || '@example.org' END,
       CASE i WHEN {ADMIN} THEN 'Ana Reyes' ELSE 'Colleague ' || i END,
       CASE i WHEN {ADMIN} THEN 'admin' ELSE 'editor' END
FROM generate_series(1, 12) AS i
""",
    """
INSERT INTO sign_up_keywords (word, tag, welcome)
SELECT 'news' || i, 'district-' || i, 'Welcome. Reply STOP to end' FROM generate_series(1, 14) AS i
""",
    "INSERT INTO sending_numbers (phone_number) VALUES (%(number)s)",
    # What is to be sent to whom: all that follows is made from it.
    f"""
CREATE TABLE newsroom AS
SELECT *, (sum(recipients) OVER (ORDER BY id) - recipients) * 2 AS messages_before FROM (
    SELECT i AS id, CASE WHEN i > %(past)s + 2 THEN 0
                         WHEN i %% {LARGE_EVERY} = 0 OR i = %(past)s + 1 THEN %(large)s
                         ELSE %(large)s / 250 + i * 7919 %% (%(large)s / 28 + 1) END AS recipients,
           now() - (%(past)s + 1 - i) * interval '{EVERY.total_seconds():.0f} seconds' - interval '1 hour' AS run_at,
           CASE WHEN i <= %(past)s THEN 'completed' WHEN i = %(past)s + 1 THEN 'sending_first'
                WHEN i = %(past)s + 2 THEN 'paused' WHEN i = %(past)s + 3 THEN 'missed' ELSE 'scheduled' END AS state
    FROM generate_series(1, %(past)s + 5) AS i) AS numbered
""",
    f"""
INSERT INTO broadcasts (id, state, run_at, first_message, second_message, second_delay, max_recipients,
    sending_number_id, recurring, author, recipients, made_at, missed_reason, paused_from, pause_reason, second_due_at,
    completed_at)
SELECT id, state,
    CASE state WHEN 'scheduled' THEN run_at + interval '2 days' WHEN 'missed' THEN now() - interval '1 day'
               ELSE run_at END,
    'What should we look into in your part of the city this week? No. ' || id || '. Reply STOP to opt out.',
    'One more chance to tell us.', 3600, greatest(recipients, 2000), 1, state = 'scheduled', 'user:{ADMIN}',
    nullif(recipients, 0), CASE WHEN recipients > 0 THEN run_at END,
    CASE state WHEN 'missed' THEN 'day_over' END, CASE state WHEN 'paused' THEN 'sending_first' END,
    CASE state WHEN 'paused' THEN 'staff' END, CASE state WHEN 'completed' THEN run_at + interval '2 hours' END,
    CASE state WHEN 'completed' THEN run_at + interval '5 hours' END
FROM newsroom ORDER BY id
""",
    f"""
INSERT INTO broadcasts_segments (broadcast_id, segment_id, role, position, ratio, quota, drawn)
SELECT id, 1 + (id + part) %% {SEGMENTS}, 'share', 1 + part, 50, nullif(recipients, 0) / 2, nullif(recipients, 0) / 2
FROM newsroom, generate_series(0, 1) AS part
""",
    """
INSERT INTO batches (id, broadcast_id, is_second, due_at, lease_until)
SELECT '00000000-0000-4000-8000-000000000001', id, false, now(), now() + interval '1 day'
FROM newsroom WHERE state = 'sending_first'
""",
    # Half of what is sent now has left, 5 texts are under way, 45 are about to leave; of what is paused a tenth left.
    f"""
INSERT INTO outgoing_messages (id, broadcast_id, contact_id, segment_id, is_second, recipient_phone_number, state,
    claimed_by, attempts, attempt_started_at, skip_reason)
SELECT messages_before + recipients * is_second::integer + nth + 1, id, contact, 1 + (id + nth %% 2) %% {SEGMENTS},
    is_second, '+1' || ({FIRST_NUMBER} + contact)::text, message_state,
    CASE WHEN message_state IN ('claimed', 'started') THEN '00000000-0000-4000-8000-000000000001'::uuid END,
    is_tried::integer,
    CASE WHEN is_tried THEN run_at + nth * interval '70 ms' + is_second::integer * interval '2 hours' END,
    CASE WHEN message_state = 'skipped' THEN 'replied' END
FROM (
    SELECT *, message_state IN ('started', 'accepted', 'refused') AS is_tried FROM (
        SELECT n.*, nth, is_second, 1 + (id * 7919 + nth::bigint * {STEP}) %% %(people)s AS contact,
            CASE WHEN n.state = 'sending_first' AND (is_second OR nth >= recipients / 2 + 50) THEN 'pending'
                 WHEN n.state = 'sending_first' AND nth >= recipients / 2 + 5 THEN 'claimed'
                 WHEN n.state = 'sending_first' AND nth >= recipients / 2 THEN 'started'
                 WHEN n.state = 'paused' AND (is_second OR nth >= recipients / 10) THEN 'pending'
                 WHEN is_second AND (nth * 31 + id) %% 17 = 0 THEN 'skipped'
                 WHEN nth %% 100 = 7 THEN 'refused' ELSE 'accepted' END AS message_state
        FROM newsroom n, generate_series(0, recipients - 1) AS nth, unnest(ARRAY[false, true]) AS is_second
    ) AS with_state
) AS with_attempt
ORDER BY id, is_second, nth
""",
    """
INSERT INTO broadcast_sent_message_status (outgoing_message_id, broadcast_id, is_second, outcome, missive_id,
    missive_conversation_id, twilio_id, twilio_sent_at, twilio_sent_status, twilio_error_code)
SELECT id, broadcast_id, is_second, state, 'm' || id, 'c' || contact_id,
    CASE WHEN state = 'accepted' THEN 'SM' || lpad(to_hex(id), 32, '0') END, attempt_started_at + interval '1 second',
    CASE WHEN state = 'refused' THEN NULL WHEN id %% 100 < 6 THEN 'undelivered' WHEN id %% 100 = 99 THEN 'sent'
         ELSE 'delivered' END,
    CASE WHEN state = 'refused' THEN '21610' WHEN id %% 100 < 3 THEN '30003' WHEN id %% 100 < 5 THEN '30005'
         WHEN id %% 100 = 5 THEN '30007' END
FROM outgoing_messages WHERE state IN ('accepted', 'refused') ORDER BY id
""",
    f"""
INSERT INTO replies (provider_id, phone_number, contact_id, broadcast_id, body, received_at, provider, wish, review,
    review_reason, reviewed_at, reviewed_by, read_at, read_by, missive_conversation_id, assigned_to, assigned_by,
    done_at, done_by)
SELECT 'r' || m.id, m.recipient_phone_number, m.contact_id, m.broadcast_id,
    (ARRAY['The street lights on our block have been out since June, and nobody comes.', 'Yes', 'STOP', 'Potholes!',
           'Can you look at why the number 6 bus never comes on time? I have waited for an hour, twice this week.',
           'Who is this?', 'Rent went up by 40 percent.', 'Thank you for asking', 'Lead pipes. Ask the water office.',
           'please take me off'])[1 + nth %% 10],
    m.attempt_started_at + (1 + nth %% 90) * interval '1 minute', 'missive',
    CASE WHEN nth %% 10 = 2 THEN 'stop' END, CASE WHEN is_likely AND a.id > %(past)s - 5 THEN 'waiting'
        WHEN is_likely THEN 'no_opt_out' END, CASE WHEN is_likely THEN 'take_me_off' END,
    CASE WHEN is_likely AND a.id <= %(past)s - 5 THEN run_at + interval '1 day' END,
    CASE WHEN is_likely AND a.id <= %(past)s - 5 THEN 'Ana Reyes' END,
    CASE WHEN a.id < %(past)s - 5 THEN run_at + interval '1 day' END,
    CASE WHEN a.id < %(past)s - 5 THEN 'Ana Reyes' END,
    'c' || m.contact_id, CASE WHEN nth %% 50 = 0 THEN {ADMIN} END, CASE WHEN nth %% 50 = 0 THEN 'Ana Reyes' END,
    CASE WHEN a.id < %(past)s - 20 THEN run_at + interval '1 day' END,
    CASE WHEN a.id < %(past)s - 20 THEN 'Ana Reyes' END
FROM (SELECT n.*, m.id AS message, nth, nth %% 10 = 9 AS is_likely
      FROM newsroom n JOIN LATERAL generate_series(0, recipients - 1) AS nth ON (nth * 31 + n.id) %% 17 = 0
      JOIN outgoing_messages m ON m.id = messages_before + nth + 1 AND m.state = 'accepted') AS a
JOIN outgoing_messages m ON m.id = message ORDER BY message
""",
    """
INSERT INTO events (stream, version, id, type, schema_version, broadcast_id, data, occurred_at, correlation_id, actor)
SELECT 'broadcast-' || broadcast_id || '-messages', row_number() OVER (PARTITION BY broadcast_id ORDER BY id),
    gen_random_uuid(), 'MessageAccepted', 1, broadcast_id,
    jsonb_build_object('broadcast_id', broadcast_id, 'message_id', id, 'missive_id', 'm' || id,
        'missive_conversation_id', 'c' || contact_id, 'twilio_id', NULL, 'twilio_status', NULL),
    attempt_started_at, gen_random_uuid(), 'service:sender'
FROM outgoing_messages WHERE state = 'accepted' ORDER BY broadcast_id, id
""",
    """
INSERT INTO events (stream, version, id, type, schema_version, broadcast_id, data, occurred_at, correlation_id, actor)
SELECT 'broadcast-' || broadcast_id || '-replies', row_number() OVER (PARTITION BY broadcast_id ORDER BY id),
    gen_random_uuid(), CASE wish WHEN 'stop' THEN 'OptedOut' ELSE 'ReplyReceived' END, 1, broadcast_id,
    jsonb_build_object('broadcast_id', broadcast_id, 'reply_id', id, 'contact_id', contact_id, 'source', 'sms'),
    received_at, gen_random_uuid(), 'carrier:missive'
FROM replies ORDER BY broadcast_id, id
""",
    f"""
INSERT INTO contact_imports (state, file_name, actor, done, imported)
VALUES ('done', 'festival.csv', 'user:{ADMIN}', 20000, 20000)
""",
    """
INSERT INTO single_messages (request_id, purpose, phone_number, contact_id, reply_id, broadcast_id, sending_number_id,
    body, asked_at, asked_by, state, attempts, attempt_started_at)
SELECT gen_random_uuid(), 'answer', phone_number, contact_id, id, broadcast_id, 1, 'Thank you! We will look into it.',
    received_at + interval '1 hour', 'user:1', 'accepted', 1, received_at + interval '1 hour'
FROM replies WHERE id %% 10 = 0
""",
    "DROP TABLE newsroom",
    "SELECT setval('broadcast_ids', max(id)) FROM broadcasts",
    "SELECT setval('message_ids', max(id)) FROM outgoing_messages",
)  # fmt: skip

FILLED = ("contacts", "outgoing_messages", "broadcast_sent_message_status", "replies", "events")
#: The indexes of a table that no constraint needs.
INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid = %s::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
EVENT = """
INSERT INTO events (stream, version, id, type, schema_version, broadcast_id, data, occurred_at, correlation_id, actor)
VALUES (%s, %s, %s, %s, 1, %s, %s, %s, %s, %s)
"""


@dataclass(frozen=True, slots=True)
class Newsroom:
    """How large the database is, and which broadcast is which."""

    people: int
    #: Broadcasts that are over; they have the ids from 1 on.
    past: int
    #: Recipients of each of a few broadcasts.
    recipients: int = 50_000

    @property
    def large(self) -> int:
        """The newest of those that are over and went to many."""
        return self.past - self.past % LARGE_EVERY

    @property
    def under_way(self) -> int:
        """The one that goes out now, to many."""
        return self.past + 1

    def ago(self, broadcast_id: int) -> timedelta:
        """Return how long ago one of the past broadcasts began."""
        return (self.past + 1 - broadcast_id) * EVERY + timedelta(hours=1)

    @property
    def scheduled(self) -> int:
        """One that is to go out."""
        return self.past + 4


def fill(url: str, newsroom: Newsroom) -> None:
    """Write a newsroom into an empty database."""
    given = {"people": newsroom.people, "past": newsroom.past, "large": newsroom.recipients, "number": NUMBER}
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET maintenance_work_mem = '512MB'")
        with _indexes_last(connection):
            for statement in STATEMENTS:
                connection.execute(statement, given)
            _append_history(connection)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


@contextmanager
def _indexes_last(connection: psycopg.Connection[Any]) -> Iterator[None]:
    found = [row for table in FILLED for row in connection.execute(INDEXES, (table,)).fetchall()]
    for name, _ in found:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    yield
    for _, definition in found:
        connection.execute(definition)


def _append_history(connection: psycopg.Connection[Any]) -> None:
    """Append what happened to each broadcast, as services write it."""
    rows = connection.execute("SELECT id, state, run_at, recipients FROM broadcasts ORDER BY id").fetchall()
    events = [
        (
            f"broadcast-{broadcast_id}", version, uuid4(), type(event).__name__, broadcast_id,
            Jsonb(codec.encode(event)), run_at + after, uuid4(), by,
        )
        for broadcast_id, state, run_at, recipients in rows
        for version, (event, after, by) in enumerate(_history(broadcast_id, state, run_at, recipients), 1)
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.executemany(EVENT, events)


def _history(
    broadcast_id: int, state: str, run_at: datetime, recipients: int | None
) -> Iterator[tuple[e.Event, timedelta, str]]:
    """Yield what happened to a broadcast, how long after its time, and who did it."""
    staff, planner = f"user:{ADMIN + broadcast_id % 12}", "service:planner"
    yield (
        e.BroadcastScheduled(
            broadcast_id=broadcast_id, run_at=run_at, first_message="What should we look into?",
            second_message="Still?", second_delay=3600, segments=(e.Segment(segment_id=1, ratio=100),),
            max_recipients=2000, sending_number_id=1, recurring=False, author=staff,
        ),
        timedelta(hours=-20), staff,
    )  # fmt: skip
    if not recipients:
        return
    yield (
        e.BroadcastMade(broadcast_id=broadcast_id, recipients=recipients, seed=1, draws=(), next_broadcast_id=None),
        timedelta(), planner,
    )  # fmt: skip
    if state == "paused":
        yield e.BroadcastPaused(broadcast_id=broadcast_id), timedelta(minutes=1), staff
    if state == "completed":
        due = run_at + timedelta(hours=2)
        for is_second in (False, True):
            finished = e.PhaseFinished(
                broadcast_id=broadcast_id, is_second=is_second, second_due_at=None if is_second else due, uncertain=0
            )
            yield finished, timedelta(hours=1 + 2 * is_second), planner
        ledger = e.Ledger(planned=2 * recipients, accepted=2 * recipients)
        yield e.BroadcastCompleted(broadcast_id=broadcast_id, ledger=ledger, unsettled=0), timedelta(hours=5), planner
