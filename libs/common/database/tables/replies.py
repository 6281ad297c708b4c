"""What people wrote back."""

from datetime import datetime

from sqlalchemy import ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from libs.common.database.enums import literals
from libs.common.database.tables.base import Base, check
from libs.common.domain.keywords import WISHES, Wish
from libs.common.domain.states import REVIEWED, CarrierWord, Channel, ReplyKind, Review


class Reply(Base):
    """What somebody wrote to one of our numbers."""

    __tablename__ = "replies"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    #: The provider's id of the message: a webhook that is tried again is the same reply.
    provider_id: Mapped[str]
    phone_number: Mapped[str | None]
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"))
    broadcast_id: Mapped[int | None] = mapped_column(ForeignKey("broadcasts.id", deferrable=True))
    body: Mapped[str]
    received_at: Mapped[datetime]
    channel: Mapped[Channel] = mapped_column(server_default=Channel.SMS)
    #: What it is: a person's own words, or what a phone or a machine made.
    kind: Mapped[ReplyKind] = mapped_column(server_default=ReplyKind.OWN_WORDS)
    #: Whether its writer gets no second message for it: by its kind, and by the setting at the time.
    ends_follow_up: Mapped[bool] = mapped_column(server_default=text("true"))
    #: Who reported it first: `missive`, `twilio`, or the carrier's `log` after a restore.
    provider: Mapped[str | None]
    #: Which of our numbers it was written to, where that is told: an answer leaves from it.
    written_to: Mapped[str | None]
    #: Who wrote, where that is no phone number: an e-mail address, a name.
    sender: Mapped[str | None]
    #: What Missive calls it, as long as its words are to be fetched there.
    missive_id: Mapped[str | None]
    #: The words are the beginning of what was written.
    words_cut: Mapped[bool] = mapped_column(server_default=text("false"))
    #: When Missive is asked for all of them; null if it is not, or not any more.
    words_due_at: Mapped[datetime | None]
    #: What its words ask for.
    wish: Mapped[Wish | None]
    carrier_word: Mapped[CarrierWord | None]
    #: Null where it is not likely to ask for a stop.
    review: Mapped[Review | None]
    review_reason: Mapped[str | None]
    reviewed_at: Mapped[datetime | None]
    reviewed_by: Mapped[str | None]
    read_at: Mapped[datetime | None]
    read_by: Mapped[str | None]
    #: Missive's conversation that it stands in, where it is told.
    missive_conversation_id: Mapped[str | None]
    #: Whose it is to answer, and who says so.
    assigned_to: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    assigned_by: Mapped[str | None]
    #: When nothing more was to be done about it, and who says so.
    done_at: Mapped[datetime | None]
    done_by: Mapped[str | None]
    __table_args__ = (
        UniqueConstraint("provider_id"),
        check(f"channel IN {literals(Channel)}", "replies_channel_check"),
        check(f"kind IN {literals(ReplyKind)}", "replies_kind_check"),
        # Whoever wrote is not written to as if nobody had.
        check(f"ends_follow_up OR kind <> '{ReplyKind.OWN_WORDS}'", "replies_words_end_the_follow_up"),
        check(f"wish IN {literals(WISHES)}", "replies_wish_check"),
        check(f"carrier_word IN {literals(CarrierWord)}", "replies_carrier_word_check"),
        check(f"review IN {literals(Review)}", "replies_review_check"),
        # What a person has decided names the person.
        check(
            f"(review IN {literals(REVIEWED)}) IS NOT TRUE OR reviewed_by IS NOT NULL",
            "replies_reviewed_by_somebody",
        ),
        check("(read_at IS NULL) = (read_by IS NULL)", "replies_read_by_somebody"),
        check("(assigned_to IS NULL) = (assigned_by IS NULL)", "replies_assigned_by_somebody"),
        check("(done_at IS NULL) = (done_by IS NULL)", "replies_done_by_somebody"),
        # Words that are whole are not asked for.
        check("words_due_at IS NULL OR (words_cut AND missive_id IS NOT NULL)", "replies_words_asked_for"),
        # Whose number is held back; nearly nobody's.
        Index("replies_waiting", "phone_number", postgresql_where=text(f"review = '{Review.WAITING}'")),
        Index("replies_words_due", "words_due_at", postgresql_where=text("words_due_at IS NOT NULL")),
        # For lists, the newest first.
        Index("replies_unread", "id", postgresql_where=text("read_at IS NULL")),
        Index("replies_to_review", "id", postgresql_where=text(f"review = '{Review.WAITING}'")),
        Index("replies_broadcast_newest", "broadcast_id", "id"),
        Index("replies_assigned", "assigned_to", "id", postgresql_where=text("assigned_to IS NOT NULL")),
        # What no person wrote is a few of many, and so is each kind of it.
        Index("replies_kind", "kind", "id", postgresql_where=text(f"kind <> '{ReplyKind.OWN_WORDS}'")),
        Index("replies_open", "id", postgresql_where=text("done_at IS NULL")),
        Index("replies_done", "id", postgresql_where=text("done_at IS NOT NULL")),
        Index("replies_number", "phone_number", "received_at"),
        Index("replies_broadcast", "broadcast_id", "contact_id"),
        Index("replies_contact", "contact_id"),
    )
