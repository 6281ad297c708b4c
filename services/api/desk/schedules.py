"""When a broadcast goes out again. Pure."""

from collections.abc import Iterator
from datetime import date, datetime

from libs.common.domain import calendar
from libs.common.domain.states import BroadcastState
from libs.common.settings.api import ApiSettings
from services.api.broadcasts import wishes
from services.api.schemas import Broadcast


def following(broadcast: Broadcast, settings: ApiSettings, now: datetime) -> datetime | None:
    """Return when a scheduled broadcast goes out next after its own time; None where it does not repeat."""
    if broadcast.state != BroadcastState.SCHEDULED or broadcast.is_draft or not broadcast.recurring:
        return None
    return _next(broadcast, broadcast.run_at, settings, now)


def until(broadcast: Broadcast, last: date, settings: ApiSettings, now: datetime) -> Iterator[datetime]:
    """Yield when a scheduled broadcast goes out: at its own time, and again as it repeats, up to a day and with it."""
    at = broadcast.run_at
    while at.astimezone(settings.zone).date() <= last:
        yield at
        if not broadcast.recurring or broadcast.is_draft:
            return
        at = _next(broadcast, at, settings, now)


def _next(broadcast: Broadcast, after: datetime, settings: ApiSettings, now: datetime) -> datetime:
    week = calendar.parse_week(wishes.week(broadcast.week))
    return calendar.next_run(after, now, settings.zone, settings.calendar, week)
