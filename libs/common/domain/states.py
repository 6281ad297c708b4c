"""The states and reasons that rows, events and reports share: each word stands here once."""

from enum import StrEnum


class BroadcastState(StrEnum):
    """Where a broadcast is in its life."""  # `broadcast.py` draws the transitions

    SCHEDULED = "scheduled"
    SENDING_FIRST = "sending_first"
    WAITING = "waiting"
    SENDING_SECOND = "sending_second"
    SYNCING = "syncing"
    COMPLETED = "completed"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    MISSED = "missed"


#: Something is sent, or will be. Staff may pause and resume it.
SENDING = (BroadcastState.SENDING_FIRST, BroadcastState.WAITING, BroadcastState.SENDING_SECOND)
#: It may have no recipients yet.
UNMADE = (BroadcastState.SCHEDULED, BroadcastState.MISSED, BroadcastState.CANCELLED)


class PauseReason(StrEnum):
    """Why a broadcast was paused, where no code of the carrier says so."""

    STAFF = "staff"
    NOT_HANDED_OVER = "not_handed_over"  # Missive takes its messages, and Twilio never gets them
    RECONCILED = "reconciled"  # it was made again after a restore, before its time


class MessageState(StrEnum):
    """Where a message to one person is."""

    PENDING = "pending"  # may be claimed
    CLAIMED = "claimed"  # a batch has it; nothing has been sent
    STARTED = "started"  # its request may have been sent, no answer yet
    UNCERTAIN = "uncertain"  # no answer came; only the carrier's log can tell
    ACCEPTED = "accepted"
    REFUSED = "refused"
    SKIPPED = "skipped"


#: Nothing has been sent, or nothing more: it may still be skipped.
UNSENT = (MessageState.PENDING, MessageState.CLAIMED)
#: A batch has it.
IN_BATCH = (MessageState.CLAIMED, MessageState.STARTED)
#: Its request may have been sent, and no answer came.
UNANSWERED = (MessageState.STARTED, MessageState.UNCERTAIN)
#: Something is done with it just now, or is to be.
OPEN = (*IN_BATCH, MessageState.UNCERTAIN)
#: Its end is not known.
UNDECIDED = (*UNSENT, *UNANSWERED)
#: What a message may be that is of no broadcast: no batch claims it.
SINGLE = (MessageState.PENDING, *UNANSWERED, MessageState.ACCEPTED, MessageState.REFUSED, MessageState.SKIPPED)
#: Nothing will change it.
ENDED = (MessageState.ACCEPTED, MessageState.REFUSED, MessageState.SKIPPED)
#: Its number can be forgotten. One that was uncertain when its broadcast ended stays so.
FORGETTABLE = (MessageState.UNCERTAIN, *ENDED)
#: An attempt is on record.
ATTEMPTED = (*UNANSWERED, MessageState.ACCEPTED, MessageState.REFUSED)


class SkipReason(StrEnum):
    """Why a message will never be sent."""

    REPLIED = "replied"
    OPTED_OUT = "opted_out"
    FIRST_REFUSED = "first_refused"
    QUIET_HOURS = "quiet_hours"
    CANCELLED = "cancelled"
    PHASE_OVER = "phase_over"
    ERASED = "erased"  # the recipient was erased, and the message came back after that
    HELD_FOR_REVIEW = "held_for_review"  # the broadcast was over before a person had looked at what the recipient wrote
    NOT_HANDED_OVER = "not_handed_over"  # the first message was not
    NUMBER_UNREACHABLE = "number_unreachable"  # the first message failed for the sake of its number
    TOO_LATE = (
        "too_late"  # in the day, where the recipient is, and the broadcast says that nobody waits for the morning
    )


class Late(StrEnum):
    """What becomes of a message that would come too late in the day for its recipient."""

    WAIT = "wait"  # for the morning where they are
    SKIP = "skip"


class LeftOut(StrEnum):
    """Why somebody whom a segment of a broadcast takes in is not drawn. Of several reasons the first counts."""

    OPTED_OUT = SkipReason.OPTED_OUT.value
    #: They may have said no, and no person has looked yet.
    HELD = "held"
    UNREACHABLE = "unreachable"
    #: They are in a segment that the broadcast leaves out.
    EXCLUDED = "excluded"
    #: They would get more texts than the frequency cap lets them.
    CAPPED = "capped"


class SegmentRole(StrEnum):
    """What a segment is to a broadcast."""

    SHARE = "share"  # it gives recipients
    EXCLUDED = "excluded"  # its people are left out
    FALLBACK = "fallback"  # it fills up what the others do not give


class SinglePurpose(StrEnum):
    """What a message is for that is of no broadcast."""

    ANSWER = "answer"  # to a reply
    TEST = "test"  # to a colleague, of a broadcast's words
    HELP = "help"  # to somebody who wrote HELP
    START = "start"  # to somebody who opted out, and wants to hear from us again
    QUESTION = "question"  # to somebody who signs up, whether they mean it
    WELCOME = "welcome"  # to somebody who has signed up


class Outcome(StrEnum):
    """What the carrier said of a message."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_HANDED_OVER = "not_handed_over"  # Missive took it, and Twilio never got it


class TooFast(StrEnum):
    """Twilio's codes of a text that came too fast for its number, or for the campaign of the number."""

    QUEUE = "30001"
    CAMPAIGN = "30022"


class DeliveryStatus(StrEnum):
    """What Twilio says of a message; a word that is not here is kept as it is.

    https://www.twilio.com/docs/messaging/api/message-resource
    """

    ACCEPTED = "accepted"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    PARTIALLY_DELIVERED = "partially_delivered"  # some of its parts: the rest is still to come, or not to come
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    CANCELED = "canceled"
    READ = "read"  # only of channels other than SMS, and only after `delivered`


#: The recipient has it.
DELIVERED = (DeliveryStatus.DELIVERED, DeliveryStatus.READ)
#: The recipient will not get it.
UNDELIVERED = (DeliveryStatus.UNDELIVERED, DeliveryStatus.FAILED, DeliveryStatus.CANCELED)
#: It will not change any more, but that what was delivered may be read.
SETTLED = (DeliveryStatus.DELIVERED, *UNDELIVERED, DeliveryStatus.READ)


class ConsentSource(StrEnum):
    """Who said that somebody wants no more messages, or wants them."""

    SMS = "sms"
    CARRIER = "carrier"
    STAFF = "staff"
    FILE = "file"
    KEYWORD = "keyword"  # they signed up by a word that the organisation has chosen


class MessageKind(StrEnum):
    """Which exchange a message of the outbox goes to."""

    COMMAND = "command"
    EVENT = "event"


class Channel(StrEnum):
    """What a reply came by. Only an SMS answers a broadcast."""

    SMS = "sms"
    WHATSAPP = "whatsapp"
    RCS = "rcs"
    EMAIL = "email"
    FACEBOOK = "facebook"
    OTHER = "other"
    NOTICE = "notice"  # nothing that a person wrote


class ReplyKind(StrEnum):
    """What came in from a phone: what a person wrote, or what the phone or a machine made of it."""

    OWN_WORDS = "own_words"  # a person's
    REACTION = "reaction"  # a phone's words for a heart, a thumb and the like, with what it is about
    AUTOMATIC = "automatic"  # a phone or an answering machine, while nobody is there
    DELIVERY_NOTICE = "delivery_notice"  # that a message was, or was not, delivered
    SHORT_CODE = "short_code"  # from a number of three to eight digits: a company's machine


#: What a person did. The rest no person did.
BY_A_PERSON = (ReplyKind.OWN_WORDS, ReplyKind.REACTION)


class CarrierWord(StrEnum):
    """What the carrier took a reply for."""

    STOP = "stop"
    START = "start"
    HELP = "help"


class Review(StrEnum):
    """What became of a reply that is likely to ask for a stop."""

    WAITING = "waiting"  # nothing is sent to its number until a person has looked
    SUPERSEDED = "superseded"  # its writer has said something clear since
    OPT_OUT = "opt_out"  # a person said so
    NO_OPT_OUT = "no_opt_out"  # a person said so


#: A person has decided.
REVIEWED = (Review.OPT_OUT, Review.NO_OPT_OUT)
#: A person has not decided, and may yet have to.
UNREVIEWED = (Review.WAITING, Review.SUPERSEDED)


class ClearedBecause(StrEnum):
    """Why a number that took no messages is written to again."""

    REPLIED = "replied"
    DELIVERED = "delivered"
    STAFF = "staff"
