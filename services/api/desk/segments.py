"""Groups: parts of the audience. Whom one takes in is counted as one types, and said before it is saved."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Redirect, Template
from msgspec import UNSET

from libs.common import database
from libs.common.broadcasts import audience, segment_sql
from libs.common.catalogue import gettext as _
from libs.common.catalogue import said
from libs.common.database import Connection
from libs.common.domain import segments
from libs.common.domain.cause import Cause
from libs.common.domain.import_states import ImportState
from libs.common.domain.segments import InvalidFilter
from libs.common.domain.states import BroadcastState
from libs.common.errors import Conflict
from services.api.contacts import uploads
from services.api.context import Context
from services.api.desk import faults, rendering, segment_form
from services.api.desk.requests import AnyRequest, Form
from services.api.desk.segment_words import Words
from services.api.http import pagination, transactions, versions
from services.api.http.errors import Changed, InvalidFields, NameTaken
from services.api.http.fields import Cursor, PathId
from services.api.segments import changes, queries, trying
from services.api.segments.schemas import NewSegment, Segment, SegmentChanges, TriedFilter

#: Whether a page comes with the count of who is in the group. It is opened without, and loads that after itself.
Counted = Annotated[bool, QueryParameter()]

#: `json`, where a filter is to be shown as the API has it.
AsJson = Annotated[str, QueryParameter(max_length=10)]

#: In which row a mistake is, by its JSON pointer.
_PLACE = re.compile(r"filter/(?:all|any)/([0-9]+)")

PAGE = 25  # groups on a page
SAMPLE = 8  # people who are shown
SHOWN = 10  # broadcasts that are named
OFFERED = 500  # groups, and files, that are offered
LONGEST_NAME = 200  # characters

#: What went out has its people for good.
TO_COME = BroadcastState.SCHEDULED


@get("/")
async def index(request: AnyRequest, api: NamedDependency[Context], cursor: Cursor = None) -> Template:
    """List the groups, the oldest first; how many are in each is counted one by one."""
    async with database.transaction(api.engine) as connection:
        found = await queries.page(connection, after=pagination.number(cursor, 0), limit=PAGE + 1)
        page = pagination.cut(found, PAGE, lambda segment: str(segment.id))
        words = await _words(connection, api, [each.filter for each in page.items])
    return rendering.page(request, api, "segments.html", section="people", page=page, in_words=words.of)


@get("/{segment_id:int}/count")
async def count(request: AnyRequest, api: NamedDependency[Context], segment_id: PathId) -> Template:
    """Show how many of a group can get texts: the part of the list that comes after the list."""
    async with database.transaction(api.engine) as connection:
        filter_ = (await audience.filters(connection, [segment_id]))[segment_id]
        members = await audience.count(connection, segment_sql.condition(filter_, api.clock()))
    return rendering.page(request, api, "segment_size.html", members=members)


@get("/new")
async def new(
    request: AnyRequest,
    api: NamedDependency[Context],
    counted: Counted = False,  # noqa: FBT002 - a query has no positions
    form: AsJson = "",
) -> Template:
    """Show an empty form."""
    given = segment_form.Given()
    if form == "json":
        given = segment_form.of("", segments.dump(segments.EVERYBODY), api.settings.zone, is_json=True)
    async with database.transaction(api.engine) as connection:
        return await _page(request, api, connection, given, is_counted=counted)


@get("/{segment_id:int}")
async def show(
    request: AnyRequest,
    api: NamedDependency[Context],
    segment_id: PathId,
    counted: Counted = False,  # noqa: FBT002 - a query has no positions
    form: AsJson = "",
) -> Template:
    """Show a group: whom it takes in, where it is used, and its form."""
    async with database.transaction(api.engine) as connection:
        segment = await queries.one(connection, segment_id)
        given = segment_form.of(segment.name, segment.filter, api.settings.zone, is_json=form == "json")
        return await _page(request, api, connection, given, segment=segment, is_counted=counted)


@post("/preview", status_code=200)
async def preview(request: AnyRequest, api: NamedDependency[Context], data: Form) -> Template:
    """Show whom the filter takes in as it stands in the form."""
    read = segment_form.read(segment_form.given(data), api.settings.zone)
    async with database.transaction(api.engine) as connection:
        counted, wrong = await _count(connection, api, read)
    return rendering.page(request, api, "segment_count.html", count=counted, wrong=wrong, is_to_count=False)


@post("/")
async def create(
    request: AnyRequest, api: NamedDependency[Context], cause: NamedDependency[Cause], data: Form
) -> Redirect | Template:
    """Create a group."""
    given = segment_form.given(data)
    wish, wrong = _wish(given, data, api)
    if wish is not None:
        made = wish

        async def work(connection: Connection) -> Segment:
            return await changes.create(connection, made, api.clock())

        try:
            segment = await transactions.retrying(api.engine, cause, work)
        except (InvalidFields, NameTaken) as error:
            wrong = _in_words(error, given)
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
    given = segment_form.given(data)
    wish, wrong = _wish(given, data, api)
    status = 422 if wrong else 200
    if wish is not None:
        async with database.transaction(api.engine) as connection:
            kept = await queries.one(connection, segment_id)
        is_same = segment_form.is_same(
            given, segment_form.of("", kept.filter, api.settings.zone, is_json=given.is_json)
        )
        wanted = SegmentChanges(name=wish.name, filter=UNSET if is_same else wish.filter)
        seen = frozenset({data.get("version", "")})

        async def work(connection: Connection) -> Segment:
            return await changes.change(connection, segment_id, wanted, api.clock(), wanted=seen)

        try:
            await transactions.retrying(api.engine, cause, work)
        except (InvalidFields, NameTaken) as error:
            wrong, status = _in_words(error, given), 422
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
    except Conflict:  # somebody has chosen it meanwhile: the page says where it is used
        async with database.transaction(api.engine) as connection:
            segment = await queries.one(connection, segment_id)
            given = segment_form.of(segment.name, segment.filter, api.settings.zone)
            return await _page(request, api, connection, given, segment=segment, status=409)
    return Redirect("/desk/segments", status_code=303)


def _wish(given: segment_form.Given, data: dict[str, str], api: Context) -> tuple[NewSegment | None, dict[str, str]]:
    """Return the group that is meant, or what is wrong; neither where the form is only to be counted again."""
    read = segment_form.read(given, api.settings.zone)
    wrong = _reasons(read.wrong)
    if data.get("do") != "save":
        return None, wrong
    if not given.name:
        wrong = {"name": _("Give it a name."), **wrong}
    elif len(given.name) > LONGEST_NAME or "\0" in given.name:
        wrong = {"name": _("The name is longer than 200 characters."), **wrong}
    return (None if wrong else NewSegment(name=given.name, filter=segments.dump(read.filter))), wrong


def _reasons(wrong: Mapping[str, str]) -> dict[str, str]:
    return {where: faults.whole(reason) for where, reason in wrong.items()}


def _in_words(error: InvalidFields | NameTaken, given: segment_form.Given) -> dict[str, str]:
    """Return what is wrong by the field of the form; a mistake in the filter stands with the row that it is in."""
    if isinstance(error, NameTaken):
        return {"name": _("There is another group of this name.")}
    where, reason = error.fields[0]
    if where == "name":
        return {"name": faults.of(_("The name"), reason)}
    if given.is_json:
        return {"json": f"{where.removeprefix('filter') or '/'}: {said(reason)}"}
    place = _PLACE.match(where)
    return {f"what_{place[1] if place else 0}": faults.whole(reason)}


async def _count(
    connection: Connection, api: Context, read: segment_form.Read
) -> tuple[TriedFilter | None, dict[str, str]]:
    """Return whom a filter takes in, or what is wrong with it."""
    if read.wrong:
        return None, _reasons(read.wrong)
    try:
        return await trying.known(connection, read.filter, api.clock(), SAMPLE), {}
    except InvalidFilter as error:
        return None, {"filter": faults.whole(error.mistakes[0][1])}


async def _words(connection: Connection, api: Context, filters: Sequence[Mapping[str, Any]]) -> Words:
    """Return what says some filters in words."""
    ids = {each for filter_ in filters for each in segments.segments_of(segments.read(filter_))}
    return Words(await queries.names(connection, sorted(ids)), api.clock(), api.settings.zone)


async def _page(
    request: AnyRequest,
    api: Context,
    connection: Connection,
    given: segment_form.Given,
    *,
    segment: Segment | None = None,
    wrong: dict[str, str] | None = None,
    is_counted: bool = True,
    status: int = 200,
) -> Template:
    read = segment_form.read(given, api.settings.zone)
    uses = [] if segment is None else await queries.uses(connection, segment.id, SHOWN + 1)
    within = [] if segment is None else await queries.within(connection, segment.id, SHOWN)
    offered = [each for each in await queries.page(connection, after=0, limit=OFFERED) if each != segment]
    counted, in_filter = await _count(connection, api, read) if is_counted or read.wrong else (None, {})
    return rendering.page(
        request,
        api,
        "segment.html",
        status=status,
        section="people",
        segment=segment,
        in_words=(await _words(connection, api, [segment.filter])).of(segment.filter) if segment else "",
        problem=status,
        given=given,
        rows=[*given.rows, *[segment_form.Row()] * segment_form.BLANK],
        what=segment_form.WHAT,
        comparisons=segment_form.COMPARISONS,
        offered=offered,
        files=[each for each in await uploads.ended(connection, OFFERED) if each.state is ImportState.DONE],
        attributes=await queries.attribute_names(connection),
        is_rows_possible=not segment_form.of("", segments.dump(read.filter), api.settings.zone).is_json,
        wrong=wrong or {},
        in_filter=in_filter,
        count=counted,
        is_to_count=not is_counted and not in_filter,
        version="" if segment is None else versions.tag(segment),
        uses=uses[:SHOWN],
        within=within,
        is_used_more=len(uses) > SHOWN,
        is_to_come=any(use.state == TO_COME for use in uses),
    )


def _back_to(segment_id: int) -> Redirect:
    return Redirect(f"/desk/segments/{segment_id}", status_code=303)


ROUTER = Router("/segments", route_handlers=[index, new, preview, create, show, count, change, delete])
