"""The carriers' errors by kind, as data.

Twilio's codes are in its dictionary (https://www.twilio.com/docs/api/errors); they come with a refusal, or later, as
the `error_code` of a text that was taken and could not be delivered. Missive has no codes, only HTTP statuses
(https://missiveapp.com/docs/developers/rest-api), as `http_<status>`. The rest are ours: why a request never left.

The question behind each kind is who is at fault. Twilio changes what a code covers without notice
(https://www.twilio.com/en-us/changelog/updates-to-the-error-code-dictionary-to-clarify-number-validatio), so whatever
is not in the table has a kind too.
"""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What follows from an error."""

    #: Nobody is at fault; the same text may go later.
    RETRY = "retry"
    #: This text to this number never goes.
    GIVE_UP = "give_up"
    #: The recipient said no to the carrier: on record as an opt-out.
    OPT_OUT = "opt_out"
    #: Too fast: everybody waits.
    SLOW_DOWN = "slow_down"
    #: The account, the sending number or the message is at fault; every recipient would be refused, so none is spent.
    STOP_BROADCAST = "stop_broadcast"
    #: One is bad luck, many mean that the carriers filter this broadcast.
    STOP_ABOVE_THRESHOLD = "stop_above_threshold"
    #: The answer does not say whether the text was taken.
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error means."""

    kind: Kind
    text: str


#: The recipient is never in question here: the request did not leave, or not whole.
NOT_STARTED = "not_started"
NOT_WRITTEN = "not_written"
CONNECT_FAILED = "connect_failed"
CONNECT_TIMEOUT = "connect_timeout"
POOL_TIMEOUT = "pool_timeout"

CODES: dict[str, Meaning] = {
    NOT_STARTED: Meaning(Kind.RETRY, "The worker had lost its batch before the request was written"),
    NOT_WRITTEN: Meaning(Kind.RETRY, "The connection failed before the request was written"),
    CONNECT_FAILED: Meaning(Kind.RETRY, "No connection to the carrier"),
    CONNECT_TIMEOUT: Meaning(Kind.RETRY, "No connection to the carrier in time"),
    POOL_TIMEOUT: Meaning(Kind.RETRY, "No connection was free in time"),
    # HTTP statuses. Those from 400 on that are not here are the text's or the number's fault, 5xx say nothing.
    "http_401": Meaning(Kind.STOP_BROADCAST, "The carrier does not accept our credentials"),
    "http_402": Meaning(Kind.STOP_BROADCAST, "The carrier wants to be paid"),
    "http_403": Meaning(Kind.STOP_BROADCAST, "Our credentials do not allow this"),
    "http_404": Meaning(Kind.STOP_BROADCAST, "The carrier's address or our account is wrong"),
    "http_405": Meaning(Kind.STOP_BROADCAST, "The carrier's address is wrong"),
    "http_407": Meaning(Kind.STOP_BROADCAST, "The proxy does not accept our credentials"),
    "http_408": Meaning(Kind.RETRY, "The carrier did not get the whole request in time"),
    "http_410": Meaning(Kind.STOP_BROADCAST, "The carrier's address is gone"),
    "http_415": Meaning(Kind.STOP_BROADCAST, "The carrier does not take this form of request"),
    "http_425": Meaning(Kind.RETRY, "The carrier wants the request again"),
    "http_429": Meaning(Kind.SLOW_DOWN, "Too many requests"),
    # Twilio: accounts and requests.
    "10001": Meaning(Kind.STOP_BROADCAST, "The account is not active"),
    "20003": Meaning(Kind.STOP_BROADCAST, "Twilio does not accept our credentials, or the account is suspended"),
    "20005": Meaning(Kind.STOP_BROADCAST, "The account is not active"),
    "20008": Meaning(Kind.STOP_BROADCAST, "Test credentials cannot send"),
    "20403": Meaning(Kind.STOP_BROADCAST, "Our credentials do not allow this"),
    "20404": Meaning(Kind.STOP_BROADCAST, "There is no such account"),
    "20429": Meaning(Kind.SLOW_DOWN, "Too many requests at once; not processed"),
    "20500": Meaning(Kind.UNCERTAIN, "Internal error at Twilio"),
    # Twilio: the text is refused at once.
    "21211": Meaning(Kind.GIVE_UP, "The recipient's number is not valid"),
    "21212": Meaning(Kind.STOP_BROADCAST, "The sending number is not valid"),
    "21214": Meaning(Kind.GIVE_UP, "The recipient's number cannot be reached"),
    "21265": Meaning(Kind.GIVE_UP, "The recipient's number is a short code"),
    "21266": Meaning(Kind.GIVE_UP, "The recipient's number is the sending number"),
    "21408": Meaning(Kind.GIVE_UP, "The account may not text the recipient's region"),
    "21602": Meaning(Kind.STOP_BROADCAST, "The message is empty"),
    "21603": Meaning(Kind.STOP_BROADCAST, "The sending number is missing"),
    "21604": Meaning(Kind.GIVE_UP, "The recipient's number is missing"),
    "21606": Meaning(Kind.STOP_BROADCAST, "The sending number cannot text"),
    "21608": Meaning(Kind.GIVE_UP, "A trial account cannot text a number that it has not verified"),
    "21609": Meaning(Kind.STOP_BROADCAST, "The address for status reports is not valid"),
    "21610": Meaning(Kind.OPT_OUT, "The recipient has opted out of the sending number"),
    "21611": Meaning(Kind.SLOW_DOWN, "The sending number's queue is full"),
    "21612": Meaning(Kind.GIVE_UP, "There is no route from the sending number to the recipient"),
    "21614": Meaning(Kind.GIVE_UP, "The recipient's number cannot take texts"),
    "21617": Meaning(Kind.STOP_BROADCAST, "The message is longer than 1,600 characters"),
    "21635": Meaning(Kind.GIVE_UP, "The recipient's number is a landline"),
    "21659": Meaning(Kind.STOP_BROADCAST, "The sending number is not Twilio's"),
    "21660": Meaning(Kind.STOP_BROADCAST, "The sending number is not the account's"),
    "21661": Meaning(Kind.STOP_BROADCAST, "The sending number cannot text"),
    "63038": Meaning(Kind.STOP_BROADCAST, "The account's daily limit is reached"),
    # Twilio: the text was taken and was not delivered.
    "30001": Meaning(Kind.SLOW_DOWN, "The queue overflowed"),
    "30002": Meaning(Kind.STOP_BROADCAST, "The account was suspended before the text left"),
    "30003": Meaning(Kind.RETRY, "The phone could not be reached"),
    "30004": Meaning(Kind.GIVE_UP, "The recipient or their carrier blocks the text"),
    "30005": Meaning(Kind.GIVE_UP, "The number is unknown or no longer in service"),
    "30006": Meaning(Kind.GIVE_UP, "The number is a landline, or its carrier cannot be reached"),
    "30007": Meaning(Kind.STOP_ABOVE_THRESHOLD, "The text was filtered as unwanted"),
    "30008": Meaning(Kind.RETRY, "Unknown error at the recipient's carrier"),
    "30022": Meaning(Kind.SLOW_DOWN, "Faster than the carriers allow the campaign (10DLC)"),
    "30023": Meaning(Kind.STOP_ABOVE_THRESHOLD, "A carrier's daily cap for the brand is reached (10DLC)"),
    "30032": Meaning(Kind.STOP_ABOVE_THRESHOLD, "The toll-free number is not verified"),
    "30034": Meaning(Kind.STOP_ABOVE_THRESHOLD, "The sending number is not registered for US texts (10DLC)"),
    "30410": Meaning(Kind.RETRY, "The recipient's carrier did not answer in time"),
}

UNLISTED = Meaning(Kind.GIVE_UP, "Refused, with a code that is not in the table")
UNLISTED_SERVER_ERROR = Meaning(Kind.UNCERTAIN, "An error of the carrier's that does not say what came of the text")
UNEXPECTED_STATUS = Meaning(Kind.UNCERTAIN, "An answer that the carrier's documentation does not have")


def classify(code: str | int, *, http_status: int | None = None) -> Meaning:
    """Give what an error means; for a code that is not in the table, what its HTTP status means."""
    listed = CODES.get(str(code))
    if listed is not None:
        return listed
    status = http_status if http_status is not None else _status_in(str(code))
    if status is None:
        return UNLISTED
    by_status = CODES.get(f"http_{status}")
    if by_status is not None:
        return by_status
    if 400 <= status < 500:
        return UNLISTED
    return UNLISTED_SERVER_ERROR if status >= 500 else UNEXPECTED_STATUS


def _status_in(code: str) -> int | None:
    head, _, digits = code.partition("_")
    return int(digits) if head == "http" and digits.isascii() and digits.isdigit() and len(digits) == 3 else None
