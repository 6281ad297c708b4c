"""Messages that are of no broadcast."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, Integer, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from libs.common.database.enums import literals
from libs.common.database.tables.base import E164, NEVER, Base, check
from libs.common.domain.states import ATTEMPTED, SINGLE, MessageState, SinglePurpose, SkipReason


class SingleMessage(Base):
    """Messages to one person that are of no broadcast: answers to replies and to keywords, and tests."""

    __tablename__ = "single_messages"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    #: Made where it is asked for: asked for twice, it is one message.
    request_id: Mapped[UUID]
    purpose: Mapped[SinglePurpose]
    #: E.164; null once it was forgotten, and so are the words.
    phone_number: Mapped[str | None]
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"))
    #: What it answers.
    reply_id: Mapped[int | None] = mapped_column(ForeignKey("replies.id"))
    #: The broadcast whose words it tries, or that the reply answers.
    broadcast_id: Mapped[int | None] = mapped_column(ForeignKey("broadcasts.id", deferrable=True))
    sending_number_id: Mapped[int] = mapped_column(ForeignKey("sending_numbers.id"))
    body: Mapped[str]
    asked_at: Mapped[datetime]
    #: Who asked for it: `domain/actors.py`.
    asked_by: Mapped[str]
    state: Mapped[MessageState] = mapped_column(server_default=MessageState.PENDING)
    skip_reason: Mapped[SkipReason | None]
    #: Names the attempt: an answer belongs to the attempt that asked.
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    #: Attempts that count towards MAX_ATTEMPTS.
    failures: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    attempt_started_at: Mapped[datetime | None]
    not_before: Mapped[datetime] = mapped_column(server_default=NEVER)
    missive_id: Mapped[str | None]
    missive_conversation_id: Mapped[str | None]
    twilio_id: Mapped[str | None]
    twilio_sent_at: Mapped[datetime | None]
    #: What the log or a delivery report says. Unknown words are kept as they are.
    twilio_sent_status: Mapped[str | None]
    twilio_error_code: Mapped[str | None]
    #: When the carrier's log is looked at for it; null once that would tell nothing more.
    look_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("request_id"),
        # An entry of the carrier's log is one message's at most.
        UniqueConstraint("twilio_id"),
        check(f"purpose IN {literals(SinglePurpose)}", "single_messages_purpose_check"),
        check(
            f"(purpose = '{SinglePurpose.TEST}') = (reply_id IS NULL)",
            "single_messages_an_answer_names_its_reply",
        ),
        check(f"phone_number ~ '{E164}'", "single_messages_phone_number_check"),
        check(f"state IN {literals(SINGLE)}", "single_messages_state_check"),
        check(f"skip_reason IN {literals(SkipReason)}", "single_messages_skip_reason_check"),
        check(
            f"(state = '{MessageState.SKIPPED}') = (skip_reason IS NOT NULL)",
            "single_messages_a_skipped_message_says_why",
        ),
        check(
            f"state NOT IN {literals(ATTEMPTED)} OR (attempts > 0 AND attempt_started_at IS NOT NULL)",
            "single_messages_an_attempt_is_on_record",
        ),
        check(
            f"phone_number IS NOT NULL OR state <> '{MessageState.PENDING}'",
            "single_messages_what_may_be_sent_has_a_number",
        ),
        check("length(body) <= 1600", "single_messages_body_check"),
        check("asked_by LIKE '_%:%_'", "single_messages_asked_by_check"),
        # What is to be sent, what is under way, and what the log is to be asked for: a few rows each.
        Index(
            "single_messages_pending", "not_before", "id", postgresql_where=text(f"state = '{MessageState.PENDING}'")
        ),
        Index(
            "single_messages_started", "attempt_started_at", postgresql_where=text(f"state = '{MessageState.STARTED}'")
        ),
        # What a person is told of: a few rows.
        Index(
            "single_messages_uncertain",
            "attempt_started_at",
            postgresql_where=text(f"state = '{MessageState.UNCERTAIN}'"),
        ),
        Index("single_messages_look", "look_at", postgresql_where=text("look_at IS NOT NULL")),
        Index("single_messages_number", "phone_number", "id"),
        Index("single_messages_reply", "reply_id", "id"),
        Index("single_messages_broadcast", "broadcast_id", "id"),
        Index("single_messages_contact", "contact_id"),
        # Those of the last minute, which have a limit, and of the last hour, which the form shows.
        Index("single_messages_tests", "asked_at", postgresql_where=text(f"purpose = '{SinglePurpose.TEST}'")),
    )
