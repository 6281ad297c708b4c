"""Answers that go out by themselves: to who asks for HELP, and to who says START after a STOP.

Twilio answers both by itself unless its own handling is off. So what is answered here is a setting, and nothing is
where the carrier has said that it took the word for one of its own. The same words go to the same person once a day:
two machines do not talk to each other for ever.

An answer is a message of no broadcast (`single_messages.py`): it has the same pace, is sent at most once, and never
goes to somebody who has opted out.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import text

from libs.common.broadcasts import opt_outs, single_messages
from libs.common.broadcasts.inbound import Inbound, Verdict
from libs.common.broadcasts.messages import number_of
from libs.common.broadcasts.reply_record import Recorded
from libs.common.broadcasts.single_messages import Draft
from libs.common.database import Connection
from libs.common.domain import keyword_phrases
from libs.common.domain.keywords import Wish
from libs.common.domain.states import SinglePurpose
from libs.common.errors import Conflict

A_DAY = timedelta(hours=24)  # within which nobody gets the same answer twice

#: Where an answer leaves from: the number that was written to, if it is ours, or that whose Messaging Service was; else
#: the one that they had the broadcast from, else the usual one.
ADD_NUMBER = text("INSERT INTO sending_numbers (phone_number) VALUES (:number) ON CONFLICT DO NOTHING")
FROM_NUMBER = text(f"""
SELECT n.id FROM sending_numbers n
LEFT JOIN messaging_services s ON s.sid = CAST(:service AS text) AND s.sending_number_id = n.id
LEFT JOIN (SELECT {number_of("m", "b")} AS id FROM outgoing_messages m JOIN broadcasts b ON b.id = m.broadcast_id
           WHERE m.broadcast_id = :broadcast_id AND m.recipient_phone_number = :phone_number AND NOT m.is_second) AS had
  ON had.id = n.id
WHERE n.phone_number = :number OR s.sid IS NOT NULL OR had.id IS NOT NULL
ORDER BY (n.phone_number = :number AND CAST(:is_written_to AS boolean)) DESC, s.sid IS NOT NULL DESC,
         had.id IS NOT NULL DESC LIMIT 1
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the organisation answers by itself; None where the carrier does."""

    help: str | None = None
    start: str | None = None
    #: Our numbers, the one first that is used where nothing says another.
    own_numbers: tuple[str, ...] = ()


NO_ANSWERS = Answers()


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is answered."""

    purpose: SinglePurpose
    body: str


def choose(inbound: Inbound, verdict: Verdict, answers: Answers, *, is_in_again: bool) -> Chosen | None:
    """Return what is answered to a message, if anything. `is_in_again` is whether it brought its writer in again."""
    if inbound.carrier_word is not None:
        return None  # the carrier has answered
    if verdict.word in keyword_phrases.HELP and answers.help:
        return Chosen(SinglePurpose.HELP, answers.help)
    if verdict.wish is Wish.START and is_in_again and answers.start:
        return Chosen(SinglePurpose.START, answers.start)
    return None


async def send(
    connection: Connection,
    inbound: Inbound,
    reply: Recorded,
    chosen: Chosen,
    own_numbers: tuple[str, ...],
    now: datetime,
) -> bool:
    """Have an answer sent; False where the same person got the same within a day, or is to get nothing."""
    assert inbound.phone_number is not None  # nobody else is answered
    await opt_outs.lock_number(connection, inbound.phone_number)
    draft = Draft(
        purpose=chosen.purpose,
        # The same message has one answer, however often it is reported.
        request_id=uuid5(NAMESPACE_URL, f"{chosen.purpose} {inbound.provider_id}"),
        phone_number=inbound.phone_number,
        body=chosen.body,
        sending_number_id=await _from_number(connection, inbound, reply, own_numbers),
        reply_id=reply.id,
        broadcast_id=reply.broadcast_id,
    )
    if await single_messages.asked_since(connection, draft, now - A_DAY):
        return False
    with suppress(Conflict):  # they have opted out, or may have
        await single_messages.ask(connection, draft, now)
        return True
    return False


async def _from_number(connection: Connection, inbound: Inbound, reply: Recorded, own_numbers: tuple[str, ...]) -> int:
    is_written_to = inbound.to in own_numbers
    number = inbound.to if is_written_to else own_numbers[0]
    await connection.execute(ADD_NUMBER, {"number": number})
    wanted = {
        "number": number,
        "broadcast_id": reply.broadcast_id,
        "is_written_to": is_written_to,
        "service": inbound.service,
        "phone_number": inbound.phone_number,
    }
    return int((await connection.execute(FROM_NUMBER, wanted)).scalar_one())
