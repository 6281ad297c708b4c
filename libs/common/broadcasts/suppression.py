"""Who must get no message. Each condition stands here once, for all that draw, claim, start, skip, preview or show.

A function returns an SQL condition. `message` is the alias of a row of `outgoing_messages`; `number` is an expression
for a phone number. Numbers that take no messages are in `unreachable.py`: that is no wish of anybody's.
"""

from libs.common.domain.states import Review


def opted_out(number: str) -> str:
    """Return the condition that whoever has a number wants no more messages."""
    return f"EXISTS (SELECT FROM opt_outs oo WHERE oo.phone_number = {number})"


def held(number: str) -> str:
    """Return the condition that a number is held back: somebody may have said no, and a person has not looked yet.

    A message to such a number waits. It is not skipped until its phase is over (`unwanted_messages.skip_held`).
    """
    return f"EXISTS (SELECT FROM replies h WHERE h.phone_number = {number} AND h.review = '{Review.WAITING}')"


def erased(message: str) -> str:
    """Return the condition that the recipient of a message was erased."""
    return f"EXISTS (SELECT FROM contacts ec WHERE ec.id = {message}.contact_id AND ec.erased_at IS NOT NULL)"


def replied(message: str) -> str:
    """Return the condition that the recipient of a message has replied to its broadcast: no second one leaves then.

    What a machine has answered is no reply in this sense, unless the organisation wants it (`replies.ends`).
    """
    return f"""EXISTS (
    SELECT FROM replies rr WHERE rr.broadcast_id = {message}.broadcast_id AND rr.contact_id = {message}.contact_id
    AND rr.ends_follow_up)"""


def may_start(message: str) -> str:
    """Return the condition that nobody has said no to a message: it is checked in the statement that starts it."""
    number = f"{message}.recipient_phone_number"
    return (
        f"NOT {opted_out(number)} AND NOT {held(number)} AND NOT {erased(message)}"
        f" AND NOT ({message}.is_second AND {replied(message)})"
    )
