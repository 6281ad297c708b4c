"""What a form of a broadcast comes to: parts, cost, who gets it and when."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from libs.common.broadcasts import file_words, link_names, preflight
from libs.common.broadcasts import selection as selections
from libs.common.broadcasts.preflight import Preflight
from libs.common.broadcasts.selection import Selection
from libs.common.database import Connection
from libs.common.domain import calendar, message_parts
from libs.common.domain.frequency import Cap
from libs.common.domain.message_parts import Measure
from libs.common.domain.templates import TemplateError, parse
from libs.common.rate_limits import rate
from services.api.broadcasts import files, recipients_places, recipients_preview, wishes
from services.api.broadcasts.checking import Wording
from services.api.broadcasts.files import File
from services.api.broadcasts.recipients_preview import Recipients
from services.api.context import Context
from services.api.desk import compose_advice, compose_form, numbers
from services.api.desk.compose_form import Given
from services.api.numbers import health, register
from services.api.segments import queries as segments
from services.api.segments.schemas import Segment

LATELY = timedelta(days=7)  # in which texts that came too fast are held against a number
MOST_SEGMENTS = 500  # that are offered


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What the two messages are to a carrier."""

    first: Measure
    second: Measure
    #: The messages as they are shown: with the defaults of their variables, and FIRST_NAME where there is none.
    first_example: str
    second_example: str
    #: Whether people get different words: then the measures are of the examples.
    is_personal: bool
    #: What would be saved if plain characters stood in place of those that have one: parts of both messages.
    saving: int
    is_replaceable: bool
    advice: list[str]
    has_link: bool


async def audience(
    connection: Connection, api: Context, given: Given, broadcast_id: int | None = None, *, is_counted: bool = True
) -> dict[str, Any]:
    """Return what the form says of who gets it, when, and for how much; `broadcast_id` is that of one that is changed.

    A page that is opened is not kept waiting until they are counted, and loads that after itself.
    """
    offered: list[Segment] = await segments.page(connection, after=0, limit=MOST_SEGMENTS)
    names = {each.id: each.name for each in offered}
    offered_files = await files.offered(connection, given.file)
    file = next((each for each in offered_files if each.id == given.file), None)
    if file is not None and file.segment_id is not None:
        names[file.segment_id] = file.name
    wished = selection(api, given, names, file)
    recipients = Recipients()
    if is_counted and wished.segments and wished.max_recipients:
        recipients = await recipients_preview.read(connection, wished, api.clock())
    checked = await _check(connection, api, given, wished, broadcast_id) if recipients.gets_it.most else None
    run_at = compose_form.moment(given, api.settings.zone)
    if run_at is not None and abs(run_at - api.clock()) > wishes.FARTHEST:
        run_at = None  # no calendar is asked about a day that cannot be
    part_price, measured = api.settings.price, words(given)
    cost = None
    if part_price is not None and recipients.gets_it.most:
        parts: float = measured.first.parts + measured.second.parts
        if checked is not None and checked.people > checked.wrong:
            parts = checked.total / (checked.people - checked.wrong)
        cost = numbers.money(part_price.amount * round(parts * recipients.gets_it.most), part_price.currency)
    sending = None
    people: Mapping[str, int] = {}
    if run_at is not None and recipients.gets_it.most:
        people = await recipients_places.read(connection, wished, recipients.gets_it.most, api.clock())
        number = await register.of(connection, given.from_number or api.settings.from_number)
        spacing = max(limit.interval for limit in rate.limits(api.settings, number))
        sending = compose_advice.on_pace(run_at, people, spacing, api.settings, api.clock(), given.late)
    lost = await health.too_fast(connection, given.from_number or api.settings.from_number, api.clock() - LATELY)
    return {
        "number_advice": compose_advice.on_number(lost),
        "segments": offered,
        "names": names,
        "files": offered_files,
        "file": file,
        "recipients": recipients,
        "is_to_count": bool(wished.segments) and not is_counted,
        "cost": cost,
        "checked": checked,
        "price": price(api),
        "run_at": run_at,
        "sending": sending,
        "time_advice": [
            *([] if run_at is None else compose_advice.on_time(run_at, api.settings, api.clock(), people)),
            *(
                []
                if run_at is None
                else compose_advice.on_places(run_at, people, api.settings, api.clock(), given.late)
            ),
            *([] if sending is None else sending.advice),
        ],
        "days": []
        if run_at is None
        else compose_advice.week(run_at, api.settings, _weekly(given), recurring=given.recurring),
    }


def _weekly(given: Given) -> calendar.Week | None:
    found = compose_form.week(given)
    return None if found is None else calendar.parse_week(wishes.week(found))


def words(given: Given) -> Words:
    """Return what the two messages of a form are to a carrier."""
    examples = [_example(text) for text in (given.first_message, given.follow_up)]
    first, second = map(message_parts.measure, examples)
    plain = compose_form.with_replacements(given)
    plain_parts = sum(message_parts.measure(_example(text)).parts for text in (plain.first_message, plain.follow_up))
    return Words(
        first=first,
        second=second,
        first_example=examples[0],
        second_example=examples[1],
        is_personal=examples != [given.first_message, given.follow_up],
        saving=first.parts + second.parts - plain_parts,
        is_replaceable=plain != given,
        advice=compose_advice.on_words(given.first_message, given.follow_up),
        has_link=compose_advice.has_link(given.first_message, given.follow_up),
    )


def _example(text: str) -> str:
    """Return a message as it is shown; one that cannot be read as it stands."""
    try:
        return parse(text).example
    except TemplateError:
        return text


async def _check(
    connection: Connection, api: Context, given: Given, wished: Selection, broadcast_id: int | None
) -> Preflight | None:
    """Return what the messages are to those who may get them; None where all get the same, or it cannot be read."""
    try:
        if not preflight.needs_a_look(given.first_message, given.follow_up):
            return None
    except TemplateError:
        return None
    return await (await _wording(connection, api, given, wished, broadcast_id)).read(connection)


async def wording(connection: Connection, api: Context, given: Given) -> Wording:
    """Return the messages of a form, and whom they may go to."""
    offered = await segments.page(connection, after=0, limit=MOST_SEGMENTS)
    file = None if given.file is None else await files.find(connection, given.file)
    wished = selection(api, given, {each.id for each in offered}, file)
    return await _wording(connection, api, given, wished, None)


async def _wording(
    connection: Connection, api: Context, given: Given, wished: Selection, broadcast_id: int | None
) -> Wording:
    asked = await selections.conditions(connection, wished, api.clock())
    run_at = compose_form.moment(given, api.settings.zone) or api.clock()
    slugs = await link_names.read(connection, broadcast_id, run_at, asked.sources, api.settings.zone)
    file = await file_words.of_segments(connection, asked.sources)
    return Wording(asked, given.first_message, given.follow_up or None, slugs, file)


def selection(api: Context, given: Given, known: Container[int], file: File | None) -> Selection:
    """Return whom a form asks for, as far as there are such segments: the people of its file, if it has one."""
    own = compose_form.cap(given)
    shares = wishes.shares([each for each in compose_form.shares(given) or [] if each.segment_id in known])
    if file is not None:
        shares = () if file.segment_id is None else wishes.share_of(file)
    return Selection(
        segments=shares,
        max_recipients=(compose_form.most(given) or 0) if file is None else file.people,
        excluded=sorted(each for each in given.excluded if each in known),
        fallback=given.fallback if given.fallback in known else None,
        caps=selections.caps(api.settings.cap, None if own is None else Cap(texts=own.texts, days=own.days)),
        texts=2 if given.follow_up else 1,
    )


def price(api: Context) -> Any:
    """Return what words cost: a function of parts, for a thousand people; None where nobody has said."""
    part_price = api.settings.price
    if part_price is None:
        return None
    return lambda parts: numbers.money(message_parts.cost(part_price, parts, 1000), part_price.currency)
