"""Replies as staff see them, read from the tables.

What an index finds narrows a list down at once. What has to be looked at reply by reply (words, a phase, a segment) is
looked for among a bounded number of them: a page may hold fewer than asked for, and its cursor goes on behind what was
looked at.
"""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import TextClause, TextualSelect, text

from libs.common import phone_numbers
from libs.common.broadcasts.personal_words import words_of
from libs.common.broadcasts.suppression import opted_out
from libs.common.carriers import missive
from libs.common.database import Connection, EnumText, all_rows, first_row, folded, literals
from libs.common.domain.keywords import REASONS, Reason
from libs.common.domain.states import UNANSWERED, CarrierWord, Channel, MessageState, ReplyKind, Review
from libs.common.errors import NotFound
from services.api import search_patterns
from services.api.replies.schemas import Reply
from services.api.schemas import Page

LOOKED_AT = 5000  # replies that one page looks at one by one: some tens of milliseconds

#: Whether a reply, as `r`, came after the follow-up of the broadcast that it answers had begun to leave.
ANSWERS_SECOND = f"""
EXISTS (SELECT FROM outgoing_messages m WHERE m.broadcast_id = r.broadcast_id AND m.contact_id = r.contact_id
        AND m.is_second AND m.state IN {literals((*UNANSWERED, MessageState.ACCEPTED))}
        AND m.attempt_started_at <= r.received_at)
"""


def _answered(column: str, phase: str) -> str:
    """Return the expression for the words of a phase as the writer of `r` got them, of its broadcast `b`."""
    return f"""
    CASE WHEN position('{{{{' IN b.{column}) = 0 THEN b.{column}
         ELSE (SELECT {words_of("m", "b")} FROM outgoing_messages m
               WHERE m.broadcast_id = r.broadcast_id AND m.contact_id = r.contact_id AND {phase}) END"""


#: What is shown of replies, as `r`. The first message of the broadcast says by which segment its writer was chosen.
_SELECT = f"""
SELECT r.id, r.received_at, r.channel, r.kind, r.ends_follow_up, r.phone_number, r.written_to, r.sender, r.contact_id,
       c.name, r.broadcast_id,
       CASE WHEN r.broadcast_id IS NOT NULL THEN {ANSWERS_SECOND} END AS is_second, f.segment_id, a.name AS segment,
       {_answered("first_message", "NOT m.is_second")} AS first_message,
       {_answered("second_message", "m.is_second")} AS second_message, r.body, r.words_cut, r.wish,
       r.carrier_word, r.review, r.review_reason, r.reviewed_at, r.reviewed_by, r.read_at, r.read_by, r.assigned_to,
       w.name AS assigned_to_name, r.assigned_by,
       r.done_at, r.done_by,
       coalesce(k.merged_into, r.missive_conversation_id, s.missive_conversation_id) AS conversation,
       {opted_out("r.phone_number")} AS opted_out
FROM {{source}} r
LEFT JOIN contacts c ON c.id = r.contact_id
LEFT JOIN broadcasts b ON b.id = r.broadcast_id
LEFT JOIN outgoing_messages f ON f.broadcast_id = r.broadcast_id AND f.contact_id = r.contact_id AND NOT f.is_second
LEFT JOIN broadcast_sent_message_status s ON s.outgoing_message_id = f.id
LEFT JOIN missive_conversations k ON k.id = coalesce(r.missive_conversation_id, s.missive_conversation_id)
LEFT JOIN audience_segments a ON a.id = f.segment_id
LEFT JOIN users w ON w.id = r.assigned_to
"""

_ENUMS: dict[str, EnumText[Any]] = {
    "channel": EnumText(Channel),
    "kind": EnumText(ReplyKind),
    "carrier_word": EnumText(CarrierWord),
    "review": EnumText(Review),
    "review_reason": EnumText(Reason),
}

#: One reply.
ONE = text(f"{_SELECT.format(source='replies')} WHERE r.id = :id").columns(**_ENUMS)

#: What narrows a list of replies down, by an index.
NARROWED = {
    "broadcast_id": "r.broadcast_id = :broadcast_id",
    "waiting": f"r.review = '{Review.WAITING}'",
    "not waiting": f"r.review IS DISTINCT FROM '{Review.WAITING}'",
    "unread": "r.read_at IS NULL",
    "seen": "r.read_at IS NOT NULL",
    "assigned_to": "r.assigned_to = :assigned_to",
    "done": "r.done_at IS NOT NULL",
    "open": "r.done_at IS NULL",
    "number": "r.phone_number = :number",
    **{str(kind): f"r.kind = '{kind}'" for kind in ReplyKind},
}

_WORDS = folded("CAST(:words AS text)")

#: What is looked for reply by reply.
LOOKED_FOR = {
    "first": f"r.broadcast_id IS NOT NULL AND NOT {ANSWERS_SECOND}",
    "second": ANSWERS_SECOND,
    "segment_id": "f.segment_id = :segment_id",
    "opted out": """EXISTS (SELECT FROM events e WHERE e.broadcast_id = r.broadcast_id AND e.type = 'OptedOut'
                    AND e.data ->> 'contact_id' = CAST(r.contact_id AS text))""",
    "words": f"""({folded("r.body")} LIKE {_WORDS} OR {folded("c.name")} LIKE {_WORDS}
                 OR {folded("r.sender")} LIKE {_WORDS} OR (:digits <> '' AND r.phone_number LIKE :digits))""",
}


@dataclass(frozen=True, slots=True)
class ReplyRow:
    """A reply as it is stored, with the names of who wrote it and whose it is."""

    id: int
    received_at: datetime
    channel: Channel
    kind: ReplyKind
    ends_follow_up: bool
    phone_number: str | None
    written_to: str | None
    sender: str | None
    contact_id: int | None
    name: str | None
    broadcast_id: int | None
    is_second: bool | None
    segment_id: int | None
    segment: str | None
    #: Those of the broadcast that it answers.
    first_message: str | None
    second_message: str | None
    body: str
    words_cut: bool
    wish: str | None
    carrier_word: CarrierWord | None
    review: Review | None
    review_reason: Reason | None
    reviewed_at: datetime | None
    reviewed_by: str | None
    read_at: datetime | None
    read_by: str | None
    assigned_to: int | None
    assigned_to_name: str | None
    assigned_by: str | None
    done_at: datetime | None
    done_by: str | None
    #: Missive's, where it is known.
    conversation: str | None
    opted_out: bool

    @property
    def answers(self) -> str | None:
        """The text that it answers."""
        return self.second_message if self.is_second else self.first_message

    @property
    def likely_opt_out(self) -> bool:
        """Whether a person has to look."""
        return self.review is Review.WAITING

    @property
    def why(self) -> str | None:
        """Why it is, or was, likely to ask for a stop."""
        return None if self.review_reason is None else REASONS[self.review_reason]

    @property
    def missive_url(self) -> str | None:
        """Where it is read in Missive."""
        return None if self.conversation is None else missive.conversation_url(self.conversation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What narrows a list of replies down; what is None does not."""

    broadcast_id: int | None = None
    #: Whether it came after the follow-up.
    is_second: bool | None = None
    segment_id: int | None = None
    #: Whether its writer opted out in answer to the broadcast.
    opted_out: bool = False
    #: In its words, in the name or the number of who wrote.
    search: str | None = None
    #: Whether it waits for somebody to decide whether it asks for a stop.
    waiting: bool | None = None
    unread: bool | None = None
    #: The user whose it is.
    assigned_to: int | None = None
    done: bool | None = None
    kind: ReplyKind | None = None

    def names(self, number: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return which of `NARROWED` and of `LOOKED_FOR` are asked for; `number` is what is searched for, if it is one.

        What is searched for as a whole number is found by an index.
        """
        narrowed = {
            "broadcast_id": self.broadcast_id is not None,
            "waiting": self.waiting is True,
            "not waiting": self.waiting is False,
            "unread": self.unread is True,
            "seen": self.unread is False,
            "assigned_to": self.assigned_to is not None,
            "done": self.done is True,
            "open": self.done is False,
            "number": number is not None,
            **{str(kind): self.kind is kind for kind in ReplyKind},
        }
        looked_for = {
            "first": self.is_second is False,
            "second": self.is_second is True,
            "segment_id": self.segment_id is not None,
            "opted out": self.opted_out,
            "words": bool(self.search) and number is None,
        }
        return (
            tuple(name for name, asked in narrowed.items() if asked),
            tuple(name for name, asked in looked_for.items() if asked),
        )


@cache
def page_of(narrowed: tuple[str, ...], looked_for: tuple[str, ...]) -> TextualSelect:
    """Return the statement for a page of replies, the newest on record first, narrowed down as is asked for.

    It has no condition that is not asked for: one that a null would lift is planned for any value, and the whole table
    is read.
    """
    conditions = " AND ".join(LOOKED_FOR[name] for name in looked_for)
    source = f"(SELECT * {_looked_at(narrowed)} LIMIT :looked_at)" if looked_for else "replies"
    where = conditions if looked_for else _conditions(narrowed)
    return text(f"{_SELECT.format(source=source)} WHERE {where} ORDER BY r.id DESC LIMIT :limit").columns(**_ENUMS)


@cache
def end_of(narrowed: tuple[str, ...]) -> TextClause:
    """Return the statement for the last reply that a page has looked at; no row where it has looked at all."""
    return text(f"SELECT r.id {_looked_at(narrowed)} OFFSET :looked_at - 1 LIMIT 1")


def _looked_at(narrowed: tuple[str, ...]) -> str:
    return f"FROM replies r WHERE {_conditions(narrowed)} ORDER BY r.id DESC"


def _conditions(narrowed: tuple[str, ...]) -> str:
    return " AND ".join(("r.id < :before", *(NARROWED[name] for name in narrowed)))


async def one(connection: Connection, reply_id: int) -> Reply:
    """Return a reply. Raise NotFound."""
    row = first_row(await connection.execute(ONE, {"id": reply_id}), ReplyRow)
    if row is None:
        raise NotFound(f"there is no reply {reply_id}")
    return _reply(row)


async def page(connection: Connection, filters: Filters, *, before: int, limit: int) -> Page[Reply]:
    """Return the newest replies with an id below `before`, and where the next page begins."""
    search = unicodedata.normalize("NFC", filters.search or "").strip()
    number = _number(search)
    narrowed, looked_for = filters.names(number)
    parameters = {
        "before": before,
        "limit": limit + 1,
        "broadcast_id": filters.broadcast_id,
        "segment_id": filters.segment_id,
        "assigned_to": filters.assigned_to,
        "number": number,
        "words": search_patterns.of_words(search),
        "digits": search_patterns.of_digits(search),
        "looked_at": LOOKED_AT,
    }
    statement = page_of(narrowed, looked_for)
    rows = all_rows(await connection.execute(statement, parameters), ReplyRow)
    items = [_reply(row) for row in rows[:limit]]
    end: int | None = items[-1].id if len(rows) > limit else None
    if end is None and looked_for:
        end = (await connection.execute(end_of(narrowed), parameters)).scalar()
    return Page(items=items, next_cursor=None if end is None else str(end))


def _reply(row: ReplyRow) -> Reply:
    return msgspec.convert(row, Reply, from_attributes=True)


def _number(search: str) -> str | None:
    """Return what is searched for, if it is a whole number."""
    try:
        return phone_numbers.normalise(search)
    except ValueError:
        return None
