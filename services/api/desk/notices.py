"""Settings › Notices: what somebody wants to be told of outside the desk, and by which way; an admin for everybody."""

from collections.abc import Mapping

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect, Template

from libs.common import database
from libs.common.catalogue import gettext as _
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from libs.common.domain.notices import CHOSEN, NoticeChannel, NoticeKind
from libs.common.domain.roles import Permission
from libs.common.errors import Invalid
from libs.common.texts import gettext_noop as n_
from services.api.accounts.users import User
from services.api.context import Context
from services.api.desk import faults, rendering
from services.api.desk.requests import AnyRequest, Form
from services.api.http import transactions
from services.api.notices import choosing, queries

PAGE = "/desk/settings/notices"
#: What somebody can be told of, as the page says it.
KINDS = {
    NoticeKind.PAUSED: n_("A broadcast was paused"),
    NoticeKind.WANTS_APPROVAL: n_("A broadcast waits for approval"),
    NoticeKind.MISSED: n_("A broadcast did not go out"),
    NoticeKind.MANY_FAILURES: n_("Many texts of a broadcast fail"),
    NoticeKind.LIKELY_OPT_OUTS: n_("Somebody may have asked to be left alone"),
    NoticeKind.FINISHED: n_("A broadcast is done, with its figures"),
}
#: A way: its name, what its address is called, and what is said of that. A user's letters need none.
CHANNELS = {
    NoticeChannel.EMAIL: (n_("E-mail"), n_("Address"), ""),
    NoticeChannel.MISSIVE: (
        n_("Missive"),
        n_("Conversation"),
        n_("Its link, as Missive copies it. Notices are posts in it."),
    ),
    NoticeChannel.WEBHOOK: (
        n_("Webhook"),
        n_("Address of a program"),
        n_("Begins with https://. Each notice is posted there, signed."),
    ),
}
#: What choosing is for: me, or everybody.
MINE, EVERYBODYS = "me", "all"


@get("/")
async def show(request: AnyRequest, api: NamedDependency[Context], user: NamedDependency[User]) -> Template:
    """Show what I have chosen, and to admins what is chosen for everybody."""
    return await _page(request, api, user)


@post("/me/{channel:str}", status_code=200)
async def choose(
    request: AnyRequest,
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    user: NamedDependency[User],
    channel: FromPath[str],
    data: Form,
) -> Template | Redirect:
    """Choose for myself."""
    return await _choose(request, api, cause, user, whose=MINE, channel=channel, data=data)


@post("/all/{channel:str}", status_code=200)
async def choose_for_everybody(
    request: AnyRequest,
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    user: NamedDependency[User],
    channel: FromPath[str],
    data: Form,
) -> Template | Redirect:
    """Choose for the organisation."""
    return await _choose(request, api, cause, user, whose=EVERYBODYS, channel=channel, data=data)


@post("/me/{channel:str}/test")
async def test_mine(
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    user: NamedDependency[User],
    channel: FromPath[str],
) -> Redirect:
    """Send me a test notice."""
    return await _test(api, cause, user.id, MINE, channel)


@post("/all/{channel:str}/test")
async def test_everybodys(
    api: NamedDependency[Context], cause: NamedDependency[Cause], channel: FromPath[str]
) -> Redirect:
    """Send the organisation a test notice."""
    return await _test(api, cause, None, EVERYBODYS, channel)


async def _test(api: Context, cause: Cause, user_id: int | None, whose: str, channel: str) -> Redirect:
    """Plan a test: the planner sends it as it sends every notice, and the page says what became of it."""
    if channel not in set(NoticeChannel):
        raise NotFoundException

    async def work(connection: Connection) -> None:
        await queries.test(connection, user_id, NoticeChannel(channel), api.clock())

    await transactions.retrying(api.engine, cause, work)
    return Redirect(f"{PAGE}#{whose}-{channel}", status_code=303)


async def _choose(
    request: AnyRequest, api: Context, cause: Cause, user: User, *, whose: str, channel: str, data: Mapping[str, str]
) -> Template | Redirect:
    if channel not in set(NoticeChannel):
        raise NotFoundException
    kinds = [kind for kind in _offered(api, user) if data.get(f"kind-{kind}")]
    address = data.get("address", "")

    async def work(connection: Connection) -> str | None:
        return await choosing.choose(
            connection,
            user.id if whose == MINE else None,
            NoticeChannel(channel),
            address=address,
            kinds=kinds,
            now=api.clock(),
        )

    form = f"{whose}-{channel}"
    try:
        secret = await transactions.retrying(api.engine, cause, work)
    except Invalid as error:
        wrong = {f"{form}-address": faults.of(_("This"), error.reason)}
        return await _page(request, api, user, status=422, wrong=wrong, given={form: (address, kinds)})
    if secret is not None:
        return await _page(request, api, user, secret=secret)
    return Redirect(f"{PAGE}#{form}", status_code=303)


def _offered(api: Context, user: User) -> list[NoticeKind]:
    """Return what somebody can be told of: of what waits for approval, who may give it, where it takes two."""
    may_approve = api.settings.approval_required and Permission.APPROVE in user.permissions
    return [kind for kind in CHOSEN if kind is not NoticeKind.WANTS_APPROVAL or may_approve]


async def _page(
    request: AnyRequest,
    api: Context,
    user: User,
    *,
    status: int = 200,
    wrong: Mapping[str, str] | None = None,
    given: Mapping[str, tuple[str, list[NoticeKind]]] | None = None,
    secret: str = "",
) -> Template:
    async with database.transaction(api.engine) as connection:
        chosen = {MINE: await queries.of(connection, user.id)}
        if Permission.ADMIN in user.permissions:
            chosen[EVERYBODYS] = await queries.of(connection, None)
    return rendering.page(
        request,
        api,
        "notices.html",
        status=status,
        section="settings",
        chosen=chosen,
        channels={channel: tuple(map(_, words)) for channel, words in CHANNELS.items()},
        kinds={kind: _(KINDS[kind]) for kind in _offered(api, user)},
        wrong=wrong or {},
        given=given or {},
        secret=secret,
    )


ROUTER = Router("/notices", route_handlers=[show, choose, choose_for_everybody, test_mine, test_everybodys])
