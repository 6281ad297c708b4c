"""The carriers' errors by kind, as data.

Twilio's codes are in its dictionary (https://www.twilio.com/docs/api/errors); they come with a refusal, or later, as
the `error_code` of a message that was taken and could not be delivered. Missive has no codes, only HTTP statuses
(https://missiveapp.com/docs/developers/rest-api), as `http_<status>`. What somebody in between answers is
`gateway_<status>`. The rest are ours: why a request was never sent.

The question behind each kind is who is at fault. Twilio changes what a code covers without notice
(https://www.twilio.com/en-us/changelog/updates-to-the-error-code-dictionary-to-clarify-number-validatio), so whatever
is not in the table has a kind too.
"""

from dataclasses import dataclass
from enum import Enum

from libs.common.database import literals
from libs.common.domain.states import DELIVERED
from libs.common.texts import gettext_noop as n_


class ErrorAction(Enum):
    """What follows from an error."""

    #: Nobody is at fault; the same message may go later.
    RETRY = "retry"
    #: The carrier was not reached, or somebody in between answered: every message fares so, and everybody waits.
    WAIT = "wait"
    #: This message to this number never goes.
    GIVE_UP = "give_up"
    #: The recipient said no to the carrier: on record as an opt-out.
    OPT_OUT = "opt_out"
    #: Too fast: everybody waits.
    SLOW_DOWN = "slow_down"
    #: The account, the sending number or the message is at fault; every recipient would be refused, so none is spent.
    STOP_BROADCAST = "stop_broadcast"
    #: One is bad luck, many mean that the carriers filter this broadcast.
    STOP_ABOVE_THRESHOLD = "stop_above_threshold"
    #: The answer does not say whether the message was taken.
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class CarrierError:
    """What an error means."""

    kind: ErrorAction
    text: str
    #: Whether it is about the number itself: the next message to it would fare no better.
    is_unreachable: bool = False


#: The recipient is never in question here: the request did not leave, or not whole.
NOT_STARTED = "not_started"
NOT_WRITTEN = "not_written"
CONNECT_FAILED = "connect_failed"
CONNECT_TIMEOUT = "connect_timeout"
POOL_TIMEOUT = "pool_timeout"

#: What the codes of answers begin with that are not the carrier's.
GATEWAY = "gateway_"

CODES: dict[str, CarrierError] = {
    NOT_STARTED: CarrierError(ErrorAction.RETRY, n_("The worker had lost its batch before the request was written")),
    NOT_WRITTEN: CarrierError(ErrorAction.WAIT, n_("The connection failed before the request was written")),
    CONNECT_FAILED: CarrierError(ErrorAction.WAIT, n_("No connection to the carrier")),
    CONNECT_TIMEOUT: CarrierError(ErrorAction.WAIT, n_("No connection to the carrier in time")),
    POOL_TIMEOUT: CarrierError(ErrorAction.RETRY, n_("No connection was free in time")),
    # HTTP statuses. Those from 400 on that are not here are the message's or the number's fault, 5xx say nothing.
    "http_401": CarrierError(ErrorAction.STOP_BROADCAST, n_("The carrier does not accept our credentials")),
    "http_402": CarrierError(ErrorAction.STOP_BROADCAST, n_("The carrier wants to be paid")),
    "http_403": CarrierError(ErrorAction.STOP_BROADCAST, n_("Our credentials do not allow this")),
    "http_404": CarrierError(ErrorAction.STOP_BROADCAST, n_("The carrier's address or our account is wrong")),
    "http_405": CarrierError(ErrorAction.STOP_BROADCAST, n_("The carrier's address is wrong")),
    "http_407": CarrierError(ErrorAction.STOP_BROADCAST, n_("The proxy does not accept our credentials")),
    "http_408": CarrierError(ErrorAction.RETRY, n_("The carrier did not get the whole request in time")),
    "http_410": CarrierError(ErrorAction.STOP_BROADCAST, n_("The carrier's address is gone")),
    "http_415": CarrierError(ErrorAction.STOP_BROADCAST, n_("The carrier does not take this form of request")),
    "http_425": CarrierError(ErrorAction.RETRY, n_("The carrier wants the request again")),
    "http_429": CarrierError(ErrorAction.SLOW_DOWN, n_("Too many requests")),
    # Twilio: accounts and requests.
    "10001": CarrierError(ErrorAction.STOP_BROADCAST, n_("The account is not active")),
    "20003": CarrierError(
        ErrorAction.STOP_BROADCAST, n_("Twilio does not accept our credentials, or the account is suspended")
    ),
    "20005": CarrierError(ErrorAction.STOP_BROADCAST, n_("The account is not active")),
    "20008": CarrierError(ErrorAction.STOP_BROADCAST, n_("Test credentials cannot send")),
    "20403": CarrierError(ErrorAction.STOP_BROADCAST, n_("Our credentials do not allow this")),
    "20404": CarrierError(ErrorAction.STOP_BROADCAST, n_("There is no such account")),
    "20429": CarrierError(ErrorAction.SLOW_DOWN, n_("Too many requests at once; not processed")),
    "20500": CarrierError(ErrorAction.UNCERTAIN, n_("Internal error at Twilio")),
    # Twilio: the message is refused at once.
    "21211": CarrierError(ErrorAction.GIVE_UP, n_("The recipient's number is not valid"), is_unreachable=True),
    "21212": CarrierError(ErrorAction.STOP_BROADCAST, n_("The sending number is not valid")),
    "21214": CarrierError(ErrorAction.GIVE_UP, n_("The recipient's number cannot be reached")),
    "21265": CarrierError(ErrorAction.GIVE_UP, n_("The recipient's number is a short code"), is_unreachable=True),
    "21266": CarrierError(ErrorAction.GIVE_UP, n_("The recipient's number is the sending number")),
    "21408": CarrierError(ErrorAction.GIVE_UP, n_("The account may not send to the recipient's region")),
    "21602": CarrierError(ErrorAction.STOP_BROADCAST, n_("The message is empty")),
    "21603": CarrierError(ErrorAction.STOP_BROADCAST, n_("The sending number is missing")),
    "21604": CarrierError(ErrorAction.GIVE_UP, n_("The recipient's number is missing")),
    "21606": CarrierError(ErrorAction.STOP_BROADCAST, n_("The sending number cannot send messages")),
    "21608": CarrierError(ErrorAction.GIVE_UP, n_("A trial account cannot send to a number that it has not verified")),
    "21609": CarrierError(ErrorAction.STOP_BROADCAST, n_("The address for status reports is not valid")),
    "21610": CarrierError(ErrorAction.OPT_OUT, n_("The recipient has opted out of the sending number")),
    "21611": CarrierError(ErrorAction.SLOW_DOWN, n_("The sending number's queue is full")),
    "21612": CarrierError(ErrorAction.GIVE_UP, n_("There is no route from the sending number to the recipient")),
    "21614": CarrierError(ErrorAction.GIVE_UP, n_("The recipient's number cannot take messages"), is_unreachable=True),
    "21617": CarrierError(ErrorAction.STOP_BROADCAST, n_("The message is longer than 1,600 characters")),
    "21635": CarrierError(ErrorAction.GIVE_UP, n_("The recipient's number is a landline"), is_unreachable=True),
    "21701": CarrierError(ErrorAction.STOP_BROADCAST, n_("There is no such Messaging Service")),
    "21703": CarrierError(ErrorAction.STOP_BROADCAST, n_("The Messaging Service has no number")),
    "21659": CarrierError(ErrorAction.STOP_BROADCAST, n_("The sending number is not Twilio's")),
    "21660": CarrierError(ErrorAction.STOP_BROADCAST, n_("The sending number is not the account's")),
    "21661": CarrierError(ErrorAction.STOP_BROADCAST, n_("The sending number cannot send messages")),
    "63038": CarrierError(ErrorAction.STOP_BROADCAST, n_("The account's daily limit is reached")),
    # Twilio: the message was taken and was not delivered.
    "30001": CarrierError(ErrorAction.SLOW_DOWN, n_("The queue overflowed")),
    "30002": CarrierError(ErrorAction.STOP_BROADCAST, n_("The account was suspended before the message left")),
    "30003": CarrierError(ErrorAction.RETRY, n_("The phone could not be reached")),
    "30004": CarrierError(
        ErrorAction.GIVE_UP, n_("The recipient or their carrier blocks the message"), is_unreachable=True
    ),
    "30005": CarrierError(
        ErrorAction.GIVE_UP, n_("The number is unknown or no longer in service"), is_unreachable=True
    ),
    "30006": CarrierError(
        ErrorAction.GIVE_UP, n_("The number is a landline, or its carrier cannot be reached"), is_unreachable=True
    ),
    "30007": CarrierError(ErrorAction.STOP_ABOVE_THRESHOLD, n_("The message was filtered as unwanted")),
    "30036": CarrierError(ErrorAction.RETRY, n_("It was not sent before its time was over")),
    "30008": CarrierError(ErrorAction.RETRY, n_("Unknown error at the recipient's carrier")),
    "30022": CarrierError(ErrorAction.SLOW_DOWN, n_("Faster than the carriers allow the campaign (10DLC)")),
    "30023": CarrierError(
        ErrorAction.STOP_ABOVE_THRESHOLD, n_("A carrier's daily cap for the brand is reached (10DLC)")
    ),
    "30032": CarrierError(ErrorAction.STOP_ABOVE_THRESHOLD, n_("The toll-free number is not verified")),
    "30034": CarrierError(
        ErrorAction.STOP_ABOVE_THRESHOLD, n_("The sending number is not registered for US messages (10DLC)")
    ),
    "30410": CarrierError(ErrorAction.RETRY, n_("The recipient's carrier did not answer in time")),
}

IN_ITS_PLACE = CarrierError(ErrorAction.WAIT, n_("Not the carrier answered, but a proxy or gateway on the way to it"))
UNLISTED = CarrierError(ErrorAction.GIVE_UP, n_("Refused, with a code that is not in the table"))
UNLISTED_SERVER_ERROR = CarrierError(
    ErrorAction.UNCERTAIN, n_("An error of the carrier's that does not say what came of the message")
)
UNEXPECTED_STATUS = CarrierError(ErrorAction.UNCERTAIN, n_("An answer that the carrier's documentation does not have"))


#: Codes of numbers that take no messages.
UNREACHABLE = tuple(code for code, meaning in CODES.items() if meaning.is_unreachable)


def is_unreachable(status: str) -> str:
    """Return the condition that a row of `broadcast_sent_message_status`, by its alias, has failed for its number."""
    listed = ", ".join(f"'{code}'" for code in UNREACHABLE)
    arrived = f"coalesce({status}.twilio_sent_status, '') IN {literals(DELIVERED)}"
    return f"({status}.twilio_error_code IN ({listed}) AND NOT {arrived})"


def classify(code: str | int, *, http_status: int | None = None) -> CarrierError:
    """Return what an error means; for a code that is not in the table, what its HTTP status means."""
    listed = CODES.get(str(code))
    if listed is not None:
        return listed
    if str(code).startswith(GATEWAY):
        return IN_ITS_PLACE
    status = http_status if http_status is not None else _status_in(str(code))
    if status is None:
        return UNLISTED
    by_status = CODES.get(f"http_{status}")
    if by_status is not None:
        return by_status
    if 400 <= status < 500:
        return UNLISTED
    return UNLISTED_SERVER_ERROR if status >= 500 else UNEXPECTED_STATUS


def gateway(status: int) -> str:
    """Return the code of an answer with this status that is not the carrier's."""
    return f"{GATEWAY}{status}"


def _status_in(code: str) -> int | None:
    head, _, digits = code.partition("_")
    return int(digits) if head == "http" and digits.isascii() and digits.isdigit() and len(digits) == 3 else None
