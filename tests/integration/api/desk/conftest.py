from collections.abc import AsyncIterator

import pytest

from tests.integration.api.desk.browser import Browser, signed_in
from tests.integration.api.support import Api


@pytest.fixture
async def editor(api: Api) -> AsyncIterator[Browser]:
    async with signed_in(api) as browser:
        yield browser
