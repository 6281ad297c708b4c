"""Files of people that are imported at the desk, and what each import has changed."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Identity, Index, Integer, PrimaryKeyConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from libs.common.database.enums import literals
from libs.common.database.tables.base import NOW, Base, check
from libs.common.domain.import_states import ImportState


class ContactImport(Base):
    """An import of a file of people, and how far it came."""

    __tablename__ = "contact_imports"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    state: Mapped[str]
    file_name: Mapped[str]
    #: Who imports it: `domain/actors.py`.
    actor: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    #: When something was done last: one that runs and stands still was cut off.
    moved_at: Mapped[datetime] = mapped_column(server_default=NOW)
    #: What a person has said that each column is; null where the headings say so.
    roles: Mapped[list[str] | None]
    #: What the trial found; it holds nothing of what is in the file but headings.
    summary: Mapped[dict[str, Any] | None]
    #: People who were gone through, and what became of them.
    done: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    imported: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    updated: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    opted_out: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    #: People of whom all of that was undone: erased again, or as they were before; and those who are as they were left.
    removed: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    restored: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    kept: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    #: The words that the file has for each person are kept (`contact_import_bodies`).
    has_bodies: Mapped[bool] = mapped_column(server_default=text("false"))
    __table_args__ = (check(f"state IN {literals(ImportState)}", "contact_imports_state_check"),)


class ContactImportChunk(Base):
    """A part of a file, kept until it is imported: any process may go on with it."""

    __tablename__ = "contact_import_chunks"
    import_id: Mapped[int] = mapped_column(ForeignKey("contact_imports.id", ondelete="CASCADE"))
    n: Mapped[int] = mapped_column(Integer)
    data: Mapped[bytes]
    __table_args__ = (PrimaryKeyConstraint("import_id", "n"),)


class ContactImportChange(Base):
    """What an import has made of somebody, kept so that it can be undone.

    It is forgotten when they are erased.
    """

    __tablename__ = "contact_import_changes"
    import_id: Mapped[int] = mapped_column(ForeignKey("contact_imports.id", ondelete="CASCADE"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    #: Null for somebody who was new.
    name_before: Mapped[str | None]
    tags_before: Mapped[list[str] | None]
    attributes_before: Mapped[dict[str, Any] | None]
    time_zone_before: Mapped[str | None]
    language_before: Mapped[str | None]
    name_after: Mapped[str]
    tags_after: Mapped[list[str]]
    attributes_after: Mapped[dict[str, Any]]
    time_zone_after: Mapped[str | None]
    language_after: Mapped[str | None]
    __table_args__ = (
        PrimaryKeyConstraint("import_id", "contact_id"),
        check(
            "(name_before IS NULL) = (tags_before IS NULL)",
            "contact_import_changes_who_was_here_had_a_name_and_tags",
        ),
        check(
            "(name_before IS NULL) = (attributes_before IS NULL)",
            "contact_import_changes_who_was_here_had_attributes",
        ),
        Index("contact_import_changes_contact", "contact_id"),
    )


class ContactImportMember(Base):
    """Who was in a file, changed by it or not.

    A segment may be the people of a file. It is forgotten when they are erased, and when the import is undone.
    """

    __tablename__ = "contact_import_members"
    import_id: Mapped[int] = mapped_column(ForeignKey("contact_imports.id", ondelete="CASCADE"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    __table_args__ = (
        PrimaryKeyConstraint("import_id", "contact_id"),
        Index("contact_import_members_contact", "contact_id"),
    )


class ContactImportBody(Base):
    """The words that a file has for each person, until they have gone out.

    A row goes with the person when they are erased, and when the import is undone.
    """

    __tablename__ = "contact_import_bodies"
    import_id: Mapped[int] = mapped_column(ForeignKey("contact_imports.id", ondelete="CASCADE"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    first_body: Mapped[str]
    #: Null where the file has no follow-ups.
    second_body: Mapped[str | None]
    __table_args__ = (
        PrimaryKeyConstraint("import_id", "contact_id"),
        Index("contact_import_bodies_contact", "contact_id"),
        check("length(first_body) >= 1 AND length(first_body) <= 1600", "contact_import_bodies_first_check"),
        check("length(second_body) >= 1 AND length(second_body) <= 1600", "contact_import_bodies_second_check"),
    )
