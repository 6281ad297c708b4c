"""Compose: a broadcast is written here, and changed until it goes out."""

import hashlib
import secrets
from dataclasses import replace
from typing import Annotated

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Redirect, Stream, Template
from msgspec import UNSET
from msgspec.json import encode

from libs.common import database
from libs.common.broadcasts import preflight, repository
from libs.common.catalogue import gettext as _
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from libs.common.domain.roles import Permission
from libs.common.domain.states import BroadcastState
from libs.common.domain.templates import TemplateError
from libs.common.errors import ConcurrencyError, NotInState
from services.api.broadcasts import checking, files, queries, writing
from services.api.context import Context
from services.api.desk import compose_estimate, compose_faults, compose_form, compose_meanwhile, rendering, trying
from services.api.desk.compose_form import Given
from services.api.desk.compose_meanwhile import Meanwhile, What
from services.api.desk.requests import AnyRequest, Form
from services.api.http import idempotency_keys, transactions, versions
from services.api.http.errors import Changed, Forbidden, InvalidFields, TooManyTests
from services.api.http.fields import BIGGEST, PathId
from services.api.schemas import Broadcast, BroadcastChanges, NewBroadcast

LONGEST_TOKEN = 64  # characters


@get("/")
async def new(
    request: AnyRequest,
    api: NamedDependency[Context],
    copy: Annotated[int | None, QueryParameter(gt=0, le=BIGGEST)] = None,
    audience: Annotated[bool, QueryParameter()] = True,  # noqa: FBT002 - a query has no positions
    file: Annotated[int | None, QueryParameter(gt=0, le=BIGGEST)] = None,
) -> Template:
    """Show an empty form, one to a file, or one with the words of another broadcast and, if wished, its audience."""
    given = replace(compose_form.blank(api.settings, api.clock()), file=file)
    async with database.transaction(api.engine) as connection:
        given = await _with_words(connection, given)
        copied = None if copy is None else await queries.one(connection, copy, api.settings.zone)
        if copied is not None:
            given = compose_form.of_copy(copied, given, api.settings.zone, has_audience=audience)
        return await _page(request, api, connection, given, copied=copied, is_counted=False)


@get("/{broadcast_id:int}")
async def edit(request: AnyRequest, api: NamedDependency[Context], broadcast_id: PathId) -> Template | Redirect:
    """Show the form of a scheduled broadcast; of another one a copy can be made."""
    async with database.transaction(api.engine) as connection:
        broadcast = await queries.one(connection, broadcast_id, api.settings.zone)
        if broadcast.state != BroadcastState.SCHEDULED:
            return Redirect(f"/desk/compose?copy={broadcast_id}", status_code=303)
        given = compose_form.of_broadcast(broadcast, api.settings.zone)
        return await _page(request, api, connection, given, broadcast=broadcast, is_counted=False)


@post("/words", status_code=200)
async def words(request: AnyRequest, api: NamedDependency[Context], data: Form) -> Template:
    """Show what the messages cost as they stand in the form."""
    given = compose_form.of_data(data)
    return rendering.page(
        request,
        api,
        "compose_words.html",
        given=given,
        words=compose_estimate.words(given),
        price=compose_estimate.price(api),
    )


@post("/audience", status_code=200)
async def audience(request: AnyRequest, api: NamedDependency[Context], data: Form) -> Template:
    """Show who would get it, and when."""
    given = compose_form.of_data(data)
    async with database.transaction(api.engine) as connection:
        values = await compose_estimate.audience(connection, api, given, compose_form.about(data))
    return rendering.page(request, api, "compose_audience.html", given=given, **values)


@post("/wrong.csv", status_code=200)
async def wrong_csv(api: NamedDependency[Context], data: Form) -> Stream:
    """List those whose messages cannot be made as they stand in the form, as CSV. Raise InvalidFields."""
    given = compose_form.of_data(data)
    try:
        is_personal = preflight.needs_a_look(given.first_message, given.follow_up)
    except TemplateError as error:
        raise InvalidFields(("first_message", str(error))) from error
    async with database.transaction(api.engine) as connection:
        asked = given if is_personal else replace(given, chosen={}, file=None)
        wording = await compose_estimate.wording(connection, api, asked)
    return checking.spreadsheet(api, wording, "people-whose-message-cannot-be-made.csv")


@post("/")
async def create(
    request: AnyRequest, api: NamedDependency[Context], cause: NamedDependency[Cause], data: Form
) -> Redirect | Template:
    """Schedule a broadcast, or save it as a draft. The same form sent twice makes one.

    One that was sent before, and holds something else now, is shown again: as the form of what it has made.
    """
    given = await _read(api, data)
    if data.get("do") == "test":
        return await _test(request, api, cause, given, data)
    wish, wrong = _wish(api, given, data)
    if wish is None:
        return await _again(request, api, given, data, wrong=wrong)
    token = data.get("token", "")[:LONGEST_TOKEN]

    async def work(connection: Connection) -> tuple[int, bool]:
        if not token.isascii() or not token.isalnum():
            return (await writing.create(connection, wish, api.settings, api.clock())).id, True
        key, digest = f"desk-{token}", hashlib.sha256(f"{request.user.id} {token} ".encode() + encode(wish)).digest()
        if not await idempotency_keys.take(connection, key, digest):
            kept = await idempotency_keys.find(connection, key)
            if kept is None:  # forgotten just now
                raise ConcurrencyError
            return int(kept.body), kept.request == digest
        made = await writing.create(connection, wish, api.settings, api.clock())
        await idempotency_keys.keep(connection, key, 303, made.id)
        return made.id, True

    try:
        broadcast_id, is_saved = await transactions.retrying(api.engine, cause, work)
    except InvalidFields as error:
        return await _again(request, api, given, data, wrong=compose_faults.in_words(error))
    if not is_saved:  # somebody went back to the form, and changed it
        return await _meanwhile(request, api, given, broadcast_id, What.SAVED)
    return Redirect(f"/desk/broadcasts/{broadcast_id}", status_code=303)


@post("/{broadcast_id:int}")
async def change(
    request: AnyRequest,
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    broadcast_id: PathId,
    data: Form,
) -> Redirect | Template:
    """Change a scheduled broadcast, if it is still as it was when the form was opened; else show both versions."""
    given = await _read(api, data)
    async with database.transaction(api.engine) as connection:
        before = await queries.one(connection, broadcast_id, api.settings.zone)
    if data.get("do") == "test":
        return await _test(request, api, cause, given, data, broadcast=before)
    wish, wrong = _wish(api, given, data)
    if wish is None:
        return await _again(request, api, given, data, wrong=wrong, broadcast=before)
    wanted = frozenset({data.get("version", "")})

    async def work(connection: Connection) -> None:
        await repository.lock(connection, broadcast_id)
        now_there = await queries.one(connection, broadcast_id, api.settings.zone)
        changes = _changes(wish, given, compose_form.of_broadcast(now_there, api.settings.zone))
        await writing.change(connection, broadcast_id, changes, api.settings, api.clock(), wanted=wanted)

    try:
        await transactions.retrying(api.engine, cause, work)
    except InvalidFields as error:
        return await _again(request, api, given, data, wrong=compose_faults.in_words(error), broadcast=before)
    except (Changed, NotInState):
        return await _meanwhile(request, api, given, broadcast_id, What.CHANGED)
    return Redirect(f"/desk/broadcasts/{broadcast_id}", status_code=303)


async def _read(api: Context, data: dict[str, str]) -> Given:
    """Return what a browser sent, with the words of the file that is chosen where nobody has written others."""
    given = compose_form.of_data(data)
    async with database.transaction(api.engine) as connection:
        return await _with_words(connection, given)


async def _with_words(connection: Connection, given: Given) -> Given:
    file = None if given.file is None else await files.find(connection, given.file)
    if file is None:
        return given
    return compose_form.of_file(given, has_messages=file.has_bodies, has_follow_ups=file.has_follow_ups)


async def _test(
    request: AnyRequest,
    api: Context,
    cause: Cause,
    given: Given,
    data: dict[str, str],
    *,
    broadcast: Broadcast | None = None,
) -> Template:
    """Have the words of the form texted to the numbers in it, and show the form again. Nothing is saved.

    Raise Forbidden: a test is a text, as over HTTP.
    """
    if not request.user.may(Permission.SEND):
        raise Forbidden
    token = data.get("token", "")[:LONGEST_TOKEN]

    async def work(connection: Connection) -> None:
        about = None if broadcast is None else broadcast.id
        await trying.ask(connection, api, request.user, given, token, about)

    try:
        await transactions.retrying(api.engine, cause, work)
    except InvalidFields as error:
        return await _again(request, api, given, data, wrong=compose_faults.in_words(error), broadcast=broadcast)
    except TooManyTests:
        wrong = {"test_to": _("That were many tests within a minute. Wait for one, and ask again.")}
        return await _again(request, api, given, data, wrong=wrong, broadcast=broadcast)
    # The next test is another one.
    return await _again(request, api, given, {**data, "token": ""}, wrong={}, broadcast=broadcast)


def _wish(api: Context, given: Given, data: dict[str, str]) -> tuple[NewBroadcast | None, dict[str, str]]:
    """Return what is to be written, or what is wrong; neither where the form is only to be shown again."""
    if data.get("do") not in ("schedule", "draft"):
        return None, {}
    return compose_form.meant(given, api.settings.zone, is_draft=data["do"] == "draft")


def _changes(wish: NewBroadcast, given: Given, before: Given) -> BroadcastChanges:
    """Return what the form changes. Time and shares are shown rounded: where nobody typed they stay as they are."""
    is_same_time = (given.day, given.clock) == (before.day, before.clock)
    is_same_audience = (given.chosen, given.kinds) == (before.chosen, before.kinds) and not before.file
    return BroadcastChanges(
        run_at=UNSET if is_same_time else wish.run_at,
        first_message=wish.first_message,
        second_message=wish.second_message,
        segments=UNSET if given.file or is_same_audience else wish.segments,
        file=UNSET if given.file is None or given.file == before.file else given.file,
        max_recipients=wish.max_recipients,
        second_delay=wish.second_delay,
        from_number=UNSET if given.from_number == before.from_number else wish.from_number,
        pool=UNSET if given.pool == before.pool else wish.pool,
        recurring=given.recurring,
        week=wish.week,
        draft=wish.draft,
        label=wish.label,
        exclude=wish.exclude,
        fallback=wish.fallback,
        frequency_cap=wish.frequency_cap,
        late=wish.late,
    )


async def _again(
    request: AnyRequest,
    api: Context,
    given: Given,
    data: dict[str, str],
    *,
    wrong: dict[str, str],
    broadcast: Broadcast | None = None,
) -> Template:
    """Show the form again: with what is wrong, with plain characters, or only with what it comes to."""
    if data.get("do") == "replace":
        given = compose_form.with_replacements(given)
    elif only := data.get("replace"):
        given = compose_form.with_replacements(given, only)
    async with database.transaction(api.engine) as connection:
        return await _page(
            request, api, connection, given, wrong=wrong, broadcast=broadcast, token=data.get("token"),
            version=data.get("version"), status=422 if wrong else 200,
        )  # fmt: skip


async def _meanwhile(request: AnyRequest, api: Context, given: Given, broadcast_id: int, what: What) -> Template:
    """Show the form with how the broadcast stands by now: nothing that was typed is lost."""
    async with database.transaction(api.engine) as connection:
        found = await compose_meanwhile.read(connection, api, broadcast_id, what)
        status = 412 if found.what is What.CHANGED else 409
        return await _page(
            request, api, connection, given, broadcast=found.changes, meanwhile=found, status=status
        )  # fmt: skip


async def _page(
    request: AnyRequest,
    api: Context,
    connection: Connection,
    given: Given,
    *,
    wrong: dict[str, str] | None = None,
    broadcast: Broadcast | None = None,
    version: str | None = None,
    token: str | None = None,
    copied: Broadcast | None = None,
    meanwhile: Meanwhile | None = None,
    is_counted: bool = True,
    status: int = 200,
) -> Template:
    return rendering.page(
        request,
        api,
        "compose.html",
        status=status,
        section="broadcasts",
        given=given,
        wrong=wrong or {},
        broadcast=broadcast,
        version=version or (versions.tag(broadcast) if broadcast is not None else ""),
        token=token or secrets.token_hex(16),
        copied=copied,
        meanwhile=meanwhile,
        words=compose_estimate.words(given),
        own_numbers=api.settings.own_numbers,
        has_labels=api.settings.carrier == "missive",
        org_cap=api.settings.cap,
        **await trying.shown(connection, request.user, api.clock()),
        **await compose_estimate.audience(
            connection, api, given, None if broadcast is None else broadcast.id, is_counted=is_counted
        ),
    )


ROUTER = Router("/compose", route_handlers=[new, edit, words, audience, wrong_csv, trying.tests, create, change])
