"""Whose messages cannot be made, and what they cost: before a broadcast goes out (`preflight`)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from litestar import get
from litestar.di import NamedDependency
from litestar.response import Stream
from msgspec import Struct

from libs.common import database
from libs.common.broadcasts import file_words, link_names, preflight, selection
from libs.common.broadcasts.preflight import Fault, Preflight
from libs.common.broadcasts.selection import Conditions
from libs.common.database import Connection
from libs.common.domain.slugs import Slugs
from services.api.broadcasts import queries, wishes
from services.api.context import Context
from services.api.http import csv_export
from services.api.http.contract import tells
from services.api.http.fields import PathId, PhoneNumber
from services.api.schemas import PhaseParts

LONGEST = 120.0  # seconds that a look at all may take; a million people take some
LISTED = 1000  # people that the answer lists; the file lists all
COLUMNS = ("contact_id", "phone_number", "name", "lacks", "first_message_characters", "second_message_characters")


class Lacking(Struct, kw_only=True):
    """How many lack the value of a variable that has no default."""

    variable: str
    people: int


class WrongPerson(Struct, kw_only=True):
    """Somebody whose messages cannot be made: a value is missing, or one has more than 1,600 characters."""

    contact_id: int
    phone_number: PhoneNumber
    name: str
    lacks: list[str]
    first_message_characters: int | None
    second_message_characters: int | None


class Checked(Struct, kw_only=True):
    """What a broadcast's messages are to all who may get it; whom the lot leaves out is among them."""

    broadcast_id: int
    people: int
    #: Those whose messages cannot be made. As long as there is one, the broadcast is not made.
    wrong: int
    lacking: list[Lacking]
    too_long: int
    #: The parts that the messages need, of those whose messages can be made.
    parts: list[PhaseParts]
    total_parts: int
    #: The first thousand of them.
    people_wrong: list[WrongPerson]


@dataclass(frozen=True, slots=True)
class Wording:
    """Two messages, and whom they may go to."""

    asked: Conditions
    first: str
    second: str | None
    #: What their links may name.
    slugs: Slugs
    #: The file that has words for each of them, if there is one.
    file: int | None = None

    async def read(self, connection: Connection) -> Preflight:
        """Return what they are to those people."""
        return await preflight.read(connection, self.asked, self.first, self.second, self.slugs, self.file)

    async def faults(self, connection: Connection, *, after: int, limit: int) -> list[Fault]:
        """Return those whose messages cannot be made."""
        return await preflight.faults(
            connection, self.asked, self.first, self.second, self.slugs, self.file, after=after, limit=limit
        )


async def of_broadcast(connection: Connection, api: Context, broadcast_id: int) -> Wording:
    """Return the messages of a broadcast and whom they may go to. Raise NotFound."""
    broadcast = await queries.one(connection, broadcast_id, api.settings.zone)
    asked = await selection.conditions(connection, wishes.selection(broadcast, api.settings.cap), api.clock())
    slugs = await link_names.read(connection, broadcast_id, broadcast.run_at, asked.sources, api.settings.zone)
    file = await file_words.of_broadcast(connection, broadcast_id)
    return Wording(asked, broadcast.first_message, broadcast.second_message, slugs, file)


@get("/broadcasts/{broadcast_id:int}/preflight", opt=tells())
async def check(api: NamedDependency[Context], broadcast_id: PathId) -> Checked:
    """Say whose messages cannot be made, of all who may get a broadcast as it is now, and in how many parts they go."""
    async with database.transaction(api.long_work) as connection:
        await database.set_statement_timeout(connection, LONGEST)
        wording = await of_broadcast(connection, api, broadcast_id)
        found = await wording.read(connection)
        wrong = await wording.faults(connection, after=0, limit=LISTED) if found.wrong else []
    return Checked(
        broadcast_id=broadcast_id,
        people=found.people,
        wrong=found.wrong,
        lacking=[Lacking(variable=name, people=people) for name, people in sorted(found.lacking.items())],
        too_long=found.too_long,
        parts=[PhaseParts(is_second=each.is_second, parts=each.parts, messages=each.messages) for each in found.parts],
        total_parts=found.total,
        people_wrong=[
            WrongPerson(
                contact_id=each.contact_id,
                phone_number=each.phone_number,
                name=each.name,
                lacks=each.lacking,
                first_message_characters=each.first_units,
                second_message_characters=each.second_units,
            )
            for each in wrong
        ],
    )


@get(
    "/broadcasts/{broadcast_id:int}/preflight.csv",
    opt=tells(answers={"Content-Disposition": "the name of the file"}),
    media_type="text/csv",
)
async def check_csv(api: NamedDependency[Context], broadcast_id: PathId) -> Stream:
    """List all whose messages cannot be made, as CSV (RFC 4180, UTF-8)."""
    async with database.transaction(api.engine) as connection:
        wording = await of_broadcast(connection, api, broadcast_id)
    return spreadsheet(api, wording, f"broadcast-{broadcast_id}-preflight.csv")


def spreadsheet(api: Context, wording: Wording, name: str) -> Stream:
    """Return an answer with one line for each whose messages cannot be made."""
    return csv_export.answer(_lines(api, wording), name)


async def _lines(api: Context, wording: Wording) -> AsyncIterator[str]:
    """Read page by page: a client that reads slowly holds neither memory nor a transaction open."""
    yield csv_export.line(COLUMNS)
    after = 0
    while True:
        async with database.transaction(api.long_work) as connection:
            await database.set_statement_timeout(connection, LONGEST)
            found = await wording.faults(connection, after=after, limit=csv_export.LINES)
        yield "".join(
            csv_export.line(
                (each.contact_id, each.phone_number, each.name, " ".join(each.lacking), each.first_units,
                 each.second_units)
            )
            for each in found
        )  # fmt: skip
        if len(found) < csv_export.LINES:
            return
        after = found[-1].contact_id


HANDLERS = (check, check_csv)
