"""All that a broadcast's page shows of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common.database import Connection
from libs.common.domain.states import BroadcastState
from services.api.broadcasts import queries, snapshot
from services.api.broadcasts.hub import LAST
from services.api.broadcasts.outcomes import Outcomes
from services.api.broadcasts.progress import Figures, PhaseProgress
from services.api.broadcasts.snapshot import Snapshot
from services.api.context import Context
from services.api.desk import schedules, sentences, timeline, waits
from services.api.desk.broadcast_facts import facts
from services.api.desk.segment_words import Words
from services.api.replies.schemas import Reply
from services.api.schemas import Broadcast


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnFrom:
    """A group of a broadcast that was made: whom it took in then, in words, and how many it gave."""

    name: str
    words: str
    drawn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A broadcast as its page shows it."""

    broadcast: Broadcast
    figures: Figures
    first: Outcomes
    second: Outcomes
    sentence: str
    #: How fast it goes, of what is allowed and by which limit; empty where it does not.
    pace: str
    tag: tuple[str, str]
    #: What happened to it, the newest first.
    timeline: list[timeline.Line]
    #: The newest replies.
    replies: Sequence[Reply]
    #: Texts that would never be sent if it were cancelled now, of the first message and of the follow-up.
    left_first: int
    left_second: int
    #: Texts whose request is on its way: nothing stops them.
    under_way: int
    #: Whether nothing has left of the first message, and it can be called back.
    can_be_called_back: bool
    #: The same as long as nothing changes.
    version: str
    #: Whether something may still change.
    is_live: bool
    #: When it goes out next after its own time; None where it does not repeat, or has begun.
    following: datetime | None = None
    #: Whom it was drawn from.
    drawn_from: Sequence[DrawnFrom] = ()
    #: Who filled up what they did not give; None where there was no such group.
    filled_from: DrawnFrom | None = None
    #: Whose people were left out.
    without: Sequence[DrawnFrom] = ()


async def view(connection: Connection, api: Context, broadcast_id: int, now: datetime) -> View:
    """Read a broadcast as its page shows it, all of one moment. Raise NotFound."""
    await queries.take_one_snapshot(connection)
    return of(api, await snapshot.read(connection, broadcast_id, api.settings, now), now)


def of(api: Context, seen: Snapshot, now: datetime) -> View:
    """Return a snapshot as the page shows it at `now`."""
    broadcast, first, second = seen.broadcast, seen.first, seen.second
    progress = seen.figures.progress
    words, filling = Words({}, now, api.settings.zone), broadcast.fallback  # groups in a filter are in their places
    known = facts(
        broadcast, first, second, seen.going,
        paused=timeline.paused(seen.steps), cancelled=timeline.cancelled(seen.steps),
    )  # fmt: skip
    return View(
        broadcast=broadcast,
        figures=seen.figures,
        first=first,
        second=second,
        sentence=sentences.broadcast(known, now, api.settings.zone),
        pace=waits.pace(seen.going) if seen.going else "",
        tag=sentences.tag(known, now),
        replies=seen.replies,
        timeline=timeline.lines(seen.steps, now, api.settings.zone),
        left_first=_left(progress.first),
        left_second=_left(progress.second),
        under_way=progress.first.started + progress.second.started,
        can_be_called_back=BroadcastState.SENDING_FIRST in (broadcast.state, broadcast.paused_from)
        and not seen.figures.first_pace.started,
        version=seen.version,
        is_live=broadcast.state not in LAST,
        following=schedules.following(broadcast, api.settings, now),
        drawn_from=[
            DrawnFrom(name=each.name, words=words.of(each.filter), drawn=each.drawn or 0)
            for each in broadcast.segments
            if each.filter is not None
        ],
        filled_from=None
        if filling is None or filling.filter is None
        else DrawnFrom(name=filling.name, words=words.of(filling.filter), drawn=filling.drawn or 0),
        without=[
            DrawnFrom(name=each.name, words=words.of(each.filter), drawn=0)
            for each in broadcast.exclude
            if each.filter is not None
        ],
    )


def _left(phase: PhaseProgress) -> int:
    return phase.pending + phase.claimed


def values(api: Context, seen: Snapshot, now: datetime) -> dict[str, Any]:
    """Return what the templates of a broadcast's page name."""
    return {"view": of(api, seen, now), **settled(api)}


def settled(api: Context) -> dict[str, Any]:
    """Return what the settings say of what can be done to a broadcast."""
    return {"needs_approval": api.settings.approval_required, "hold": api.settings.send_hold}
