"""The history, and the messages between services."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Identity, Index, Integer, PrimaryKeyConstraint, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from libs.common.database.enums import literals
from libs.common.database.event_predicates import BY_PEOPLE, IS_SENT_AGAIN, IS_TOLD
from libs.common.database.tables.base import NOW, Base, TransactionId, check
from libs.common.domain.states import MessageKind


class Stream(Base):
    """The head of each stream of events."""

    __tablename__ = "streams"
    stream: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer)


class Event(Base):
    """What has happened; rows are appended, never changed."""

    __tablename__ = "events"
    position: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    stream: Mapped[str]
    version: Mapped[int] = mapped_column(Integer)
    id: Mapped[UUID]
    type: Mapped[str]
    schema_version: Mapped[int] = mapped_column(SmallInteger)
    broadcast_id: Mapped[int | None]
    data: Mapped[dict[str, Any]]
    occurred_at: Mapped[datetime]
    correlation_id: Mapped[UUID]
    causation_id: Mapped[UUID | None]
    #: Who did it: `domain/actors.py`.
    actor: Mapped[str]
    #: Readers who follow the table by position wait for the transactions that are older than what they see.
    transaction_id: Mapped[str] = mapped_column(TransactionId(), server_default=text("pg_current_xact_id()"))
    __table_args__ = (
        UniqueConstraint("id"),
        # Optimistic concurrency: two writers cannot both append the same version.
        UniqueConstraint("stream", "version"),
        Index("events_broadcast", "broadcast_id", "position"),
        Index("events_opt_outs", "broadcast_id", postgresql_where=text("type = 'OptedOut'")),
        # What people and programs did, for the audit. Services and carriers, which do nearly everything, are not in it.
        Index("events_by_people", "position", postgresql_where=text(BY_PEOPLE)),
        Index("events_by_actor", "actor", "position", postgresql_where=text(BY_PEOPLE)),
        # What people had sent again: hardly any, among all that happens to messages.
        Index("events_sent_again", "broadcast_id", "position", postgresql_where=text(IS_SENT_AGAIN)),
        Index("events_told", "position", postgresql_where=text(IS_TOLD)),
        check("actor LIKE '_%:%_'", "events_actor_check"),
    )


class Outbox(Base):
    """Messages to be published."""

    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    message_id: Mapped[UUID]
    #: Which exchange it goes to.
    kind: Mapped[MessageKind]
    type: Mapped[str]
    schema_version: Mapped[int] = mapped_column(SmallInteger)
    broadcast_id: Mapped[int | None]
    data: Mapped[dict[str, Any]]
    occurred_at: Mapped[datetime]
    deliver_at: Mapped[datetime]
    correlation_id: Mapped[UUID]
    causation_id: Mapped[UUID | None]
    actor: Mapped[str]
    traceparent: Mapped[str | None]
    #: Until when a relay has the message to itself: it holds no lock while it waits for the broker.
    lease_until: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("message_id"),
        check(f"kind IN {literals(MessageKind)}", "outbox_kind_check"),
        Index("outbox_due", "deliver_at", "id"),
    )


class Inbox(Base):
    """Messages that were handled."""

    __tablename__ = "inbox"
    consumer: Mapped[str]
    message_id: Mapped[UUID]
    processed_at: Mapped[datetime] = mapped_column(server_default=NOW)
    __table_args__ = (PrimaryKeyConstraint("consumer", "message_id"), Index("inbox_age", "processed_at"))


class Trace(Base):
    """The trace that made a broadcast; what the watchdog does for it joins that trace.

    Without a reference: broadcasts are emptied and filled again by a rebuild, this is not.
    """

    __tablename__ = "traces"
    broadcast_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    traceparent: Mapped[str]
