"""A broadcast that was sent by mistake, in a browser: the seconds go down, and one click takes it back."""

import re

from playwright.async_api import expect

from libs.common.domain.roles import Role
from tests.browser.conftest import Tab
from tests.browser.test_desk import faults
from tests.integration.api import support
from tests.integration.api.desk.browser import signed_in
from tests.integration.api.support import Api


async def test_the_seconds_go_down_and_one_click_takes_it_back(api: Api, tab: Tab) -> None:
    async with support.running(api.settings.model_copy(update={"send_hold": 600.0})) as holding:
        broadcast = await holding.made(3)
    async with signed_in(api, Role.EDITOR) as user:
        session = user.client.cookies["session"]
    await tab.page.context.add_cookies([{"name": "session", "value": session, "url": tab.base}])
    assert await faults(tab, f"/desk/broadcasts/{broadcast}") == []
    seconds = tab.page.locator("[data-seconds]")
    await expect(seconds).to_have_text(re.compile(r"\(\d+ s\)"))
    before = await seconds.inner_text()
    await expect(seconds).not_to_have_text(before)
    await tab.page.get_by_role("button", name="Call back").click()
    await expect(tab.page.get_by_text("Ana Diaz called it back. Nobody got it.")).to_be_visible()
    assert tab.complaints == []
    assert await api.value("SELECT count(*) FROM outgoing_messages") == 0
