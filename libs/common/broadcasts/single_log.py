"""What the carrier's log, or a delivery report, tells of messages to one person that may have been sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from libs.common.broadcasts import opt_outs, single_messages
from libs.common.carriers import statuses
from libs.common.carriers.error_codes import ErrorAction, classify
from libs.common.carriers.log_matching import Candidate
from libs.common.database import Connection, EnumText, all_rows, first_row, literals
from libs.common.domain.states import SETTLED, UNANSWERED, ConsentSource, MessageState

LOOK_AGAIN = timedelta(minutes=1)
PATIENCE = timedelta(days=2)  # how long the log is looked at for a message
#: The code of a message that the log proves never to have been sent.
NO_ANSWER = "no_answer"

_TRACKED = """
SELECT s.id, s.state, s.attempts AS number, s.phone_number, s.body, s.attempt_started_at, s.twilio_id,
       s.twilio_sent_status AS status, n.phone_number AS from_number
FROM single_messages s JOIN sending_numbers n ON n.id = s.sending_number_id
"""
_STATE = EnumText(MessageState)

#: What the log is to be looked at for, the longest due first.
TO_LOOK_FOR = text(f"""
{_TRACKED} WHERE s.look_at <= :now ORDER BY s.look_at, s.id LIMIT :limit
""").columns(state=_STATE)

#: Locks a message that is tracked.
LOCK = text(f"{_TRACKED} WHERE s.id = :id FOR NO KEY UPDATE OF s").columns(state=_STATE)
LOCK_SID = text(f"{_TRACKED} WHERE s.twilio_id = :twilio_id FOR NO KEY UPDATE OF s").columns(state=_STATE)

#: Which of the log's entries are messages of this kind.
KNOWN_SIDS = text("SELECT twilio_id FROM single_messages WHERE twilio_id = ANY(:sids)")

#: The messages to some numbers whose entry in the log is not known.
WITHOUT_SID = text(f"""
SELECT s.id, s.phone_number, s.body, s.attempt_started_at
FROM single_messages s JOIN sending_numbers n ON n.id = s.sending_number_id
WHERE s.phone_number = ANY(:numbers) AND n.phone_number = :from_number AND s.twilio_id IS NULL
  AND s.state IN {literals((*UNANSWERED, MessageState.ACCEPTED))}
""")

#: Records what the log, or a delivery report, says of a message.
LEARN = text(f"""
UPDATE single_messages SET state = '{MessageState.ACCEPTED}', twilio_id = :twilio_id, twilio_sent_status = :status,
    twilio_error_code = :code, twilio_sent_at = coalesce(:sent_at, twilio_sent_at), look_at = :look_at
WHERE id = :id
""")

NEVER_SENT = text(f"""
UPDATE single_messages SET state = '{MessageState.REFUSED}', twilio_error_code = '{NO_ANSWER}', look_at = NULL
WHERE id = :id
""")
LOOK_LATER = text("UPDATE single_messages SET look_at = :look_at WHERE id = ANY(:ids) AND look_at IS NOT NULL")


@dataclass(frozen=True, slots=True)
class Tracked:
    """A message that may have been sent."""

    id: int
    state: MessageState
    number: int
    #: None once it was forgotten.
    phone_number: str | None
    body: str
    attempt_started_at: datetime
    twilio_id: str | None
    status: str | None
    from_number: str

    @property
    def candidate(self) -> Candidate | None:
        """What is compared with the log's entries; None of one that was forgotten."""
        return _candidate(self.id, self.phone_number, self.body, self.attempt_started_at)


@dataclass(frozen=True, slots=True)
class _WithoutSid:
    """A message whose entry in the log is not known."""

    id: int
    phone_number: str | None
    body: str
    attempt_started_at: datetime


async def to_look_for(connection: Connection, now: datetime, limit: int) -> list[Tracked]:
    """Return the messages for which the log is to be looked at."""
    return all_rows(await connection.execute(TO_LOOK_FOR, {"now": now, "limit": limit}), Tracked)


async def look_later(connection: Connection, messages: Sequence[Tracked], now: datetime) -> None:
    """Look for messages again in a while, unless they are so old that the log says nothing more."""
    old = [message.id for message in messages if message.attempt_started_at < now - PATIENCE]
    young = [message.id for message in messages if message.attempt_started_at >= now - PATIENCE]
    await connection.execute(LOOK_LATER, {"ids": young, "look_at": now + LOOK_AGAIN})
    await connection.execute(LOOK_LATER, {"ids": old, "look_at": None})


async def lock(connection: Connection, single_id: int) -> Tracked | None:
    """Lock a message until the transaction ends, and return it."""
    return first_row(await connection.execute(LOCK, {"id": single_id}), Tracked)


async def known_sids(connection: Connection, sids: Sequence[str]) -> set[str]:
    """Return which entries of the log are messages of this kind."""
    return set((await connection.execute(KNOWN_SIDS, {"sids": list(sids)})).scalars())


async def candidates(connection: Connection, from_number: str, numbers: Sequence[str]) -> list[Candidate]:
    """Return the messages to some numbers that an entry of the log may be.

    Their ids are negative: they are compared together with messages of broadcasts, whose ids are other numbers.
    """
    wanted = {"from_number": from_number, "numbers": list(numbers)}
    rows = all_rows(await connection.execute(WITHOUT_SID, wanted), _WithoutSid)
    found = (_candidate(row.id, row.phone_number, row.body, row.attempt_started_at) for row in rows)
    return [candidate for candidate in found if candidate is not None]


def _candidate(single_id: int, number: str | None, body: str, at: datetime) -> Candidate | None:
    if number is None:
        return None
    return Candidate(message_id=-single_id, number=number, body=body, attempt_started_at=at)


async def learn(
    connection: Connection, message: Tracked, *, sid: str, status: str, code: int | None, sent_at: datetime | None,
    now: datetime,
) -> bool:  # fmt: skip
    """Record what the log, or a delivery report, says of a message that the caller has locked; False if it is no news.

    Whoever had told the carrier to stop is on record as opted out from then on.
    """
    if message.twilio_id == sid and not statuses.advances(message.status, status):
        return False
    is_over = status in SETTLED
    told: dict[str, Any] = {"id": message.id, "twilio_id": sid, "status": status, "sent_at": sent_at}
    told["code"] = None if code is None else str(code)
    told["look_at"] = None if is_over or message.attempt_started_at < now - PATIENCE else now + LOOK_AGAIN
    await connection.execute(LEARN, told)
    if message.state is not MessageState.ACCEPTED:
        await single_messages.ended(connection, message.id, MessageState.ACCEPTED, None, now)
    if code is not None and classify(str(code)).kind is ErrorAction.OPT_OUT and message.phone_number is not None:
        number, source = message.phone_number, ConsentSource.CARRIER
        await opt_outs.opt_out(connection, number, source, now, note=opt_outs.carrier_code(code))
    return True


async def report(connection: Connection, sid: str, status: str, code: int | None, now: datetime) -> bool:
    """Record a delivery report; False if it is no news of a message of this kind."""
    message = first_row(await connection.execute(LOCK_SID, {"twilio_id": sid}), Tracked)
    if message is None:
        return False
    return await learn(connection, message, sid=sid, status=status, code=code, sent_at=None, now=now)


async def never_sent(connection: Connection, message: Tracked, now: datetime) -> None:
    """Record that the log proves a message, which the caller has locked, never to have been sent."""
    await connection.execute(NEVER_SENT, {"id": message.id})
    await single_messages.ended(connection, message.id, MessageState.REFUSED, NO_ANSWER, now)
