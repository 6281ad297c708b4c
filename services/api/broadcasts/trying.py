"""Trying a broadcast on a few phones before it goes out. What is checked and done is in `asking_tests.py`."""

from typing import Annotated, Any
from uuid import uuid4

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta, Struct

from libs.common import database
from libs.common.broadcasts import file_words, single_messages
from libs.common.database import Connection
from libs.common.domain.states import MessageState, SinglePurpose
from services.api.broadcasts import asking_tests, queries
from services.api.broadcasts.asking_tests import MOST, MOST_A_MINUTE, Words
from services.api.context import Context
from services.api.http import idempotency
from services.api.http.contract import tells
from services.api.http.errors import TooManyTests
from services.api.http.fields import Moment, PathId, PhoneNumber
from services.api.schemas import Body, GivenNumber

SHOWN = MOST_A_MINUTE  # test messages, the newest
AnyRequest = Request[Any, Any, Any]


class Phones(Body):
    """Who gets the test: a few phones of people who know of it."""

    to: Annotated[list[GivenNumber], Meta(min_length=1, max_length=MOST)]


class TestMessage(Struct, kw_only=True):
    """A message that somebody asked for to try the words of a broadcast. It is in no figure of the broadcast."""

    id: int
    #: None once it was forgotten.
    phone_number: PhoneNumber | None
    body: str
    state: MessageState
    #: What became of it, in words.
    sentence: str
    #: The carrier's code, where it gave one.
    code: str | None
    asked_at: Moment
    #: `user:7`, `key:website`, `console:ana`.
    asked_by: str


class TestMessages(Struct, kw_only=True):
    """The newest test messages of a broadcast, the newest first."""

    items: list[TestMessage]


@post("/broadcasts/{broadcast_id:int}/test", opt=tells(TooManyTests, idempotent=True), status_code=202)
async def test(
    request: AnyRequest, api: NamedDependency[Context], broadcast_id: PathId, data: JSONBody[Phones]
) -> Response[TestMessages]:
    """Send both messages to a few named numbers at once, each beginning with `Test: `."""

    async def work(connection: Connection) -> TestMessages:
        broadcast = await queries.one(connection, broadcast_id, api.settings.zone)
        words = Words(
            first=broadcast.first_message,
            second=broadcast.second_message,
            from_number=broadcast.from_number,
            broadcast_id=broadcast_id,
            file=await file_words.of_broadcast(connection, broadcast_id),
        )
        made = await asking_tests.ask(connection, words, data.to, uuid4(), api.settings, api.clock())
        return TestMessages(items=[each for each in await _of_broadcast(connection, broadcast_id) if each.id in made])

    return (await idempotency.once(api.engine, request, work, answer=TestMessages, status=202)).response()


@get("/broadcasts/{broadcast_id:int}/tests")
async def tests(api: NamedDependency[Context], broadcast_id: PathId) -> TestMessages:
    """List the test messages of a broadcast, the newest first, with what became of each."""
    async with database.transaction(api.engine) as connection:
        await queries.one(connection, broadcast_id, api.settings.zone)
        return TestMessages(items=await _of_broadcast(connection, broadcast_id))


async def _of_broadcast(connection: Connection, broadcast_id: int) -> list[TestMessage]:
    found = await single_messages.of_broadcast(connection, broadcast_id, SinglePurpose.TEST, SHOWN)
    return [
        TestMessage(
            id=each.id,
            phone_number=each.phone_number,
            body=each.body,
            state=each.state,
            sentence=each.explanation.sentence,
            code=each.code,
            asked_at=each.asked_at,
            asked_by=each.asked_by,
        )
        for each in found
    ]


HANDLERS = (test, tests)
