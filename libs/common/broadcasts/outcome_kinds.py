"""What an outcome is to the person who sent the message."""

from enum import StrEnum

from libs.common.texts import gettext_noop as n_


class Kind(StrEnum):
    """What an outcome is to the person who sent the message. Each message has one."""

    DELIVERED = "delivered"
    SENT = "sent"
    #: Something may still happen by itself.
    WAITING = "waiting"
    #: It was not sent, and was not meant to be any more.
    NOT_SENT = "not_sent"
    FAILED = "failed"
    UNKNOWN = "unknown"


#: All outcomes of a kind in one sentence.
KINDS: dict[Kind, str] = {
    Kind.DELIVERED: n_("Delivered"),
    Kind.SENT: n_("Sent; no word yet whether it was delivered"),
    Kind.WAITING: n_("Still to go"),
    Kind.NOT_SENT: n_("Not sent"),
    Kind.FAILED: n_("Failed"),
    Kind.UNKNOWN: n_("We do not know yet: the carrier did not answer"),
}

#: What somebody has whom the message did not reach, and will not by itself.
NOT_GOT = (Kind.FAILED, Kind.UNKNOWN, Kind.NOT_SENT)
