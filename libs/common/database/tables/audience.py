"""Who may be messaged: numbers, contacts, consent, segments."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Identity, Index, Integer, PrimaryKeyConstraint, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from libs.common.database.enums import literals
from libs.common.database.folding import folded
from libs.common.database.tables.base import E164, NOW, Base, check
from libs.common.domain.keywords import WISHES, Wish
from libs.common.domain.sending_numbers import CarrierName
from libs.common.domain.states import ClearedBecause, ConsentSource

#: What a Messaging Service of Twilio's is called.
SERVICE_SID = "^MG[0-9a-f]{32}$"
#: From when to when, by clocks on the wall.
HOURS = "^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$"


class SendingNumber(Base):
    """Numbers that messages are sent from, and how each sends; events name them by id."""

    __tablename__ = "sending_numbers"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    phone_number: Mapped[str]
    #: Null, here and in the next three, for what the settings say: `domain/sending_numbers.py`.
    carrier: Mapped[CarrierName | None]
    #: Messages a second.
    rate: Mapped[float | None]
    #: Messages in any minute, and attempts on a day.
    minute_limit: Mapped[int | None] = mapped_column(Integer)
    daily_cap: Mapped[int | None] = mapped_column(Integer)
    #: Local time, `HH:MM-HH:MM`; null for always.
    hours: Mapped[str | None]
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    #: Twilio's Messaging Service that sends in its place; null without.
    messaging_service_sid: Mapped[str | None]
    __table_args__ = (
        UniqueConstraint("phone_number"),
        check(f"phone_number ~ '{E164}'", "sending_numbers_phone_number_check"),
        check(f"carrier IN {literals(CarrierName)}", "sending_numbers_carrier_check"),
        check("rate > 0 AND rate <= 1000", "sending_numbers_rate_check"),
        check("minute_limit > 0", "sending_numbers_minute_limit_check"),
        check("daily_cap > 0", "sending_numbers_daily_cap_check"),
        check(f"hours ~ '{HOURS}'", "sending_numbers_hours_check"),
        check(f"messaging_service_sid ~ '{SERVICE_SID}'", "sending_numbers_messaging_service_sid_check"),
    )


class MessagingService(Base):
    """Twilio's Messaging Services, and the number that each sends for, or has sent for."""

    __tablename__ = "messaging_services"
    sid: Mapped[str] = mapped_column(primary_key=True)
    #: For good: what it has sent is looked for in the carrier's log as that number's.
    sending_number_id: Mapped[int] = mapped_column(ForeignKey("sending_numbers.id"))
    __table_args__ = (check(f"sid ~ '{SERVICE_SID}'", "messaging_services_sid_check"),)


class Contact(Base):
    """A person who may be texted."""

    __tablename__ = "contacts"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    #: E.164; never changed, since history names a contact by its id. Null once erased.
    phone_number: Mapped[str | None]
    name: Mapped[str] = mapped_column(server_default="")
    tags: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    #: What else is known of them, by name: `domain/attributes.py`.
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    #: Where their clocks are, by the IANA database; null where it is not known.
    time_zone: Mapped[str | None]
    #: BCP 47; null where it is not known.
    language: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    erased_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("phone_number"),
        check(f"phone_number ~ '{E164}'", "contacts_phone_number_check"),
        check("(erased_at IS NULL) = (phone_number IS NOT NULL)", "contacts_an_erased_contact_has_no_number"),
        check("jsonb_typeof(attributes) = 'object'", "contacts_attributes_check"),
        Index("contacts_tags", "tags", postgresql_using="gin", postgresql_where=text("erased_at IS NULL")),
        # For the search by the beginnings of names.
        Index(
            "contacts_names",
            text(f"to_tsvector('simple', {folded('name')})"),
            postgresql_using="gin",
            postgresql_where=text("erased_at IS NULL"),
        ),
        Index("contacts_erased", "id", postgresql_where=text("erased_at IS NOT NULL")),
    )


class OptOut(Base):
    """Who wants no more messages.

    By number, not by contact: the number stays here when the contact is erased, so that a later import does not bring
    back somebody who said STOP.
    """

    __tablename__ = "opt_outs"
    phone_number: Mapped[str] = mapped_column(primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    source: Mapped[ConsentSource]
    opted_out_at: Mapped[datetime]
    #: Which of the number's `consent_records` it follows from.
    record: Mapped[str | None]
    #: Who put it on record, as `Actor` writes it: it stays when the record itself is forgotten.
    actor: Mapped[str]
    __table_args__ = (
        check(f"source IN {literals(ConsentSource)}", "opt_outs_source_check"),
        # For the export of the register, which has the others by their records.
        Index("opt_outs_without_record", "phone_number", postgresql_where=text("record IS NULL")),
    )


class ConsentRecord(Base):
    """Every yes and no by number; the latest is what holds."""

    __tablename__ = "consent_records"
    #: E.164.
    phone_number: Mapped[str]
    #: The provider's id of the message that says so, or who says so and what: the last time of each counts.
    record: Mapped[str]
    wish: Mapped[Wish]
    source: Mapped[ConsentSource]
    #: When it was said, not when we heard of it.
    at: Mapped[datetime]
    #: Why, in the words of staff who noted it; which import, of what a file says.
    note: Mapped[str] = mapped_column(server_default="")
    #: What somebody wrote that says so; empty where nobody wrote.
    words: Mapped[str] = mapped_column(server_default="")
    #: Who put it on record, as `Actor` writes it.
    actor: Mapped[str]
    __table_args__ = (
        PrimaryKeyConstraint("phone_number", "record"),
        check(f"wish IN {literals(WISHES)}", "consent_records_wish_check"),
        check(f"source IN {literals(ConsentSource)}", "consent_records_source_check"),
    )


class UnreachableNumber(Base):
    """Numbers that take no messages, and those brought back."""

    __tablename__ = "unreachable_numbers"
    #: E.164. Forgotten when its contact is erased.
    phone_number: Mapped[str] = mapped_column(primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    #: What the carrier said last.
    code: Mapped[str]
    #: When the first of the messages was started that failed in a row.
    since: Mapped[datetime]
    #: When it was brought back, and why; null as long as it is left out.
    cleared_at: Mapped[datetime | None]
    cleared_because: Mapped[ClearedBecause | None]
    #: The person who said so.
    cleared_by: Mapped[str | None]
    __table_args__ = (
        check(f"cleared_because IN {literals(ClearedBecause)}", "unreachable_numbers_cleared_because_check"),
        check(
            "(cleared_at IS NULL) = (cleared_because IS NULL)",
            "unreachable_numbers_what_is_cleared_says_why",
        ),
        check(
            f"(cleared_because = '{ClearedBecause.STAFF}') IS TRUE = (cleared_by IS NOT NULL)",
            "unreachable_numbers_what_staff_clear_says_who",
        ),
    )


class AudienceSegment(Base):
    """A named part of the audience."""

    __tablename__ = "audience_segments"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str]
    #: Whom it takes in (`domain/segments.py`): data, never SQL.
    filter: Mapped[dict[str, Any]]
    #: The file whose people it is, where a broadcast goes to a file; it is in no list of segments.
    import_id: Mapped[int | None] = mapped_column(ForeignKey("contact_imports.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    __table_args__ = (
        UniqueConstraint("name"),
        UniqueConstraint("import_id"),
        check("jsonb_typeof(filter) = 'object'", "audience_segments_filter_check"),
    )
