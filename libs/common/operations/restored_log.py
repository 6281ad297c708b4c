"""The carrier's log since the point of a restore: all of it, proven, by a clock that is measured.

Times in the log are by the carrier's clock. How far that is ahead of ours is measured by the carrier's answers
(`carriers.clock_records`), over the whole time that is read: an attempt and its entry were dated by the clocks of then.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from libs.common import database
from libs.common.carriers import clock_records, message_log
from libs.common.carriers.clocks import SAME, Offset
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.log_evidence import has_got_past
from libs.common.carriers.message_log import WholeLog
from libs.common.carriers.twilio import MAX_PAGE_SIZE, Twilio
from libs.common.database import Engine


async def read(
    engine: Engine,
    twilio: Twilio,
    numbers: Sequence[str],
    begin: datetime,
    clock: Callable[[], datetime],
    *,
    arrived_by: datetime | None,
) -> tuple[WholeLog, Offset]:
    """Read all since `begin`, to and from some numbers; return it, and how far Twilio's clock is ahead of ours.

    With `arrived_by` the log must prove, before and after it is read, that it has got past that time. Raise
    CarrierUnreadable where it does not, or cannot be read as a whole.
    """
    if arrived_by is None:
        offset = await _offset(engine, twilio, begin, clock) or SAME
        found = await message_log.read(twilio, numbers, offset.log_time_from(begin))
        return found, await _offset(engine, twilio, begin, clock) or offset
    before = await _proof(engine, twilio, arrived_by, begin, clock)
    found = await message_log.read(twilio, numbers, before.log_time_from(begin))
    return found, await _proof(engine, twilio, arrived_by, begin, clock)


async def _proof(
    engine: Engine, twilio: Twilio, arrived_by: datetime, begin: datetime, clock: Callable[[], datetime]
) -> Offset:
    """Return how far Twilio's clock has been ahead of ours since `begin`, if the log has got past `arrived_by`.

    Raise CarrierUnreadable: a log that lags would have everything sent again that it does not show yet.
    """
    page = await twilio.everything(since=arrived_by - timedelta(days=2), page_size=MAX_PAGE_SIZE)
    offset = await _offset(engine, twilio, begin, clock)
    if offset is None or offset.is_far:
        raise CarrierUnreadable("Twilio's clock and ours are too far apart, or it tells no time", code="clock")
    if not has_got_past(page.entries, arrived_by, offset, clock()):
        at = f"{arrived_by:%Y-%m-%d %H:%M:%S} UTC"
        raise CarrierUnreadable(
            f"it shows nothing that came after {at}, and may lag. "
            "Write any SMS from your own phone to a number of the account",
            code="log_lags",
        )
    return offset


async def _offset(engine: Engine, twilio: Twilio, since: datetime, clock: Callable[[], datetime]) -> Offset | None:
    """Return how far Twilio's clock has been ahead of ours since a time; None if its answers have no time."""
    async with database.transaction(engine) as connection:
        await clock_records.share(connection, "twilio", twilio.meter, clock())
        return await clock_records.since(connection, "twilio", since, clock())
