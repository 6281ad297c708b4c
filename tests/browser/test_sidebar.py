"""The sidebar in a frame of another site's, as Missive shows it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from playwright.async_api import Browser

from tests.browser.conftest import PATIENCE
from tests.browser.test_desk import ANA, AXE, EXAMINE, PASSWORD, invited
from tests.integration.api import served, support
from tests.integration.api.broadcasts.test_reports import halfway


@dataclass
class Site:
    """A site with one page, which frames an address. It is another than the desk's: `localhost`, not 127.0.0.1."""

    url: str = ""
    address: str = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = f'<!doctype html><iframe src="{self.address}" width="320" height="900" title="Texts"></iframe>'
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    made = Site()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    async with server:
        made.url = f"http://localhost:{server.sockets[0].getsockname()[1]}"
        yield made


async def test_somebody_signs_in_and_pauses_in_a_frame_and_another_site_frames_nothing(
    database_url: str, chromium: Browser
) -> None:
    async with site() as missive, site() as stranger:
        settings = support.settings(database_url, public_url="http://127.0.0.1", frame_ancestors=(missive.url,))
        async with support.running(settings) as api, served.serving(settings, api.clock) as port:
            missive.address = stranger.address = f"http://127.0.0.1:{port}/desk/sidebar"
            broadcast = await halfway(api)
            link = await invited(api)
            context = await chromium.new_context()
            context.set_default_timeout(PATIENCE)
            page = await context.new_page()
            await page.goto(f"http://127.0.0.1:{port}{link}")
            await page.get_by_label("New password").fill(PASSWORD)
            await page.get_by_role("button", name="Save and sign in").click()
            await page.wait_for_url(f"http://127.0.0.1:{port}/desk")

            await page.goto(missive.url)
            frame = page.frame_locator("iframe")
            # Whoever is signed in at the desk is not so in the frame: the cookie is another.
            await frame.get_by_label("E-mail address").fill(ANA["email"])
            await frame.get_by_label("Password").fill(PASSWORD)
            await frame.get_by_role("button", name="Sign in").click()
            await frame.get_by_text("Sending the first message").wait_for()
            [inside] = [each for each in page.frames if each.url == missive.address]
            await inside.evaluate(AXE.read_text())
            assert await inside.evaluate(EXAMINE) == []
            assert await inside.evaluate("document.documentElement.scrollWidth") <= 320
            await frame.get_by_role("button", name="Pause").click()
            await frame.get_by_text("Paused by Ana Diaz").wait_for()
            assert await api.value("SELECT state FROM broadcasts WHERE id = %s", broadcast) == "paused"

            # Signed out meanwhile, it leads to the form by itself, and from there back: nothing else shows in a frame.
            await api.query("DELETE FROM sessions")
            await frame.get_by_label("E-mail address").fill(ANA["email"])
            await frame.get_by_label("Password").fill(PASSWORD)
            await frame.get_by_role("button", name="Sign in").click()
            await frame.get_by_text("Paused by Ana Diaz").wait_for()

            await page.goto(stranger.url)
            assert [each.url for each in page.frames[1:]] == ["chrome-error://chromewebdata/"]
            await context.close()
