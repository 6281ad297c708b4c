"""Notices: who wants to be told of what by which way, and what they were told."""

from datetime import datetime

from sqlalchemy import ForeignKey, Identity, Index, Integer, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from libs.common.database.enums import literals
from libs.common.database.tables.base import Base, check
from libs.common.domain.notices import CHOSEN, NoticeChannel, NoticeKind, NoticeOutcome


class NoticeTarget(Base):
    """Where notices go, and which: one way of a user's, or of the organisation's."""

    __tablename__ = "notice_targets"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    #: Null for the organisation's.
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    channel: Mapped[NoticeChannel]
    #: A URL, a conversation of Missive's, an e-mail address; empty where it is the user's own.
    address: Mapped[str]
    #: What a webhook is signed with. The receiver has to know it, so that it is here as it is.
    secret: Mapped[str | None]
    kinds: Mapped[list[str]]
    __table_args__ = (
        # One row a user and way, and one a way of the organisation's.
        Index("notice_targets_whose", text("coalesce(user_id, 0)"), "channel", unique=True),
        check(f"channel IN {literals(NoticeChannel)}", "notice_targets_channel_check"),
        check(
            f"kinds <@ ARRAY[{', '.join(repr(str(kind)) for kind in CHOSEN)}]",
            "notice_targets_kinds_check",
        ),
        check(
            f"address <> '' OR (channel = '{NoticeChannel.EMAIL}' AND user_id IS NOT NULL)",
            "notice_targets_only_a_users_own_address_is_left_out",
        ),
        check(f"(channel = '{NoticeChannel.WEBHOOK}') = (secret IS NOT NULL)", "notice_targets_a_webhook_is_signed"),
    )


class Notice(Base):
    """What is to be told, or was."""

    __tablename__ = "notices"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    target_id: Mapped[int] = mapped_column(ForeignKey("notice_targets.id", ondelete="CASCADE"))
    kind: Mapped[NoticeKind]
    #: What it is about: the event's position, or the broadcast where a broadcast is told of once. Nobody is told twice.
    about: Mapped[int]
    broadcast_id: Mapped[int | None]
    #: Why, where the event says so, and who did it.
    reason: Mapped[str | None]
    actor: Mapped[str]
    happened_at: Mapped[datetime]
    #: When it is tried next. Whoever tries it moves this on, so that nobody else does meanwhile.
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    #: Why the last attempt failed.
    failure: Mapped[str | None]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[NoticeOutcome | None]
    __table_args__ = (
        UniqueConstraint("target_id", "kind", "about"),
        check(f"kind IN {literals(NoticeKind)}", "notices_kind_check"),
        check(f"outcome IN {literals(NoticeOutcome)}", "notices_outcome_check"),
        check("(ended_at IS NULL) = (outcome IS NULL)", "notices_what_has_ended_has_an_outcome"),
        Index("notices_due", "due_at", postgresql_where=text("ended_at IS NULL")),
        Index("notices_age", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    )


class NoticesRead(Base):
    """How far history was read for notices."""

    __tablename__ = "notices_read"
    #: One row at most.
    one: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    position: Mapped[int]
    __table_args__ = (check("one", "notices_read_one_check"),)
