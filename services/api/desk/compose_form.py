"""The form of a broadcast: what was typed, and what is meant by it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from zoneinfo import ZoneInfo

from msgspec import UNSET, structs

from libs.common.catalogue import gettext as _
from libs.common.domain import calendar, frequency, message_parts, templates, wall_clock
from libs.common.domain.states import Late
from libs.common.settings.api import ApiSettings
from services.api.http.fields import BIGGEST
from services.api.schemas import Broadcast, BroadcastSegment, FrequencyCap, NewBroadcast, SegmentRef, Share, Week

MORNING = time(10)  # when a broadcast goes out, unless somebody chooses another time
LONGEST_DELAY = 24 * 60  # minutes
MOST_RECIPIENTS = 5_000_000
MOST_SEGMENTS = 100
LONGEST_LABEL = 100  # characters
RECIPIENTS = 1000  # unless somebody chooses another number
NO_WEEK = ("",) * calendar.DAYS_OF_WEEK
SEGMENT, SHARE, KIND, EXCLUDE, TEST_USER = "segment-", "share-", "kind-", "exclude-", "test-user-"
POOL = "pool-"


class ShareKind(StrEnum):
    """What is asked of a segment."""

    PERCENT = "percent"
    PEOPLE = "people"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What stands in the form, as it was typed."""

    first_message: str = ""
    second_message: str = ""
    has_follow_up: bool = True
    #: Minutes.
    delay: str = ""
    day: str = ""
    clock: str = ""
    recipients: str = ""
    from_number: str = ""
    #: The further numbers that are ticked.
    pool: frozenset[str] = frozenset()
    recurring: bool = False
    #: What becomes of a text that would come too late in the day where its recipient is.
    late: Late = Late.WAIT
    #: The times of the weekdays from Monday on, where it repeats at times of its own.
    week: tuple[str, ...] = NO_WEEK
    #: Where a test goes: numbers with commas between them.
    test_to: str = ""
    #: The users who are ticked for a test, by id.
    test_users: frozenset[int] = frozenset()
    #: The segments that are ticked, with what is typed of their shares; an empty percent takes what the others leave.
    chosen: dict[int, str] = field(default_factory=dict)
    #: What those are, where not percents.
    kinds: dict[int, ShareKind] = field(default_factory=dict)
    #: The segments whose people are left out.
    excluded: frozenset[int] = frozenset()
    #: The segment that fills up what the others do not give.
    fallback: int | None = None
    #: At most so many texts to a person in so many days.
    cap_texts: str = ""
    cap_days: str = ""
    #: What its conversations are labelled in Missive.
    label: str = ""
    #: The file that it goes to in place of segments.
    file: int | None = None

    @property
    def follow_up(self) -> str:
        """The follow-up as it would go out; empty where there is to be none, whatever was typed before."""
        return self.second_message if self.has_follow_up else ""


def blank(settings: ApiSettings, now: datetime) -> Given:
    """Return the form as it is at first: for the morning of the next working day."""
    yesterday = now - timedelta(days=1)
    at = wall_clock.at_wall_clock(yesterday.astimezone(settings.zone).date(), MORNING, settings.zone)
    day, clock = _wall(calendar.next_run(at, now, settings.zone, settings.calendar), settings.zone)
    return Given(
        delay=minutes(settings.second_delay),
        day=day,
        clock=clock,
        recipients=str(RECIPIENTS),
        from_number=settings.from_number,
    )


def of_broadcast(broadcast: Broadcast, zone: ZoneInfo) -> Given:
    """Return the form of a broadcast that is there."""
    day, clock = _wall(broadcast.run_at, zone)
    return Given(
        first_message=broadcast.first_message,
        second_message=broadcast.second_message or "",
        has_follow_up=broadcast.second_message is not None,
        delay=minutes(broadcast.second_delay),
        day=day,
        clock=clock,
        recipients=str(broadcast.max_recipients),
        from_number=broadcast.from_number,
        pool=frozenset(broadcast.pool),
        recurring=broadcast.recurring,
        late=broadcast.late,
        week=tuple(each or "" for each in structs.astuple(broadcast.week)) if broadcast.week else NO_WEEK,
        chosen={} if broadcast.file else {each.segment_id: _typed(each) for each in broadcast.segments},
        kinds={}
        if broadcast.file
        else {each.segment_id: kind for each in broadcast.segments if (kind := _kind(each)) != ShareKind.PERCENT},
        excluded=frozenset(each.segment_id for each in broadcast.exclude),
        fallback=None if broadcast.fallback is None else broadcast.fallback.segment_id,
        cap_texts="" if broadcast.frequency_cap is None else str(broadcast.frequency_cap.texts),
        cap_days="" if broadcast.frequency_cap is None else str(broadcast.frequency_cap.days),
        file=broadcast.file,
        label=broadcast.label,
    )


def _typed(segment: BroadcastSegment) -> str:
    if segment.ratio is not None:
        return f"{segment.ratio:.10g}"
    return "" if segment.count is None else str(segment.count)


def _kind(segment: BroadcastSegment) -> ShareKind:
    if segment.all:
        return ShareKind.ALL
    return ShareKind.PERCENT if segment.count is None else ShareKind.PEOPLE


def of_copy(broadcast: Broadcast, first: Given, zone: ZoneInfo, *, has_audience: bool) -> Given:
    """Return the form of a new broadcast with the words of another; `first` says when it goes out."""
    copy = replace(of_broadcast(broadcast, zone), day=first.day, recurring=False, week=NO_WEEK)
    if has_audience:
        return copy
    return replace(copy, chosen={}, kinds={}, excluded=frozenset(), fallback=None, cap_texts="", cap_days="", file=None)


def of_data(data: Mapping[str, str]) -> Given:
    """Return what a browser sent. It ends lines with CR and LF, which phones and the carrier's count do not."""
    chosen = {key: data.get(f"{SHARE}{key}", "").strip() for key in _ticked(data, SEGMENT)}

    kinds = {key: data.get(f"{KIND}{key}", "") for key in chosen}
    fallback = data.get("fallback", "")

    def text(name: str) -> str:
        return data.get(name, "").replace("\r\n", "\n").strip()

    return Given(
        first_message=text("first_message"),
        second_message=text("second_message"),
        has_follow_up="no_follow_up" not in data,
        delay=text("delay"),
        day=text("day"),
        clock=text("clock"),
        recipients=text("recipients"),
        from_number=text("from_number"),
        pool=frozenset(name.removeprefix(POOL) for name in data if name.startswith(POOL)) - {text("from_number")},
        recurring="recurring" in data,
        late=Late.SKIP if data.get("late") == Late.SKIP else Late.WAIT,
        week=tuple(text(f"at-{day}") for day in range(calendar.DAYS_OF_WEEK)),
        test_to=text("test_to"),
        test_users=frozenset(_ticked(data, TEST_USER)),
        chosen=chosen,
        kinds={key: ShareKind(kind) for key, kind in kinds.items() if kind in (ShareKind.PEOPLE, ShareKind.ALL)},
        excluded=frozenset(_ticked(data, EXCLUDE)),
        fallback=next(iter(_ticked({fallback: ""}, "")), None),
        cap_texts=text("cap_texts"),
        cap_days=text("cap_days"),
        file=next(iter(_ticked({data.get("file", ""): ""}, "")), None),
        label=text("label"),
    )


def about(data: Mapping[str, str]) -> int | None:
    """Return the broadcast that a form changes; None for a new one."""
    return next(iter(_ticked({data.get("about", ""): ""}, "")), None)


def of_file(given: Given, *, has_messages: bool, has_follow_ups: bool) -> Given:
    """Return the form with the words of the file that is chosen, where nobody has written others."""
    if not has_messages or given.first_message:
        return given
    if not has_follow_ups:
        return replace(given, first_message=templates.MESSAGE_ALONE, has_follow_up=bool(given.follow_up))
    follow_up = given.follow_up or templates.FOLLOW_UP_ALONE
    return replace(given, first_message=templates.MESSAGE_ALONE, second_message=follow_up, has_follow_up=True)


def _ticked(data: Mapping[str, str], prefix: str) -> list[int]:
    """Return the ids that are named by fields of a prefix."""
    numbers = [name.removeprefix(prefix) for name in data if name.startswith(prefix)]
    return [int(each[:19]) for each in numbers if each.isascii() and each.isdigit() and 0 < int(each[:19]) <= BIGGEST]


def with_replacements(given: Given, only: str | None = None) -> Given:
    """Return the form with plain characters in place of those that make a message dear, where one says the same.

    With `only`, in place of that character alone.
    """
    return replace(
        given,
        first_message=message_parts.replaced(given.first_message, only),
        second_message=message_parts.replaced(given.second_message, only),
    )


def meant(given: Given, zone: ZoneInfo, *, is_draft: bool) -> tuple[NewBroadcast | None, dict[str, str]]:
    """Return the broadcast that is meant, or what is wrong by field; a draft need not say to whom it goes.

    What only the database knows, and the bodies themselves, are checked where broadcasts are written (`wishes`).
    """
    wrong: dict[str, str] = {}
    if not given.first_message:
        wrong["first_message"] = _("Write the first message.")
    if given.has_follow_up and not given.second_message:
        wrong["second_message"] = _("Write the follow-up, or tick that there is none.")
    delay = _number(given.delay) if given.has_follow_up else Decimal(0)
    if delay is None or not 0 <= delay <= LONGEST_DELAY:
        wrong["delay"] = _("Give the minutes until the follow-up, from 0 to 1,440.")
    recipients = UNSET if given.file else most(given)
    if recipients is None:
        wrong["recipients"] = _("Give the most people who may get it, as a whole number from 1.")
    run_at = moment(given, zone)
    if run_at is None:
        wrong["day"] = _("Choose a day and a time.")
    if week(given) is None and any(given.week):
        wrong["week"] = _("Give a time for each weekday that it is to go out on, such as 14:30.")
    elif any(given.week) and not given.recurring:
        wrong["week"] = _("Tick that it goes out again, or leave the times of the weekdays empty.")
    segments = [] if given.file else shares(given)
    if len(given.label) > LONGEST_LABEL:
        wrong["label"] = _("Give the label a name of at most 100 characters.")
    if given.file and given.chosen:
        wrong["file"] = _("Choose groups or a file, not both.")
    elif given.file and given.fallback:
        wrong["fallback"] = _("A broadcast to a file goes to those who are in it: choose no group that fills up.")
    elif given.file and given.recurring:
        wrong["file"] = _("A broadcast to a file goes out once: untick that it goes out again.")
    if segments is None:
        wrong["segments"] = _(
            "Give shares above 0 and at most 100 percent in sum, or leave them empty for the rest; or whole numbers of"
            " people."
        )
    elif len(segments) > MOST_SEGMENTS:
        wrong["segments"] = _("Choose 100 groups at most.")
    elif not segments and not given.file and not is_draft:
        wrong["segments"] = _("Choose who gets it, or save it as a draft.")
    limit = cap(given)
    if limit is None and (given.cap_texts or given.cap_days):
        wrong["cap_texts"] = _("Give the most texts, 1 to 1,000, and the days, 1 to 366; or leave both empty.")
    if wrong or delay is None or recipients is None or run_at is None or segments is None:
        return None, wrong
    return NewBroadcast(
        run_at=run_at,
        first_message=given.first_message,
        second_message=given.follow_up or None,
        segments=segments,
        file=given.file,
        max_recipients=recipients,
        second_delay=round(delay * 60) if given.has_follow_up else UNSET,
        from_number=given.from_number,
        pool=sorted(given.pool),
        recurring=given.recurring,
        week=week(given) if given.recurring else None,
        draft=is_draft,
        exclude=[SegmentRef(segment_id=each) for each in sorted(given.excluded)],
        fallback=None if given.fallback is None else SegmentRef(segment_id=given.fallback),
        frequency_cap=limit,
        label=given.label,
        late=given.late,
    ), {}


def cap(given: Given) -> FrequencyCap | None:
    """Return the frequency cap of its own; None where there is none, or what is typed is none."""
    texts, days = _number(given.cap_texts), _number(given.cap_days)
    if texts is None or days is None or texts != int(texts) or days != int(days):
        return None
    if not 1 <= texts <= frequency.MOST_TEXTS or not 1 <= days <= frequency.MOST_DAYS:
        return None
    return FrequencyCap(texts=int(texts), days=int(days))


def week(given: Given) -> Week | None:
    """Return the times of the weekdays; None where there are none, or where one is no time."""
    try:
        times = [time.fromisoformat(each).strftime("%H:%M") if each else None for each in given.week]
    except ValueError:
        return None
    return Week(**dict(zip(Week.__struct_fields__, times, strict=True))) if any(times) else None


def times_of(week: Week | None) -> list[tuple[str, str]]:
    """Return the times of a week, each with the English name of its day."""
    return [] if week is None else [(day.capitalize(), at) for day, at in structs.asdict(week).items() if at]


def shares(given: Given) -> list[Share] | None:
    """Return the segments that are ticked with their shares; None if those cannot be."""
    kinds = {key: given.kinds.get(key, ShareKind.PERCENT) for key in given.chosen}
    percents = _percents({key: typed for key, typed in given.chosen.items() if kinds[key] == ShareKind.PERCENT})
    if percents is None:
        return None
    found = []
    for key, kind in kinds.items():
        match kind:
            case ShareKind.PERCENT:
                found.append(Share(segment_id=key, ratio=percents[key]))
            case ShareKind.ALL:
                found.append(Share(segment_id=key, all=True))
            case ShareKind.PEOPLE:
                number = _people(given.chosen[key])
                if number is None:
                    return None
                found.append(Share(segment_id=key, count=number))
    return found


def _percents(typed: Mapping[int, str]) -> dict[int, float] | None:
    """Return percents as they are meant: an empty one takes what the others leave; None if they cannot be."""
    numbers = {key: _number(each) for key, each in typed.items()}
    if any(each and numbers[key] is None for key, each in typed.items()):
        return None
    open_ = [key for key, number in numbers.items() if number is None]
    rest = 100 - sum(number for number in numbers.values() if number is not None)
    found = {key: float(rest / len(open_) if number is None else number) for key, number in numbers.items()}
    if any(not 0 < ratio <= 100 for ratio in found.values()) or rest < Decimal("-0.000001"):
        return None
    return found


def _people(typed: str) -> int | None:
    """Return how many people are meant; None if that is no number of people."""
    number = _number(typed)
    if number is None or number != int(number) or not 1 <= number <= MOST_RECIPIENTS:
        return None
    return int(number)


def most(given: Given) -> int | None:
    """Return how many people may get it; None if that is no number of people."""
    return _people(given.recipients)


def moment(given: Given, zone: ZoneInfo) -> datetime | None:
    """Return when it goes out; None if that is no day and time."""
    try:
        return wall_clock.at_wall_clock(date.fromisoformat(given.day), time.fromisoformat(given.clock), zone)
    except (ValueError, OverflowError):
        return None


def minutes(seconds: int) -> str:
    """Return seconds as minutes: "10", "0.1"."""
    return f"{seconds / 60:.10g}"


def _number(typed: str) -> Decimal | None:
    try:
        number = Decimal(typed.replace(",", "") if typed.isascii() else "")
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) <= BIGGEST else None


def _wall(at: datetime, zone: ZoneInfo) -> tuple[str, str]:
    local = at.astimezone(UTC).astimezone(zone)
    return local.date().isoformat(), local.strftime("%H:%M")
