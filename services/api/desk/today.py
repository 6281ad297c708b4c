"""Today: what goes out now, what goes out next, what needs a person, and the week."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.response import Template

from libs.common import database
from libs.common.domain import calendar
from libs.common.domain.holiday_calendar import Calendar
from libs.common.domain.states import BroadcastState
from services.api.broadcasts import queries
from services.api.context import Context
from services.api.desk import rendering, schedules, sentences
from services.api.desk.broadcast_view import view
from services.api.desk.catalogue import gettext as _
from services.api.http.fields import BIGGEST
from services.api.replies import queries as replies
from services.api.replies.queries import Filters
from services.api.schemas import Broadcast

AnyRequest = Request[Any, Any, Any]

DAYS = 7
MOST = 5  # broadcasts that are shown of each kind
RECENT = timedelta(days=7)  # how long one that did not go out is news
FAR = timedelta(days=366)
LONG_UNKNOWN = timedelta(minutes=15)  # after which a message that nobody knows about is a person's to decide

GOING = (
    BroadcastState.SENDING_FIRST,
    BroadcastState.WAITING,
    BroadcastState.SENDING_SECOND,
    BroadcastState.SYNCING,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day of the week that is shown."""

    date: date
    #: "Weekend", or what the holiday is called; empty for a working day.
    off: str
    broadcasts: tuple[Broadcast, ...] = ()


@get("/")
async def show(request: AnyRequest, api: NamedDependency[Context]) -> Template:
    """Show today."""
    now, zone = api.clock(), api.settings.zone
    midnight = calendar.at_wall_clock(now.astimezone(zone).date(), time(), zone)
    async with database.transaction(api.engine) as connection:
        going = await queries.in_states(connection, zone, GOING, since=now - RECENT, before=now + FAR, limit=MOST)
        paused = await queries.in_states(
            connection, zone, (BroadcastState.PAUSED,), since=now - FAR, before=now + FAR, limit=MOST
        )
        missed = await queries.in_states(
            connection, zone, (BroadcastState.MISSED,), since=now - RECENT, before=now, limit=MOST
        )
        coming = await queries.in_states(
            connection, zone, (BroadcastState.SCHEDULED,), since=now - RECENT, before=now + FAR, limit=50
        )
        uncertain = await queries.uncertain(connection, now - LONG_UNKNOWN)
        likely = (await replies.page(connection, Filters(waiting=True), before=BIGGEST, limit=MOST + 1)).items
    views = []
    for each in going:
        async with database.transaction(api.engine) as connection:
            views.append(await view(connection, api, each.id, now))
    return rendering.page(
        request,
        api,
        "today.html",
        section="today",
        going=views,
        coming=coming,
        following=schedules.following(coming[0], api.settings, now) if coming else None,
        paused=paused,
        missed=missed,
        uncertain=uncertain,
        likely=likely,
        most=MOST,
        tags=sentences.TAGS,
        days=week(midnight, zone, api.settings.calendar, coming),
        today=now.astimezone(zone).date(),
    )


def week(start: datetime, zone: ZoneInfo, holidays: Calendar, broadcasts: Sequence[Broadcast]) -> list[Day]:
    """Return seven days from `start` on, with why each is off and what runs on it."""
    first = start.astimezone(zone).date()
    dates = [first + timedelta(days=n) for n in range(DAYS)]
    names = holidays.of(sorted({each.year for each in dates}))
    return [
        Day(
            date=each,
            off=names.get(each, _("Weekend") if each.weekday() >= calendar.SATURDAY else ""),
            broadcasts=tuple(b for b in broadcasts if b.run_at.astimezone(zone).date() == each),
        )
        for each in dates
    ]
