"""A twilio_sync that looks into no log: a message whose answer was lost is simply sent again."""

from typing import Any

from libs.common.carriers.twilio import LogEntry
from services.twilio_sync.newest import Newest
from services.twilio_sync.settling import Settle


def take_away() -> None:
    """Take the protection away."""

    async def nothing(_self: Settle, *_about: Any) -> list[LogEntry]:
        return []

    async def no_page(_self: Settle, *_about: Any) -> Newest:
        return Newest(entries=(), offset=None)

    def always(_self: Newest, *_about: Any) -> bool:
        return True

    Settle._log = nothing  # type: ignore[assignment, method-assign]
    Settle._newest = no_page  # type: ignore[assignment, method-assign]
    Newest.proves = always  # type: ignore[assignment, method-assign]
