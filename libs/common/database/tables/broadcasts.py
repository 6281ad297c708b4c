"""Broadcasts, and the steps that are planned for them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, PrimaryKeyConstraint, Sequence, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from libs.common.database.enums import literals
from libs.common.database.tables.base import Base, check
from libs.common.domain.states import SENDING, UNMADE, BroadcastState, Late, LeftOut, SegmentRole

BROADCAST_IDS = Sequence("broadcast_ids", metadata=Base.metadata)


#: Seven times of day, some of them empty, and not all.
WEEK = (
    "week = '{}' OR (recurring AND array_to_string(week, '') <> '' AND array_to_string(week, ',') ~"
    " '^(([01][0-9]|2[0-3]):[0-5][0-9])?(,(([01][0-9]|2[0-3]):[0-5][0-9])?){6}$')"
)


class Broadcast(Base):
    """A broadcast as its events left it."""

    __tablename__ = "broadcasts"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[BroadcastState]
    run_at: Mapped[datetime]
    first_message: Mapped[str]
    #: NULL for a broadcast without a follow-up; the CHECK keeps it from being blank.
    second_message: Mapped[str | None]
    #: Seconds.
    second_delay: Mapped[int] = mapped_column(Integer)
    max_recipients: Mapped[int] = mapped_column(Integer)
    #: The frequency cap of its own: at most so many texts within so many days.
    cap_texts: Mapped[int | None] = mapped_column(Integer)
    cap_days: Mapped[int | None] = mapped_column(Integer)
    sending_number_id: Mapped[int] = mapped_column(ForeignKey("sending_numbers.id"))
    #: Further numbers that it is sent from: ids of `sending_numbers`. Whom it is made for keeps a number of these.
    pool: Mapped[list[int]] = mapped_column(server_default=text("'{}'"))
    recurring: Mapped[bool]
    #: `HH:MM` of each weekday from Monday on, empty where it leaves one out; no items where it goes on working days.
    week: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    #: It goes to nobody, and its time may come and go.
    draft: Mapped[bool] = mapped_column(server_default=text("false"))
    #: What its conversations are labelled in Missive, by the label's name; empty where they are not.
    label: Mapped[str] = mapped_column(server_default="")
    #: What becomes of a message that would come too late in the day for its recipient.
    late: Mapped[Late] = mapped_column(server_default=Late.WAIT)
    #: Who wrote it, or changed it last, and who approved it as it is: `domain/actors.py`.
    author: Mapped[str] = mapped_column(server_default="")
    approved_by: Mapped[str | None]
    #: One broadcast makes at most one next, whoever makes it.
    previous_id: Mapped[int | None]
    seed: Mapped[int | None]
    recipients: Mapped[int | None] = mapped_column(Integer)
    next_broadcast_id: Mapped[int | None]
    made_at: Mapped[datetime | None]
    #: No message leaves before this, so that it can be called back.
    hold_until: Mapped[datetime | None]
    missed_reason: Mapped[str | None]
    #: Where a paused broadcast goes on.
    paused_from: Mapped[BroadcastState | None]
    pause_reason: Mapped[str | None]
    second_due_at: Mapped[datetime | None]
    sync_started_at: Mapped[datetime | None]
    #: The page of the carrier's log to read next.
    twilio_paging: Mapped[str | None]
    completed_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("previous_id"),
        check(f"state IN {literals(BroadcastState)}", "broadcasts_state_check"),
        check("length(first_message) >= 1 AND length(first_message) <= 1600", "broadcasts_first_message_check"),
        check("length(second_message) >= 1 AND length(second_message) <= 1600", "broadcasts_second_message_check"),
        check(WEEK, "broadcasts_week_check"),
        # Nobody waits for a follow-up that there is not.
        check("second_due_at IS NULL OR second_message IS NOT NULL", "broadcasts_only_a_follow_up_is_due"),
        check(
            f"NOT draft OR state IN {literals((BroadcastState.SCHEDULED, BroadcastState.CANCELLED))}",
            "broadcasts_a_draft_goes_to_nobody",
        ),
        # It takes two.
        check("approved_by <> author", "broadcasts_nobody_approves_what_they_wrote"),
        check(f"late IN {literals(Late)}", "broadcasts_late_check"),
        check("second_delay >= 0", "broadcasts_second_delay_check"),
        check("max_recipients > 0", "broadcasts_max_recipients_check"),
        check("(cap_texts IS NULL) = (cap_days IS NULL)", "broadcasts_a_cap_is_texts_within_days"),
        check("cap_texts > 0 AND cap_days > 0", "broadcasts_cap_check"),
        check(f"paused_from IN {literals(SENDING)}", "broadcasts_paused_from_check"),
        check(
            f"(state = '{BroadcastState.PAUSED}') = (paused_from IS NOT NULL)",
            "broadcasts_a_paused_broadcast_knows_where_it_goes_on",
        ),
        check(
            f"state IN {literals(UNMADE)} OR (made_at IS NOT NULL AND recipients > 0)",
            "broadcasts_a_made_broadcast_has_recipients",
        ),
        check(
            f"state <> '{BroadcastState.WAITING}' OR second_due_at IS NOT NULL",
            "broadcasts_a_waiting_broadcast_knows_until_when",
        ),
        Index(
            "broadcasts_under_way",
            "run_at",
            postgresql_where=text(f"completed_at IS NULL AND state <> '{BroadcastState.MISSED}'"),
        ),
    )


class BroadcastSegment(Base):
    """What a segment is to a broadcast, its share, and what it gave."""

    __tablename__ = "broadcasts_segments"
    broadcast_id: Mapped[int] = mapped_column(ForeignKey("broadcasts.id", deferrable=True))
    #: Deferred in a rebuild: a broadcast may have named for a time a segment that was deleted since.
    segment_id: Mapped[int] = mapped_column(ForeignKey("audience_segments.id", deferrable=True))
    role: Mapped[SegmentRole]
    #: Among those of its role.
    position: Mapped[int] = mapped_column(Integer)
    #: Percent of what the others leave of `max_recipients`, or a number of people; with neither it gives everybody.
    ratio: Mapped[float | None]
    count: Mapped[int | None] = mapped_column(Integer)
    quota: Mapped[int | None] = mapped_column(Integer)
    drawn: Mapped[int | None] = mapped_column(Integer)
    #: Whom the segment took in when the broadcast was made; null before.
    filter: Mapped[dict[str, Any] | None]
    __table_args__ = (
        PrimaryKeyConstraint("broadcast_id", "segment_id"),
        check(f"role IN {literals(SegmentRole)}", "broadcasts_segments_role_check"),
        check("ratio > 0 AND ratio <= 100", "broadcasts_segments_ratio_check"),
        check("count > 0", "broadcasts_segments_count_check"),
        check(
            f"num_nonnulls(ratio, count) <= CASE role WHEN '{SegmentRole.SHARE}' THEN 1 ELSE 0 END",
            "broadcasts_segments_a_share_is_of_one_kind",
        ),
        Index(
            "broadcasts_segments_one_fallback",
            "broadcast_id",
            unique=True,
            postgresql_where=text(f"role = '{SegmentRole.FALLBACK}'"),
        ),
        check("drawn <= quota", "broadcasts_segments_no_segment_gives_more_than_its_quota"),
    )


class BroadcastLeftOut(Base):
    """How many people of a broadcast's segments were left out when it was made, by the reason."""

    __tablename__ = "broadcasts_left_out"
    broadcast_id: Mapped[int] = mapped_column(ForeignKey("broadcasts.id", deferrable=True))
    reason: Mapped[LeftOut]
    people: Mapped[int] = mapped_column(Integer)
    __table_args__ = (
        PrimaryKeyConstraint("broadcast_id", "reason"),
        check(f"reason IN {literals(LeftOut)}", "broadcasts_left_out_reason_check"),
        check("people > 0", "broadcasts_left_out_people_check"),
    )


class BroadcastParts(Base):
    """How many of a broadcast's messages need so many parts, where people get their own words."""

    __tablename__ = "broadcasts_parts"
    broadcast_id: Mapped[int] = mapped_column(ForeignKey("broadcasts.id", deferrable=True))
    is_second: Mapped[bool]
    parts: Mapped[int] = mapped_column(SmallInteger)
    messages: Mapped[int] = mapped_column(Integer)
    __table_args__ = (
        PrimaryKeyConstraint("broadcast_id", "is_second", "parts"),
        check("parts > 0 AND messages > 0", "broadcasts_parts_check"),
    )


class Batch(Base):
    """Messages that one worker sends within a minute."""

    __tablename__ = "batches"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    broadcast_id: Mapped[int] = mapped_column(ForeignKey("broadcasts.id", deferrable=True))
    is_second: Mapped[bool]
    #: Of which of the broadcast's numbers its messages are.
    pool_index: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    #: When the step is due; a step overdue and not opened is emitted again.
    due_at: Mapped[datetime]
    #: Rises with every delivery; a worker whose fence is older has lost the batch.
    fence: Mapped[int] = mapped_column(server_default=text("0"))
    lease_until: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    traceparent: Mapped[str | None]
    __table_args__ = (Index("batches_open", "broadcast_id", "is_second", postgresql_where=text("closed_at IS NULL")),)


class Sync(Base):
    """The pass over the carrier's log that is planned, under way, or was the last."""

    __tablename__ = "syncs"
    broadcast_id: Mapped[int] = mapped_column(ForeignKey("broadcasts.id", deferrable=True), primary_key=True)
    number: Mapped[int] = mapped_column(Integer)
    #: When that pass is due; null once it is over.
    due_at: Mapped[datetime | None]
    traceparent: Mapped[str | None]


class Settling(Base):
    """The look at a broadcast's uncertain messages that is planned or under way."""

    __tablename__ = "settlings"
    broadcast_id: Mapped[int] = mapped_column(ForeignKey("broadcasts.id", deferrable=True), primary_key=True)
    #: A step of another number does nothing.
    number: Mapped[int] = mapped_column(Integer)
    #: When it is due, or until when whoever makes it is left alone; null where none is needed.
    due_at: Mapped[datetime | None]
    traceparent: Mapped[str | None]
