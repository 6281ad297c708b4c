"""When a broadcast goes out again. Pure."""

from datetime import datetime

from libs.common.domain import calendar
from libs.common.domain.states import BroadcastState
from libs.common.settings import Settings
from services.api.broadcasts import wishes
from services.api.schemas import Broadcast


def following(broadcast: Broadcast, settings: Settings, now: datetime) -> datetime | None:
    """Return when a scheduled broadcast goes out next after its own time; None where it does not repeat."""
    if broadcast.state != BroadcastState.SCHEDULED or not broadcast.recurring:
        return None
    week = calendar.parse_week(wishes.week(broadcast.week))
    return calendar.next_run(broadcast.run_at, now, settings.zone, settings.calendar, week)
