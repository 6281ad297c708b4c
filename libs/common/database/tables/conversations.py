"""Missive's conversations, as far as their labels say something of people."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from libs.common.database.tables.base import NOW, Base, check


class MissiveConversation(Base):
    """Conversations of Missive's whose labels are tags, or that were merged into another one."""

    __tablename__ = "missive_conversations"
    #: Missive's id.
    id: Mapped[str] = mapped_column(primary_key=True)
    #: Whose it is; null where nobody is known by its number, or it was only merged.
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"))
    #: The tags that its labels give.
    tags: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    #: When its labels were last told.
    seen_at: Mapped[datetime] = mapped_column(server_default=NOW)
    #: The conversation that it is a part of since.
    merged_into: Mapped[str | None]
    __table_args__ = (
        Index("missive_conversations_contact", "contact_id"),
        Index("missive_conversations_merged", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
        # Those that a pass over all labels has to have seen.
        Index("missive_conversations_labelled", "seen_at", postgresql_where=text("tags <> '{}'")),
    )


class MissiveLabel(Base):
    """Labels that broadcasts name, and what Missive calls them."""

    __tablename__ = "missive_labels"
    name: Mapped[str] = mapped_column(primary_key=True)
    #: Null where there is none.
    label_id: Mapped[str | None]
    #: Why there is none, or could not be asked for: a code.
    fault: Mapped[str | None]
    checked_at: Mapped[datetime | None]
    #: Until when somebody asks for it, and nobody else does.
    asked_until: Mapped[datetime | None]


class MissiveLabelPass(Base):
    """How far the pass over Missive's labels came, and when the next one is due; at most one row."""

    __tablename__ = "missive_label_passes"
    one: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    #: When its next page is due, or the next pass where none is under way.
    due_at: Mapped[datetime]
    #: When the pass under way began; null where none is.
    began_at: Mapped[datetime | None]
    #: How many labels of the organisation were listed.
    listed: Mapped[int] = mapped_column(server_default=text("0"))
    #: The ids of the labels whose conversations are still to be read, once all labels are listed.
    remaining: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    is_listed: Mapped[bool] = mapped_column(server_default=text("false"))
    #: Where the next page of the first of them begins: Missive's `until`; null for its first page.
    until: Mapped[float | None]
    #: When a pass was last done.
    done_at: Mapped[datetime | None]
    __table_args__ = (check("one", "missive_label_passes_one_check"),)
