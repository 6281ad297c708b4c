"""“Send me a test”: the words of the form on a phone, before anybody else has them."""

from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from litestar import get
from litestar.di import NamedDependency
from litestar.response import Template

from libs.common import database
from libs.common.broadcasts import single_messages
from libs.common.broadcasts.outcome_kinds import Kind
from libs.common.database import Connection
from services.api.accounts import users
from services.api.accounts.users import User
from services.api.broadcasts import asking_tests, files
from services.api.broadcasts.asking_tests import Words
from services.api.context import Context
from services.api.desk import rendering
from services.api.desk.compose_form import Given
from services.api.desk.requests import AnyRequest

SHOWN = 10  # tests, the newest
SHOWN_FOR = timedelta(hours=1)


async def ask(
    connection: Connection, api: Context, user: User, given: Given, token: str, broadcast_id: int | None
) -> None:
    """Have the words of the form sent to the numbers in it, and to who is ticked. Raise InvalidFields, TooManyTests.

    The same form that comes twice asks once.
    """
    file = None if given.file is None else await files.find(connection, given.file)
    words = Words(
        first=given.first_message,
        second=given.follow_up or None,
        from_number=given.from_number or api.settings.from_number,
        broadcast_id=broadcast_id,
        file=file.id if file is not None and file.has_bodies else None,
    )
    request_id = uuid5(NAMESPACE_OID, f"{user.id} {token}")
    ticked = [each.phone_number for each in await _staff(connection) if each.id in given.test_users]
    numbers = [*_numbers(given.test_to), *filter(None, ticked)]
    await asking_tests.ask(connection, words, numbers, request_id, api.settings, api.clock())


def _numbers(typed: str) -> list[str]:
    return [each for part in typed.replace(";", ",").split(",") if (each := part.strip())]


async def shown(connection: Connection, user: User, now: datetime) -> dict[str, Any]:
    """Return what a page says of the tests that a user has asked for, and who else can be sent one."""
    found = await single_messages.tests_of(connection, f"user:{user.id}", now - SHOWN_FOR, SHOWN)
    return {
        "tests": found,
        "tests_wait": any(each.explanation.kind == Kind.WAITING for each in found),
        "colleagues": [each for each in await _staff(connection) if each.id != user.id],
    }


async def _staff(connection: Connection) -> list[User]:
    """Return the users whose own number is known, by name."""
    found = [each for each in await users.everybody(connection) if each.phone_number and each.disabled_at is None]
    return sorted(found, key=lambda each: each.name)


@get("/tests")
async def tests(request: AnyRequest, api: NamedDependency[Context], user: NamedDependency[User]) -> Template:
    """Show what became of the tests that one has asked for."""
    async with database.transaction(api.engine) as connection:
        values = await shown(connection, user, api.clock())
    return rendering.page(request, api, "compose_tests.html", **values)
