"""Keywords by which people sign up, and who has still to confirm it."""

from datetime import datetime

from sqlalchemy import ForeignKey, Identity, Index, PrimaryKeyConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from libs.common.database.tables.base import E164, NOW, Base, check


class SignUpKeyword(Base):
    """A word that people text to get messages."""

    __tablename__ = "sign_up_keywords"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    #: As words are compared: small letters, without accents.
    word: Mapped[str]
    #: What whoever signs up is tagged with.
    tag: Mapped[str]
    #: What they get then.
    welcome: Mapped[str]
    #: What they are asked before that; null where the word alone is enough.
    question: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    __table_args__ = (
        UniqueConstraint("word"),
        check("length(word) BETWEEN 2 AND 20", "sign_up_keywords_word_check"),
        check("tag <> ''", "sign_up_keywords_tag_check"),
        check("length(welcome) <= 1600 AND length(question) <= 1600", "sign_up_keywords_bodies_check"),
    )


class SignUp(Base):
    """Who was asked whether they want what they signed up for, and has not said yes."""

    __tablename__ = "sign_ups"
    #: E.164. They may be nobody that we know: they become a contact with their yes.
    phone_number: Mapped[str]
    keyword_id: Mapped[int] = mapped_column(ForeignKey("sign_up_keywords.id", ondelete="CASCADE"))
    asked_at: Mapped[datetime]
    #: What they wrote.
    words: Mapped[str]
    __table_args__ = (
        PrimaryKeyConstraint("phone_number", "keyword_id"),
        check(f"phone_number ~ '{E164}'", "sign_ups_phone_number_check"),
        # For those that ran out, and for a keyword that is deleted.
        Index("sign_ups_asked", "asked_at"),
        Index("sign_ups_keyword", "keyword_id"),
    )
