"""Groups: parts of the audience by tags. Whom one takes in is counted as one types, and said before it is saved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, QueryParameter
from litestar.response import Redirect, Template

from libs.common import database
from libs.common.broadcasts import audience
from libs.common.broadcasts.audience import LeftOut
from libs.common.catalogue import gettext as _
from libs.common.database import Connection
from libs.common.domain import tags
from libs.common.domain.cause import Cause
from libs.common.domain.states import BroadcastState
from libs.common.errors import Conflict
from services.api.context import Context
from services.api.desk import faults, rendering
from services.api.http import pagination, transactions, versions
from services.api.http.errors import Changed, InvalidFields, NameTaken
from services.api.http.fields import Cursor, PathId
from services.api.segments import changes, queries
from services.api.segments.schemas import Filter, NewSegment, Sample, Segment, SegmentChanges

AnyRequest = Request[Any, Any, Any]
Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]

#: Whether a page comes with the count of who is in the group. It is opened without, and loads that after itself.
Counted = Annotated[bool, QueryParameter()]

PAGE = 25  # groups on a page
SAMPLE = 8  # people who are shown
SHOWN = 10  # broadcasts that are named
MOST_TAGS = 100  # of one field
LONGEST_NAME = 200  # characters

#: What went out has its people for good.
TO_COME = BroadcastState.SCHEDULED


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What stands in the form, as it was typed; tags are apart by commas."""

    name: str = ""
    any: str = ""
    all: str = ""
    none: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Whom a filter takes in now."""

    #: Those who can get texts.
    members: int
    #: Those whom the filter names and who get none, by the reason.
    left_out: Mapping[LeftOut, int]
    sample: Sequence[Sample] = ()
    #: Tags that nobody has: most of these are slips.
    unknown: Sequence[str] = ()


@get("/")
async def index(request: AnyRequest, api: NamedDependency[Context], cursor: Cursor = None) -> Template:
    """List the groups, the oldest first; how many are in each is counted one by one."""
    async with database.transaction(api.engine) as connection:
        found = await queries.page(connection, after=pagination.number(cursor, 0), limit=PAGE + 1)
    page = pagination.cut(found, PAGE, lambda segment: str(segment.id))
    return rendering.page(request, api, "segments.html", section="people", page=page)


@get("/{segment_id:int}/count")
async def count(request: AnyRequest, api: NamedDependency[Context], segment_id: PathId) -> Template:
    """Show how many of a group can get texts: the part of the list that comes after the list."""
    async with database.transaction(api.engine) as connection:
        filter_ = (await audience.filters(connection, [segment_id]))[segment_id]
        members = await audience.count(connection, filter_)
    return rendering.page(request, api, "segment_size.html", members=members)


@get("/new")
async def new(
    request: AnyRequest,
    api: NamedDependency[Context],
    counted: Counted = False,  # noqa: FBT002 - a query has no positions
) -> Template:
    """Show an empty form."""
    async with database.transaction(api.engine) as connection:
        return await _page(request, api, connection, Given(), is_counted=counted)


@get("/{segment_id:int}")
async def show(
    request: AnyRequest,
    api: NamedDependency[Context],
    segment_id: PathId,
    counted: Counted = False,  # noqa: FBT002 - a query has no positions
) -> Template:
    """Show a group: whom it takes in, where it is used, and its form."""
    async with database.transaction(api.engine) as connection:
        segment = await queries.one(connection, segment_id)
        return await _page(request, api, connection, _of(segment), segment=segment, is_counted=counted)


@post("/preview", status_code=200)
async def preview(request: AnyRequest, api: NamedDependency[Context], data: Form) -> Template:
    """Show whom the filter takes in as it stands in the form."""
    filter_, wrong = _filter(_given(data))
    async with database.transaction(api.engine) as connection:
        counted = None if wrong else await _count(connection, filter_)
    return rendering.page(request, api, "segment_count.html", count=counted, wrong=wrong, is_to_count=False)


@post("/")
async def create(
    request: AnyRequest, api: NamedDependency[Context], cause: NamedDependency[Cause], data: Form
) -> Redirect | Template:
    """Create a group."""
    given = _given(data)
    wish, wrong = _wish(given, data)
    if wish is not None:
        made = wish

        async def work(connection: Connection) -> Segment:
            return await changes.create(connection, made, api.clock())

        try:
            segment = await transactions.retrying(api.engine, cause, work)
        except (InvalidFields, NameTaken) as error:
            wrong = _in_words(error)
        else:
            return _back_to(segment.id)
    async with database.transaction(api.engine) as connection:
        return await _page(request, api, connection, given, wrong=wrong, status=422 if wrong else 200)


@post("/{segment_id:int}")
async def change(
    request: AnyRequest,
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    segment_id: PathId,
    data: Form,
) -> Redirect | Template:
    """Change a group, if it is still as it was when the form was opened."""
    given = _given(data)
    wish, wrong = _wish(given, data)
    status = 422 if wrong else 200
    if wish is not None:
        wanted = SegmentChanges(name=wish.name, filter=wish.filter)
        seen = frozenset({data.get("version", "")})

        async def work(connection: Connection) -> Segment:
            return await changes.change(connection, segment_id, wanted, api.clock(), wanted=seen)

        try:
            await transactions.retrying(api.engine, cause, work)
        except (InvalidFields, NameTaken) as error:
            wrong, status = _in_words(error), 422
        except Changed:
            status = 412
        else:
            return _back_to(segment_id)
    async with database.transaction(api.engine) as connection:
        segment = await queries.one(connection, segment_id)
        return await _page(request, api, connection, given, segment=segment, wrong=wrong, status=status)


@post("/{segment_id:int}/delete")
async def delete(
    request: AnyRequest, api: NamedDependency[Context], cause: NamedDependency[Cause], segment_id: PathId
) -> Redirect | Template:
    """Delete a group that no broadcast names."""

    async def work(connection: Connection) -> None:
        await changes.delete(connection, segment_id, api.clock())

    try:
        await transactions.retrying(api.long_work, cause, work)
    except Conflict:  # somebody has chosen it meanwhile: the page says where
        async with database.transaction(api.engine) as connection:
            segment = await queries.one(connection, segment_id)
            return await _page(request, api, connection, _of(segment), segment=segment, status=409)
    return Redirect("/desk/segments", status_code=303)


def _given(data: dict[str, str]) -> Given:
    return Given(**{name: data.get(name, "").strip() for name in ("name", "any", "all", "none")})


def _of(segment: Segment) -> Given:
    filter_ = segment.filter
    return Given(
        name=segment.name, any=", ".join(filter_.any), all=", ".join(filter_.all), none=", ".join(filter_.none)
    )


def _filter(given: Given) -> tuple[Filter, dict[str, str]]:
    """Return the filter that is meant, and what is wrong with it by field."""
    parts: dict[str, list[str]] = {}
    wrong: dict[str, str] = {}
    for name in ("any", "all", "none"):
        typed = [each.strip() for each in getattr(given, name).replace(";", ",").split(",") if each.strip()]
        try:
            parts[name] = list(dict.fromkeys(tags.checked(each) for each in typed))
        except ValueError as error:
            wrong[name] = faults.whole(str(error))
        if len(typed) > MOST_TAGS:
            wrong[name] = _("Name 100 tags at most.")
    return (Filter() if wrong else Filter(**parts)), wrong


def _wish(given: Given, data: dict[str, str]) -> tuple[NewSegment | None, dict[str, str]]:
    """Return the group that is meant, or what is wrong; neither where the form is only to be counted again."""
    filter_, wrong = _filter(given)
    if data.get("do") != "save":
        return None, wrong
    if not given.name:
        wrong = {"name": _("Give it a name."), **wrong}
    elif len(given.name) > LONGEST_NAME or "\0" in given.name:
        wrong = {"name": _("The name is longer than 200 characters."), **wrong}
    return (None if wrong else NewSegment(name=given.name, filter=filter_)), wrong


def _in_words(error: InvalidFields | NameTaken) -> dict[str, str]:
    if isinstance(error, NameTaken):
        return {"name": _("There is another group of this name.")}
    return {"name": faults.of(_("The name"), error.fields[0][1])}  # the tags were looked at before


async def _count(connection: Connection, filter_: Filter) -> Count:
    filter_parts = {"any": filter_.any, "all": filter_.all, "none": filter_.none}
    people = {part.left_out: part.people for part in await audience.parts(connection, [filter_parts])}
    return Count(
        members=people.pop(None, 0),
        left_out={reason: people[reason] for reason in LeftOut if reason in people},
        sample=await queries.sample(connection, filter_parts, SAMPLE),
        unknown=await queries.unknown_tags(connection, [*filter_.any, *filter_.all, *filter_.none]),
    )


async def _page(
    request: AnyRequest,
    api: Context,
    connection: Connection,
    given: Given,
    *,
    segment: Segment | None = None,
    wrong: dict[str, str] | None = None,
    is_counted: bool = True,
    status: int = 200,
) -> Template:
    filter_, in_filter = _filter(given)
    uses = [] if segment is None else await queries.uses(connection, segment.id, SHOWN + 1)
    return rendering.page(
        request,
        api,
        "segment.html",
        status=status,
        section="people",
        segment=segment,
        problem=status,
        given=given,
        wrong=wrong or {},
        count=None if in_filter or not is_counted else await _count(connection, filter_),
        is_to_count=not is_counted,
        version="" if segment is None else versions.tag(segment),
        uses=uses[:SHOWN],
        is_used_more=len(uses) > SHOWN,
        is_to_come=any(use.state == TO_COME for use in uses),
    )


def _back_to(segment_id: int) -> Redirect:
    return Redirect(f"/desk/segments/{segment_id}", status_code=303)


ROUTER = Router("/segments", route_handlers=[index, new, preview, create, show, count, change, delete])
