"""A twilio_sync that takes the carrier's clock for its own: an entry that seems older than its message is another's."""

from typing import Any

from libs.common.carriers import clock_records
from libs.common.carriers.clocks import SAME, Offset


def take_away() -> None:
    """Take the protection away."""

    async def same(*_about: Any) -> Offset:
        return SAME

    clock_records.since = same  # type: ignore[assignment]
