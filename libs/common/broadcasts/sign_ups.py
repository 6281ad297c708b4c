"""Sign-up by keyword: who texts a word that the organisation has chosen gets its tag, and a welcome.

Where the keyword asks for a second yes, the first text is answered with a question alone. Until a YES comes, within a
day, nothing is recorded as consent, nobody is added to the contacts or tagged, and nothing else is sent: a segment
draws nobody for it. A STOP in between makes the question void.

It runs alone with what a number wants (`opt_outs.lock_number`), once for each message, however often that is reported.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from libs.common.broadcasts import keyword_answers, opt_outs
from libs.common.broadcasts.inbound import Inbound
from libs.common.broadcasts.keyword_answers import Chosen
from libs.common.broadcasts.opt_outs import NEW_CONTACT, Statement
from libs.common.broadcasts.reply_record import Recorded
from libs.common.broadcasts.suppression import opted_out
from libs.common.database import Connection, first_row, one_row
from libs.common.domain import keyword_phrases
from libs.common.domain.events.registers import ContactChanged, SignedUp
from libs.common.domain.keywords import Wish
from libs.common.domain.states import ConsentSource, SinglePurpose
from libs.common.eventstore import store

A_DAY = timedelta(hours=24)  # within which a yes answers a question

#: A keyword, which stays until the transaction ends.
KEYWORD = text("SELECT id, word, tag, welcome, question FROM sign_up_keywords WHERE word = :word FOR KEY SHARE")

ASK = text("""
INSERT INTO sign_ups (phone_number, keyword_id, asked_at, words) VALUES (:phone_number, :keyword_id, :at, :words)
ON CONFLICT (phone_number, keyword_id) DO UPDATE SET asked_at = excluded.asked_at, words = excluded.words
""")

#: Takes the last question to a number, which a yes answers, with its keyword; none where they said no since.
ANSWER = text(f"""
WITH last AS (
    SELECT phone_number, keyword_id FROM sign_ups
    WHERE phone_number = :phone_number AND asked_at > :since AND NOT {opted_out(":phone_number")}
    ORDER BY asked_at DESC, keyword_id LIMIT 1
), taken AS (
    DELETE FROM sign_ups s USING last
    WHERE s.phone_number = last.phone_number AND s.keyword_id = last.keyword_id RETURNING s.keyword_id
)
SELECT k.id, k.word, k.tag, k.welcome, k.question FROM sign_up_keywords k JOIN taken ON taken.keyword_id = k.id
""")

#: Whether somebody is out, by all that is on record.
IS_OUT = text(f"SELECT {opted_out(':phone_number')}")

#: Tags whoever has a number, with whether that is new.
TAG = text("""
WITH who AS (
    SELECT id, tags @> ARRAY[CAST(:tag AS text)] AS has_it FROM contacts WHERE phone_number = :phone_number
    FOR NO KEY UPDATE
), tagged AS (
    UPDATE contacts c SET tags = ARRAY(SELECT DISTINCT t FROM unnest(c.tags || CAST(:tag AS text)) AS t ORDER BY t)
    FROM who WHERE c.id = who.id AND NOT who.has_it
)
SELECT id, NOT has_it AS is_new FROM who
""")

#: What is forgotten with a person, and what ran out.
FORGET = text("DELETE FROM sign_ups WHERE phone_number = :phone_number")
FORGET_OLD = text("DELETE FROM sign_ups WHERE asked_at < :before")


@dataclass(frozen=True, slots=True)
class Keyword:
    """A word that people text to get messages."""

    id: int
    word: str
    tag: str
    welcome: str
    #: None where the word alone is enough.
    question: str | None


@dataclass(frozen=True, slots=True)
class _Tagged:
    """A contact, and whether they had not had the tag."""

    id: int
    is_new: bool


async def heed(
    connection: Connection, inbound: Inbound, reply: Recorded, word: str, own_numbers: tuple[str, ...], now: datetime
) -> None:
    """Do what follows from a word that somebody wrote: sign them up, ask them, or nothing."""
    assert inbound.phone_number is not None  # a word is asked of nobody else
    await opt_outs.lock_number(connection, inbound.phone_number)
    note, keyword = "", first_row(await connection.execute(KEYWORD, {"word": word}), Keyword)
    if keyword is None and word in keyword_phrases.YES:
        which = {"phone_number": inbound.phone_number, "since": inbound.received_at - A_DAY}
        keyword = first_row(await connection.execute(ANSWER, which), Keyword)
        note = ", confirmed"
    elif keyword is not None and keyword.question is not None:
        question = Chosen(SinglePurpose.QUESTION, keyword.question)
        if await keyword_answers.send(connection, inbound, reply, question, own_numbers, now):
            asked = {"phone_number": inbound.phone_number, "keyword_id": keyword.id, "at": inbound.received_at}
            await connection.execute(ASK, {**asked, "words": inbound.body[: opt_outs.LONGEST_WORDS]})
        return
    if keyword is not None:
        await _sign_up(connection, inbound, reply, keyword, f"keyword {keyword.word.upper()}{note}", own_numbers, now)


async def _sign_up(
    connection: Connection,
    inbound: Inbound,
    reply: Recorded,
    keyword: Keyword,
    note: str,
    own_numbers: tuple[str, ...],
    now: datetime,
) -> None:
    """Record somebody's consent, and tag and welcome them; nothing more where they have said no since."""
    assert inbound.phone_number is not None
    who = {"phone_number": inbound.phone_number}
    said = Statement(
        phone_number=inbound.phone_number,
        wish=Wish.START,
        source=ConsentSource.KEYWORD,
        at=inbound.received_at,
        message=inbound.provider_id,
        note=note,
        words=inbound.body,
    )
    await opt_outs.record(connection, said, now)
    if (await connection.execute(IS_OUT, who)).scalar_one():
        return
    await connection.execute(NEW_CONTACT, who)
    tagged = one_row(await connection.execute(TAG, {**who, "tag": keyword.tag}), _Tagged)
    events = [SignedUp(contact_id=tagged.id, keyword_id=keyword.id)]
    changed = [ContactChanged(contact_id=tagged.id, fields=("tags",))] if tagged.is_new else []
    await store.append(connection, f"contact-{tagged.id}", [*events, *changed], now=now)
    welcome = Chosen(SinglePurpose.WELCOME, keyword.welcome)
    await keyword_answers.send(connection, inbound, reply, welcome, own_numbers, now)
