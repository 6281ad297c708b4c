"""Import of a file of people: choose it, see what is what, try it, then let it go in."""

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from litestar import Router, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.response import Redirect, Stream, Template

from libs.common import database
from libs.common.catalogue import gettext as _
from libs.common.database import Connection
from libs.common.domain import actors
from libs.common.domain.attributes import Kind
from libs.common.domain.cause import Cause
from libs.common.domain.import_states import ImportState
from libs.common.errors import Conflict, NotFound
from libs.common.texts import gettext_noop as n_
from services.api.contacts import import_runs, import_trials, import_undo, imports, uploads
from services.api.contacts.files import headings, opening
from services.api.contacts.files.headings import Role
from services.api.contacts.files.opening import Opened
from services.api.contacts.files.outcome import Summary, UnreadableFile
from services.api.contacts.uploads import Upload
from services.api.context import Context
from services.api.desk import faults, rendering
from services.api.desk.requests import AnyRequest, Form
from services.api.http import transactions
from services.api.http.errors import InvalidFields
from services.api.http.fields import PathId

SHOWN = 10  # lines of a file
LISTED = 20  # rejected lines
ENDED = 10  # imports that are listed

#: What a person calls what is in a column.
ROLES = {
    Role.NOTHING: n_("not read"),
    Role.NUMBER: n_("phone number"),
    Role.NAME: n_("name"),
    Role.TAGS: n_("tags"),
    Role.TIME_ZONE: n_("time zone"),
    Role.LANGUAGE: n_("language"),
    Role.ATTRIBUTE: n_("a field of its own"),
    Role.MESSAGE: n_("the message that they get"),
    Role.FOLLOW_UP: n_("the follow-up that they get"),
    Role.OUT: n_("yes means: no texts"),
    Role.IN: n_("yes means: texts"),
    Role.STATUS: n_("a word tells, such as unsubscribed"),
}
#: What the values of a field are.
KINDS = {
    Kind.TEXT: n_("text"),
    Kind.NUMBER: n_("numbers"),
    Kind.DATE: n_("dates"),
    Kind.YES_NO: n_("yes or no"),
}
CONSENT = frozenset(headings.POLARITIES)


@get("/")
async def choose(request: AnyRequest, api: NamedDependency[Context]) -> Template:
    """Ask for a file; show the imports that came to an end."""
    return await _ask(request, api)


@post("/", request_max_body_size=imports.LARGEST)
async def upload(
    request: AnyRequest, api: NamedDependency[Context], cause: NamedDependency[Cause]
) -> Redirect | Template:
    """Take a file in, and look whether it can be one of people."""
    by = str(cause.actor or actors.service("api"))
    with tempfile.TemporaryDirectory(prefix="broadsheet-import-") as folder:
        try:
            name, given = await _file(request)
            async with api.import_lane.place():
                file = await imports.stored(given, Path(folder) / "rows")
            _first(file.read(uploads.CHUNK))
        except InvalidFields:
            return await _ask(request, api, _("Choose a file."))
        except UnreadableFile as error:
            return await _ask(request, api, _in_words(error.reason))

        async def work(connection: Connection) -> int:
            return await uploads.add(connection, file, name, by, api.clock())

        with file:
            return _to(await transactions.retrying(api.imports, cause, work))


@get("/{import_id:int}")
async def show(request: AnyRequest, api: NamedDependency[Context], import_id: PathId) -> Template:
    """Show how an import stands: what is in the file, what the trial found, how far it came."""
    return await _page(request, api, import_id)


@get("/{import_id:int}/progress")
async def progress(request: AnyRequest, api: NamedDependency[Context], import_id: PathId) -> Template:
    """Show how far an import came: the part of the page that changes."""
    async with database.transaction(api.engine) as connection:
        stands = await _stands(connection, api, await uploads.one(connection, import_id))
    return rendering.page(request, api, "import_progress.html", **stands)


@post("/{import_id:int}/check")
async def check(
    request: AnyRequest,
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    import_id: PathId,
    data: Form,
) -> Redirect | Template:
    """Read the file as a trial, with the columns as somebody has matched them."""
    roles: list[Role] = []
    while (given := data.get(f"column-{len(roles)}")) is not None and len(roles) < headings.MOST:
        roles.append(Role(given) if given in set(Role) else Role.NOTHING)
    try:
        await import_runs.check(api, cause, import_id, roles)
    except InvalidFields as error:
        words = " ".join(_in_words(reason) for _name, reason in error.fields)
        return await _page(request, api, import_id, roles=roles, wrong={"columns": words}, status=422)
    return _to(import_id)


@get("/{import_id:int}/rejected.csv")
async def rejected(api: NamedDependency[Context], import_id: PathId) -> Stream:
    """Return every line that cannot be taken, with the reason."""
    async with import_runs.rejected(api, import_id) as aside:
        return import_trials.rejected_file(aside, f"rejected-{import_id}.csv")


@post("/{import_id:int}/start")
async def start(api: NamedDependency[Context], cause: NamedDependency[Cause], import_id: PathId) -> Redirect:
    """Let the people of a file in that was tried, or go on where it was cut off."""
    with suppress(Conflict):  # pressed twice: the page says how it stands
        await import_runs.start(api, cause, import_id)
    return _to(import_id)


@post("/{import_id:int}/discard")
async def discard(api: NamedDependency[Context], cause: NamedDependency[Cause], import_id: PathId) -> Redirect:
    """Throw a file away that was not imported."""

    async def work(connection: Connection) -> None:
        await uploads.discard(connection, import_id)

    await transactions.retrying(api.engine, cause, work)
    return Redirect("/desk/people/import", status_code=303)


@post("/{import_id:int}/undo")
async def undo(api: NamedDependency[Context], cause: NamedDependency[Cause], import_id: PathId) -> Redirect:
    """Take back what an import has added and changed."""
    with suppress(Conflict):  # pressed twice: the page says how it stands
        await import_undo.undo(api, cause, import_id)
    return _to(import_id)


def _first(head: bytes) -> Opened:
    """Return the first lines of a file of which the first part is given. Raise UnreadableFile."""
    return opening.first(head, SHOWN, is_whole=len(head) < uploads.CHUNK)


def _in_words(reason: str) -> str:
    """Return what is wrong with a file as a sentence."""
    if reason.startswith(("is ", "has ")):
        return faults.of(_("The file"), reason)
    return faults.whole(reason)


async def _file(request: AnyRequest) -> tuple[str, Any]:
    """Return the name and the content of the file of a form. Raise InvalidFields where none was chosen."""
    form = await request.form()
    chosen = [value for _, value in form.multi_items() if isinstance(value, UploadFile) and value.filename]
    if not chosen:
        raise InvalidFields(("file", "is missing"))
    return chosen[0].filename, await imports.part(request)


async def _ask(request: AnyRequest, api: Context, wrong: str = "") -> Template:
    async with database.transaction(api.engine) as connection:
        ended = await uploads.ended(connection, ENDED)
    return rendering.page(
        request,
        api,
        "import.html",
        status=422 if wrong else 200,
        section="people",
        wrong={"file": wrong} if wrong else {},
        ended=ended,
    )


async def _page(
    request: AnyRequest,
    api: Context,
    import_id: int,
    *,
    roles: list[Role] | None = None,
    wrong: dict[str, str] | None = None,
    status: int = 200,
) -> Template:
    async with database.transaction(api.engine) as connection:
        found = await uploads.one(connection, import_id)
        head = await uploads.chunk(connection, import_id, 0)
        stands = await _stands(connection, api, found)
    looked = Opened(iter(()))
    if found.state in (ImportState.UPLOADED, ImportState.CHECKED):
        if head is None:
            raise NotFound("the file is not kept any more")
        looked = _first(head)
    lines = list(looked.lines)
    cells = lines[0][1] if lines else []
    guessed = headings.guess(cells)
    taken = roles or [Role(each) for each in found.roles or []] or guessed
    return rendering.page(
        request,
        api,
        "import_file.html",
        status=status,
        section="people",
        wrong=wrong or {},
        headings=[headings.shorten(cell) for cell in cells],
        rows=lines[1:],
        looked=looked,
        guessed=guessed,
        taken=[*taken, *[Role.NOTHING] * len(cells)][: len(cells)],
        role_names={role: _(words) for role, words in ROLES.items()},
        consent=CONSENT,
        kind_names={kind: _(words) for kind, words in KINDS.items()},
        **stands,
    )


async def _stands(connection: Connection, api: Context, found: Upload) -> dict[str, Any]:
    """Return what the pages say of how an import stands."""
    summary = None if found.summary is None else msgspec.convert(found.summary, Summary)
    return {
        "upload": found,
        "summary": summary,
        "listed": [] if summary is None else summary.rejected[:LISTED],
        "can_undo": found.state is ImportState.DONE and await import_undo.can_undo(connection, found.id),
        "is_cut_off": found.is_cut_off(api.clock()),
        "can_go_on": await uploads.has_file(connection, found.id),
    }


def _to(import_id: int) -> Redirect:
    return Redirect(f"/desk/people/import/{import_id}", status_code=303)


ROUTER = Router(
    "/people/import", route_handlers=[choose, upload, show, progress, check, rejected, start, discard, undo]
)
