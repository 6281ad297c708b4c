"""What the carrier's log says of an uncertain message. Pure."""

from collections.abc import Sequence
from datetime import datetime

from libs.common.carriers.twilio import LogEntry
from libs.common.domain import events as e
from services.twilio_sync.queries import OpenMessage, UncertainMessage

NO_ANSWER = "no_answer"


def to_number(entries: Sequence[LogEntry], message: UncertainMessage) -> list[LogEntry]:
    """Return the entries that may be a message: those to its number, from the one of ours that it leaves from."""
    return [entry for entry in entries if entry.to == message.number and entry.from_number == message.from_number]


def verdict(
    message: OpenMessage, entry: LogEntry | None, now: datetime, *, counts: bool, give_up_after: int
) -> e.MessageAccepted | e.MessageRefused | e.MessageReturned:
    """Return what became of a message: its entry of the log, or that it was never sent.

    If that `counts` as an attempt, a message is given up at its `give_up_after`th.
    """
    if entry is not None:
        return e.MessageAccepted(
            broadcast_id=message.broadcast_id,
            message_id=message.message_id,
            missive_id=None,
            missive_conversation_id=None,
            twilio_id=entry.sid,
            twilio_status=entry.status,
            settled=True,
        )
    if counts and message.failures + 1 >= give_up_after:
        return e.MessageRefused(broadcast_id=message.broadcast_id, message_id=message.message_id, code=NO_ANSWER)
    return e.MessageReturned(
        broadcast_id=message.broadcast_id,
        message_id=message.message_id,
        code=NO_ANSWER,
        not_before=now,
        counts=counts,
    )
