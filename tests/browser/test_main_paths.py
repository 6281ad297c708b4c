"""What people come for, page by page: today, groups and people, replies by the keyboard, answers, keys, notices."""

import re

from playwright.async_api import expect

from libs.common.domain.roles import Role
from tests.browser.conftest import Tab
from tests.browser.test_desk import examined, faults
from tests.integration.api.broadcasts.test_reports import halfway
from tests.integration.api.support import Api


async def test_who_begins_is_led_to_the_first_broadcast(api: Api, tab: Tab) -> None:
    await tab.sign_in(api)
    assert await faults(tab, "/desk") == []
    steps = tab.page.get_by_role("region", name="Three steps to the first broadcast")
    await expect(steps.get_by_role("link")).to_have_text(["Import people", "Make a group", "Write a broadcast"])
    await api.contact("north", name="Bo")
    await tab.open("/desk")
    await steps.get_by_role("link", name="Make a group").click()
    page = tab.page
    await page.get_by_label("Name").fill("North")
    await page.get_by_label("Who", exact=True).first.select_option("any_tag")
    await page.get_by_label("Tags, value, days or date").first.press_sequentially("north")
    await expect(page.get_by_role("region", name="Who is in it")).to_contain_text("1 person can get texts.")
    await page.get_by_role("button", name="Save").click()
    await page.wait_for_url(re.compile(r"/desk/segments"))
    await tab.open("/desk")
    await expect(steps.get_by_role("link")).to_have_text(["Write a broadcast"])
    await api.broadcast(await api.value("SELECT id FROM audience_segments"))
    await tab.open("/desk")
    await expect(steps).to_have_count(0)
    assert tab.complaints == []


async def test_the_next_one_is_skipped_from_today(api: Api, tab: Tab) -> None:
    await api.contact("north")
    await api.broadcast(await api.segment("north"), recurring=True)
    await tab.sign_in(api)
    await tab.open("/desk")
    following = tab.page.get_by_role("region", name="Going out next")
    await expect(following).to_contain_text("Goes out today 11:00")
    await following.get_by_role("button", name="Skip this one").click()
    await tab.open("/desk")
    await expect(following).to_contain_text("Goes out tomorrow 11:00")


async def test_a_form_with_mistakes_leads_to_each_and_can_be_used_by_everybody(api: Api, tab: Tab) -> None:
    await tab.sign_in(api)
    await tab.open("/desk/compose")
    page = tab.page
    await page.get_by_role("button", name="Schedule").click()
    problem = page.get_by_role("alert")
    await expect(problem).to_contain_text("There is a problem")
    tab.complaints.clear()  # the browser tells of each answer of 422
    assert await examined(tab, "/desk/compose") == []
    await problem.get_by_role("link", name="Write the first message.").click()
    await expect(page.get_by_label("First message", exact=True)).to_be_focused()


async def test_somebody_is_found_changed_and_gets_no_more_texts(api: Api, tab: Tab) -> None:
    await api.contact("north", name="Bo Lee")
    await api.contact("north", name="Cleo Park")
    await tab.sign_in(api)
    await tab.open("/desk/people")
    page = tab.page
    await page.keyboard.press("/")
    await page.keyboard.type("bo")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name="Cleo Park")).to_have_count(0)
    await page.get_by_role("link", name="Bo Lee").click()
    await page.get_by_label("Tags").fill("north, tenants")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_label("Tags")).to_have_value("north, tenants")
    await page.get_by_label("Why").fill("told me so")
    await page.get_by_role("button", name="No more texts to them").click()
    await expect(page.get_by_text("Gets no texts: they opted out.")).to_be_visible()
    await expect(page.get_by_role("region", name="Consent")).to_contain_text("told me so")
    assert tab.complaints == []


async def test_replies_are_gone_through_and_done_without_a_mouse(api: Api, tab: Tab) -> None:
    await halfway(api)
    await tab.sign_in(api)
    await tab.open("/desk/replies")
    page = tab.page
    entries = page.get_by_role("region", name="All replies").locator("[data-row] a")
    await expect(entries).to_have_count(3)
    for key, place in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        await page.keyboard.press(key)
        await expect(entries.nth(place)).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#here")).to_have_text("again")
    await expect(page.locator(".conversation")).to_contain_text("¿vienes?")
    await page.keyboard.press("e")
    await page.wait_for_url(re.compile(r"/desk/replies(\?|$)"))
    await page.get_by_role("link", name="Done", exact=True).click()
    await expect(entries).to_have_count(1)
    await expect(page.get_by_role("region", name="All replies")).to_contain_text("again")


async def test_what_people_answer_has_the_broadcast_with_its_figures(api: Api, tab: Tab) -> None:
    broadcast = await halfway(api)
    assert (await api.post(f"/broadcasts/{broadcast}/cancel")).status_code == 200
    await tab.sign_in(api, Role.VIEWER)
    await tab.open("/desk/broadcasts")
    page = tab.page
    await page.get_by_role("link", name="What people answer").click()
    row = page.get_by_role("region", name="By broadcast").get_by_role("row", name=re.compile("¿vienes?"))
    await expect(row.get_by_role("link", name="2", exact=True)).to_be_visible()
    await row.get_by_role("link", name="1", exact=True).click()
    await expect(page.get_by_role("link", name="See the broadcast")).to_be_visible()
    assert tab.complaints == []


async def test_a_key_is_made_shown_once_and_taken_back(api: Api, tab: Tab) -> None:
    await tab.sign_in(api, Role.ADMIN)
    await tab.open("/desk/settings/keys")
    page = tab.page
    await page.get_by_label("Name").fill("website")
    await page.get_by_label("Read", exact=True).check()
    await page.get_by_role("button", name="Make it").click()
    secret = await page.locator("code").inner_text()
    answer = await api.get("/segments", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 200
    await tab.open("/desk/settings/keys")
    await expect(page.get_by_text(secret)).to_have_count(0)
    await page.get_by_role("row", name=re.compile("website")).get_by_role("button", name="Take back").click()
    await expect(page.get_by_role("row", name=re.compile("website"))).to_contain_text("Taken back")
    answer = await api.get("/segments", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 401


async def test_one_chooses_what_to_be_told_of_elsewhere(api: Api, tab: Tab) -> None:
    await tab.sign_in(api)
    await tab.open("/desk/settings/notices")
    page = tab.page
    mine = page.get_by_role("region", name="Webhook for me")
    await mine.get_by_text("None chosen").click()
    await mine.get_by_label("Address of a program").fill("http://example.org/x")
    await mine.get_by_label("A broadcast was paused").check()
    await mine.get_by_role("button", name="Save").click()
    problem = page.get_by_role("alert")
    await problem.get_by_role("link").click()
    await expect(mine.get_by_label("Address of a program")).to_be_focused()
    await page.keyboard.press("ControlOrMeta+a")
    await page.keyboard.type("https://example.org/x")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("The webhook's secret")).to_be_visible()
    await tab.open("/desk/settings/notices")
    await mine.get_by_text("1 notice chosen").click()
    await expect(mine.get_by_label("Address of a program")).to_have_value("https://example.org/x")
    await expect(mine.get_by_label("A broadcast was paused")).to_be_checked()


async def test_the_longest_name_makes_no_page_wider_than_a_phone(api: Api, tab: Tab) -> None:
    name = "Ana Wolfeschlegelsteinhausenbergerdorffwelchevoralternwaren 👩‍👩‍👧‍👦"
    await api.contact("north", name=name)
    await tab.sign_in(api, name=name)
    await tab.page.set_viewport_size({"width": 390, "height": 844})
    for path in ("/desk/people", "/desk/people/1", "/desk/settings/me"):
        await tab.open(path)
        assert await tab.page.evaluate("document.documentElement.scrollWidth") == 390, path
