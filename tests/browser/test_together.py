"""Several people at the desk at once, a network that goes away, and a keyboard without a mouse."""

import asyncio
import re

from playwright.async_api import Browser, expect

from libs.common.domain.roles import Role
from tests.browser.conftest import PATIENCE, Tab, opened
from tests.chaos.proxy import Link, to_tcp
from tests.integration.api.broadcasts.test_reports import halfway
from tests.integration.api.desk.test_reply_pages import LIKELY, likely
from tests.integration.api.support import Api, incoming

SAVE = "Save and keep it scheduled"


async def test_of_two_people_who_change_a_broadcast_the_second_sees_both_versions(
    api: Api, chromium: Browser, tab: Tab
) -> None:
    await api.contact("made")
    broadcast = await api.broadcast(await api.segment("made"), second_message="Later. STOP to stop.")
    await tab.sign_in(api)
    async with opened(chromium, tab.base) as other:
        await other.sign_in(api, name="Cleo Park")
        for each, words in ((tab, "Mine. STOP to stop."), (other, "Theirs. STOP to stop.")):
            await each.open(f"/desk/compose/{broadcast}")
            await each.page.get_by_label("First message", exact=True).fill(words)
        await other.page.get_by_role("button", name=SAVE).click()
        await other.page.wait_for_url(f"{tab.base}/desk/broadcasts/{broadcast}")
    save = tab.page.get_by_role("button", name=SAVE)
    await save.click()
    await expect(tab.page.get_by_text("Cleo Park changed it while you had it open")).to_be_visible()
    await expect(tab.page.get_by_label("First message", exact=True)).to_have_value("Mine. STOP to stop.")
    await expect(tab.page.get_by_text("Theirs. STOP to stop.").first).to_be_visible()
    await save.click()
    await tab.page.wait_for_url(f"{tab.base}/desk/broadcasts/{broadcast}")
    assert (await api.get(f"/broadcasts/{broadcast}")).json()["first_message"] == "Mine. STOP to stop."


async def test_a_live_page_says_quietly_that_the_network_is_away_and_is_right_when_it_is_back(
    api: Api, tab: Tab
) -> None:
    broadcast = await api.made(3)
    await tab.sign_in(api)
    network = Link("browser", to_tcp(int(tab.base.rpartition(":")[2])))
    tab.base = f"http://127.0.0.1:{await network.listen('browser')}"
    away = None
    try:
        await tab.open(f"/desk/broadcasts/{broadcast}")
        notice = tab.page.get_by_text("The connection is lost.")
        await expect(tab.page.locator("#sentence")).to_contain_text("Sending the first message")
        await expect(notice).to_be_hidden()
        away = asyncio.create_task(network.refuse(PATIENCE))
        await expect(notice).to_be_visible()
        assert (await api.post(f"/broadcasts/{broadcast}/pause")).status_code == 200
        away.cancel()
        await expect(tab.page.locator("#sentence")).to_contain_text("Paused")
        await expect(notice).to_be_hidden()
        await expect(tab.page.get_by_role("button", name="Go on")).to_be_visible()
    finally:
        if away is not None:
            away.cancel()
            await asyncio.gather(away, return_exceptions=True)
        await network.close()


async def test_a_failed_text_is_found_and_explained(api: Api, tab: Tab) -> None:
    await halfway(api)
    number = await api.value("SELECT recipient_phone_number FROM outgoing_messages WHERE state = 'refused'")
    await tab.sign_in(api, Role.VIEWER)
    await tab.open("/desk")
    await tab.page.get_by_role("link", name=re.compile("Sending the first message")).click()
    missing = tab.page.get_by_role("region", name="Who did not get it, and why")
    row = missing.get_by_role("row", name=re.compile("They told the phone company to stop our texts"))
    await row.get_by_role("link", name="1").click()
    await expect(tab.page.get_by_role("heading", level=1)).to_contain_text("They told the phone company")
    await tab.page.get_by_role("main").get_by_role("link", name=number).click()
    await tab.page.wait_for_url(f"{tab.base}/desk/people/*")
    await expect(tab.page.locator(".conversation")).to_contain_text("They told the phone company to stop our texts")


async def test_keys_go_from_reply_to_reply_and_decide_about_the_one_that_has_the_focus(api: Api, tab: Tab) -> None:
    earlier, _ = await likely(api)
    other = str(await api.value("SELECT phone_number FROM contacts WHERE id = %s", await api.contact()))
    await api.missive(incoming(other, f"{LIKELY}!", api.clock.now, sid="SM-other"))
    await tab.sign_in(api)
    await tab.open("/desk/replies?only=likely-opt-outs")
    keyboard, focused = tab.page.keyboard, tab.page.locator("li:focus-within")
    for key, words in (("j", f"{LIKELY}!"), ("j", LIKELY), ("j", LIKELY), ("k", f"{LIKELY}!"), ("j", LIKELY)):
        await keyboard.press(key)
        await expect(focused.get_by_text(words, exact=True)).to_be_visible()
    await keyboard.press("o")
    await expect(tab.page.get_by_role("listitem").filter(has_text=LIKELY)).to_have_count(1)
    assert await api.value("SELECT id FROM replies WHERE review = 'opt_out'") == earlier


async def test_all_that_matters_is_done_with_the_keyboard_alone(api: Api, tab: Tab) -> None:
    reply, _ = await likely(api)
    await tab.sign_in(api)
    await tab.open("/desk")
    keyboard, page = tab.page.keyboard, tab.page
    await keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await keyboard.press("Enter")
    await expect(page.locator("#main")).to_be_focused()

    async def go_to(name: str) -> None:
        """Press Tab until a link or button has the focus."""
        for _ in range(60):
            await keyboard.press("Tab")
            if (await page.evaluate("document.activeElement.textContent")).strip().startswith(name):
                return
        raise AssertionError(f"Tab does not lead to {name}")

    # Decide about a reply: from Today, by Tab and Enter, then by one key.
    await go_to("Decide")
    await keyboard.press("Enter")
    await page.get_by_text(LIKELY).first.wait_for()
    await keyboard.press("o")
    await expect(page.get_by_role("heading", name="No replies here")).to_be_visible()
    assert await api.value("SELECT review FROM replies WHERE id = %s", reply) == "opt_out"
    # Write a broadcast: one key, then what a form needs.
    await tab.open("/desk")
    await keyboard.press("c")
    await page.wait_for_url(f"{tab.base}/desk/compose")
    await page.get_by_label("First message", exact=True).focus()
    await keyboard.type("How are you? STOP to stop.")
    await keyboard.press("Tab")
    await expect(page.get_by_role("checkbox", name="No follow-up")).to_be_focused()
    await keyboard.press("Space")
    await go_to("Save as a draft")
    await keyboard.press("Enter")
    await page.wait_for_url(re.compile(r"/desk/broadcasts/\d+$"))
    assert await api.value("SELECT count(*) FROM broadcasts WHERE first_message LIKE 'How are you%%'") == 1
