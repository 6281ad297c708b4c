"""Takes pictures of pages in several looks: one browser, a window for each look."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, Page, async_playwright

from tests.browser import chromium
from tests.browser.pages import READY

PATIENCE = 60_000  # milliseconds
#: How wide and how high a page is.
EXTENT = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How wide a window is, and which colours its owner likes."""

    name: str
    width: int = 1280
    height: int = 800
    scheme: Literal["light", "dark"] = "light"
    is_phone: bool = False


LIGHT = Look(name="light")
DARK = Look(name="dark", scheme="dark")
PHONE = Look(name="phone", width=390, height=844, is_phone=True)
LOOKS = (LIGHT, DARK, PHONE)


class Camera:
    """Windows in which the same user is signed in."""

    def __init__(self, windows: dict[Look, Page], base: str) -> None:
        self._windows = windows
        self.base = base
        #: Pages that are wider than the window: they have to be pushed sideways.
        self.too_wide: list[str] = []

    @property
    def page(self) -> Page:
        """The window in which things are done."""
        return self._windows[LIGHT]

    async def open(self, address: str, status: int = 200) -> None:
        """Open an address in all windows. Raise AssertionError if it is not answered as it should be."""
        for window in self._windows.values():
            answer = await window.goto(f"{self.base}{address}")
            assert answer is not None, address
            assert answer.status == status, f"{address} is answered with {answer.status}"
            await window.wait_for_function(READY)

    async def press(self, button: str) -> None:
        """Press a button in all windows."""
        for window in self._windows.values():
            async with window.expect_navigation():
                await window.get_by_role("button", name=button).click()

    async def take(self, folder: Path, name: str, address: str | None = None) -> None:
        """Write a picture of the whole page in each look; of what is open, unless an address is given."""
        if address is not None:
            await self.open(address)
        for look, window in self._windows.items():
            width, height = await window.evaluate(EXTENT)
            if width > look.width:
                self.too_wide.append(f"{name}.{look.name}")
            # In a window as high as the page, so that what stays at the bottom is at the bottom.
            await window.set_viewport_size({"width": look.width, "height": max(height, look.height)})
            await window.screenshot(path=folder / f"{name}.{look.name}.png")
            await window.set_viewport_size({"width": look.width, "height": look.height})

    async def frame(self, path: Path, look: Look) -> None:
        """Write what a window shows of its page without scrolling."""
        await self._windows[look].screenshot(path=path)

    async def sign_in(self, link: str, password: str) -> None:
        """Choose a password behind the link of an invitation; from then on all windows are signed in."""
        await self.page.goto(link)
        await self.page.locator("#password").fill(password)
        await self.page.locator("main button").click()
        await self.page.wait_for_url(f"{self.base}/desk")
        cookies = {each["name"]: each["value"] for each in await self.page.context.cookies()}
        session = cookies["session"]
        for window in self._windows.values():
            await window.context.add_cookies([{"name": "session", "value": session, "url": self.base}])


@asynccontextmanager
async def ready(base: str) -> AsyncIterator[Camera]:
    """Open the windows. Raise AssertionError where there is no Chromium."""
    found = chromium.find()
    assert found is not None, chromium.MISSING
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found)
        try:
            yield Camera({look: await _window(browser, look) for look in LOOKS}, base)
        finally:
            await browser.close()


async def _window(browser: Browser, look: Look) -> Page:
    context = await browser.new_context(
        viewport={"width": look.width, "height": look.height},
        color_scheme=look.scheme,
        device_scale_factor=2 if look.is_phone else 1,
        is_mobile=look.is_phone,
        has_touch=look.is_phone,
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE)
    return await context.new_page()
