"""What the API takes and says of our numbers."""

from typing import Annotated, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from libs.common.domain.sending_numbers import CarrierName
from services.api.http.fields import SERVICE_SID_PATTERN, SPAN_PATTERN, Moment, PhoneNumber
from services.api.schemas import Body

Rate: TypeAlias = Annotated[float, Meta(gt=0, le=1000)]
Count: TypeAlias = Annotated[int, Meta(ge=1, le=10_000_000)]
#: From when to when, by the organisation's clocks.
Hours: TypeAlias = Annotated[str, Meta(pattern=SPAN_PATTERN, examples=["09:00-20:00"])]
ServiceSid: TypeAlias = Annotated[
    str, Meta(pattern=SERVICE_SID_PATTERN, examples=["MG0123456789abcdef0123456789abcdef"])
]


class NumberChanges(Body):
    """What is to change about how a number sends; what is left out stays. Null is what is usual, or no limit."""

    carrier: CarrierName | UnsetType | None = UNSET
    #: Messages a second.
    rate: Rate | UnsetType | None = UNSET
    #: Messages in any minute, as the phone companies grant the number's campaign.
    minute_limit: Count | UnsetType | None = UNSET
    #: Attempts on one day of the organisation's zone.
    daily_cap: Count | UnsetType | None = UNSET
    hours: Hours | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    #: Of Twilio's; the number then has to send through Twilio.
    messaging_service_sid: ServiceSid | UnsetType | None = UNSET


class Number(Struct, kw_only=True):
    """A number of ours, and how it sends."""

    id: int
    phone_number: PhoneNumber
    #: Whether a broadcast is sent from it that names none.
    is_usual: bool
    #: Whom its messages go through; null for the settings' carrier, which is then `carrier_in_use`.
    carrier: CarrierName | None
    carrier_in_use: CarrierName
    #: Messages a second; null for the settings' rate, which is then `rate_in_use`.
    rate: float | None
    rate_in_use: float
    #: Messages in any minute, and attempts on one day; null for no such limit.
    minute_limit: int | None
    daily_cap: int | None
    #: `HH:MM-HH:MM` by the organisation's clocks; null for whenever the quiet hours allow.
    hours: str | None
    #: Nothing leaves from a number that is not.
    enabled: bool
    #: The Messaging Service that sends in its place, from whichever number of its own; null without.
    messaging_service_sid: str | None


class NumberHealth(Struct, kw_only=True):
    """How a number does."""

    #: Since when the carrier answers with errors; null while it does not.
    failing_since: Moment | None
    #: Nothing is sent from it before this; null where nothing holds it.
    held_until: Moment | None
    #: When the last text of a broadcast left that the carrier has taken, and that it has refused for good, with why.
    last_accepted_at: Moment | None
    last_refused_at: Moment | None
    last_refused_code: str | None
    #: Texts of broadcasts that the carrier has refused, or could not deliver, of those that began in the last day.
    failed_lately: int
    #: Attempts that it has started today; null where it has no daily cap.
    started_today: int | None


class ListedNumber(Number, kw_only=True):
    """A number of ours, how it sends, and how it does."""

    health: NumberHealth
