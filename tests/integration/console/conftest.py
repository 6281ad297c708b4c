"""Fixtures of the command line's tests."""

from collections.abc import AsyncIterator
from functools import partial

import httpx
import pytest

from tests.integration.api import support
from tests.integration.console.commands import Call, run, serving


@pytest.fixture
async def api(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Serve an API on a real database, and yield a client of it."""
    headers = {"Authorization": f"Bearer {support.KEY}"}
    async with serving(database_url) as url, httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
def call(api: httpx.AsyncClient) -> Call:
    """Return a function that runs `broadsheet` with its arguments, and gives its exit status and what it said."""
    return partial(run, str(api.base_url).rstrip("/"))
