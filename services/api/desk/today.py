"""Today: what goes out now, what goes out next, what needs a person, and the week."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from litestar import get
from litestar.di import NamedDependency
from litestar.response import Template

from libs.common import database
from libs.common.broadcasts import single_messages
from libs.common.catalogue import gettext as _
from libs.common.domain import calendar
from libs.common.domain.states import BroadcastState
from libs.common.settings.api import ApiSettings
from libs.common.texts import gettext_noop as n_
from services.api.broadcasts import queries
from services.api.context import Context
from services.api.desk import first_steps, own_numbers, rendering, schedules, sentences
from services.api.desk.broadcast_view import settled, view
from services.api.desk.requests import AnyRequest
from services.api.http.fields import BIGGEST
from services.api.replies import queries as replies
from services.api.replies.queries import Filters
from services.api.schemas import Broadcast
from services.api.webhooks import sources

DAYS = 7
MOST = 5  # broadcasts that are shown of each kind
MANY = 50  # scheduled broadcasts, or drafts, that a week may have
NEWS = timedelta(days=1)  # how long it is news that webhooks were refused
RECENT = timedelta(days=7)  # how long one that did not go out is news
FAR = timedelta(days=366)
LONG_UNKNOWN = timedelta(minutes=15)  # after which a message that nobody knows about is a person's to decide

SCHEDULED = (BroadcastState.SCHEDULED,)
GOING = (
    BroadcastState.SENDING_FIRST,
    BroadcastState.WAITING,
    BroadcastState.SENDING_SECOND,
    BroadcastState.SYNCING,
)


@dataclass(frozen=True, slots=True)
class Run:
    """A time at which a broadcast goes out: its own, or one at which it repeats."""

    at: datetime
    broadcast: Broadcast

    @property
    def is_repeat(self) -> bool:
        """Whether it will be another broadcast by then, with the same words."""
        return self.at != self.broadcast.run_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day of the week that is shown."""

    date: date
    #: "Weekend", or what the holiday is called; empty for a working day.
    off: str
    runs: tuple[Run, ...] = ()


@get("/")
async def show(request: AnyRequest, api: NamedDependency[Context]) -> Template:
    """Show today."""
    now, zone = api.clock(), api.settings.zone
    async with database.transaction(api.engine) as connection:
        going = await queries.in_states(connection, zone, GOING, since=now - RECENT, before=now + FAR, limit=MOST)
        paused = await queries.in_states(
            connection, zone, (BroadcastState.PAUSED,), since=now - FAR, before=now + FAR, limit=MOST
        )
        missed = await queries.in_states(
            connection, zone, (BroadcastState.MISSED,), since=now - RECENT, before=now, limit=MOST
        )
        coming = await queries.in_states(
            connection, zone, SCHEDULED, since=now - RECENT, before=now + FAR, limit=MANY, drafts=False
        )
        drafts = await queries.in_states(
            connection, zone, SCHEDULED, since=now - FAR, before=now + FAR, limit=MANY, drafts=True
        )
        uncertain = await queries.uncertain(connection, now - RECENT, now - LONG_UNKNOWN)
        answers = await single_messages.uncertain_answers(connection, now - RECENT, now - LONG_UNKNOWN, MOST)
        heard = await sources.everything(connection)
        steps = None if going or coming else await first_steps.read(connection)
        likely = (await replies.page(connection, Filters(waiting=True), before=BIGGEST, limit=MOST + 1)).items
    views = []
    for each in [*going, *paused]:
        async with database.transaction(api.engine) as connection:
            views.append(await view(connection, api, each.id, now))
    return rendering.page(
        request,
        api,
        "today.html",
        section="today",
        going=views[: len(going)],
        steps=steps,
        coming=coming,
        drafts=drafts,
        following=schedules.following(coming[0], api.settings, now) if coming else None,
        paused=views[len(going) :],
        missed=missed,
        unapproved=[each for each in coming if api.settings.approval_required and not each.approved_by][:MOST],
        uncertain=uncertain,
        answers=answers,
        refused=[each for each in heard if each.refused_at and each.refused_since and each.refused_at > now - NEWS],
        sources=own_numbers.SOURCES,
        likely=likely,
        most=MOST,
        tags=sentences.TAGS,
        days=week([*coming, *drafts], api.settings, now),
        today=now.astimezone(zone).date(),
        **settled(api),
    )


def week(scheduled: Sequence[Broadcast], settings: ApiSettings, now: datetime) -> list[Day]:
    """Return seven days from today on, with why each is off and what runs on it, what repeats included."""
    zone = settings.zone
    first = now.astimezone(zone).date()
    dates = [first + timedelta(days=n) for n in range(DAYS)]
    names = settings.calendar.of(sorted({each.year for each in dates}))
    runs = [Run(at, each) for each in scheduled for at in schedules.until(each, dates[-1], settings, now)]
    return [
        Day(
            date=each,
            off=_(names.get(each, n_("Weekend") if each.weekday() >= calendar.SATURDAY else "")),
            runs=tuple(sorted((run for run in runs if run.at.astimezone(zone).date() == each), key=lambda run: run.at)),
        )
        for each in dates
    ]
