"""Replies: what a person who writes back wants, and that it holds. What follows from a yes or a no is in `opt_outs`."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import keyword_answers, messages, reply_record, repository, sign_ups
from libs.common.broadcasts.held_numbers import suspect
from libs.common.broadcasts.inbound import Inbound, Verdict, judge, judge_words
from libs.common.broadcasts.keyword_answers import NO_ANSWERS, Answers
from libs.common.broadcasts.opt_outs import Statement, record, review
from libs.common.broadcasts.reply_record import Recorded
from libs.common.database import Connection, Engine, EnumText, first_row, literals
from libs.common.domain import events as e
from libs.common.domain.cause import Cause
from libs.common.domain.keywords import Reason
from libs.common.domain.states import (
    BY_A_PERSON,
    REVIEWED,
    UNREVIEWED,
    CarrierWord,
    Channel,
    ReplyKind,
    Review,
    SkipReason,
)
from libs.common.eventstore import store

_KNOWN = """
SELECT id, provider_id, phone_number, contact_id, broadcast_id, body, received_at, channel, words_cut, carrier_word,
       review, review_reason, kind, ends_follow_up, sender
FROM replies
"""
_ENUMS: dict[str, EnumText[Any]] = {
    "channel": EnumText(Channel),
    "carrier_word": EnumText(CarrierWord),
    "kind": EnumText(ReplyKind),
    "review": EnumText(Review),
    "review_reason": EnumText(Reason),
}

#: Locks what is known of a message.
KNOWN = text(f"{_KNOWN} WHERE provider_id = :provider_id FOR NO KEY UPDATE").columns(**_ENUMS)

#: Locks a reply whose words are still cut.
STILL_CUT = text(f"{_KNOWN} WHERE id = :id AND words_cut FOR NO KEY UPDATE").columns(**_ENUMS)

#: Adds what was word of a message later; words that are whole are asked for no more.
LEARN = text("""
UPDATE replies SET body = :body, received_at = :received_at, carrier_word = :carrier_word, wish = :wish,
    words_cut = :words_cut, words_due_at = CASE WHEN :words_cut THEN words_due_at END,
    missive_id = CASE WHEN :words_cut THEN missive_id END, kind = :kind, ends_follow_up = :ends_follow_up,
    review = :review, review_reason = :review_reason
WHERE id = :id
""")

#: What a reply is without its writer: the provider's id stays, so that a webhook that is played again is still known.
FORGOTTEN = f"""
phone_number = NULL, sender = NULL, body = '', missive_id = NULL, words_cut = false, words_due_at = NULL,
review = CASE WHEN review IN {literals(REVIEWED)} THEN review END
"""

#: Replies to nothing that was known when they came.
UNATTRIBUTED = text(f"""
SELECT id, phone_number, written_to, received_at, kind, ends_follow_up FROM replies
WHERE received_at >= :since AND broadcast_id IS NULL AND phone_number IS NOT NULL AND channel = '{Channel.SMS}'
ORDER BY received_at, id FOR NO KEY UPDATE
""").columns(kind=EnumText(ReplyKind))
ATTRIBUTE = text("UPDATE replies SET broadcast_id = :broadcast_id, contact_id = :contact_id WHERE id = :id")


@dataclass(frozen=True, slots=True)
class KnownReply:
    """What is on record of a reply."""

    id: int
    provider_id: str
    #: E.164; None where it came from no phone number, or was forgotten.
    phone_number: str | None
    contact_id: int | None
    broadcast_id: int | None
    body: str
    received_at: datetime
    channel: Channel
    words_cut: bool
    carrier_word: CarrierWord | None
    review: Review | None
    review_reason: Reason | None
    kind: ReplyKind
    ends_follow_up: bool
    sender: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Whose message it is that something follows from, and what it answers."""

    provider_id: str
    phone_number: str | None
    #: None for a message that is not kept as a reply.
    reply_id: int | None = None
    broadcast_id: int | None = None
    contact_id: int | None = None
    words: str = ""


def ends(kind: ReplyKind, ended_by: Collection[ReplyKind]) -> bool:
    """Whether a message of a kind ends its writer's follow-up; a person's own words always do."""
    return kind is ReplyKind.OWN_WORDS or kind in ended_by


async def receive(
    connection: Connection,
    inbound: Inbound,
    now: datetime,
    *,
    ended_by: Collection[ReplyKind] = BY_A_PERSON,
    answers: Answers = NO_ANSWERS,
) -> bool:
    """Record a reply and do what it asks for; False if it was recorded before, which may still add to it.

    Any reply to a broadcast takes out that person's second message, if it is of a kind that ends it (`ended_by`); STOP
    takes out everything. `answers` are sent to who asks for HELP, or says START after a STOP; who texts a keyword signs
    up.
    """
    verdict = judge(inbound)
    cursor = await connection.execute(
        reply_record.RECORD,
        reply_record.parameters(
            inbound, verdict, store.origin(connection, now), ends_follow_up=ends(verdict.kind, ended_by)
        ),
    )
    reply = first_row(cursor, Recorded)
    if reply is None:
        await _learn(connection, inbound, now, ended_by)
        return False
    store.count(connection, *reply.events)
    about = About(
        reply_id=reply.id,
        provider_id=inbound.provider_id,
        phone_number=inbound.phone_number,
        broadcast_id=reply.broadcast_id,
        contact_id=reply.contact_id,
        words=inbound.body,
    )
    is_changed = await _follow(
        connection, about, verdict, inbound.received_at, now, is_suspected=verdict.reason is not None
    )
    answer = keyword_answers.choose(inbound, verdict, answers, is_in_again=is_changed)
    if answer is not None:
        await keyword_answers.send(connection, inbound, reply, answer, answers.own_numbers, now)
    elif verdict.word is not None and answers.own_numbers:
        await sign_ups.heed(connection, inbound, reply, verdict.word, answers.own_numbers, now)
    return True


async def receive_alone(
    engine: Engine,
    cause: Cause,
    inbound: Inbound,
    now: datetime,
    *,
    ended_by: Collection[ReplyKind] = BY_A_PERSON,
    answers: Answers = NO_ANSWERS,
) -> bool:
    """Record a reply that asks for nothing, in one statement and without a transaction around it.

    Return False, with nothing of it recorded, if `receive` has to take it: it asks for something, or was recorded
    before.
    """
    verdict = judge(inbound)
    if verdict.wish is not None or verdict.reason is not None:
        return False
    if keyword_answers.choose(inbound, verdict, answers, is_in_again=False) is not None:
        return False
    values = reply_record.parameters(
        inbound,
        verdict,
        store.origin_of(cause, now),
        ends_follow_up=ends(verdict.kind, ended_by),
        unless_it_signs_up=bool(answers.own_numbers),
    )
    reply = await database.execute_alone(engine, reply_record.RECORD, values, Recorded)
    if reply is None:
        return False
    store.count_committed(reply.events)
    return True


async def heed(connection: Connection, inbound: Inbound, now: datetime) -> bool:
    """Do what a message asks for that is no reply, since it seems to come from a number of ours; True if it asks."""
    verdict = judge(inbound)
    if verdict.wish is None:
        return False
    about = About(provider_id=inbound.provider_id, phone_number=inbound.phone_number, words=inbound.body)
    await _follow(connection, about, verdict, inbound.received_at, now, is_suspected=False)
    return True


async def _learn(connection: Connection, inbound: Inbound, now: datetime, ended_by: Collection[ReplyKind]) -> None:
    """Add what is word of a message that is on record: an earlier time, the carrier's word, the whole of its words.

    The carrier's word counts once, and by the place of its message in time. What was forgotten is not learned again.
    """
    known = first_row(await connection.execute(KNOWN, {"provider_id": inbound.provider_id}), KnownReply)
    if known is None or (known.phone_number, known.channel) != (inbound.phone_number, inbound.channel):
        return
    await complete(
        connection,
        known,
        now,
        body=None if inbound.is_cut else inbound.body,
        received_at=inbound.received_at,
        carrier_word=inbound.carrier_word,
        ended_by=ended_by,
    )


async def lock_cut(connection: Connection, reply_id: int) -> KnownReply | None:
    """Lock a reply and return it; None if its words are known by now, or it was forgotten."""
    return first_row(await connection.execute(STILL_CUT, {"id": reply_id}), KnownReply)


async def complete(
    connection: Connection,
    known: KnownReply,
    now: datetime,
    *,
    body: str | None,
    received_at: datetime | None = None,
    carrier_word: CarrierWord | None = None,
    ended_by: Collection[ReplyKind] = BY_A_PERSON,
) -> None:
    """Add to a message what was not known of it: words where they were cut, time, carrier's word."""
    is_whole = body is not None and known.words_cut
    words = body if body is not None and is_whole else known.body
    at = min(known.received_at, received_at or known.received_at)
    word = known.carrier_word or carrier_word
    if not is_whole and (at, word) == (known.received_at, known.carrier_word):
        return
    verdict = judge_words(words, word, known.channel, known.phone_number, sender=known.sender)
    # What a message has ended stays so, whatever its other words make of it.
    ends_follow_up = known.ends_follow_up or ends(verdict.kind, ended_by)
    is_open = known.review is None or known.review in UNREVIEWED
    is_suspected = known.review is None and verdict.reason is not None
    in_review = (known.review or Review.WAITING) if verdict.reason else None
    await connection.execute(
        LEARN,
        {
            "id": known.id,
            "body": words,
            "received_at": at,
            "carrier_word": word,
            "wish": verdict.wish,
            "words_cut": known.words_cut and not is_whole,
            "kind": verdict.kind,
            "ends_follow_up": ends_follow_up,
            "review": in_review if is_open else known.review,
            "review_reason": verdict.reason if is_open else known.review_reason,
        },
    )
    about = About(
        reply_id=known.id,
        provider_id=known.provider_id,
        phone_number=known.phone_number,
        broadcast_id=known.broadcast_id,
        contact_id=known.contact_id,
        words=words,
    )
    if ends_follow_up and not known.ends_follow_up and known.broadcast_id and known.contact_id:
        await messages.skip_second(connection, known.broadcast_id, known.contact_id, SkipReason.REPLIED, now)
    await _follow(connection, about, verdict, at, now, is_suspected=is_suspected)


async def _follow(
    connection: Connection, about: About, verdict: Verdict, at: datetime, now: datetime, *, is_suspected: bool
) -> bool:
    """Do what follows from a message that is on record: a yes, a no, or that a person has to look.

    Return whether somebody is out now and was not, or in.
    """
    number = about.phone_number
    if verdict.wish is not None:
        assert number is not None  # nobody without a number is judged to say yes or no
        said = Statement(
            phone_number=number,
            wish=verdict.wish,
            source=verdict.source,
            at=at,
            message=about.provider_id,
            words=about.words,
        )
        return await record(connection, said, now, broadcast_id=about.broadcast_id, answers=True)
    if is_suspected:
        assert verdict.reason is not None
        assert about.reply_id is not None
        await suspect(connection, number, about.reply_id, about.contact_id, verdict.reason, now, about.broadcast_id)
    elif verdict.reason is not None and number is not None:
        await review(connection, number, now)
    return False


async def attribute(connection: Connection, since: datetime, now: datetime) -> int:
    """Have replies since then that answered nothing known answer what is known now; return how many do.

    While a restored database is not settled, the messages that people reply to are not known to have been sent.
    """
    cursor = await connection.execute(UNATTRIBUTED, {"since": since})
    found = 0
    for reply_id, phone_number, written_to, received_at, kind, ends_follow_up in cursor.tuples().all():
        who = {"phone_number": phone_number, "received_at": received_at, "to": written_to, "service": None}
        answered = (await connection.execute(reply_record.ANSWERED, who)).one_or_none()
        if answered is None:
            continue
        broadcast_id, contact_id = answered
        answer = {"id": reply_id, "broadcast_id": broadcast_id, "contact_id": contact_id}
        await connection.execute(ATTRIBUTE, answer)
        event = e.ReplyReceived(broadcast_id=broadcast_id, contact_id=contact_id, reply_id=reply_id, kind=kind)
        await repository.append_events(connection, store.stream(broadcast_id, "replies"), [event], now)
        if ends_follow_up:
            await messages.skip_second(connection, broadcast_id, contact_id, SkipReason.REPLIED, now)
        found += 1
    return found
