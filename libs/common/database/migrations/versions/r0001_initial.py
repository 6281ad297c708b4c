"""The first schema. Each table, check and index has its reason in `tables/`, which describes the schema in force."""

from alembic import op

from libs.common.database.migrations import online

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
#: The revision of the oldest release that works with this schema; a later migration that breaks older ones raises it.
serves = "0001"

AUDIENCE = """
CREATE TABLE sending_numbers (
    id bigint GENERATED ALWAYS AS IDENTITY,
    phone_number text NOT NULL,
    carrier text,
    rate double precision,
    minute_limit integer,
    daily_cap integer,
    hours text,
    enabled boolean DEFAULT true NOT NULL,
    messaging_service_sid text,
    CONSTRAINT sending_numbers_pkey PRIMARY KEY (id),
    CONSTRAINT sending_numbers_phone_number_key UNIQUE (phone_number),
    CONSTRAINT sending_numbers_phone_number_check CHECK (phone_number ~ '^\\+[1-9][0-9]{6,14}$'),
    CONSTRAINT sending_numbers_carrier_check CHECK (carrier IN ('missive', 'twilio')),
    CONSTRAINT sending_numbers_rate_check CHECK (rate > 0 AND rate <= 1000),
    CONSTRAINT sending_numbers_minute_limit_check CHECK (minute_limit > 0),
    CONSTRAINT sending_numbers_daily_cap_check CHECK (daily_cap > 0),
    CONSTRAINT sending_numbers_hours_check CHECK (hours ~
        '^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$'),
    CONSTRAINT sending_numbers_messaging_service_sid_check CHECK (messaging_service_sid ~ '^MG[0-9a-f]{32}$')
);
COMMENT ON TABLE sending_numbers IS 'Numbers that messages are sent from, and how each sends; events name them by id';

CREATE TABLE messaging_services (
    sid text NOT NULL,
    sending_number_id bigint NOT NULL,
    CONSTRAINT messaging_services_pkey PRIMARY KEY (sid),
    CONSTRAINT messaging_services_sid_check CHECK (sid ~ '^MG[0-9a-f]{32}$'),
    CONSTRAINT messaging_services_sending_number_id_fkey FOREIGN KEY(sending_number_id) REFERENCES sending_numbers (id)
);
COMMENT ON TABLE messaging_services IS
    'Twilio''s Messaging Services, and the number that each sends for, or has sent for';

CREATE TABLE contacts (
    id bigint GENERATED ALWAYS AS IDENTITY,
    phone_number text,
    name text DEFAULT '' NOT NULL,
    tags text[] DEFAULT '{}' NOT NULL,
    attributes jsonb DEFAULT '{}' NOT NULL,
    time_zone text,
    language text,
    created_at timestamptz DEFAULT now() NOT NULL,
    erased_at timestamptz,
    CONSTRAINT contacts_pkey PRIMARY KEY (id),
    CONSTRAINT contacts_phone_number_key UNIQUE (phone_number),
    CONSTRAINT contacts_phone_number_check CHECK (phone_number ~ '^\\+[1-9][0-9]{6,14}$'),
    CONSTRAINT contacts_an_erased_contact_has_no_number CHECK ((erased_at IS NULL) = (phone_number IS NOT NULL)),
    CONSTRAINT contacts_attributes_check CHECK (jsonb_typeof(attributes) = 'object')
);
COMMENT ON TABLE contacts IS 'A person who may be texted';
CREATE INDEX contacts_erased ON contacts (id) WHERE erased_at IS NOT NULL;
CREATE INDEX contacts_tags ON contacts USING gin (tags) WHERE erased_at IS NULL;
CREATE INDEX contacts_names ON contacts USING gin (to_tsvector('simple', lower(upper(name COLLATE pg_c_utf8))))
    WHERE erased_at IS NULL;

CREATE TABLE opt_outs (
    phone_number text NOT NULL,
    contact_id bigint NOT NULL,
    source text NOT NULL,
    opted_out_at timestamptz NOT NULL,
    record text,
    actor text NOT NULL,
    CONSTRAINT opt_outs_pkey PRIMARY KEY (phone_number),
    CONSTRAINT opt_outs_source_check CHECK (source IN ('sms', 'carrier', 'staff', 'file', 'keyword')),
    CONSTRAINT opt_outs_contact_id_fkey FOREIGN KEY(contact_id) REFERENCES contacts (id)
);
COMMENT ON TABLE opt_outs IS 'Who wants no more messages';
CREATE INDEX opt_outs_without_record ON opt_outs (phone_number) WHERE record IS NULL;

CREATE TABLE consent_records (
    phone_number text NOT NULL,
    record text NOT NULL,
    wish text NOT NULL,
    source text NOT NULL,
    at timestamptz NOT NULL,
    note text DEFAULT '' NOT NULL,
    words text DEFAULT '' NOT NULL,
    actor text NOT NULL,
    CONSTRAINT consent_records_pkey PRIMARY KEY (phone_number, record),
    CONSTRAINT consent_records_wish_check CHECK (wish IN ('stop', 'start')),
    CONSTRAINT consent_records_source_check CHECK (source IN ('sms', 'carrier', 'staff', 'file', 'keyword'))
);
COMMENT ON TABLE consent_records IS 'Every yes and no by number; the latest is what holds';

CREATE TABLE sign_up_keywords (
    id bigint GENERATED ALWAYS AS IDENTITY,
    word text NOT NULL,
    tag text NOT NULL,
    welcome text NOT NULL,
    question text,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT sign_up_keywords_pkey PRIMARY KEY (id),
    CONSTRAINT sign_up_keywords_word_key UNIQUE (word),
    CONSTRAINT sign_up_keywords_word_check CHECK (length(word) BETWEEN 2 AND 20),
    CONSTRAINT sign_up_keywords_tag_check CHECK (tag <> ''),
    CONSTRAINT sign_up_keywords_bodies_check CHECK (length(welcome) <= 1600 AND length(question) <= 1600)
);
COMMENT ON TABLE sign_up_keywords IS 'A word that people text to get messages';

CREATE TABLE sign_ups (
    phone_number text NOT NULL,
    keyword_id bigint NOT NULL,
    asked_at timestamptz NOT NULL,
    words text NOT NULL,
    CONSTRAINT sign_ups_pkey PRIMARY KEY (phone_number, keyword_id),
    CONSTRAINT sign_ups_phone_number_check CHECK (phone_number ~ '^\\+[1-9][0-9]{6,14}$'),
    CONSTRAINT sign_ups_keyword_id_fkey FOREIGN KEY(keyword_id) REFERENCES sign_up_keywords (id) ON DELETE CASCADE
);
COMMENT ON TABLE sign_ups IS 'Who was asked whether they want what they signed up for, and has not said yes';
CREATE INDEX sign_ups_asked ON sign_ups (asked_at);
CREATE INDEX sign_ups_keyword ON sign_ups (keyword_id);

CREATE TABLE unreachable_numbers (
    phone_number text NOT NULL,
    contact_id bigint NOT NULL,
    code text NOT NULL,
    since timestamptz NOT NULL,
    cleared_at timestamptz,
    cleared_because text,
    cleared_by text,
    CONSTRAINT unreachable_numbers_pkey PRIMARY KEY (phone_number),
    CONSTRAINT unreachable_numbers_cleared_because_check CHECK (cleared_because IN ('replied', 'delivered',
        'staff')),
    CONSTRAINT unreachable_numbers_what_is_cleared_says_why CHECK ((cleared_at IS NULL) = (cleared_because IS
        NULL)),
    CONSTRAINT unreachable_numbers_what_staff_clear_says_who CHECK ((cleared_because = 'staff') IS TRUE =
        (cleared_by IS NOT NULL)),
    CONSTRAINT unreachable_numbers_contact_id_fkey FOREIGN KEY(contact_id) REFERENCES contacts (id)
);
COMMENT ON TABLE unreachable_numbers IS 'Numbers that take no messages, and those brought back';

CREATE TABLE contact_imports (
    id bigint GENERATED ALWAYS AS IDENTITY,
    state text NOT NULL,
    file_name text NOT NULL,
    actor text NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    moved_at timestamptz DEFAULT now() NOT NULL,
    roles text[],
    summary jsonb,
    done integer DEFAULT 0 NOT NULL,
    imported integer DEFAULT 0 NOT NULL,
    updated integer DEFAULT 0 NOT NULL,
    opted_out integer DEFAULT 0 NOT NULL,
    removed integer DEFAULT 0 NOT NULL,
    restored integer DEFAULT 0 NOT NULL,
    kept integer DEFAULT 0 NOT NULL,
    has_bodies boolean DEFAULT false NOT NULL,
    CONSTRAINT contact_imports_pkey PRIMARY KEY (id),
    CONSTRAINT contact_imports_state_check CHECK (state IN ('uploaded', 'checked', 'running', 'done', 'undone'))
);
COMMENT ON TABLE contact_imports IS 'An import of a file of people, and how far it came';

CREATE TABLE audience_segments (
    id bigint GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    filter jsonb NOT NULL,
    import_id bigint,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT audience_segments_pkey PRIMARY KEY (id),
    CONSTRAINT audience_segments_name_key UNIQUE (name),
    CONSTRAINT audience_segments_import_id_key UNIQUE (import_id),
    CONSTRAINT audience_segments_filter_check CHECK (jsonb_typeof(filter) = 'object'),
    CONSTRAINT audience_segments_import_id_fkey FOREIGN KEY(import_id) REFERENCES contact_imports (id)
);
COMMENT ON TABLE audience_segments IS 'A named part of the audience';

CREATE TABLE contact_import_chunks (
    import_id bigint NOT NULL,
    n integer NOT NULL,
    data bytea NOT NULL,
    CONSTRAINT contact_import_chunks_pkey PRIMARY KEY (import_id, n),
    CONSTRAINT contact_import_chunks_import_id_fkey FOREIGN KEY(import_id) REFERENCES contact_imports (id)
        ON DELETE CASCADE
);
COMMENT ON TABLE contact_import_chunks IS 'A part of a file, kept until it is imported: any process may go on with it';

CREATE TABLE contact_import_changes (
    import_id bigint NOT NULL,
    contact_id bigint NOT NULL,
    name_before text,
    tags_before text[],
    attributes_before jsonb,
    time_zone_before text,
    language_before text,
    name_after text NOT NULL,
    tags_after text[] NOT NULL,
    attributes_after jsonb NOT NULL,
    time_zone_after text,
    language_after text,
    CONSTRAINT contact_import_changes_pkey PRIMARY KEY (import_id, contact_id),
    CONSTRAINT contact_import_changes_who_was_here_had_a_name_and_tags
        CHECK ((name_before IS NULL) = (tags_before IS NULL)),
    CONSTRAINT contact_import_changes_who_was_here_had_attributes
        CHECK ((name_before IS NULL) = (attributes_before IS NULL)),
    CONSTRAINT contact_import_changes_import_id_fkey FOREIGN KEY(import_id) REFERENCES contact_imports (id)
        ON DELETE CASCADE,
    CONSTRAINT contact_import_changes_contact_id_fkey FOREIGN KEY(contact_id) REFERENCES contacts (id)
);
COMMENT ON TABLE contact_import_changes IS 'What an import has made of somebody, kept so that it can be undone';
CREATE INDEX contact_import_changes_contact ON contact_import_changes (contact_id);

CREATE TABLE missive_conversations (
    id text NOT NULL,
    contact_id bigint,
    tags text[] DEFAULT '{}' NOT NULL,
    seen_at timestamptz DEFAULT now() NOT NULL,
    merged_into text,
    CONSTRAINT missive_conversations_pkey PRIMARY KEY (id),
    CONSTRAINT missive_conversations_contact_id_fkey FOREIGN KEY(contact_id) REFERENCES contacts (id)
);
COMMENT ON TABLE missive_conversations IS
    'Conversations of Missive''s whose labels are tags, or that were merged into another one';
CREATE INDEX missive_conversations_contact ON missive_conversations (contact_id);
CREATE INDEX missive_conversations_merged ON missive_conversations (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX missive_conversations_labelled ON missive_conversations (seen_at) WHERE tags <> '{}';

CREATE TABLE missive_labels (
    name text NOT NULL,
    label_id text,
    fault text,
    checked_at timestamptz,
    asked_until timestamptz,
    CONSTRAINT missive_labels_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE missive_labels IS 'Labels that broadcasts name, and what Missive calls them';

CREATE TABLE missive_label_passes (
    one boolean DEFAULT true NOT NULL,
    due_at timestamptz NOT NULL,
    began_at timestamptz,
    listed bigint DEFAULT 0 NOT NULL,
    remaining text[] DEFAULT '{}' NOT NULL,
    is_listed boolean DEFAULT false NOT NULL,
    until double precision,
    done_at timestamptz,
    CONSTRAINT missive_label_passes_pkey PRIMARY KEY (one),
    CONSTRAINT missive_label_passes_one_check CHECK (one)
);
COMMENT ON TABLE missive_label_passes IS
    'How far the pass over Missive''s labels came, and when the next one is due; at most one row';

CREATE TABLE contact_import_members (
    import_id bigint NOT NULL,
    contact_id bigint NOT NULL,
    CONSTRAINT contact_import_members_pkey PRIMARY KEY (import_id, contact_id),
    CONSTRAINT contact_import_members_import_id_fkey FOREIGN KEY(import_id) REFERENCES contact_imports (id)
        ON DELETE CASCADE,
    CONSTRAINT contact_import_members_contact_id_fkey FOREIGN KEY(contact_id) REFERENCES contacts (id)
);
COMMENT ON TABLE contact_import_members IS 'Who was in a file, changed by it or not';
CREATE INDEX contact_import_members_contact ON contact_import_members (contact_id);

CREATE TABLE contact_import_bodies (
    import_id bigint NOT NULL,
    contact_id bigint NOT NULL,
    first_body text NOT NULL,
    second_body text,
    CONSTRAINT contact_import_bodies_pkey PRIMARY KEY (import_id, contact_id),
    CONSTRAINT contact_import_bodies_first_check CHECK (length(first_body) >= 1 AND length(first_body) <= 1600),
    CONSTRAINT contact_import_bodies_second_check CHECK (length(second_body) >= 1 AND length(second_body) <= 1600),
    CONSTRAINT contact_import_bodies_import_id_fkey FOREIGN KEY(import_id) REFERENCES contact_imports (id)
        ON DELETE CASCADE,
    CONSTRAINT contact_import_bodies_contact_id_fkey FOREIGN KEY(contact_id) REFERENCES contacts (id)
);
COMMENT ON TABLE contact_import_bodies IS 'The words that a file has for each person, until they have gone out';
CREATE INDEX contact_import_bodies_contact ON contact_import_bodies (contact_id);
"""

BROADCASTS = """
CREATE SEQUENCE broadcast_ids;

CREATE TABLE broadcasts (
    id bigint NOT NULL,
    state text NOT NULL,
    run_at timestamptz NOT NULL,
    first_message text NOT NULL,
    second_message text,
    second_delay integer NOT NULL,
    max_recipients integer NOT NULL,
    cap_texts integer,
    cap_days integer,
    sending_number_id bigint NOT NULL,
    pool bigint[] DEFAULT '{}' NOT NULL,
    recurring boolean NOT NULL,
    week text[] DEFAULT '{}' NOT NULL,
    draft boolean DEFAULT false NOT NULL,
    label text DEFAULT '' NOT NULL,
    late text DEFAULT 'wait' NOT NULL,
    author text DEFAULT '' NOT NULL,
    approved_by text,
    previous_id bigint,
    seed bigint,
    recipients integer,
    next_broadcast_id bigint,
    made_at timestamptz,
    hold_until timestamptz,
    missed_reason text,
    paused_from text,
    pause_reason text,
    second_due_at timestamptz,
    sync_started_at timestamptz,
    twilio_paging text,
    completed_at timestamptz,
    CONSTRAINT broadcasts_pkey PRIMARY KEY (id),
    CONSTRAINT broadcasts_previous_id_key UNIQUE (previous_id),
    CONSTRAINT broadcasts_state_check CHECK (state IN ('scheduled', 'sending_first', 'waiting', 'sending_second',
        'syncing', 'completed', 'paused', 'cancelled', 'missed')),
    CONSTRAINT broadcasts_first_message_check CHECK (length(first_message) >= 1 AND length(first_message) <= 1600),
    CONSTRAINT broadcasts_second_message_check CHECK (length(second_message) >= 1 AND length(second_message) <=
        1600),
    CONSTRAINT broadcasts_week_check CHECK (week = '{}' OR (recurring AND array_to_string(week, '') <> '' AND
        array_to_string(week, ',') ~ '^(([01][0-9]|2[0-3]):[0-5][0-9])?(,(([01][0-9]|2[0-3]):[0-5][0-9])?){6}$')),
    CONSTRAINT broadcasts_only_a_follow_up_is_due CHECK (second_due_at IS NULL OR second_message IS NOT NULL),
    CONSTRAINT broadcasts_a_draft_goes_to_nobody CHECK (NOT draft OR state IN ('scheduled', 'cancelled')),
    CONSTRAINT broadcasts_nobody_approves_what_they_wrote CHECK (approved_by <> author),
    CONSTRAINT broadcasts_late_check CHECK (late IN ('wait', 'skip')),
    CONSTRAINT broadcasts_second_delay_check CHECK (second_delay >= 0),
    CONSTRAINT broadcasts_max_recipients_check CHECK (max_recipients > 0),
    CONSTRAINT broadcasts_a_cap_is_texts_within_days CHECK ((cap_texts IS NULL) = (cap_days IS NULL)),
    CONSTRAINT broadcasts_cap_check CHECK (cap_texts > 0 AND cap_days > 0),
    CONSTRAINT broadcasts_paused_from_check CHECK (paused_from IN ('sending_first', 'waiting', 'sending_second')),
    CONSTRAINT broadcasts_a_paused_broadcast_knows_where_it_goes_on CHECK ((state = 'paused') = (paused_from IS NOT
        NULL)),
    CONSTRAINT broadcasts_a_made_broadcast_has_recipients CHECK (state IN ('scheduled', 'missed', 'cancelled') OR
        (made_at IS NOT NULL AND recipients > 0)),
    CONSTRAINT broadcasts_a_waiting_broadcast_knows_until_when CHECK (state <> 'waiting' OR second_due_at IS NOT
        NULL),
    CONSTRAINT broadcasts_sending_number_id_fkey FOREIGN KEY(sending_number_id) REFERENCES sending_numbers (id)
);
COMMENT ON TABLE broadcasts IS 'A broadcast as its events left it';
CREATE INDEX broadcasts_under_way ON broadcasts (run_at) WHERE completed_at IS NULL AND state <> 'missed';

CREATE TABLE broadcasts_segments (
    broadcast_id bigint NOT NULL,
    segment_id bigint NOT NULL,
    role text NOT NULL,
    position integer NOT NULL,
    ratio double precision,
    count integer,
    quota integer,
    drawn integer,
    filter jsonb,
    CONSTRAINT broadcasts_segments_pkey PRIMARY KEY (broadcast_id, segment_id),
    CONSTRAINT broadcasts_segments_role_check CHECK (role IN ('share', 'excluded', 'fallback')),
    CONSTRAINT broadcasts_segments_ratio_check CHECK (ratio > 0 AND ratio <= 100),
    CONSTRAINT broadcasts_segments_count_check CHECK (count > 0),
    CONSTRAINT broadcasts_segments_a_share_is_of_one_kind CHECK (num_nonnulls(ratio, count) <= CASE role WHEN 'share'
        THEN 1 ELSE 0 END),
    CONSTRAINT broadcasts_segments_no_segment_gives_more_than_its_quota CHECK (drawn <= quota),
    CONSTRAINT broadcasts_segments_broadcast_id_fkey FOREIGN KEY(broadcast_id) REFERENCES broadcasts (id)
        DEFERRABLE,
    CONSTRAINT broadcasts_segments_segment_id_fkey FOREIGN KEY(segment_id) REFERENCES audience_segments (id)
        DEFERRABLE
);
COMMENT ON TABLE broadcasts_segments IS 'What a segment is to a broadcast, its share, and what it gave';
CREATE UNIQUE INDEX broadcasts_segments_one_fallback ON broadcasts_segments (broadcast_id) WHERE role = 'fallback';

CREATE TABLE broadcasts_left_out (
    broadcast_id bigint NOT NULL,
    reason text NOT NULL,
    people integer NOT NULL,
    CONSTRAINT broadcasts_left_out_pkey PRIMARY KEY (broadcast_id, reason),
    CONSTRAINT broadcasts_left_out_reason_check CHECK (reason IN ('opted_out', 'held', 'unreachable', 'excluded',
        'capped')),
    CONSTRAINT broadcasts_left_out_people_check CHECK (people > 0),
    CONSTRAINT broadcasts_left_out_broadcast_id_fkey FOREIGN KEY(broadcast_id) REFERENCES broadcasts (id) DEFERRABLE
);
COMMENT ON TABLE broadcasts_left_out IS
    'How many people of a broadcast''s segments were left out when it was made, by the reason';

CREATE TABLE broadcasts_parts (
    broadcast_id bigint NOT NULL,
    is_second boolean NOT NULL,
    parts smallint NOT NULL,
    messages integer NOT NULL,
    CONSTRAINT broadcasts_parts_pkey PRIMARY KEY (broadcast_id, is_second, parts),
    CONSTRAINT broadcasts_parts_check CHECK (parts > 0 AND messages > 0),
    CONSTRAINT broadcasts_parts_broadcast_id_fkey FOREIGN KEY(broadcast_id) REFERENCES broadcasts (id) DEFERRABLE
);
COMMENT ON TABLE broadcasts_parts IS
    'How many of a broadcast''s messages need so many parts, where people get their own words';

CREATE TABLE batches (
    id uuid NOT NULL,
    broadcast_id bigint NOT NULL,
    is_second boolean NOT NULL,
    pool_index smallint DEFAULT 0 NOT NULL,
    due_at timestamptz NOT NULL,
    fence bigint DEFAULT 0 NOT NULL,
    lease_until timestamptz,
    closed_at timestamptz,
    traceparent text,
    CONSTRAINT batches_pkey PRIMARY KEY (id),
    CONSTRAINT batches_broadcast_id_fkey FOREIGN KEY(broadcast_id) REFERENCES broadcasts (id) DEFERRABLE
);
COMMENT ON TABLE batches IS 'Messages that one worker sends within a minute';
CREATE INDEX batches_open ON batches (broadcast_id, is_second) WHERE closed_at IS NULL;

CREATE TABLE syncs (
    broadcast_id bigint NOT NULL,
    number integer NOT NULL,
    due_at timestamptz,
    traceparent text,
    CONSTRAINT syncs_pkey PRIMARY KEY (broadcast_id),
    CONSTRAINT syncs_broadcast_id_fkey FOREIGN KEY(broadcast_id) REFERENCES broadcasts (id) DEFERRABLE
);
COMMENT ON TABLE syncs IS 'The pass over the carrier''s log that is planned, under way, or was the last';

CREATE TABLE settlings (
    broadcast_id bigint NOT NULL,
    number integer NOT NULL,
    due_at timestamptz,
    traceparent text,
    CONSTRAINT settlings_pkey PRIMARY KEY (broadcast_id),
    CONSTRAINT settlings_broadcast_id_fkey FOREIGN KEY(broadcast_id) REFERENCES broadcasts (id) DEFERRABLE
);
COMMENT ON TABLE settlings IS 'The look at a broadcast''s uncertain messages that is planned or under way';
"""

MESSAGES = """
CREATE SEQUENCE message_ids;

CREATE TABLE outgoing_messages (
    id bigint NOT NULL,
    broadcast_id bigint NOT NULL,
    contact_id bigint NOT NULL,
    segment_id bigint NOT NULL,
    is_second boolean NOT NULL,
    recipient_phone_number text,
    place text DEFAULT '' NOT NULL,
    pool_index smallint DEFAULT 0 NOT NULL,
    state text DEFAULT 'pending' NOT NULL,
    processed boolean GENERATED ALWAYS AS (state <> 'pending') STORED NOT NULL,
    claimed_by uuid,
    attempts integer DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    attempt_started_at timestamptz,
    not_before timestamptz DEFAULT '-infinity' NOT NULL,
    skip_reason text,
    CONSTRAINT outgoing_messages_pkey PRIMARY KEY (id),
    CONSTRAINT outgoing_messages_once_a_contact UNIQUE (broadcast_id, contact_id, is_second),
    CONSTRAINT outgoing_messages_once_a_number UNIQUE (broadcast_id, recipient_phone_number, is_second),
    CONSTRAINT outgoing_messages_pool_index_check CHECK (pool_index >= 0),
    CONSTRAINT outgoing_messages_state_check CHECK (state IN ('pending', 'claimed', 'started', 'uncertain',
        'accepted', 'refused', 'skipped')),
    CONSTRAINT outgoing_messages_skip_reason_check CHECK (skip_reason IN ('replied', 'opted_out', 'first_refused',
        'quiet_hours', 'cancelled', 'phase_over', 'erased', 'held_for_review', 'not_handed_over',
        'number_unreachable', 'too_late')),
    CONSTRAINT outgoing_messages_a_claimed_message_has_a_batch CHECK ((state IN ('claimed', 'started')) =
        (claimed_by IS NOT NULL)),
    CONSTRAINT outgoing_messages_an_attempt_is_on_record CHECK (state NOT IN ('started', 'uncertain', 'accepted',
        'refused') OR (attempts > 0 AND attempt_started_at IS NOT NULL)),
    CONSTRAINT outgoing_messages_a_skipped_message_says_why CHECK ((state = 'skipped') = (skip_reason IS NOT NULL)),
    CONSTRAINT outgoing_messages_what_may_be_sent_has_a_number CHECK (recipient_phone_number IS NOT NULL OR state IN
        ('uncertain', 'accepted', 'refused', 'skipped')),
    CONSTRAINT outgoing_messages_broadcast_id_fkey FOREIGN KEY(broadcast_id) REFERENCES broadcasts (id) DEFERRABLE,
    CONSTRAINT outgoing_messages_contact_id_fkey FOREIGN KEY(contact_id) REFERENCES contacts (id),
    CONSTRAINT outgoing_messages_segment_id_fkey FOREIGN KEY(segment_id) REFERENCES audience_segments (id),
    CONSTRAINT outgoing_messages_claimed_by_fkey FOREIGN KEY(claimed_by) REFERENCES batches (id)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
COMMENT ON TABLE outgoing_messages IS 'A message to one person: the first or the second of a broadcast';
CREATE INDEX outgoing_messages_claimed ON outgoing_messages (claimed_by, id) WHERE state = 'claimed';
CREATE INDEX outgoing_messages_ended ON outgoing_messages (contact_id) WHERE recipient_phone_number IS NOT NULL AND
        state IN ('accepted', 'refused', 'skipped');
CREATE INDEX outgoing_messages_number ON outgoing_messages (recipient_phone_number, broadcast_id);
CREATE INDEX outgoing_messages_open ON outgoing_messages (broadcast_id, is_second, state) WHERE state IN ('claimed',
        'started', 'uncertain');
CREATE INDEX outgoing_messages_pending ON outgoing_messages (broadcast_id, is_second, pool_index, place, id)
    WHERE state = 'pending';
CREATE INDEX outgoing_messages_taken ON outgoing_messages (broadcast_id, attempt_started_at) WHERE state =
        'accepted';

CREATE TABLE broadcast_sent_message_status (
    outgoing_message_id bigint NOT NULL,
    broadcast_id bigint NOT NULL,
    is_second boolean NOT NULL,
    outcome text NOT NULL,
    missive_id text,
    missive_conversation_id text,
    twilio_id text,
    twilio_sent_at timestamptz,
    twilio_sent_status text,
    twilio_error_code text,
    settled boolean GENERATED ALWAYS AS (outcome = 'refused' OR coalesce(twilio_sent_status, '') IN ('delivered',
        'undelivered', 'failed', 'canceled', 'read')) STORED NOT NULL,
    CONSTRAINT broadcast_sent_message_status_pkey PRIMARY KEY (outgoing_message_id),
    CONSTRAINT broadcast_sent_message_status_twilio_id_key UNIQUE (twilio_id),
    CONSTRAINT broadcast_sent_message_status_outcome_check CHECK (outcome IN ('accepted', 'refused',
        'not_handed_over')),
    CONSTRAINT broadcast_sent_message_status_outgoing_message_id_fkey FOREIGN KEY(outgoing_message_id) REFERENCES
        outgoing_messages (id) DEFERRABLE,
    CONSTRAINT broadcast_sent_message_status_broadcast_id_fkey FOREIGN KEY(broadcast_id) REFERENCES broadcasts (id)
        DEFERRABLE
);
COMMENT ON TABLE broadcast_sent_message_status IS 'What the carrier said of a message; one row a message at most';
CREATE INDEX status_broadcast ON broadcast_sent_message_status (broadcast_id, is_second, outcome, twilio_sent_status,
    twilio_error_code);
CREATE INDEX status_too_fast ON broadcast_sent_message_status (broadcast_id)
    WHERE twilio_error_code IN ('30001', '30022');
CREATE INDEX status_unsettled ON broadcast_sent_message_status (broadcast_id) WHERE NOT settled;
CREATE INDEX status_without_sid ON broadcast_sent_message_status (broadcast_id, outgoing_message_id) WHERE twilio_id
        IS NULL AND missive_id IS NOT NULL;

CREATE TABLE message_bodies (
    message_id bigint NOT NULL,
    body text NOT NULL,
    parts smallint NOT NULL,
    CONSTRAINT message_bodies_pkey PRIMARY KEY (message_id),
    CONSTRAINT message_bodies_body_check CHECK (length(body) BETWEEN 1 AND 1600),
    CONSTRAINT message_bodies_message_id_fkey FOREIGN KEY(message_id) REFERENCES outgoing_messages (id) DEFERRABLE
);
COMMENT ON TABLE message_bodies IS 'The words of a message whose recipient has their own';

CREATE TABLE replies (
    id bigint GENERATED ALWAYS AS IDENTITY,
    provider_id text NOT NULL,
    phone_number text,
    contact_id bigint,
    broadcast_id bigint,
    body text NOT NULL,
    received_at timestamptz NOT NULL,
    channel text DEFAULT 'sms' NOT NULL,
    kind text DEFAULT 'own_words' NOT NULL,
    ends_follow_up boolean DEFAULT true NOT NULL,
    provider text,
    written_to text,
    sender text,
    missive_id text,
    words_cut boolean DEFAULT false NOT NULL,
    words_due_at timestamptz,
    wish text,
    carrier_word text,
    review text,
    review_reason text,
    reviewed_at timestamptz,
    reviewed_by text,
    read_at timestamptz,
    read_by text,
    missive_conversation_id text,
    assigned_to bigint,
    assigned_by text,
    done_at timestamptz,
    done_by text,
    CONSTRAINT replies_pkey PRIMARY KEY (id),
    CONSTRAINT replies_provider_id_key UNIQUE (provider_id),
    CONSTRAINT replies_channel_check CHECK (channel IN ('sms', 'whatsapp', 'rcs', 'email', 'facebook', 'other',
        'notice')),
    CONSTRAINT replies_kind_check CHECK (kind IN ('own_words', 'reaction', 'automatic', 'delivery_notice',
        'short_code')),
    CONSTRAINT replies_words_end_the_follow_up CHECK (ends_follow_up OR kind <> 'own_words'),
    CONSTRAINT replies_wish_check CHECK (wish IN ('stop', 'start')),
    CONSTRAINT replies_carrier_word_check CHECK (carrier_word IN ('stop', 'start', 'help')),
    CONSTRAINT replies_review_check CHECK (review IN ('waiting', 'superseded', 'opt_out', 'no_opt_out')),
    CONSTRAINT replies_reviewed_by_somebody CHECK ((review IN ('opt_out', 'no_opt_out')) IS NOT TRUE OR reviewed_by
        IS NOT NULL),
    CONSTRAINT replies_read_by_somebody CHECK ((read_at IS NULL) = (read_by IS NULL)),
    CONSTRAINT replies_assigned_by_somebody CHECK ((assigned_to IS NULL) = (assigned_by IS NULL)),
    CONSTRAINT replies_done_by_somebody CHECK ((done_at IS NULL) = (done_by IS NULL)),
    CONSTRAINT replies_words_asked_for CHECK (words_due_at IS NULL OR (words_cut AND missive_id IS NOT NULL)),
    CONSTRAINT replies_contact_id_fkey FOREIGN KEY(contact_id) REFERENCES contacts (id),
    CONSTRAINT replies_assigned_to_fkey FOREIGN KEY(assigned_to) REFERENCES users (id),
    CONSTRAINT replies_broadcast_id_fkey FOREIGN KEY(broadcast_id) REFERENCES broadcasts (id) DEFERRABLE
);
COMMENT ON TABLE replies IS 'What somebody wrote to one of our numbers';
CREATE INDEX replies_assigned ON replies (assigned_to, id) WHERE assigned_to IS NOT NULL;
CREATE INDEX replies_done ON replies (id) WHERE done_at IS NOT NULL;
CREATE INDEX replies_broadcast ON replies (broadcast_id, contact_id);
CREATE INDEX replies_broadcast_newest ON replies (broadcast_id, id);
CREATE INDEX replies_contact ON replies (contact_id);
CREATE INDEX replies_kind ON replies (kind, id) WHERE kind <> 'own_words';
CREATE INDEX replies_number ON replies (phone_number, received_at);
CREATE INDEX replies_open ON replies (id) WHERE done_at IS NULL;
CREATE INDEX replies_to_review ON replies (id) WHERE review = 'waiting';
CREATE INDEX replies_unread ON replies (id) WHERE read_at IS NULL;
CREATE INDEX replies_waiting ON replies (phone_number) WHERE review = 'waiting';
CREATE INDEX replies_words_due ON replies (words_due_at) WHERE words_due_at IS NOT NULL;

CREATE TABLE single_messages (
    id bigint GENERATED ALWAYS AS IDENTITY,
    request_id uuid NOT NULL,
    purpose text NOT NULL,
    phone_number text,
    contact_id bigint,
    reply_id bigint,
    broadcast_id bigint,
    sending_number_id bigint NOT NULL,
    body text NOT NULL,
    asked_at timestamptz NOT NULL,
    asked_by text NOT NULL,
    state text DEFAULT 'pending' NOT NULL,
    skip_reason text,
    attempts integer DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    attempt_started_at timestamptz,
    not_before timestamptz DEFAULT '-infinity' NOT NULL,
    missive_id text,
    missive_conversation_id text,
    twilio_id text,
    twilio_sent_at timestamptz,
    twilio_sent_status text,
    twilio_error_code text,
    look_at timestamptz,
    CONSTRAINT single_messages_pkey PRIMARY KEY (id),
    CONSTRAINT single_messages_request_id_key UNIQUE (request_id),
    CONSTRAINT single_messages_twilio_id_key UNIQUE (twilio_id),
    CONSTRAINT single_messages_purpose_check CHECK (purpose IN ('answer', 'test', 'help', 'start', 'question',
        'welcome')),
    CONSTRAINT single_messages_an_answer_names_its_reply CHECK ((purpose = 'test') = (reply_id IS NULL)),
    CONSTRAINT single_messages_phone_number_check CHECK (phone_number ~ '^\\+[1-9][0-9]{6,14}$'),
    CONSTRAINT single_messages_state_check CHECK (state IN ('pending', 'started', 'uncertain', 'accepted', 'refused',
        'skipped')),
    CONSTRAINT single_messages_skip_reason_check CHECK (skip_reason IN ('replied', 'opted_out', 'first_refused',
        'quiet_hours', 'cancelled', 'phase_over', 'erased', 'held_for_review', 'not_handed_over',
        'number_unreachable', 'too_late')),
    CONSTRAINT single_messages_a_skipped_message_says_why CHECK ((state = 'skipped') = (skip_reason IS NOT NULL)),
    CONSTRAINT single_messages_an_attempt_is_on_record CHECK (state NOT IN ('started', 'uncertain', 'accepted',
        'refused') OR (attempts > 0 AND attempt_started_at IS NOT NULL)),
    CONSTRAINT single_messages_what_may_be_sent_has_a_number CHECK (phone_number IS NOT NULL OR state <> 'pending'),
    CONSTRAINT single_messages_body_check CHECK (length(body) <= 1600),
    CONSTRAINT single_messages_asked_by_check CHECK (asked_by LIKE '_%:%_'),
    CONSTRAINT single_messages_contact_id_fkey FOREIGN KEY(contact_id) REFERENCES contacts (id),
    CONSTRAINT single_messages_reply_id_fkey FOREIGN KEY(reply_id) REFERENCES replies (id),
    CONSTRAINT single_messages_broadcast_id_fkey FOREIGN KEY(broadcast_id) REFERENCES broadcasts (id) DEFERRABLE,
    CONSTRAINT single_messages_sending_number_id_fkey FOREIGN KEY(sending_number_id) REFERENCES sending_numbers (id)
);
COMMENT ON TABLE single_messages IS
    'Messages to one person that are of no broadcast: answers to replies and to keywords, and tests';
CREATE INDEX single_messages_broadcast ON single_messages (broadcast_id, id);
CREATE INDEX single_messages_contact ON single_messages (contact_id);
CREATE INDEX single_messages_look ON single_messages (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX single_messages_number ON single_messages (phone_number, id);
CREATE INDEX single_messages_pending ON single_messages (not_before, id) WHERE state = 'pending';
CREATE INDEX single_messages_reply ON single_messages (reply_id, id);
CREATE INDEX single_messages_started ON single_messages (attempt_started_at) WHERE state = 'started';
CREATE INDEX single_messages_uncertain ON single_messages (attempt_started_at) WHERE state = 'uncertain';
CREATE INDEX single_messages_tests ON single_messages (asked_at) WHERE purpose = 'test';
"""

ACCOUNTS = """
CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY,
    email text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    password_hash text,
    phone_number text,
    created_at timestamptz DEFAULT now() NOT NULL,
    disabled_at timestamptz,
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_email_key UNIQUE (email),
    CONSTRAINT users_email_check CHECK (email = lower(email) AND email LIKE '_%@_%'),
    CONSTRAINT users_name_check CHECK (length(name) >= 1),
    CONSTRAINT users_phone_number_check CHECK (phone_number ~ '^\\+[1-9][0-9]{6,14}$'),
    CONSTRAINT users_role_check CHECK (role IN ('viewer', 'editor', 'approver', 'admin'))
);
COMMENT ON TABLE users IS 'A person who may sign in';

CREATE TABLE sessions (
    id bytea NOT NULL,
    data jsonb NOT NULL,
    user_id bigint GENERATED ALWAYS AS (CAST(data ->> 'user_id' AS bigint)) STORED,
    created_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT sessions_pkey PRIMARY KEY (id),
    CONSTRAINT sessions_user_id_fkey FOREIGN KEY(user_id) REFERENCES users (id)
);
COMMENT ON TABLE sessions IS 'A browser in which somebody is signed in, or is about to';
CREATE INDEX sessions_age ON sessions (expires_at);
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE invitations (
    user_id bigint NOT NULL,
    token bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT invitations_pkey PRIMARY KEY (user_id),
    CONSTRAINT invitations_token_key UNIQUE (token),
    CONSTRAINT invitations_user_id_fkey FOREIGN KEY(user_id) REFERENCES users (id)
);
COMMENT ON TABLE invitations IS 'A link by which a user chooses a password: the first one, or another';

CREATE TABLE api_keys (
    id bigint GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    hash bytea NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    used_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT api_keys_pkey PRIMARY KEY (id),
    CONSTRAINT api_keys_name_key UNIQUE (name),
    CONSTRAINT api_keys_hash_key UNIQUE (hash),
    CONSTRAINT api_keys_name_check CHECK (length(name) >= 1),
    CONSTRAINT api_keys_scopes_check CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['read', 'write', 'send',
        'consent', 'admin'])
);
COMMENT ON TABLE api_keys IS 'A key by which a program calls the API';

CREATE TABLE sign_in_attempts (
    key bytea NOT NULL,
    attempts integer NOT NULL,
    since timestamptz NOT NULL,
    CONSTRAINT sign_in_attempts_pkey PRIMARY KEY (key)
);
COMMENT ON TABLE sign_in_attempts IS 'How many attempts to sign in came from an address, or for an account, since when';
CREATE INDEX sign_in_attempts_age ON sign_in_attempts (since);
"""

HISTORY = """
CREATE TABLE streams (
    stream text NOT NULL,
    version integer NOT NULL,
    CONSTRAINT streams_pkey PRIMARY KEY (stream)
);
COMMENT ON TABLE streams IS 'The head of each stream of events';

CREATE TABLE events (
    position bigint GENERATED ALWAYS AS IDENTITY,
    stream text NOT NULL,
    version integer NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    schema_version smallint NOT NULL,
    broadcast_id bigint,
    data jsonb NOT NULL,
    occurred_at timestamptz NOT NULL,
    correlation_id uuid NOT NULL,
    causation_id uuid,
    actor text NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (position),
    CONSTRAINT events_id_key UNIQUE (id),
    CONSTRAINT events_stream_version_key UNIQUE (stream, version),
    CONSTRAINT events_actor_check CHECK (actor LIKE '_%:%_')
);
COMMENT ON TABLE events IS 'What has happened; rows are appended, never changed';
CREATE INDEX events_by_actor ON events (actor, position) WHERE actor NOT LIKE 'service:%' AND actor NOT LIKE
        'carrier:%';
CREATE INDEX events_by_people ON events (position) WHERE actor NOT LIKE 'service:%' AND actor NOT LIKE 'carrier:%';
CREATE INDEX events_broadcast ON events (broadcast_id, position);
CREATE INDEX events_told ON events (position) WHERE type IN ('BroadcastPaused', 'BroadcastMissed',
        'BroadcastCompleted', 'OptOutSuspected');
CREATE INDEX events_sent_again ON events (broadcast_id, position) WHERE type = 'MessageSentAgain';
CREATE INDEX events_opt_outs ON events (broadcast_id) WHERE type = 'OptedOut';

CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY,
    message_id uuid NOT NULL,
    kind text NOT NULL,
    type text NOT NULL,
    schema_version smallint NOT NULL,
    broadcast_id bigint,
    data jsonb NOT NULL,
    occurred_at timestamptz NOT NULL,
    deliver_at timestamptz NOT NULL,
    correlation_id uuid NOT NULL,
    causation_id uuid,
    actor text NOT NULL,
    traceparent text,
    lease_until timestamptz,
    CONSTRAINT outbox_pkey PRIMARY KEY (id),
    CONSTRAINT outbox_message_id_key UNIQUE (message_id),
    CONSTRAINT outbox_kind_check CHECK (kind IN ('command', 'event'))
);
COMMENT ON TABLE outbox IS 'Messages to be published';
CREATE INDEX outbox_due ON outbox (deliver_at, id);

CREATE TABLE inbox (
    consumer text NOT NULL,
    message_id uuid NOT NULL,
    processed_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT inbox_pkey PRIMARY KEY (consumer, message_id)
);
COMMENT ON TABLE inbox IS 'Messages that were handled';
CREATE INDEX inbox_age ON inbox (processed_at);

CREATE TABLE traces (
    broadcast_id bigint NOT NULL,
    traceparent text NOT NULL,
    CONSTRAINT traces_pkey PRIMARY KEY (broadcast_id)
);
COMMENT ON TABLE traces IS 'The trace that made a broadcast; what the watchdog does for it joins that trace';
"""

NOTICES = """
CREATE TABLE notice_targets (
    id bigint GENERATED ALWAYS AS IDENTITY,
    user_id bigint,
    channel text NOT NULL,
    address text NOT NULL,
    secret text,
    kinds text[] NOT NULL,
    CONSTRAINT notice_targets_pkey PRIMARY KEY (id),
    CONSTRAINT notice_targets_user_id_fkey FOREIGN KEY(user_id) REFERENCES users (id),
    CONSTRAINT notice_targets_channel_check CHECK (channel IN ('email', 'webhook', 'missive')),
    CONSTRAINT notice_targets_kinds_check CHECK (kinds <@ ARRAY['paused', 'wants_approval', 'missed', 'many_failures',
        'likely_opt_outs', 'finished']),
    CONSTRAINT notice_targets_only_a_users_own_address_is_left_out CHECK (address <> '' OR (channel = 'email' AND
        user_id IS NOT NULL)),
    CONSTRAINT notice_targets_a_webhook_is_signed CHECK ((channel = 'webhook') = (secret IS NOT NULL))
);
COMMENT ON TABLE notice_targets IS 'Where notices go, and which: one way of a user''s, or of the organisation''s';
CREATE UNIQUE INDEX notice_targets_whose ON notice_targets (coalesce(user_id, 0), channel);

CREATE TABLE notices (
    id bigint GENERATED ALWAYS AS IDENTITY,
    target_id bigint NOT NULL,
    kind text NOT NULL,
    about bigint NOT NULL,
    broadcast_id bigint,
    reason text,
    actor text NOT NULL,
    happened_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    failure text,
    ended_at timestamptz,
    outcome text,
    CONSTRAINT notices_pkey PRIMARY KEY (id),
    CONSTRAINT notices_target_id_fkey FOREIGN KEY(target_id) REFERENCES notice_targets (id) ON DELETE CASCADE,
    CONSTRAINT notices_target_id_kind_about_key UNIQUE (target_id, kind, about),
    CONSTRAINT notices_kind_check CHECK (kind IN ('paused', 'wants_approval', 'missed', 'many_failures',
        'likely_opt_outs', 'finished', 'test')),
    CONSTRAINT notices_outcome_check CHECK (outcome IN ('sent', 'not_needed', 'given_up')),
    CONSTRAINT notices_what_has_ended_has_an_outcome CHECK ((ended_at IS NULL) = (outcome IS NULL))
);
COMMENT ON TABLE notices IS 'What is to be told, or was';
CREATE INDEX notices_due ON notices (due_at) WHERE ended_at IS NULL;
CREATE INDEX notices_age ON notices (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE notices_read (
    one boolean DEFAULT true NOT NULL,
    position bigint NOT NULL,
    CONSTRAINT notices_read_pkey PRIMARY KEY (one),
    CONSTRAINT notices_read_one_check CHECK (one)
);
COMMENT ON TABLE notices_read IS 'How far history was read for notices';
"""

IN_STEP = """
CREATE TABLE pace (
    key text NOT NULL,
    next_at timestamptz DEFAULT '-infinity' NOT NULL,
    held_until timestamptz DEFAULT '-infinity' NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    failing_since timestamptz,
    CONSTRAINT pace_pkey PRIMARY KEY (key)
);
COMMENT ON TABLE pace IS 'When the next slot of a sending number, or of a provider''s window, begins';

CREATE TABLE sending_days (
    sending_number_id bigint NOT NULL,
    day date NOT NULL,
    started integer DEFAULT 0 NOT NULL,
    CONSTRAINT sending_days_pkey PRIMARY KEY (sending_number_id, day),
    CONSTRAINT sending_days_started_check CHECK (started >= 0),
    CONSTRAINT sending_days_sending_number_id_fkey FOREIGN KEY(sending_number_id) REFERENCES sending_numbers (id)
);
COMMENT ON TABLE sending_days IS 'How many messages a number with a daily cap has started on a day';

CREATE TABLE permits (
    key text NOT NULL,
    n integer NOT NULL,
    held_until timestamptz DEFAULT '-infinity' NOT NULL,
    CONSTRAINT permits_pkey PRIMARY KEY (key, n)
);
COMMENT ON TABLE permits IS 'Requests under way at once; a permit whose holder died is free when its time is over';

CREATE TABLE idempotency_keys (
    key text NOT NULL,
    request bytea NOT NULL,
    status integer NOT NULL,
    body jsonb NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key)
);
COMMENT ON TABLE idempotency_keys IS 'What was asked and answered under an `Idempotency-Key`';

CREATE TABLE carrier_clocks (
    carrier text NOT NULL,
    minute timestamptz NOT NULL,
    low double precision NOT NULL,
    high double precision NOT NULL,
    CONSTRAINT carrier_clocks_pkey PRIMARY KEY (carrier, minute),
    CONSTRAINT carrier_clocks_an_interval_has_an_order CHECK (low <= high)
);
COMMENT ON TABLE carrier_clocks IS 'How far a carrier''s clock was ahead of ours, a row a minute';

CREATE TABLE webhook_sources (
    source text NOT NULL,
    taken_at timestamptz,
    refused_at timestamptz,
    refused_since timestamptz,
    CONSTRAINT webhook_sources_pkey PRIMARY KEY (source),
    CONSTRAINT webhook_sources_was_heard CHECK (taken_at IS NOT NULL OR refused_at IS NOT NULL),
    CONSTRAINT webhook_sources_refusals_have_an_order CHECK (refused_since <= refused_at)
);
COMMENT ON TABLE webhook_sources IS
    'When each source of webhooks was last heard, and since when it is refused; written at most once a minute';

CREATE TABLE restored (
    one boolean DEFAULT true NOT NULL,
    since timestamptz NOT NULL,
    held_at timestamptz NOT NULL,
    reconciled_at timestamptz,
    CONSTRAINT restored_pkey PRIMARY KEY (one),
    CONSTRAINT restored_one_check CHECK (one),
    CONSTRAINT restored_what_was_settled_had_been_held CHECK (reconciled_at >= held_at)
);
COMMENT ON TABLE restored IS 'When this database was restored to a point in the past, and when that was settled';
"""

FUNCTIONS = """
CREATE FUNCTION refuse_to_change_history() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'events are appended, never changed'; END $$;

CREATE TRIGGER events_are_history BEFORE UPDATE OR DELETE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_history();

CREATE FUNCTION wake_relay() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('broadsheet_outbox', ''); RETURN NULL; END $$;

CREATE TRIGGER outbox_wakes_relay AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION wake_relay();
"""

#: Whatever refers to another table comes before it.
TABLES = (
    "restored webhook_sources carrier_clocks idempotency_keys permits sending_days pace notices_read notices "
    "notice_targets traces inbox outbox events streams sign_in_attempts api_keys invitations sessions single_messages "
    "replies users message_bodies broadcast_sent_message_status outgoing_messages settlings syncs batches "
    "broadcasts_parts broadcasts_left_out broadcasts_segments broadcasts audience_segments contact_import_bodies "
    "contact_import_members contact_import_changes contact_import_chunks contact_imports missive_labels "
    "missive_label_passes missive_conversations sign_ups sign_up_keywords unreachable_numbers consent_records "
    "opt_outs contacts messaging_services sending_numbers"
)


def upgrade() -> None:
    """Create everything."""
    for part in (AUDIENCE, BROADCASTS, ACCOUNTS, MESSAGES, HISTORY, NOTICES, IN_STEP, FUNCTIONS):
        online.script(part)


def downgrade() -> None:
    """Drop everything."""
    for table in TABLES.split():
        op.execute(f"DROP TABLE {table}")
    online.script("DROP SEQUENCE broadcast_ids; DROP SEQUENCE message_ids")
    online.script("DROP FUNCTION refuse_to_change_history; DROP FUNCTION wake_relay")
