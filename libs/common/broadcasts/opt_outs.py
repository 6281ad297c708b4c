"""Opt-outs: who said yes and no, and what follows from it.

Every yes and no is a record by number, with the time at which it was said. The latest record counts; at the same time
a no counts before a yes. So the result depends only on the records, not on the order in which they come in, nor on how
often. `opt_outs` has a row for whoever's latest is a no.

Recording comes first and then the messages that were not sent are taken out, in one transaction. A sender that starts a
message at the same moment either committed before (the message was sent) or waits for the row and then finds it
skipped; one whose row was not visible yet (a draw under way) checks `opt_outs` and the numbers held back in the
statement that starts it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import messages, repository
from libs.common.broadcasts.suppression import opted_out
from libs.common.database import Connection, EnumText, first_row, literals, one_row
from libs.common.domain import events as e
from libs.common.domain.keywords import Wish
from libs.common.domain.states import UNREVIEWED, UNSENT, ConsentSource, Review, SkipReason
from libs.common.observability import telemetry

NEXT = timedelta(microseconds=1)
LONGEST_WORDS = 1600  # characters of a message that are kept with what it says: the longest SMS

#: Lets one transaction at a time record what a number wants: what follows is decided over all of its records.
ALONE = text("SELECT pg_advisory_xact_lock(hashtext('broadsheet.consent'), hashtext(:phone_number))")

#: A record. Of a message, which may be reported several times, the earliest time counts, and who reported it first; of
#: other sources the latest.
RECORD = text("""
INSERT INTO consent_records AS r (phone_number, record, wish, source, at, note, words, actor)
VALUES (:phone_number, :record, :wish, :source, :at, :note, :words, :actor)
ON CONFLICT (phone_number, record) DO UPDATE SET wish = excluded.wish, source = excluded.source, note = excluded.note,
    words = CASE WHEN excluded.words = '' THEN r.words ELSE excluded.words END,
    at = CASE WHEN :is_message THEN least(r.at, excluded.at) ELSE greatest(r.at, excluded.at) END,
    actor = CASE WHEN :is_message OR excluded.at < r.at THEN r.actor ELSE excluded.actor END
""")

#: What was said last. An opt-out that follows from no record is one itself.
LATEST = text(f"""
SELECT wish, source, at, record, actor FROM (
    SELECT wish, source, at, record, actor FROM consent_records WHERE phone_number = :phone_number
    UNION ALL
    SELECT '{Wish.STOP}', source, opted_out_at, NULL, actor FROM opt_outs
    WHERE phone_number = :phone_number AND record IS NULL
) AS said ORDER BY at DESC, wish = '{Wish.STOP}' DESC LIMIT 1
""").columns(wish=EnumText(Wish), source=EnumText(ConsentSource))

CONTACT = text("SELECT id FROM contacts WHERE phone_number = :phone_number")

#: Somebody unknown who says STOP becomes a contact without tags, so that events can name them by id. The row of one who
#: is known is not locked: an erasure, or another reply of theirs, would wait for it while we wait for theirs.
NEW_CONTACT = text("INSERT INTO contacts (phone_number) VALUES (:phone_number) ON CONFLICT DO NOTHING")

OPT_OUT = text("""
INSERT INTO opt_outs AS o (phone_number, contact_id, source, opted_out_at, record, actor)
VALUES (:phone_number, :contact_id, :source, :at, :record, :actor)
ON CONFLICT (phone_number) DO UPDATE SET source = excluded.source, opted_out_at = excluded.opted_out_at,
    record = excluded.record, actor = excluded.actor
RETURNING xmax = 0 AS is_new
""")
OPT_IN = text("DELETE FROM opt_outs WHERE phone_number = :phone_number RETURNING contact_id")

#: What remains of somebody who is forgotten: that they opted out.
FORGET = text("DELETE FROM consent_records WHERE phone_number = :phone_number")
ALONE_ON_RECORD = text("UPDATE opt_outs SET record = NULL WHERE phone_number = :phone_number")

#: Decides anew which messages of a number wait for a person: those after which nothing clear was said.
REVIEW = text(f"""
UPDATE replies r SET review = CASE r.review
    WHEN '{Review.WAITING}' THEN '{Review.SUPERSEDED}' ELSE '{Review.WAITING}' END
WHERE r.phone_number = :phone_number AND r.review IN {literals(UNREVIEWED)}
  AND (r.review = '{Review.SUPERSEDED}') <> (
      {opted_out("r.phone_number")}
      OR EXISTS (SELECT FROM consent_records c WHERE c.phone_number = r.phone_number AND c.at >= r.received_at))
RETURNING review
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A yes or a no that is to be recorded."""

    phone_number: str
    wish: Literal[Wish.STOP, Wish.START]
    source: ConsentSource
    #: When it was said.
    at: datetime
    #: The provider's id of the message that says it; None where nobody wrote one.
    message: str | None = None
    #: Why, in the words of whoever noted it; empty where nobody did.
    note: str = ""
    #: What the message says; empty where nobody wrote one.
    words: str = ""


@dataclass(frozen=True, slots=True)
class Latest:
    """What was said last of all that is on record of a number."""

    wish: Wish
    source: ConsentSource
    at: datetime
    #: None for an opt-out that follows from no record.
    record: str | None
    #: Who put it on record.
    actor: str


async def lock_number(connection: Connection, phone_number: str) -> None:
    """Let no other transaction record what a number wants, or hold it back, until this one ends."""
    await connection.execute(ALONE, {"phone_number": phone_number})


async def record(
    connection: Connection, said: Statement, now: datetime, *, broadcast_id: int | None = None, answers: bool = False
) -> bool:
    """Record a yes or a no, and do what follows from all that was said; True if somebody is out now and was not, or in.

    `broadcast_id` is the broadcast in question, which the message answers if `answers` says so.
    """
    who = {"phone_number": said.phone_number}
    await lock_number(connection, said.phone_number)
    at, key = said.at, said.message
    if key is None:
        latest = first_row(await connection.execute(LATEST, who), Latest)
        # What staff do comes after all that they can have known of, however close.
        at = max(at, latest.at + NEXT) if latest is not None and said.source == ConsentSource.STAFF else at
        # What was said before stays on record, with its reason, unless the same is said again.
        said_again = latest is not None and (latest.source, latest.wish) == (said.source, said.wish) and latest.record
        key = said_again or f"{said.source}:{said.wish}:{at.isoformat()}"
    await connection.execute(
        RECORD,
        {
            **who,
            "record": key,
            "wish": said.wish,
            "source": said.source,
            "at": at,
            "is_message": said.message is not None,
            "note": said.note,
            "words": said.words[:LONGEST_WORDS],
            "actor": str(database.actor_of(connection)),
        },
    )
    return await _follow(connection, said.phone_number, now, broadcast_id=broadcast_id, answers=answers)


async def _follow(
    connection: Connection, phone_number: str, now: datetime, *, broadcast_id: int | None, answers: bool
) -> bool:
    who = {"phone_number": phone_number}
    latest = one_row(await connection.execute(LATEST, who), Latest)
    if latest.wish == Wish.STOP:
        changed = await _out(connection, phone_number, latest, now, broadcast_id)
        answered = broadcast_id if answers else None
        await skip_unsent_to(connection, phone_number, SkipReason.OPTED_OUT, now, answered=answered)
    else:
        changed = await _in(connection, phone_number, latest.source, now, broadcast_id)
    await _review(connection, phone_number, now)
    return changed


async def review(connection: Connection, phone_number: str, now: datetime) -> None:
    """Decide anew which messages of a number wait for a person, now that one of them is known better."""
    await lock_number(connection, phone_number)
    await _review(connection, phone_number, now)


async def _review(connection: Connection, phone_number: str, now: datetime) -> None:
    cursor = await connection.execute(REVIEW, {"phone_number": phone_number})
    if Review.WAITING in cursor.scalars().all():
        await messages.give_back_claimed(connection, phone_number, now)


async def _out(
    connection: Connection, phone_number: str, latest: Latest, now: datetime, broadcast_id: int | None
) -> bool:
    who = {"phone_number": phone_number}
    contact_id: int | None = (await connection.execute(CONTACT, who)).scalar_one_or_none()
    if contact_id is None:
        await connection.execute(NEW_CONTACT, who)
        contact_id = int((await connection.execute(CONTACT, who)).scalar_one())
    said = {"contact_id": contact_id, "source": latest.source, "at": latest.at, "record": latest.record}
    cursor = await connection.execute(OPT_OUT, {**who, **said, "actor": latest.actor})
    is_new = bool(cursor.scalar_one())
    if not is_new:
        return False
    event = e.OptedOut(contact_id=contact_id, source=latest.source, broadcast_id=broadcast_id)
    await repository.append_events(connection, f"contact-{contact_id}", [event], now)
    database.on_commit(connection, telemetry.OPT_OUTS.labels(latest.source).inc)
    return True


async def _in(
    connection: Connection, phone_number: str, source: ConsentSource, now: datetime, broadcast_id: int | None
) -> bool:
    contact_id: int | None = (await connection.execute(OPT_IN, {"phone_number": phone_number})).scalar_one_or_none()
    if contact_id is None:
        return False
    event = e.OptedIn(contact_id=contact_id, source=source, broadcast_id=broadcast_id)
    await repository.append_events(connection, f"contact-{contact_id}", [event], now)
    return True


async def opt_out(
    connection: Connection,
    phone_number: str,
    source: ConsentSource,
    now: datetime,
    *,
    at: datetime | None = None,
    broadcast_id: int | None = None,
    note: str = "",
) -> bool:
    """Record that a number wants nothing more, and take out what was not sent to it; False if that was known.

    `at` is when they said so, now unless it is given; `note` is why, in somebody's words.
    """
    said = Statement(phone_number=phone_number, wish=Wish.STOP, source=source, at=at or now, note=note)
    return await record(connection, said, now, broadcast_id=broadcast_id, answers=source == ConsentSource.SMS)


async def opt_in(
    connection: Connection,
    phone_number: str,
    source: ConsentSource,
    now: datetime,
    *,
    at: datetime | None = None,
    broadcast_id: int | None = None,
    note: str = "",
) -> bool:
    """Record that a number wants to hear from us again; False if it never said otherwise, or has said so since.

    `at` is when they said so, now unless it is given; `note` is why, in somebody's words.
    """
    said = Statement(phone_number=phone_number, wish=Wish.START, source=source, at=at or now, note=note)
    return await record(connection, said, now, broadcast_id=broadcast_id)


def carrier_code(code: str | int) -> str:
    """Return what is noted of an opt-out that a code of the carrier's tells, such as 21610."""
    return f"code {code}"


async def forget(connection: Connection, phone_number: str) -> None:
    """Forget who said what when; an opt-out stays, as that alone."""
    for statement in (ALONE_ON_RECORD, FORGET):
        await connection.execute(statement, {"phone_number": phone_number})


async def skip_unsent_to(
    connection: Connection, phone_number: str, reason: SkipReason, now: datetime, *, answered: int | None = None
) -> None:
    """Skip every message to a number that was not sent; the second one of the broadcast `answered` as replied to."""
    unsent: dict[tuple[int, SkipReason], list[int]] = {}
    for message in await messages.lock_open_to(connection, phone_number):
        if message.state in UNSENT:
            why = SkipReason.REPLIED if message.is_second and message.broadcast_id == answered else reason
            unsent.setdefault((message.broadcast_id, why), []).append(message.id)
    # By broadcast, since their streams are locked: two who say STOP at once do not wait for each other.
    for (unsent_of, why), ids in sorted(unsent.items()):
        await messages.skip(connection, unsent_of, ids, why, now)
