from collections.abc import AsyncIterator, Iterator
from unittest import mock

import pytest
from argon2 import PasswordHasher

from services.api.accounts import passwords
from tests.integration.api import support
from tests.integration.api.support import Api
from tests.support import servers


@pytest.fixture(scope="module", autouse=True)
def _quick_passwords() -> Iterator[None]:
    """What a check of a password costs is the subject of unit tests; here it would be most of what signing in takes."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with (
        mock.patch.object(passwords, "_hasher", quick),
        mock.patch.object(passwords, "NOBODY", quick.hash("a password of nobody's")),
    ):
        yield


@pytest.fixture(scope="session")
def shared_database() -> Iterator[str]:
    with servers.database() as url:
        yield url


@pytest.fixture
def emptied(shared_database: str) -> str:
    """A database without any rows."""
    servers.empty(shared_database)
    return shared_database


@pytest.fixture
async def api(emptied: str) -> AsyncIterator[Api]:
    """An API on a database without any rows. A test that changes more than rows takes `database_url` instead."""
    async with support.running(support.settings(emptied)) as running:
        yield running


@pytest.fixture
async def by_twilio(emptied: str) -> AsyncIterator[Api]:
    """The same, where Twilio carries the texts."""
    async with support.running(support.settings(emptied, carrier="twilio")) as running:
        yield running
