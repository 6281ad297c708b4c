"""A broadcast written in a browser: what it costs changes as one types, and it is tried before it is scheduled."""

import re

from playwright.async_api import expect

from tests.browser.conftest import Tab
from tests.integration.api.support import Api

DEAR = "Road closed on Main Street “until Friday”. Tell us what you see there. STOP to stop."


async def test_a_broadcast_is_written_made_cheaper_tried_and_scheduled(api: Api, tab: Tab) -> None:
    await api.contact("north", name="Bo")
    await api.segment("north")
    await tab.sign_in(api)
    await tab.open("/desk/compose")
    page = tab.page
    beside = page.get_by_role("region", name="As a phone shows it")
    await page.get_by_label("First message", exact=True).press_sequentially(DEAR)
    await expect(beside.locator(".bubble").first).to_have_text(DEAR)
    await expect(beside).to_contain_text("2 parts")
    await expect(beside).to_contain_text("2 characters make the first message longer")
    await page.get_by_label("No follow-up").check()
    await beside.get_by_role("button", name="Replace them by plain characters").click()
    await expect(page.get_by_label("First message", exact=True)).to_have_value(re.compile('"until Friday"'))
    await expect(beside).to_contain_text("1 part ")

    # Whom it goes to is counted as soon as a group is ticked.
    await page.locator("#segments").get_by_label("north", exact=True).check()
    await expect(page.get_by_role("region", name="Who gets it, and when")).to_contain_text("Goes to 1 person")

    await beside.get_by_label("Number").fill("+1 313 555 0123")
    await beside.get_by_role("button", name="Send me a test").click()
    await expect(page.locator("#tests")).to_contain_text("Test: Road closed")
    assert await api.value("SELECT count(*) FROM broadcasts") == 0

    await page.get_by_role("button", name="Schedule").click()
    await page.wait_for_url(re.compile(r"/desk/broadcasts/\d+$"))
    await expect(page.locator("#sentence")).to_contain_text("Scheduled for")
    assert await api.column("SELECT first_message FROM broadcasts") == [DEAR.replace("“", '"').replace("”", '"')]
    assert tab.complaints == []


async def test_who_is_signed_out_while_they_write_is_told_and_loses_nothing(api: Api, tab: Tab) -> None:
    await tab.sign_in(api)
    await tab.open("/desk/compose")
    page, words = tab.page, tab.page.get_by_label("First message", exact=True)
    await words.fill(DEAR)
    await expect(page.locator("#words")).to_contain_text("2 parts")
    await api.query("DELETE FROM sessions")
    await words.press_sequentially(" More.")
    await expect(page.get_by_role("alert")).to_contain_text("You are signed out. What you typed is still here")
    await expect(words).to_have_value(f"{DEAR} More.")
    # A plain form that is sent all the same says so, and is sent once more when its page is loaded again.
    await page.get_by_role("button", name="Save as a draft").click()
    await expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    await tab.sign_in(api, name="Ana again")
    await page.reload()
    await expect(page.get_by_label("First message", exact=True)).to_have_value(f"{DEAR} More.")
