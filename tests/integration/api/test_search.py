"""Searches find large and small letters alike, also in a database that knows those of English alone."""

from collections.abc import AsyncIterator, Iterator

import pytest

from libs.common import database
from services.api.contacts import queries as contacts
from services.api.replies import queries as replies
from services.api.replies.queries import Filters
from tests.integration.api import support
from tests.integration.api.support import NOW, Api, incoming
from tests.support import servers


@pytest.fixture
def database_of_c() -> Iterator[str]:
    """A database that was made with the locale C."""
    with servers.database_of_locale("C") as url:
        yield url


@pytest.fixture
async def made_with_c(database_of_c: str) -> AsyncIterator[Api]:
    """An API on it."""
    async with support.running(support.settings(database_of_c)) as api:
        yield api


@pytest.mark.parametrize(
    ("written", "searched"),
    [("ÁNGELA Núñez", "ángela"), ("Ángela", "ÁNGELA"), ("ЖАННА", "жан"), ("Οδυσσεύς", "ΟΔΥΣΣΕΎΣ"), ("ana DÍAZ", "DíA")],
)
async def test_a_person_and_a_reply_are_found_however_large_their_letters_are(
    made_with_c: Api, written: str, searched: str
) -> None:
    api = made_with_c
    number = await api.contact(name=written)
    await api.contact(name="Ben")
    await api.missive(incoming(number, "nothing of a name", NOW, sid="SM1"))
    await api.missive(incoming("+13135550177", f"Say hello to {written}!", NOW, sid="SM2"))
    async with database.transaction(api.engine) as connection:
        assert [each.name for each in await contacts.page(connection, after=0, limit=9, name=searched)] == [written]
    found = await api.get("/replies", params={"search": searched})
    assert {each["phone_number"] for each in found.json()["items"]} == {number, "+13135550177"}
    async with database.transaction(api.engine) as connection:
        nothing = await replies.page(connection, Filters(search="%"), before=10**9, limit=9)
    assert nothing.items == []
