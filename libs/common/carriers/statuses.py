"""Twilio's statuses of a message in their order, so that a late report never takes one back.

The values are those of the Messages resource (https://www.twilio.com/docs/messaging/api/message-resource); reports may
arrive in any order (https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks). A status
that Twilio adds one day ranks lowest: it is shown until a known one comes, and overwrites none.
"""

from libs.common.domain.states import DeliveryStatus

UNKNOWN_RANK = 0

RANKS: dict[str, int] = {
    DeliveryStatus.ACCEPTED: 1,
    DeliveryStatus.SCHEDULED: 1,
    DeliveryStatus.QUEUED: 2,
    DeliveryStatus.SENDING: 3,
    DeliveryStatus.SENT: 4,
    DeliveryStatus.PARTIALLY_DELIVERED: 5,
    # These are final. The column `settled` says the same in SQL.
    DeliveryStatus.DELIVERED: 6,
    DeliveryStatus.UNDELIVERED: 6,
    DeliveryStatus.FAILED: 6,
    DeliveryStatus.CANCELED: 6,
    DeliveryStatus.READ: 7,
}


def normal(status: str) -> str:
    """Return a status as it is kept and compared: `Delivered` is `delivered`."""
    return status.strip().lower()


def rank(status: str) -> int:
    """Return how far along a status is; a status that is not known is not far."""
    return RANKS.get(normal(status), UNKNOWN_RANK)


def advances(old: str | None, new: str) -> bool:
    """Return whether `new` is to take the place of `old`. Of two final statuses the first stays, unless it is read."""
    return old is None or rank(new) > rank(old)
