"""A broadcast watched live by two people to its end: all services as processes, with simulated carriers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Tab, opened
from tests.support.processes import Processes

PEOPLE = 12
PASSWORD = "three plain words"
#: One of the twelve cannot be reached; nobody replies, so that the figures are known.
PLAN = {
    "reply": 0.0,
    "stop": 0.0,
    "unreachable": 0.0,
    "invalid": 0.0,
    "hand_over_delay": [0.05, 0.1],
    "delivery_delay": [0.1, 0.3],
    "numbers": {"+13135552000": "unreachable"},
}
FIGURES = ("11 delivered", "0 sent", "1 failed", "0 not known", "0 not sent", "0 still to go")

pytestmark = pytest.mark.timeout(600)


async def scheduled(broadsheet: Processes) -> int:
    """Have a broadcast that begins by the press of a button."""
    rows = ["phone_number,name,tags", *(f"+1313555{2000 + n},Reader {n},all" for n in range(PEOPLE))]
    await broadsheet.post("/contacts/import", content="\n".join(rows), headers={"Content-Type": "text/csv"})
    segment = await broadsheet.post("/segments", json={"name": "all", "filter": {"any": ["all"]}})
    wish = {
        "run_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        "first_message": "How are you? STOP to stop.",
        "second_message": "Still there? STOP to stop.",
        "segments": [{"segment_id": segment["id"], "ratio": 100}],
        "max_recipients": PEOPLE,
        "recurring": False,
    }
    return int((await broadsheet.post("/broadcasts", json=wish))["id"])


async def sign_in(broadsheet: Processes, tab: Tab, name: str, role: str) -> None:
    """Invite somebody, who chooses a password in a tab."""
    user = {"email": f"{name.lower()}@example.org", "name": name, "role": role}
    await tab.page.goto((await broadsheet.post("/users", json=user))["link"])
    await tab.page.get_by_label("New password").fill(PASSWORD)
    await tab.page.get_by_role("button", name="Save and sign in").click()
    await tab.page.wait_for_url(f"{tab.base}/desk")


async def press(page: Page, button: str) -> None:
    """Press a button of a page that may be changing: htmx may put another in its place at any moment."""
    await page.get_by_role("button", name=button).click()


async def test_a_broadcast_is_watched_by_two_people_to_its_end(
    tmp_path: Path, database_url: str, amqp_url: str, chromium: Browser
) -> None:
    broadsheet = Processes(tmp_path, database_url, amqp_url, SEND_RATE="4", SECOND_DELAY="1")
    try:
        await broadsheet.start("simulator")
        await broadsheet.configure_simulator(plan=PLAN)
        await broadsheet.start("api", "planner", "sender", "twilio_sync")
        broadcast = await scheduled(broadsheet)
        async with opened(chromium, broadsheet.api) as ana, opened(chromium, broadsheet.api) as ben:
            await sign_in(broadsheet, ana, "Ana", "editor")
            await sign_in(broadsheet, ben, "Ben", "viewer")
            await ana.open(f"/desk/broadcasts/{broadcast}")
            await press(ana.page, "Send now")
            await ana.page.wait_for_url(f"{ana.base}/desk/broadcasts/{broadcast}")
            await ben.open(f"/desk/broadcasts/{broadcast}")
            await ben.page.evaluate("() => { window.here = true; }")
            await press(ana.page, "Pause")
            await expect(ben.page.locator("#sentence")).to_contain_text("Paused by Ana")
            assert await ben.page.get_by_role("button", name="Go on").count() == 0
            await press(ana.page, "Go on")
            for tab in (ana, ben):
                await expect(tab.page.locator("#sentence")).to_have_text("Done. 11 of 12 got it; 1 did not.")
                first = tab.page.get_by_role("region", name="First message")
                await expect(first.get_by_role("listitem")).to_have_text(FIGURES)
                await expect(tab.page.get_by_text("Phone off or out of reach").first).to_be_visible()
            assert await ben.page.evaluate("() => window.here"), "the page was loaded again"
            assert [*ana.complaints, *ben.complaints] == []
    finally:
        await broadsheet.close()
