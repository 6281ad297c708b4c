"""What people wrote back: the list, and what staff decide about it."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeAlias
from uuid import uuid4

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from litestar.response import Stream

from libs.common import database
from libs.common.broadcasts import reply_work, reviews, single_messages
from libs.common.broadcasts.single_messages import SingleMessage
from libs.common.database import Connection
from libs.common.domain.states import ReplyKind
from libs.common.errors import Conflict
from services.api.context import Context
from services.api.http import idempotency, pagination
from services.api.http.contract import tells
from services.api.http.errors import InvalidFields
from services.api.http.fields import BIGGEST, NO_NUL, PAGE, Cursor, Limit, PathId
from services.api.replies import answering, exporting, queries
from services.api.replies.queries import Filters
from services.api.replies.schemas import Answer, Assignment, Decision, NewAnswer, Reply
from services.api.schemas import Page, Person

#: What a decision tells of itself.
DECISION = tells(Conflict, idempotent=True)
EXPORT = tells(answers={"Content-Disposition": "the name of the file"})

AnsweredPhaseName: TypeAlias = Literal["first", "second"]
Broadcast: TypeAlias = Annotated[int | None, QueryParameter(gt=0, le=BIGGEST)]
#: Whether it answers the first message, or came after the follow-up.
AnsweredPhase: TypeAlias = Annotated[AnsweredPhaseName | None, QueryParameter()]
#: By which its writer was chosen for the broadcast.
Segment: TypeAlias = Annotated[int | None, QueryParameter(gt=0, le=BIGGEST)]
#: In the words, in the name or the number of who wrote.
QuerySearch: TypeAlias = Annotated[str | None, QueryParameter(max_length=100, pattern=NO_NUL)]
User: TypeAlias = Annotated[int | None, QueryParameter(gt=0, le=BIGGEST)]
YesOrNo: TypeAlias = Annotated[bool | None, QueryParameter()]
#: What it is: `own_words`, or what a phone or a machine made.
Kind: TypeAlias = Annotated[ReplyKind | None, QueryParameter()]

AnyRequest = Request[Any, Any, Any]


@get("/replies")
async def index(
    api: NamedDependency[Context],
    broadcast: Broadcast = None,
    phase: AnsweredPhase = None,
    segment: Segment = None,
    search: QuerySearch = None,
    likely_opt_out: YesOrNo = None,
    unread: YesOrNo = None,
    assigned_to: User = None,
    done: YesOrNo = None,
    kind: Kind = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Page[Reply]:
    """List what people wrote, the newest first, narrowed down as is asked for.

    What an index does not find (`phase`, `segment`, words) is looked for among a bounded number of replies at once: a
    page may hold fewer than `limit`, or none, and `next_cursor` goes on behind what was looked at.
    """
    filters = _filters(broadcast, phase, segment, search, likely_opt_out, unread, assigned_to, done, kind)
    async with database.transaction(api.engine) as connection:
        return await queries.page(connection, filters, before=pagination.number(cursor, BIGGEST), limit=limit)


@get("/replies/export.csv", opt=EXPORT, media_type="text/csv")
async def export(
    api: NamedDependency[Context],
    broadcast: Broadcast = None,
    phase: AnsweredPhase = None,
    segment: Segment = None,
    search: QuerySearch = None,
    likely_opt_out: YesOrNo = None,
    unread: YesOrNo = None,
    assigned_to: User = None,
    done: YesOrNo = None,
    kind: Kind = None,
) -> Stream:
    """Return replies as CSV (RFC 4180, UTF-8), without what says who wrote."""
    filters = _filters(broadcast, phase, segment, search, likely_opt_out, unread, assigned_to, done, kind)
    return exporting.spreadsheet(api, filters, with_numbers=False)


@get("/replies/export-with-numbers.csv", opt=EXPORT, media_type="text/csv")
async def export_with_numbers(
    api: NamedDependency[Context],
    broadcast: Broadcast = None,
    phase: AnsweredPhase = None,
    segment: Segment = None,
    search: QuerySearch = None,
    likely_opt_out: YesOrNo = None,
    unread: YesOrNo = None,
    assigned_to: User = None,
    done: YesOrNo = None,
    kind: Kind = None,
) -> Stream:
    """Return replies as CSV (RFC 4180, UTF-8), with numbers and names."""
    filters = _filters(broadcast, phase, segment, search, likely_opt_out, unread, assigned_to, done, kind)
    return exporting.spreadsheet(api, filters, with_numbers=True)


@get("/replies/{reply_id:int}")
async def show(api: NamedDependency[Context], reply_id: PathId) -> Reply:
    """Return one reply."""
    async with database.transaction(api.engine) as connection:
        return await queries.one(connection, reply_id)


@post("/replies/{reply_id:int}/read", opt=DECISION, status_code=200)
async def read(
    request: AnyRequest, api: NamedDependency[Context], reply_id: PathId, data: JSONBody[Person]
) -> Response[Reply]:
    """Mark a reply as read; who was the first stays on record."""

    async def work(connection: Connection) -> None:
        await reviews.mark_read(connection, reply_id, _name(data), api.clock())

    return await _done(request, api, reply_id, work)


@post("/replies/{reply_id:int}/opt-out", opt=DECISION, status_code=200)
async def opt_out(
    request: AnyRequest, api: NamedDependency[Context], reply_id: PathId, data: JSONBody[Decision]
) -> Response[Reply]:
    """Decide that whoever wrote wants nothing more: the number is opted out, and what was not sent will not be."""

    async def work(connection: Connection) -> None:
        await reviews.decide(connection, reply_id, opts_out=True, by=_name(data), now=api.clock(), why=data.reason)

    return await _done(request, api, reply_id, work)


@post("/replies/{reply_id:int}/no-opt-out", opt=DECISION, status_code=200)
async def no_opt_out(
    request: AnyRequest, api: NamedDependency[Context], reply_id: PathId, data: JSONBody[Person]
) -> Response[Reply]:
    """Decide that a likely opt-out was none: messages go to the number again, unless another of its replies waits."""

    async def work(connection: Connection) -> None:
        await reviews.decide(connection, reply_id, opts_out=False, by=_name(data), now=api.clock())

    return await _done(request, api, reply_id, work)


@post("/replies/{reply_id:int}/opt-in", opt=DECISION, status_code=200)
async def opt_in(
    request: AnyRequest, api: NamedDependency[Context], reply_id: PathId, data: JSONBody[Decision]
) -> Response[Reply]:
    """Let whoever wrote in again, since that is what they wrote: messages go to the number from then on."""
    _name(data)

    async def work(connection: Connection) -> None:
        await reviews.opt_in(connection, reply_id, api.clock(), why=data.reason)

    return await _done(request, api, reply_id, work)


@post("/replies/{reply_id:int}/assign", opt=DECISION, status_code=200)
async def assign(
    request: AnyRequest, api: NamedDependency[Context], reply_id: PathId, data: JSONBody[Assignment]
) -> Response[Reply]:
    """Hand a reply to a user, or to nobody any more; one that was done is open again."""
    by = _said_by(data.by)

    async def work(connection: Connection) -> None:
        await reply_work.assign(connection, reply_id, data.user_id, by, api.clock())

    return await _done(request, api, reply_id, work)


@post("/replies/{reply_id:int}/done", opt=DECISION, status_code=200)
async def finish(
    request: AnyRequest, api: NamedDependency[Context], reply_id: PathId, data: JSONBody[Person]
) -> Response[Reply]:
    """Note that nothing more is to be done about a reply; it is read then, too."""

    async def work(connection: Connection) -> None:
        await reply_work.finish(connection, reply_id, _name(data), api.clock())

    return await _done(request, api, reply_id, work)


@post("/replies/{reply_id:int}/reopen", opt=DECISION, status_code=200)
async def reopen(
    request: AnyRequest, api: NamedDependency[Context], reply_id: PathId, data: JSONBody[Person]
) -> Response[Reply]:
    """Note that something is to be done about a reply after all."""
    _name(data)

    async def work(connection: Connection) -> None:
        await reply_work.reopen(connection, reply_id, api.clock())

    return await _done(request, api, reply_id, work)


@post("/replies/{reply_id:int}/answer", opt=DECISION, status_code=202)
async def answer(
    request: AnyRequest, api: NamedDependency[Context], reply_id: PathId, data: JSONBody[NewAnswer]
) -> Response[Answer]:
    """Have an answer sent, where Twilio carries the texts: within seconds, once, and to nobody who opted out.

    Quiet hours hold it back. One that the carrier does not answer is looked up, and never sent again by itself.
    """
    by = _said_by(data.by)

    async def work(connection: Connection) -> Answer:
        single_id = await answering.answer(connection, api, reply_id, body=data.body, by=by, request_id=uuid4())
        return _answer(await single_messages.one(connection, single_id))

    return (await idempotency.once(api.engine, request, work, answer=Answer, status=202)).response()


@get("/replies/{reply_id:int}/answers")
async def answers(api: NamedDependency[Context], reply_id: PathId) -> list[Answer]:
    """List what was answered to a reply, the newest first, with what became of it."""
    async with database.transaction(api.engine) as connection:
        await queries.one(connection, reply_id)
        found = await single_messages.of_reply(connection, reply_id)
    return [_answer(each) for each in found]


def _answer(message: SingleMessage) -> Answer:
    assert message.reply_id is not None  # an answer names its reply
    return Answer(
        id=message.id,
        reply_id=message.reply_id,
        body=message.body,
        asked_at=message.asked_at,
        state=message.state,
        outcome=message.explanation.sentence,
    )


def _filters(
    broadcast: int | None,
    phase: AnsweredPhaseName | None,
    segment: int | None,
    search: str | None,
    likely_opt_out: bool | None,  # noqa: FBT001 - in the order of the query
    unread: bool | None,  # noqa: FBT001
    assigned_to: int | None,
    done: bool | None,  # noqa: FBT001
    kind: ReplyKind | None,
) -> Filters:
    return Filters(
        broadcast_id=broadcast,
        is_second=None if phase is None else phase == "second",
        segment_id=segment,
        search=search,
        waiting=likely_opt_out,
        unread=unread,
        assigned_to=assigned_to,
        done=done,
        kind=kind,
    )


async def _done(
    request: AnyRequest, api: Context, reply_id: int, work: Callable[[Connection], Awaitable[None]]
) -> Response[Reply]:
    """Do something about a reply and answer with it as it is then."""

    async def done(connection: Connection) -> Reply:
        await work(connection)
        return await queries.one(connection, reply_id)

    return (await idempotency.once(api.engine, request, done, answer=Reply)).response()


def _name(person: Person) -> str:
    return _said_by(person.by)


def _said_by(by: str) -> str:
    name = " ".join(by.split())
    if not name:
        raise InvalidFields(("by", "must hold more than white space"))
    return name


HANDLERS = (
    index, export, export_with_numbers, show, read, opt_out, no_opt_out, opt_in, assign, finish, reopen, answer, answers
)  # fmt: skip
