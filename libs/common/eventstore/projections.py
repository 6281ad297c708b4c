"""What each event does to the tables that staff see: the same live and in a rebuild.

The row of a broadcast is its folded state (`domain/broadcast.py`): no statement here says what an event makes of it.
The column `twilio_paging` is no part of that state: it is where the passes over the log are. Everything else is one
statement or two an event type.

A statement's parameters are the event's fields, `data` (the whole event as JSON) and `at` (when it was recorded).
Claiming, starting and forgetting are the exceptions: live, one statement decides and does both
(`services/sender/batches.py`), or many statements do it bit by bit (`operations/retention.py`); here is what a rebuild
makes of their outcome.
"""

from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.database import Connection, literals
from libs.common.domain import codec
from libs.common.domain import events as e
from libs.common.domain.broadcast import Broadcast
from libs.common.domain.events.registers import REGISTER_EVENTS
from libs.common.domain.states import FORGETTABLE, MessageState, Outcome, SegmentRole

#: What a broadcast's row does not have: it is in `broadcasts_segments`, or nowhere.
_IN_OTHER_ROWS = ("segments", "excluded", "fallback", "version")
#: The columns of a broadcast's row, which its fields are named after.
_COLUMNS = tuple(field.name for field in fields(Broadcast) if field.name not in _IN_OTHER_ROWS)
#: What never changes is left out: other rows refer to it.
_CHANGING = tuple(column for column in _COLUMNS if column not in ("id", "previous_id"))

#: Writes the row of a new broadcast.
INSERT_BROADCAST = text(
    f"INSERT INTO broadcasts ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{column}' for column in _COLUMNS)})"
)

#: Writes the row of a broadcast anew.
UPDATE_BROADCAST = text(
    f"UPDATE broadcasts SET {', '.join(f'{column} = :{column}' for column in _CHANGING)} WHERE id = :id"
)


def skipped(reason: str) -> str:
    """Return what a skipped message's columns are set to. `reason` is an expression."""
    return f"state = '{MessageState.SKIPPED}', skip_reason = {reason}, claimed_by = NULL"


_SEGMENTS = f"""
INSERT INTO broadcasts_segments (broadcast_id, segment_id, role, position, ratio, count)
SELECT CAST(:broadcast_id AS bigint), (s.value ->> 'segment_id')::bigint, '{SegmentRole.SHARE}', s.n,
       (s.value ->> 'ratio')::float8, (s.value ->> 'count')::int
FROM jsonb_array_elements(CAST(:data AS jsonb) -> 'segments') WITH ORDINALITY AS s (value, n)
UNION ALL
SELECT CAST(:broadcast_id AS bigint), x.value::bigint, '{SegmentRole.EXCLUDED}', x.n, NULL, NULL
FROM jsonb_array_elements_text(CAST(:data AS jsonb) -> 'excluded') WITH ORDINALITY AS x (value, n)
UNION ALL
SELECT CAST(:broadcast_id AS bigint), f.id, '{SegmentRole.FALLBACK}', 1, NULL, NULL
FROM CAST(CAST(:data AS jsonb) ->> 'fallback' AS bigint) AS f (id) WHERE f.id IS NOT NULL
"""

#: What an acceptance does: to the message (`WHERE` says to which), and, from the row that this returns as `message`, to
#: what is known of its delivery.
ACCEPT = f"""
UPDATE outgoing_messages SET state = '{MessageState.ACCEPTED}', claimed_by = NULL, skip_reason = NULL,
    attempts = attempts + (CAST(:left_at AS timestamptz) IS NOT NULL)::integer,
    attempt_started_at = coalesce(CAST(:left_at AS timestamptz), attempt_started_at)
"""
ACCEPTED = "id, broadcast_id, is_second"
ADD_STATUS = f"""
INSERT INTO broadcast_sent_message_status (outgoing_message_id, broadcast_id, is_second, outcome, missive_id,
    missive_conversation_id, twilio_id, twilio_sent_status)
SELECT id, broadcast_id, is_second, '{Outcome.ACCEPTED}', CAST(:missive_id AS text),
       CAST(:missive_conversation_id AS text), CAST(:twilio_id AS text), CAST(:twilio_status AS text)
FROM message
"""

_SQL: dict[type[e.Event], tuple[str, ...]] = {
    e.BroadcastScheduled: (_SEGMENTS,),
    e.BroadcastEdited: ("DELETE FROM broadcasts_segments WHERE broadcast_id = :broadcast_id", _SEGMENTS),
    e.RecipientsDrawn: (
        """
        INSERT INTO outgoing_messages (id, broadcast_id, contact_id, segment_id, is_second, recipient_phone_number,
                                       place)
        SELECT t.id, :broadcast_id, c.id, :segment_id, t.is_second,
               coalesce(c.phone_number, 'erased ' || c.id), -- in a rebuild; see there
               coalesce(d.place, '')
        FROM unnest(CAST(:contacts AS bigint[]), CAST(:first_message_ids AS bigint[]),
                    CAST(:second_message_ids AS bigint[]), CAST(:places AS text[])) AS d (c, f, s, place)
        JOIN contacts c ON c.id = d.c
        CROSS JOIN LATERAL (VALUES (d.f, false), (d.s, true)) AS t (id, is_second)
        WHERE t.id IS NOT NULL -- without a follow-up there are no second ones
        """,
    ),
    e.NumbersAssigned: (
        """
        UPDATE outgoing_messages SET pool_index = :pool_index
        WHERE broadcast_id = :broadcast_id AND id = ANY(CAST(:message_ids AS bigint[]))
        """,
    ),
    e.BroadcastMade: (
        """
        UPDATE broadcasts_segments SET quota = (d.value ->> 'quota')::int, drawn = (d.value ->> 'drawn')::int,
            filter = nullif(d.value -> 'filter', 'null')
        FROM (SELECT jsonb_path_query(CAST(:data AS jsonb), '$.draws[*]')
              UNION ALL SELECT jsonb_path_query(CAST(:data AS jsonb), '$.excluded[*]')
              UNION ALL SELECT jsonb_path_query(CAST(:data AS jsonb), '$.fallback ? (@ != null)')) AS d (value)
        WHERE broadcast_id = :broadcast_id AND segment_id = (d.value ->> 'segment_id')::bigint
        """,
        """
        INSERT INTO broadcasts_left_out (broadcast_id, reason, people)
        SELECT :broadcast_id, t.key, t.value::int FROM jsonb_each_text(CAST(:data AS jsonb) -> 'left_out') AS t
        """,
        """
        INSERT INTO broadcasts_parts (broadcast_id, is_second, parts, messages)
        SELECT :broadcast_id, t.is_second, t.parts, t.messages
        FROM jsonb_to_recordset(CAST(:data AS jsonb) -> 'parts') AS t (is_second boolean, parts int, messages int)
        """,
    ),
    e.RepeatingStopped: (),
    e.BroadcastCalledBack: (
        """
        DELETE FROM message_bodies w USING outgoing_messages m
        WHERE m.broadcast_id = :broadcast_id AND w.message_id = m.id
        """,
        "DELETE FROM broadcasts_parts WHERE broadcast_id = :broadcast_id",
        "DELETE FROM broadcasts_left_out WHERE broadcast_id = :broadcast_id",
        "DELETE FROM outgoing_messages WHERE broadcast_id = :broadcast_id",
        "UPDATE broadcasts_segments SET quota = NULL, drawn = NULL, filter = NULL WHERE broadcast_id = :broadcast_id",
    ),
    e.BroadcastApproved: (),
    e.BroadcastMissed: (),
    e.BroadcastPaused: (),
    e.BroadcastResumed: (),
    e.BroadcastCancelled: (),
    e.PhaseFinished: (),
    e.SecondPhaseStarted: (),
    e.BroadcastCompleted: ("UPDATE broadcasts SET twilio_paging = NULL WHERE id = :broadcast_id",),
    e.BatchClaimed: (
        f"""
        UPDATE outgoing_messages SET state = '{MessageState.CLAIMED}', claimed_by = :batch_id
        WHERE id = ANY(CAST(:message_ids AS bigint[]))
        """,
    ),
    e.MessagesStarted: (
        f"""
        UPDATE outgoing_messages SET state = '{MessageState.STARTED}', attempts = attempts + 1,
            attempt_started_at = :started
        WHERE id = ANY(CAST(:message_ids AS bigint[]))
        """,
    ),
    e.MessageAccepted: (f"WITH message AS ({ACCEPT} WHERE id = :message_id RETURNING {ACCEPTED}) {ADD_STATUS}",),
    e.MessageRefused: (
        f"""
        UPDATE outgoing_messages SET state = '{MessageState.REFUSED}', claimed_by = NULL, failures = failures + 1
        WHERE id = :message_id
        """,
        f"""
        INSERT INTO broadcast_sent_message_status (outgoing_message_id, broadcast_id, is_second, outcome,
                                                   twilio_error_code)
        SELECT id, broadcast_id, is_second, '{Outcome.REFUSED}', :code FROM outgoing_messages WHERE id = :message_id
        """,
    ),
    e.MessageReturned: (
        f"""
        UPDATE outgoing_messages SET state = '{MessageState.PENDING}', claimed_by = NULL, not_before = :not_before,
            failures = failures + CAST(:counts AS boolean)::integer
        WHERE id = :message_id
        """,
    ),
    e.MessageSentAgain: (
        f"""
        UPDATE outgoing_messages SET state = '{MessageState.PENDING}', claimed_by = NULL, not_before = :not_before
        WHERE id = :message_id
        """,
    ),
    e.MessagesUncertain: (
        f"""
        UPDATE outgoing_messages SET state = '{MessageState.UNCERTAIN}', claimed_by = NULL
        WHERE id = ANY(CAST(:message_ids AS bigint[]))
        """,
    ),
    e.MessagesSkipped: (
        f"""
        UPDATE outgoing_messages SET {skipped(":reason")}
        WHERE id = ANY(CAST(:message_ids AS bigint[]))
        """,
    ),
    e.MessagesNotHandedOver: (
        f"""
        UPDATE broadcast_sent_message_status SET outcome = '{Outcome.NOT_HANDED_OVER}'
        WHERE outgoing_message_id = ANY(CAST(:message_ids AS bigint[]))
        """,
    ),
    e.BatchSent: (
        f"""
        UPDATE outgoing_messages SET state = '{MessageState.PENDING}', claimed_by = NULL
        WHERE id = ANY(CAST(:returned AS bigint[]))
        """,
    ),
    e.StatusesSynced: (
        f"""
        UPDATE broadcast_sent_message_status AS s SET
            -- An entry of the log has turned up: it was handed over after all.
            outcome = CASE s.outcome WHEN '{Outcome.NOT_HANDED_OVER}' THEN '{Outcome.ACCEPTED}' ELSE s.outcome END,
            twilio_id = t.twilio_id, twilio_sent_status = t.status,
            twilio_error_code = coalesce(t.error_code::text, s.twilio_error_code),
            twilio_sent_at = coalesce(t.sent_at, s.twilio_sent_at)
        FROM jsonb_to_recordset(CAST(:data AS jsonb) -> 'statuses')
             AS t (message_id bigint, twilio_id text, status text, error_code integer, sent_at timestamptz)
        WHERE s.outgoing_message_id = t.message_id
        """,
        """
        UPDATE broadcasts SET twilio_paging = :next_page WHERE id = :broadcast_id AND CAST(:number AS int) IS NOT NULL
        """,
    ),
    e.NumbersForgotten: (
        f"""
        UPDATE outgoing_messages SET recipient_phone_number = NULL
        WHERE broadcast_id = :broadcast_id AND recipient_phone_number IS NOT NULL
          AND state IN {literals(FORGETTABLE)}
        """,
    ),
    e.UncertainSettled: (),
    e.ReplyReceived: (),
    e.OptedOut: (),
    e.OptedIn: (),
    e.OptOutSuspected: (),
    e.OptOutReviewed: (),
    e.NumberUnreachable: (),
    e.NumberReachable: (),
    **dict.fromkeys(REGISTER_EVENTS, ()),
}

#: What each event does. `data` is the whole event, for what is nested in it.
STATEMENTS = {
    event: tuple(
        text(sql).bindparams(bindparam("data", type_=JSONB)) if ":data" in sql else text(sql) for sql in statements
    )
    for event, statements in _SQL.items()
}


async def save(connection: Connection, broadcast: Broadcast, *, is_new: bool) -> None:
    """Write the row of a broadcast."""
    statement = INSERT_BROADCAST if is_new else UPDATE_BROADCAST
    await connection.execute(statement, {column: _plain(getattr(broadcast, column)) for column in _COLUMNS})


async def apply(connection: Connection, event: e.Event, at: datetime) -> None:
    """Do to the tables what the event says, as recorded `at`."""
    parameters: dict[str, Any] = {"data": codec.encode(event), "at": at}
    for field in fields(event):
        parameters[field.name] = _plain(getattr(event, field.name))
    if isinstance(event, e.MessagesStarted):
        parameters["started"] = event.at
        parameters["at"] = at
    for statement in STATEMENTS[type(event)]:
        await connection.execute(statement, parameters)


def _plain(value: Any) -> Any:
    """Return a value as a statement takes it: PostgreSQL's arrays come from lists."""
    return list(value) if isinstance(value, tuple) else value
