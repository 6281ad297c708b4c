"""Messages on their way to people, and what the carrier said of them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Computed, ForeignKey, Index, Integer, Sequence, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from libs.common.database.enums import literals
from libs.common.database.tables.base import NEVER, Base, check
from libs.common.domain.states import (
    ATTEMPTED,
    ENDED,
    FORGETTABLE,
    IN_BATCH,
    OPEN,
    SETTLED,
    MessageState,
    Outcome,
    SkipReason,
    TooFast,
)

MESSAGE_IDS = Sequence("message_ids", metadata=Base.metadata)


class OutgoingMessage(Base):
    """A message to one person: the first or the second of a broadcast."""

    __tablename__ = "outgoing_messages"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    broadcast_id: Mapped[int] = mapped_column(ForeignKey("broadcasts.id", deferrable=True))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    segment_id: Mapped[int] = mapped_column(ForeignKey("audience_segments.id"))
    is_second: Mapped[bool]
    recipient_phone_number: Mapped[str | None]
    #: Where the recipient's clocks are, and whose rules hold (`domain/quiet_hours.py`); empty where nobody knows.
    place: Mapped[str] = mapped_column(server_default="")
    #: Which of its broadcast's numbers it leaves from: 0 for the broadcast's own, else its place in the pool, from 1.
    pool_index: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    state: Mapped[MessageState] = mapped_column(server_default=MessageState.PENDING)
    processed: Mapped[bool] = mapped_column(Computed(f"state <> '{MessageState.PENDING}'", persisted=True))
    claimed_by: Mapped[UUID | None] = mapped_column(ForeignKey("batches.id"))
    #: Names the attempt: an answer belongs to the attempt that asked.
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    #: Attempts that count towards MAX_ATTEMPTS.
    failures: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    attempt_started_at: Mapped[datetime | None]
    not_before: Mapped[datetime] = mapped_column(server_default=NEVER)
    skip_reason: Mapped[SkipReason | None]
    __table_args__ = (
        # Once: nobody is planned the same message of a broadcast twice, by number or by contact.
        UniqueConstraint("broadcast_id", "contact_id", "is_second", name="outgoing_messages_once_a_contact"),
        UniqueConstraint("broadcast_id", "recipient_phone_number", "is_second", name="outgoing_messages_once_a_number"),
        check(f"state IN {literals(MessageState)}", "outgoing_messages_state_check"),
        check(f"skip_reason IN {literals(SkipReason)}", "outgoing_messages_skip_reason_check"),
        check(
            f"(state IN {literals(IN_BATCH)}) = (claimed_by IS NOT NULL)",
            "outgoing_messages_a_claimed_message_has_a_batch",
        ),
        check(
            f"state NOT IN {literals(ATTEMPTED)} OR (attempts > 0 AND attempt_started_at IS NOT NULL)",
            "outgoing_messages_an_attempt_is_on_record",
        ),
        check(
            f"(state = '{MessageState.SKIPPED}') = (skip_reason IS NOT NULL)",
            "outgoing_messages_a_skipped_message_says_why",
        ),
        check(
            f"recipient_phone_number IS NOT NULL OR state IN {literals(FORGETTABLE)}",
            "outgoing_messages_what_may_be_sent_has_a_number",
        ),
        check("pool_index >= 0", "outgoing_messages_pool_index_check"),
        # Only what remains to be sent is in the index that claims scan, each those of one number, by place: where it is
        # night nothing is read.
        Index(
            "outgoing_messages_pending",
            "broadcast_id",
            "is_second",
            "pool_index",
            "place",
            "id",
            postgresql_where=text(f"state = '{MessageState.PENDING}'"),
        ),
        Index(
            "outgoing_messages_claimed", "claimed_by", "id", postgresql_where=text(f"state = '{MessageState.CLAIMED}'")
        ),
        Index(
            "outgoing_messages_open",
            "broadcast_id",
            "is_second",
            "state",
            postgresql_where=text(f"state IN {literals(OPEN)}"),
        ),
        Index("outgoing_messages_number", "recipient_phone_number", "broadcast_id"),
        # When the newest message that the carrier has taken began to leave. A message enters once, when it is accepted.
        Index(
            "outgoing_messages_taken",
            "broadcast_id",
            "attempt_started_at",
            postgresql_where=text(f"state = '{MessageState.ACCEPTED}'"),
        ),
        # Whose numbers can be forgotten. A message enters once, when it has ended.
        Index(
            "outgoing_messages_ended",
            "contact_id",
            postgresql_where=text(f"recipient_phone_number IS NOT NULL AND state IN {literals(ENDED)}"),
        ),
    )


class MessageStatus(Base):
    """What the carrier said of a message; one row a message at most."""

    __tablename__ = "broadcast_sent_message_status"
    outgoing_message_id: Mapped[int] = mapped_column(
        ForeignKey("outgoing_messages.id", deferrable=True), primary_key=True, autoincrement=False
    )
    broadcast_id: Mapped[int] = mapped_column(ForeignKey("broadcasts.id", deferrable=True))
    is_second: Mapped[bool]
    outcome: Mapped[Outcome]
    missive_id: Mapped[str | None]
    missive_conversation_id: Mapped[str | None]
    #: An entry of the carrier's log settles one message at most.
    twilio_id: Mapped[str | None]
    twilio_sent_at: Mapped[datetime | None]
    #: What the log says; null until it was read. Unknown words are kept as they are.
    twilio_sent_status: Mapped[str | None]
    twilio_error_code: Mapped[str | None]
    settled: Mapped[bool] = mapped_column(
        Computed(
            f"outcome = '{Outcome.REFUSED}' OR coalesce(twilio_sent_status, '') IN {literals(SETTLED)}",
            persisted=True,
        )
    )
    __table_args__ = (
        UniqueConstraint("twilio_id"),
        check(f"outcome IN {literals(Outcome)}", "broadcast_sent_message_status_outcome_check"),
        Index("status_unsettled", "broadcast_id", postgresql_where=text("NOT settled")),
        # A broadcast's messages by what became of them: counted, and found, in the index alone.
        Index("status_broadcast", "broadcast_id", "is_second", "outcome", "twilio_sent_status", "twilio_error_code"),
        # Texts that came too fast: hardly any.
        Index("status_too_fast", "broadcast_id", postgresql_where=text(f"twilio_error_code IN {literals(TooFast)}")),
        # Which messages Missive is asked about: whether Twilio has them. A message leaves it when its sid is known.
        Index(
            "status_without_sid",
            "broadcast_id",
            "outgoing_message_id",
            postgresql_where=text("twilio_id IS NULL AND missive_id IS NOT NULL"),
        ),
    )


class MessageBody(Base):
    """The words of a message whose recipient has their own.

    Made when the broadcast is made, since what they are made of may change. Not in history, so a rebuild leaves them:
    they go with the number of their message, or with the message.
    """

    __tablename__ = "message_bodies"
    message_id: Mapped[int] = mapped_column(
        ForeignKey("outgoing_messages.id", deferrable=True), primary_key=True, autoincrement=False
    )
    body: Mapped[str]
    #: In how many parts it is sent.
    parts: Mapped[int] = mapped_column(SmallInteger)
    __table_args__ = (check("length(body) BETWEEN 1 AND 1600", "message_bodies_body_check"),)
