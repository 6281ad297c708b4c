"""What the schema has besides tables: functions, triggers and storage."""

from sqlalchemy import DDL, MetaData, event

#: History is appended, never changed.
REFUSE_TO_CHANGE_HISTORY = """
CREATE FUNCTION refuse_to_change_history() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'events are appended, never changed'; END $$
"""
EVENTS_ARE_HISTORY = """
CREATE TRIGGER events_are_history BEFORE UPDATE OR DELETE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_history()
"""
#: A message that is written wakes the relay.
WAKE_RELAY = """
CREATE FUNCTION wake_relay() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('broadsheet_outbox', ''); RETURN NULL; END $$
"""
OUTBOX_WAKES_RELAY = """
CREATE TRIGGER outbox_wakes_relay AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION wake_relay()
"""

#: Room on each page for the new version of a row whose state changes, and a vacuum that comes early.
ROOM_FOR_CHANGES = """
ALTER TABLE outgoing_messages SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02)
"""
STATEMENTS = (ROOM_FOR_CHANGES, REFUSE_TO_CHANGE_HISTORY, EVENTS_ARE_HISTORY, WAKE_RELAY, OUTBOX_WAKES_RELAY)


def add_to(metadata: MetaData) -> None:
    """Have `metadata.create_all` execute the statements once the tables are there."""
    for statement in STATEMENTS:
        event.listen(metadata, "after_create", DDL(statement))  # type: ignore[no-untyped-call]
