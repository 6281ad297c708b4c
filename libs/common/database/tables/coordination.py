"""What keeps services in step: pace, permits, keys of requests, clocks, webhooks, a restore."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Integer, PrimaryKeyConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from libs.common.database.tables.base import NEVER, NOW, Base, check


class Pace(Base):
    """When the next slot of a sending number, or of a provider's window, begins."""

    __tablename__ = "pace"
    #: A sending number, or a provider's window.
    key: Mapped[str] = mapped_column(primary_key=True)
    #: GCRA's theoretical arrival time: when the next slot begins.
    next_at: Mapped[datetime] = mapped_column(server_default=NEVER)
    #: Nothing is sent before this: the provider said so, or it has been failing.
    held_until: Mapped[datetime] = mapped_column(server_default=NEVER)
    #: Failures in a row that were the provider's, not a message's.
    failures: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    #: When the first of them was; null while there are none.
    failing_since: Mapped[datetime | None]


class SendingDay(Base):
    """How many messages a number with a daily cap has started on a day."""

    __tablename__ = "sending_days"
    sending_number_id: Mapped[int] = mapped_column(ForeignKey("sending_numbers.id"))
    #: Of the organisation's zone.
    day: Mapped[date]
    started: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    __table_args__ = (
        PrimaryKeyConstraint("sending_number_id", "day"),
        check("started >= 0", "sending_days_started_check"),
    )


class Permit(Base):
    """Requests under way at once; a permit whose holder died is free when its time is over."""

    __tablename__ = "permits"
    key: Mapped[str]
    n: Mapped[int] = mapped_column(Integer)
    held_until: Mapped[datetime] = mapped_column(server_default=NEVER)
    __table_args__ = (PrimaryKeyConstraint("key", "n"),)


class IdempotencyKey(Base):
    """What was asked and answered under an `Idempotency-Key`."""

    __tablename__ = "idempotency_keys"
    key: Mapped[str] = mapped_column(primary_key=True)
    #: SHA-256 of method, path and body: the same key with another request is refused.
    request: Mapped[bytes]
    status: Mapped[int] = mapped_column(Integer)
    body: Mapped[Any] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class CarrierClock(Base):
    """How far a carrier's clock was ahead of ours, a row a minute."""

    __tablename__ = "carrier_clocks"
    carrier: Mapped[str]
    minute: Mapped[datetime]
    #: Seconds that the carrier's clock was ahead in that minute: no fewer than, no more than.
    low: Mapped[float]
    high: Mapped[float]
    __table_args__ = (
        PrimaryKeyConstraint("carrier", "minute"),
        check("low <= high", "carrier_clocks_an_interval_has_an_order"),
    )


class WebhookSource(Base):
    """When each source of webhooks was last heard, and since when it is refused; written at most once a minute."""

    __tablename__ = "webhook_sources"
    source: Mapped[str] = mapped_column(primary_key=True)
    #: When one was last taken: its signature was right.
    taken_at: Mapped[datetime | None]
    #: When one was last refused: it had no signature, or a wrong one.
    refused_at: Mapped[datetime | None]
    #: When the first one was refused after the last that was taken; null if none was.
    refused_since: Mapped[datetime | None]
    __table_args__ = (
        check("taken_at IS NOT NULL OR refused_at IS NOT NULL", "webhook_sources_was_heard"),
        check("refused_since <= refused_at", "webhook_sources_refusals_have_an_order"),
    )


class Restored(Base):
    """When this database was restored to a point in the past, and when that was settled."""

    __tablename__ = "restored"
    #: One row at most: what counts is the last restore.
    one: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    #: What happened after this is not in the database, or is not known to be.
    since: Mapped[datetime]
    #: From when on nothing is started.
    held_at: Mapped[datetime]
    #: When everything was settled against the carrier's log; until then no message starts and no broadcast is made.
    reconciled_at: Mapped[datetime | None]
    __table_args__ = (
        check("one", "restored_one_check"),
        check("reconciled_at >= held_at", "restored_what_was_settled_had_been_held"),
    )
