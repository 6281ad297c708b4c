"""What each event does to the tables that staff see. One statement an event type, the same live and in a rebuild.

A statement's parameters are the event's fields, `data` (the whole event as JSON) and `at` (when it was recorded).
Claiming, starting and forgetting are the exceptions: live, one statement decides and does both
(`services/sender/batches.py`), or many statements do it bit by bit (`retention.py`); here is what a rebuild makes of
their outcome.
"""

from datetime import datetime

from psycopg.types.json import Jsonb

from libs.common import codec
from libs.common import events as e
from libs.common.database import Connection

_SEGMENTS = """
INSERT INTO broadcasts_segments (broadcast_id, segment_id, position, ratio)
SELECT %(broadcast_id)s, (s.value ->> 'segment_id')::bigint, s.n, (s.value ->> 'ratio')::float8
FROM jsonb_array_elements(%(data)s::jsonb -> 'segments') WITH ORDINALITY AS s (value, n)
"""

STATEMENTS: dict[type[e.Event], tuple[str, ...]] = {
    e.BroadcastScheduled: (
        """
        INSERT INTO broadcasts (id, state, run_at, first_message, second_message, second_delay, max_recipients,
                                sending_number_id, recurring, previous_id)
        VALUES (%(broadcast_id)s, 'scheduled', %(run_at)s, %(first_message)s, %(second_message)s, %(second_delay)s,
                %(max_recipients)s, %(sending_number_id)s, %(recurring)s, %(previous_id)s)
        """,
        _SEGMENTS,
    ),
    e.BroadcastEdited: (
        """
        UPDATE broadcasts SET run_at = %(run_at)s, first_message = %(first_message)s,
            second_message = %(second_message)s, second_delay = %(second_delay)s,
            max_recipients = %(max_recipients)s, sending_number_id = %(sending_number_id)s, recurring = %(recurring)s
        WHERE id = %(broadcast_id)s
        """,
        "DELETE FROM broadcasts_segments WHERE broadcast_id = %(broadcast_id)s",
        _SEGMENTS,
    ),
    e.RecipientsDrawn: (
        """
        INSERT INTO outgoing_messages (id, broadcast_id, contact_id, segment_id, is_second, recipient_phone_number)
        SELECT t.id, %(broadcast_id)s, c.id, %(segment_id)s, t.is_second,
               coalesce(c.phone_number, 'erased ' || c.id) -- in a rebuild; see there
        FROM unnest(%(contacts)s::bigint[], %(first_texts)s::bigint[], %(second_texts)s::bigint[]) AS d (c, f, s)
        JOIN contacts c ON c.id = d.c
        CROSS JOIN LATERAL (VALUES (d.f, false), (d.s, true)) AS t (id, is_second)
        """,
    ),
    e.BroadcastMade: (
        """
        UPDATE broadcasts SET state = 'sending_first', made_at = %(at)s, recipients = %(recipients)s, seed = %(seed)s,
            next_broadcast_id = coalesce(%(next_broadcast_id)s, next_broadcast_id)
        WHERE id = %(broadcast_id)s
        """,
        """
        UPDATE broadcasts_segments SET quota = (d.value ->> 'quota')::int, drawn = (d.value ->> 'drawn')::int
        FROM jsonb_array_elements(%(data)s::jsonb -> 'draws') AS d (value)
        WHERE broadcast_id = %(broadcast_id)s AND segment_id = (d.value ->> 'segment_id')::bigint
        """,
    ),
    e.BroadcastMissed: (
        """
        UPDATE broadcasts SET state = 'missed', missed_reason = %(reason)s, next_broadcast_id = %(next_broadcast_id)s
        WHERE id = %(broadcast_id)s
        """,
    ),
    e.BroadcastPaused: (
        """
        UPDATE broadcasts SET state = 'paused', paused_from = state, pause_reason = %(reason)s
        WHERE id = %(broadcast_id)s
        """,
    ),
    e.BroadcastResumed: (
        """
        UPDATE broadcasts SET state = paused_from, paused_from = NULL, pause_reason = NULL
        WHERE id = %(broadcast_id)s
        """,
    ),
    e.BroadcastCancelled: (
        """
        UPDATE broadcasts SET state = 'cancelled', paused_from = NULL, pause_reason = NULL,
            next_broadcast_id = coalesce(%(next_broadcast_id)s, next_broadcast_id),
            sync_started_at = CASE WHEN made_at IS NOT NULL THEN %(at)s::timestamptz END
        WHERE id = %(broadcast_id)s
        """,
    ),
    e.PhaseFinished: (
        """
        UPDATE broadcasts SET
            state = CASE WHEN %(is_second)s THEN 'syncing' ELSE 'waiting' END,
            second_due_at = coalesce(%(second_due_at)s::timestamptz, second_due_at),
            sync_started_at = CASE WHEN %(is_second)s THEN %(at)s::timestamptz END
        WHERE id = %(broadcast_id)s
        """,
    ),
    e.SecondPhaseStarted: ("UPDATE broadcasts SET state = 'sending_second' WHERE id = %(broadcast_id)s",),
    e.BroadcastCompleted: (
        """
        UPDATE broadcasts SET state = CASE state WHEN 'cancelled' THEN state ELSE 'completed' END,
            completed_at = %(at)s, twilio_paging = NULL
        WHERE id = %(broadcast_id)s
        """,
    ),
    e.BatchClaimed: (
        """
        UPDATE outgoing_messages SET state = 'claimed', claimed_by = %(batch_id)s WHERE id = ANY(%(texts)s::bigint[])
        """,
    ),
    e.TextsStarted: (
        """
        UPDATE outgoing_messages SET state = 'started', attempts = attempts + 1, attempt_started_at = %(started)s
        WHERE id = ANY(%(texts)s::bigint[])
        """,
    ),
    e.TextAccepted: (
        """
        UPDATE outgoing_messages SET state = 'accepted', claimed_by = NULL, skip_reason = NULL,
            attempts = attempts + (%(left_at)s::timestamptz IS NOT NULL)::integer,
            attempt_started_at = coalesce(%(left_at)s::timestamptz, attempt_started_at)
        WHERE id = %(text)s
        """,
        """
        INSERT INTO broadcast_sent_message_status (outgoing_message_id, broadcast_id, is_second, outcome, missive_id,
            missive_conversation_id, twilio_id, twilio_sent_status)
        SELECT id, broadcast_id, is_second, 'accepted', %(missive_id)s, %(missive_conversation_id)s, %(twilio_id)s,
               %(twilio_status)s
        FROM outgoing_messages WHERE id = %(text)s
        """,
    ),
    e.TextRefused: (
        """
        UPDATE outgoing_messages SET state = 'refused', claimed_by = NULL, failures = failures + 1 WHERE id = %(text)s
        """,
        """
        INSERT INTO broadcast_sent_message_status (outgoing_message_id, broadcast_id, is_second, outcome,
                                                   twilio_error_code)
        SELECT id, broadcast_id, is_second, 'refused', %(code)s FROM outgoing_messages WHERE id = %(text)s
        """,
    ),
    e.TextReturned: (
        """
        UPDATE outgoing_messages SET state = 'pending', claimed_by = NULL, not_before = %(not_before)s,
            failures = failures + %(counts)s::boolean::integer
        WHERE id = %(text)s
        """,
    ),
    e.TextsUncertain: (
        "UPDATE outgoing_messages SET state = 'uncertain', claimed_by = NULL WHERE id = ANY(%(texts)s::bigint[])",
    ),
    e.TextsSkipped: (
        """
        UPDATE outgoing_messages SET state = 'skipped', skip_reason = %(reason)s, claimed_by = NULL
        WHERE id = ANY(%(texts)s::bigint[])
        """,
    ),
    e.BatchSent: (
        """
        UPDATE outgoing_messages SET state = 'pending', claimed_by = NULL WHERE id = ANY(%(returned)s::bigint[])
        """,
    ),
    e.StatusesSynced: (
        """
        UPDATE broadcast_sent_message_status AS s SET
            twilio_id = t.twilio_id, twilio_sent_status = t.status,
            twilio_error_code = coalesce(t.error_code::text, s.twilio_error_code),
            twilio_sent_at = coalesce(t.sent_at, s.twilio_sent_at)
        FROM jsonb_to_recordset(%(data)s::jsonb -> 'statuses')
             AS t (text bigint, twilio_id text, status text, error_code integer, sent_at timestamptz)
        WHERE s.outgoing_message_id = t.text
        """,
        """
        UPDATE broadcasts SET twilio_paging = %(next_page)s WHERE id = %(broadcast_id)s AND %(number)s::int IS NOT NULL
        """,
    ),
    e.NumbersForgotten: (
        """
        UPDATE outgoing_messages SET recipient_phone_number = NULL
        WHERE broadcast_id = %(broadcast_id)s AND recipient_phone_number IS NOT NULL
          AND state IN ('accepted', 'refused', 'skipped')
        """,
    ),
    e.UncertainSettled: (),
    e.ReplyReceived: (),
    e.OptedOut: (),
    e.OptedIn: (),
}


async def apply(connection: Connection, event: e.Event, at: datetime) -> None:
    """Do to the tables what the event says, as recorded `at`."""
    data = codec.encode(event)
    # PostgreSQL's arrays come from lists; msgspec keeps a tuple a tuple.
    fields = {name: list(value) if isinstance(value, tuple) else value for name, value in data.items()}
    parameters = {**fields, "data": Jsonb(data), "at": at}
    if isinstance(event, e.TextsStarted):
        parameters["started"] = event.at
    for statement in STATEMENTS[type(event)]:
        await connection.execute(statement, parameters)
