"""A person's story: every message to a number and every reply from it, in order, and what was said about consent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import text

from libs.common.broadcasts import single_messages
from libs.common.broadcasts.explanations import Explanation, Result, explain
from libs.common.broadcasts.personal_words import words_of
from libs.common.database import Connection, EnumText, all_rows
from libs.common.domain.states import Channel, SinglePurpose
from libs.common.eventstore.store import ACTOR_NAME

LONGEST = 100  # entries of a story, the newest

#: The newest messages to a number, whatever became of them. One that was not sent stands where it would have been. The
#: index is that of the number.
SENT = text(f"""
SELECT m.broadcast_id, m.is_second, m.state, m.skip_reason, s.outcome, s.twilio_sent_status AS status,
       s.twilio_error_code AS code,
       coalesce(s.twilio_sent_at, m.attempt_started_at, CASE WHEN m.is_second THEN b.second_due_at END,
                b.made_at + CASE WHEN m.is_second THEN make_interval(secs => b.second_delay) ELSE interval '0' END,
                b.run_at) AS at,
       {words_of("m", "b")} AS words
FROM outgoing_messages m
JOIN broadcasts b ON b.id = m.broadcast_id
LEFT JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id
WHERE m.recipient_phone_number = :phone_number ORDER BY m.broadcast_id DESC, m.is_second DESC LIMIT :limit
""")

#: The newest replies from a number.
WRITTEN = text("""
SELECT id, broadcast_id, received_at, body, channel, words_cut FROM replies
WHERE phone_number = :phone_number ORDER BY received_at DESC LIMIT :limit
""").columns(channel=EnumText(Channel))

#: All that was said about whether a number wants messages, the newest first.
CONSENT = text(f"""
SELECT wish, source, at, note, words, {ACTOR_NAME} AS recorded_by FROM consent_records
WHERE phone_number = :phone_number ORDER BY at DESC LIMIT :limit
""")


class Side(StrEnum):
    """Who wrote an entry of a story."""

    OURS = "ours"
    THEIRS = "theirs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A message, or a reply."""

    side: Side
    at: datetime
    words: str
    broadcast_id: int | None
    #: What became of a message; None of a reply.
    explanation: Explanation | None = None
    #: Who wrote a message that is of no broadcast; empty where it was no user. None of every other.
    written_by: str | None = None
    #: What such a message is for.
    purpose: SinglePurpose | None = None
    reply_id: int | None = None
    channel: Channel = Channel.SMS
    #: Whether the words are only the beginning of what was written.
    words_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What was written to and from a number, the oldest first."""

    entries: Sequence[Entry] = ()
    #: Whether there was more before.
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Consent:
    """A yes or a no, with who said so."""

    wish: str
    source: str
    at: datetime
    #: Why, in the words of staff; empty where nobody has said.
    note: str
    #: What somebody wrote; empty where nobody did.
    words: str
    #: The user who put it on record; None where it was no user.
    recorded_by: str | None


async def of_number(connection: Connection, phone_number: str) -> Story:
    """Return what was written to and from a number; of a long story the newest `LONGEST` entries."""
    enough = LONGEST + 1
    wanted = {"phone_number": phone_number, "limit": enough}
    entries = [
        Entry(
            side=Side.OURS,
            at=row.at,
            words=row.words,
            broadcast_id=row.broadcast_id,
            explanation=explain(
                Result(
                    is_second=row.is_second,
                    state=row.state,
                    skip_reason=row.skip_reason,
                    outcome=row.outcome,
                    status=row.status,
                    code=row.code,
                )
            ),
        )
        for row in await connection.execute(SENT, wanted)
    ]
    entries += [
        Entry(
            side=Side.OURS,
            at=each.at,
            words=each.body,
            broadcast_id=each.broadcast_id,
            explanation=each.explanation,
            written_by=each.asked_by_name or "",
            purpose=each.purpose,
        )
        for each in await single_messages.of_number(connection, phone_number, enough)
    ]
    entries += [
        Entry(
            side=Side.THEIRS,
            at=row.received_at,
            words=row.body,
            broadcast_id=row.broadcast_id,
            reply_id=row.id,
            channel=row.channel,
            words_cut=row.words_cut,
        )
        for row in await connection.execute(WRITTEN, wanted)
    ]
    entries.sort(key=lambda entry: (entry.at, entry.reply_id or 0))
    return Story(entries=entries[-LONGEST:], is_cut=len(entries) > LONGEST)


async def consent_of(connection: Connection, phone_number: str) -> Sequence[Consent]:
    """Return what was said about whether a number wants messages, the newest first."""
    rows = await connection.execute(CONSENT, {"phone_number": phone_number, "limit": LONGEST})
    return all_rows(rows, Consent)
