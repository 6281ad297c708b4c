"""Messages to one person that are of no broadcast: answers to replies and to keywords, and tests.

Here they are asked for and read.

Whoever asks writes a row; a sender sends it (`single_attempts.py`), twilio_sync finds out what became of it. They are
a register: no broadcast counts them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts.explanations import Explanation, Result, explain
from libs.common.broadcasts.suppression import held, opted_out
from libs.common.database import Connection, EnumText, all_rows, first_row, one_row
from libs.common.domain.events.registers import SingleMessageAsked, SingleMessageEnded
from libs.common.domain.states import MessageState, SinglePurpose, SkipReason
from libs.common.errors import Conflict
from libs.common.eventstore import store
from libs.common.texts import gettext_noop as n_

#: Whether the same was asked for a number since some time.
ASKED_SINCE = text("""
SELECT EXISTS (SELECT FROM single_messages WHERE phone_number = :phone_number AND purpose = :purpose AND body = :body
               AND asked_at > :since)
""")

#: Why nothing may be sent to a number, if anything.
UNWANTED = text(f"SELECT {opted_out(':phone_number')} AS opted_out, {held(':phone_number')} AS held")

ASK = text("""
INSERT INTO single_messages (request_id, purpose, phone_number, contact_id, reply_id, broadcast_id, sending_number_id,
                             body, asked_at, asked_by)
VALUES (:request_id, :purpose, :phone_number, (SELECT id FROM contacts WHERE phone_number = :phone_number), :reply_id,
        :broadcast_id, :sending_number_id, :body, :now, :asked_by)
ON CONFLICT (request_id) DO NOTHING RETURNING id, contact_id
""")

#: What the same request made before.
ASKED_BEFORE = text("SELECT id FROM single_messages WHERE request_id = :request_id")

#: What a message is without the person it was for. One that was not sent will not be; one whose end is not known stays
#: so, since the carrier's log is searched by the number.
FORGOTTEN = f"""
phone_number = NULL, body = '', look_at = NULL,
skip_reason = CASE WHEN state = '{MessageState.PENDING}' THEN '{SkipReason.ERASED}' ELSE skip_reason END,
state = CASE WHEN state = '{MessageState.PENDING}' THEN '{MessageState.SKIPPED}' ELSE state END
"""

_SELECT = """
SELECT s.id, s.purpose, s.phone_number, s.contact_id, s.reply_id, s.broadcast_id, s.body, s.asked_at, s.asked_by,
       (SELECT u.name FROM users u
        WHERE u.id = CASE WHEN s.asked_by LIKE 'user:%' THEN CAST(substr(s.asked_by, 6) AS bigint) END)
       AS asked_by_name, s.state, s.skip_reason, coalesce(s.twilio_sent_at, s.attempt_started_at, s.asked_at) AS at,
       s.twilio_sent_status AS status, s.twilio_error_code AS code
FROM single_messages s
"""
_ENUMS: dict[str, EnumText[Any]] = {
    "purpose": EnumText(SinglePurpose),
    "state": EnumText(MessageState),
    "skip_reason": EnumText(SkipReason),
}
ONE = text(f"{_SELECT} WHERE s.id = :id").columns(**_ENUMS)
OF_NUMBER = text(f"{_SELECT} WHERE s.phone_number = :phone_number ORDER BY s.id DESC LIMIT :limit").columns(**_ENUMS)
OF_REPLY = text(f"{_SELECT} WHERE s.reply_id = :reply_id ORDER BY s.id DESC").columns(**_ENUMS)
OF_BROADCAST = text(f"""
{_SELECT} WHERE s.broadcast_id = :broadcast_id AND s.purpose = :purpose ORDER BY s.id DESC LIMIT :limit
""").columns(**_ENUMS)
#: Answers of which nobody knows whether they were sent, whose attempt began at some time.
UNCERTAIN_ANSWERS = text(f"""
{_SELECT} WHERE s.state = '{MessageState.UNCERTAIN}' AND s.purpose = '{SinglePurpose.ANSWER}'
  AND s.attempt_started_at >= :since AND s.attempt_started_at < :before ORDER BY s.attempt_started_at LIMIT :limit
""").columns(**_ENUMS)
#: The tests that somebody has asked for since a time.
OF_ASKER = text(f"""
{_SELECT} WHERE s.asked_by = :asked_by AND s.purpose = '{SinglePurpose.TEST}' AND s.asked_at > :since
ORDER BY s.id DESC LIMIT :limit
""").columns(**_ENUMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message to one person that is to be sent."""

    purpose: SinglePurpose
    #: Made when the form was shown: what is asked for twice is sent once.
    request_id: UUID
    #: E.164.
    phone_number: str
    body: str
    sending_number_id: int
    #: What it answers.
    reply_id: int | None = None
    #: The broadcast whose words it tries, or that the reply answers.
    broadcast_id: int | None = None


@dataclass(frozen=True, slots=True)
class SingleMessage:
    """A message to one person, and what became of it."""

    id: int
    purpose: SinglePurpose
    #: None once it was forgotten.
    phone_number: str | None
    contact_id: int | None
    reply_id: int | None
    broadcast_id: int | None
    body: str
    asked_at: datetime
    #: As `Actor` writes it, and the user's name where it was a user.
    asked_by: str
    asked_by_name: str | None
    state: MessageState
    skip_reason: SkipReason | None
    #: When it was sent, or was to be.
    at: datetime
    status: str | None
    code: str | None

    @property
    def explanation(self) -> Explanation:
        """What became of it, in words."""
        return explain(
            Result(
                is_second=False,
                state=self.state,
                skip_reason=self.skip_reason,
                outcome=None,
                status=self.status,
                code=self.code,
            )
        )


@dataclass(frozen=True, slots=True)
class _Unwanted:
    """Why nothing may be sent to a number."""

    opted_out: bool
    held: bool


@dataclass(frozen=True, slots=True)
class _Asked:
    """A message that was put on record."""

    id: int
    contact_id: int | None


async def ask(connection: Connection, draft: Draft, now: datetime) -> int:
    """Put a message on record, to be sent within seconds, and return its id; asked for again, it is the same one.

    Raise Conflict where its number has opted out, or is held back until somebody has looked.
    """
    before: int | None = (await connection.execute(ASKED_BEFORE, {"request_id": draft.request_id})).scalar()
    if before is not None:
        return before
    unwanted = one_row(await connection.execute(UNWANTED, {"phone_number": draft.phone_number}), _Unwanted)
    if unwanted.opted_out:
        raise Conflict(n_("they opted out: nothing is sent to their number"))
    if unwanted.held:
        raise Conflict(n_("they may have asked to be left alone: somebody has to decide about that first"))
    asked = first_row(
        await connection.execute(
            ASK,
            {
                "request_id": draft.request_id,
                "purpose": draft.purpose,
                "phone_number": draft.phone_number,
                "reply_id": draft.reply_id,
                "broadcast_id": draft.broadcast_id,
                "sending_number_id": draft.sending_number_id,
                "body": draft.body,
                "now": now,
                "asked_by": str(database.actor_of(connection)),
            },
        ),
        _Asked,
    )
    if asked is None:  # the same request, at the same moment
        return int((await connection.execute(ASKED_BEFORE, {"request_id": draft.request_id})).scalar_one())
    event = SingleMessageAsked(
        single_id=asked.id,
        purpose=draft.purpose,
        contact_id=asked.contact_id,
        reply_id=draft.reply_id,
        about_broadcast_id=draft.broadcast_id,
    )
    await store.append(connection, stream(asked.id), [event], now=now)
    return asked.id


async def asked_since(connection: Connection, draft: Draft, since: datetime) -> bool:
    """Whether a message with the same words was asked for the same number and purpose since some time."""
    same = {"phone_number": draft.phone_number, "purpose": draft.purpose, "body": draft.body, "since": since}
    return bool((await connection.execute(ASKED_SINCE, same)).scalar_one())


async def one(connection: Connection, single_id: int) -> SingleMessage:
    """Return a message that is there."""
    return one_row(await connection.execute(ONE, {"id": single_id}), SingleMessage)


async def of_number(connection: Connection, phone_number: str, limit: int) -> list[SingleMessage]:
    """Return the newest messages to a number, the newest first."""
    cursor = await connection.execute(OF_NUMBER, {"phone_number": phone_number, "limit": limit})
    return all_rows(cursor, SingleMessage)


async def of_reply(connection: Connection, reply_id: int) -> list[SingleMessage]:
    """Return what was answered to a reply, the newest first."""
    return all_rows(await connection.execute(OF_REPLY, {"reply_id": reply_id}), SingleMessage)


async def of_broadcast(
    connection: Connection, broadcast_id: int, purpose: SinglePurpose, limit: int
) -> Sequence[SingleMessage]:
    """Return the newest messages that are about a broadcast, the newest first."""
    wanted = {"broadcast_id": broadcast_id, "purpose": purpose, "limit": limit}
    return all_rows(await connection.execute(OF_BROADCAST, wanted), SingleMessage)


async def tests_of(connection: Connection, asked_by: str, since: datetime, limit: int) -> list[SingleMessage]:
    """Return the newest tests that somebody has asked for since a time, the newest first."""
    return all_rows(
        await connection.execute(OF_ASKER, {"asked_by": asked_by, "since": since, "limit": limit}), SingleMessage
    )


async def uncertain_answers(
    connection: Connection, since: datetime, before: datetime, limit: int
) -> list[SingleMessage]:
    """Return the answers of which nobody knows whether they were sent, begun from `since` on and before a time."""
    wanted = {"since": since, "before": before, "limit": limit}
    return all_rows(await connection.execute(UNCERTAIN_ANSWERS, wanted), SingleMessage)


def stream(single_id: int) -> str:
    """Name the stream of a message."""
    return f"single-{single_id}"


async def ended(connection: Connection, single_id: int, state: MessageState, why: str | None, now: datetime) -> None:
    """Put on record what became of a message."""
    event = SingleMessageEnded(single_id=single_id, state=state, code=why)
    await store.append(connection, stream(single_id), [event], now=now)
