"""The first schema.

Illegal rows cannot be stored: each check and unique index has its reason beside it. References to what is rebuilt from
events are deferrable, so that a rebuild can empty those tables and fill them again in one transaction.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
#: The revision of the oldest release that works with this schema; a later migration that breaks older ones raises it.
serves = "0001"

AUDIENCE = """
CREATE TABLE sending_numbers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    phone_number text NOT NULL UNIQUE CHECK (phone_number ~ '^\\+[1-9][0-9]{6,14}$')
);
COMMENT ON TABLE sending_numbers IS 'numbers that texts leave from; events name them by id';

CREATE TABLE contacts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- E.164; never changed, since what was sent to a contact is told by its id. Null once erased.
    phone_number text UNIQUE CHECK (phone_number ~ '^\\+[1-9][0-9]{6,14}$'),
    name text NOT NULL DEFAULT '',
    tags text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    erased_at timestamptz,
    CONSTRAINT an_erased_contact_has_no_number CHECK ((erased_at IS NULL) = (phone_number IS NOT NULL))
);
CREATE INDEX contacts_tags ON contacts USING gin (tags) WHERE erased_at IS NULL;

-- By number, not by contact: the number stays here when the contact is erased, so that a later import
-- does not bring back somebody who said STOP.
CREATE TABLE opt_outs (
    phone_number text PRIMARY KEY,
    contact_id bigint NOT NULL REFERENCES contacts,
    source text NOT NULL CHECK (source IN ('sms', 'carrier', 'staff')),
    opted_out_at timestamptz NOT NULL
);

CREATE TABLE audience_segments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    -- {"any": [tag], "all": [tag], "none": [tag]}: data, never SQL
    filter jsonb NOT NULL CHECK (jsonb_typeof(filter) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now()
);
"""

BROADCASTS = """
CREATE SEQUENCE broadcast_ids;
CREATE TABLE broadcasts (
    id bigint PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('scheduled', 'sending_first', 'waiting', 'sending_second', 'syncing',
                                         'completed', 'paused', 'cancelled', 'missed')),
    run_at timestamptz NOT NULL,
    first_message text NOT NULL CHECK (length(first_message) BETWEEN 1 AND 1600),
    second_message text NOT NULL CHECK (length(second_message) BETWEEN 1 AND 1600),
    second_delay integer NOT NULL CHECK (second_delay >= 0),
    max_recipients integer NOT NULL CHECK (max_recipients > 0),
    sending_number_id bigint NOT NULL REFERENCES sending_numbers,
    recurring boolean NOT NULL,
    -- One broadcast makes at most one next, whoever makes it.
    previous_id bigint UNIQUE,
    seed bigint,
    recipients integer,
    next_broadcast_id bigint,
    made_at timestamptz,
    missed_reason text,
    -- Where a paused broadcast goes on.
    paused_from text CHECK (paused_from IN ('sending_first', 'waiting', 'sending_second')),
    pause_reason text,
    second_due_at timestamptz,
    sync_started_at timestamptz,
    -- The page of the carrier's log to read next.
    twilio_paging text,
    completed_at timestamptz,
    CONSTRAINT a_paused_broadcast_knows_where_it_goes_on CHECK ((state = 'paused') = (paused_from IS NOT NULL)),
    CONSTRAINT a_made_broadcast_has_recipients CHECK (
        (state IN ('scheduled', 'missed', 'cancelled')) OR (made_at IS NOT NULL AND recipients > 0)),
    CONSTRAINT a_waiting_broadcast_knows_until_when CHECK (state <> 'waiting' OR second_due_at IS NOT NULL)
);
CREATE INDEX broadcasts_under_way ON broadcasts (run_at) WHERE completed_at IS NULL AND state <> 'missed';

CREATE TABLE broadcasts_segments (
    broadcast_id bigint NOT NULL REFERENCES broadcasts DEFERRABLE,
    segment_id bigint NOT NULL REFERENCES audience_segments,
    position integer NOT NULL,
    ratio double precision NOT NULL CHECK (ratio > 0 AND ratio <= 100),
    quota integer,
    drawn integer,
    PRIMARY KEY (broadcast_id, segment_id),
    CONSTRAINT no_segment_gives_more_than_its_quota CHECK (drawn <= quota)
);
"""

TEXTS = """
CREATE TABLE batches (
    id uuid PRIMARY KEY,
    broadcast_id bigint NOT NULL REFERENCES broadcasts DEFERRABLE,
    is_second boolean NOT NULL,
    -- When the step is due; a step overdue and not opened is emitted again.
    due_at timestamptz NOT NULL,
    -- Rises with every delivery; a worker whose fence is older has lost the batch.
    fence bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    closed_at timestamptz
);
CREATE INDEX batches_open ON batches (broadcast_id, is_second) WHERE closed_at IS NULL;

CREATE TABLE syncs (
    broadcast_id bigint PRIMARY KEY REFERENCES broadcasts DEFERRABLE,
    -- The pass over the carrier's log that is planned, under way, or was the last.
    number integer NOT NULL,
    -- When that pass is due; null once it is over.
    due_at timestamptz
);

CREATE SEQUENCE text_ids;
CREATE TABLE outgoing_messages (
    id bigint PRIMARY KEY,
    broadcast_id bigint NOT NULL REFERENCES broadcasts DEFERRABLE,
    contact_id bigint NOT NULL REFERENCES contacts,
    segment_id bigint NOT NULL REFERENCES audience_segments,
    is_second boolean NOT NULL,
    recipient_phone_number text,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN (
        'pending',    -- may be claimed
        'claimed',    -- a batch has it; nothing has left
        'started',    -- its request may have left, no answer yet
        'uncertain',  -- no answer came; only the carrier's log can tell
        'accepted', 'refused', 'skipped')),
    processed boolean NOT NULL GENERATED ALWAYS AS (state <> 'pending') STORED,
    claimed_by uuid REFERENCES batches,
    -- Names the attempt: an answer belongs to the attempt that asked.
    attempts integer NOT NULL DEFAULT 0,
    -- Attempts that count towards MAX_ATTEMPTS.
    failures integer NOT NULL DEFAULT 0,
    attempt_started_at timestamptz,
    not_before timestamptz NOT NULL DEFAULT '-infinity',
    skip_reason text CHECK (skip_reason IN ('replied', 'opted_out', 'first_refused', 'quiet_hours', 'cancelled',
                                            'phase_over')),
    -- Once: nobody is planned the same message of a broadcast twice, by number or by contact.
    CONSTRAINT once_a_contact UNIQUE (broadcast_id, contact_id, is_second),
    CONSTRAINT once_a_number UNIQUE (broadcast_id, recipient_phone_number, is_second),
    CONSTRAINT a_claimed_text_has_a_batch CHECK ((state IN ('claimed', 'started')) = (claimed_by IS NOT NULL)),
    CONSTRAINT an_attempt_is_on_record CHECK (
        state NOT IN ('started', 'uncertain', 'accepted', 'refused')
        OR (attempts > 0 AND attempt_started_at IS NOT NULL)),
    CONSTRAINT a_skipped_text_says_why CHECK ((state = 'skipped') = (skip_reason IS NOT NULL)),
    CONSTRAINT what_may_leave_has_a_number CHECK (
        recipient_phone_number IS NOT NULL OR state IN ('accepted', 'refused', 'skipped'))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
-- Only what is left to send is in the index that claims scan.
CREATE INDEX outgoing_messages_pending ON outgoing_messages (broadcast_id, is_second, id) WHERE state = 'pending';
CREATE INDEX outgoing_messages_claimed ON outgoing_messages (claimed_by, id) WHERE state = 'claimed';
CREATE INDEX outgoing_messages_open ON outgoing_messages (broadcast_id, is_second, state)
    WHERE state IN ('claimed', 'started', 'uncertain');
CREATE INDEX outgoing_messages_number ON outgoing_messages (recipient_phone_number, broadcast_id);

CREATE TABLE broadcast_sent_message_status (
    -- One row a text at most.
    outgoing_message_id bigint PRIMARY KEY REFERENCES outgoing_messages DEFERRABLE,
    broadcast_id bigint NOT NULL REFERENCES broadcasts DEFERRABLE,
    is_second boolean NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('accepted', 'refused')),
    missive_id text,
    missive_conversation_id text,
    -- An entry of the carrier's log settles one text at most.
    twilio_id text UNIQUE,
    twilio_sent_at timestamptz,
    -- What the log says; null until it was read. Unknown words are kept as they are.
    twilio_sent_status text,
    twilio_error_code text,
    settled boolean NOT NULL GENERATED ALWAYS AS (
        outcome = 'refused'
        OR coalesce(twilio_sent_status, '') IN ('delivered', 'undelivered', 'failed', 'canceled', 'read')) STORED
);
CREATE INDEX status_unsettled ON broadcast_sent_message_status (broadcast_id) WHERE NOT settled;
CREATE INDEX status_broadcast ON broadcast_sent_message_status (broadcast_id);

CREATE TABLE replies (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The provider's id of the message: a webhook that is tried again is the same reply.
    provider_id text NOT NULL UNIQUE,
    phone_number text,
    contact_id bigint REFERENCES contacts,
    broadcast_id bigint REFERENCES broadcasts DEFERRABLE,
    body text NOT NULL,
    received_at timestamptz NOT NULL
);
CREATE INDEX replies_number ON replies (phone_number, received_at);
CREATE INDEX replies_broadcast ON replies (broadcast_id, contact_id);
"""

MACHINERY = """
CREATE TABLE streams (
    stream text PRIMARY KEY,
    version integer NOT NULL
);
CREATE TABLE events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream text NOT NULL,
    version integer NOT NULL,
    id uuid NOT NULL UNIQUE,
    type text NOT NULL,
    schema_version smallint NOT NULL,
    broadcast_id bigint,
    data jsonb NOT NULL,
    occurred_at timestamptz NOT NULL,
    correlation_id uuid NOT NULL,
    causation_id uuid,
    -- Readers who follow the table by position wait for the transactions that are older than what they see.
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    -- Optimistic concurrency: two writers cannot both append the same version.
    UNIQUE (stream, version)
);
CREATE INDEX events_broadcast ON events (broadcast_id, position);
CREATE FUNCTION refuse_to_change_history() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'events are appended, never changed'; END $$;
CREATE TRIGGER events_are_history BEFORE UPDATE OR DELETE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_history();

CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id uuid NOT NULL UNIQUE,
    -- 'command' or 'event': which exchange it goes to
    kind text NOT NULL CHECK (kind IN ('command', 'event')),
    type text NOT NULL,
    schema_version smallint NOT NULL,
    broadcast_id bigint,
    data jsonb NOT NULL,
    occurred_at timestamptz NOT NULL,
    deliver_at timestamptz NOT NULL,
    correlation_id uuid NOT NULL,
    causation_id uuid
);
CREATE INDEX outbox_due ON outbox (deliver_at, id);
CREATE FUNCTION wake_relay() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('broadsheet_outbox', ''); RETURN NULL; END $$;
CREATE TRIGGER outbox_wakes_relay AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION wake_relay();

CREATE TABLE inbox (
    consumer text NOT NULL,
    message_id uuid NOT NULL,
    processed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, message_id)
);
CREATE INDEX inbox_age ON inbox (processed_at);

CREATE TABLE pace (
    -- a sending number, or a provider's window
    key text PRIMARY KEY,
    -- GCRA's theoretical arrival time: when the next slot begins
    next_at timestamptz NOT NULL DEFAULT '-infinity',
    -- Nothing leaves before this: the provider said so, or it has been failing.
    held_until timestamptz NOT NULL DEFAULT '-infinity',
    -- Failures in a row that were the provider's, not a text's.
    failures integer NOT NULL DEFAULT 0
);
CREATE TABLE permits (
    key text NOT NULL,
    n integer NOT NULL,
    held_until timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (key, n)
);

CREATE TABLE idempotency_keys (
    key text PRIMARY KEY,
    -- sha256 of method, path and body: the same key with another request is refused
    request bytea NOT NULL,
    status integer NOT NULL,
    body jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
"""

TABLES = (
    "idempotency_keys permits pace inbox outbox events streams replies broadcast_sent_message_status "
    "outgoing_messages syncs batches broadcasts_segments broadcasts audience_segments opt_outs contacts sending_numbers"
)


def upgrade() -> None:
    """Create everything."""
    for part in (AUDIENCE, BROADCASTS, TEXTS, MACHINERY):
        op.execute(part)


def downgrade() -> None:
    """Drop everything."""
    for table in TABLES.split():
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP SEQUENCE broadcast_ids; DROP SEQUENCE text_ids;"
               "DROP FUNCTION refuse_to_change_history; DROP FUNCTION wake_relay")  # fmt: skip
