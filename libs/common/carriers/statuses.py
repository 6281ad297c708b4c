"""Twilio's statuses of a text in their order, so that a late report never takes one back.

The values are those of the Messages resource (https://www.twilio.com/docs/messaging/api/message-resource); reports may
arrive in any order (https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks). A status
that Twilio adds one day ranks lowest: it is shown until a known one comes, and overwrites none.
"""

UNKNOWN_RANK = 0

RANKS = {
    "accepted": 1,
    "scheduled": 1,
    "queued": 2,
    "sending": 3,
    "sent": 4,
    # Some of a long text's parts: the rest is still to come, or not to come.
    "partially_delivered": 5,
    # These are final. The column `settled` says the same in SQL.
    "delivered": 6,
    "undelivered": 6,
    "failed": 6,
    "canceled": 6,
    # Only of channels other than SMS, and only after `delivered`.
    "read": 7,
}


def rank(status: str) -> int:
    """Give how far along a status is; a status that is not known is not far."""
    return RANKS.get(status.lower(), UNKNOWN_RANK)


def advances(old: str | None, new: str) -> bool:
    """Tell whether `new` is to take the place of `old`. Of two final statuses the first stays, unless it is read."""
    return old is None or rank(new) > rank(old)
