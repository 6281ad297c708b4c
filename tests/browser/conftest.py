"""The desk in the machine's own Chromium, over an API on a real socket and a real database."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Browser, ConsoleMessage, Error, Page, async_playwright, expect

from libs.common.domain.roles import Role
from tests.browser import chromium as machine
from tests.integration.api import served, support
from tests.integration.api.desk.browser import signed_in
from tests.integration.api.support import Api
from tests.support import servers

PATIENCE = 60_000  # milliseconds
expect.set_options(timeout=PATIENCE)


@dataclass  # Playwright keeps its wrappers of the handlers in the instance
class Tab:
    """A page in the browser, and what the browser complained of."""

    page: Page
    base: str
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note every complaint from now on."""
        self.page.on("console", self._heard)
        self.page.on("pageerror", self._broken)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def _broken(self, error: Error) -> None:
        self.complaints.append(str(error))

    async def sign_in(self, api: Api, role: Role = Role.EDITOR, name: str = "Ana Diaz") -> None:
        """Have a new user of a role signed in here."""
        async with signed_in(api, role, name) as user:
            session = user.client.cookies["session"]
        await self.page.context.add_cookies([{"name": "session", "value": session, "url": self.base}])

    async def open(self, path: str) -> None:
        """Open a path of the desk."""
        answer = await self.page.goto(f"{self.base}{path}")
        assert answer is not None, path
        assert answer.status == 200, path


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """A browser."""
    found = machine.find()
    if found is None:
        pytest.skip(machine.MISSING)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found)
        try:
            yield browser
        finally:
            await browser.close()


@pytest.fixture(scope="session")
def shared_database() -> Iterator[str]:
    with servers.database() as url:
        yield url


@pytest.fixture
async def api(shared_database: str) -> AsyncIterator[Api]:
    """An API by which a test makes what the browser is to show, on a database without any rows."""
    servers.empty(shared_database)
    # Without TLS, so that cookies go over plain HTTP.
    async with support.running(support.settings(shared_database, public_url="http://127.0.0.1")) as running:
        yield running


@pytest.fixture
async def base(api: Api) -> AsyncIterator[str]:
    """Where a browser finds the desk."""
    async with served.serving(api.settings, api.clock) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
async def tab(base: str, chromium: Browser) -> AsyncIterator[Tab]:
    """A tab in which nobody is signed in."""
    async with opened(chromium, base) as found:
        yield found


@asynccontextmanager
async def opened(chromium: Browser, base: str) -> AsyncIterator[Tab]:
    """Open a tab of a browser that shares nothing with others."""
    context = await chromium.new_context()
    context.set_default_timeout(PATIENCE)
    found = Tab(await context.new_page(), base)
    found.watch()
    try:
        yield found
    finally:
        await context.close()
