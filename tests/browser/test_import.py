"""A file of people imported in the browser, as somebody does it."""

from tests.browser.conftest import Tab
from tests.integration.api.desk.browser import signed_in
from tests.integration.api.desk.test_import_pages import IMPORT, ODD
from tests.integration.api.support import Api


async def test_a_file_is_chosen_matched_tried_and_imported(api: Api, tab: Tab) -> None:
    page = tab.page
    async with signed_in(api) as user:
        session = user.client.cookies["session"]
    await page.context.add_cookies([{"name": "session", "value": session, "url": tab.base}])
    await tab.open(IMPORT)
    file = {"name": "people.csv", "mimeType": "text/csv", "buffer": ODD.encode()}
    await page.get_by_label("A file of people").set_input_files(file)  # type: ignore[arg-type] # a dict as Playwright has it
    await page.get_by_role("button", name="Look at it").click()
    await page.get_by_label("What is in the column Handy").select_option("phone number")
    await page.get_by_label("What is in the column Who").select_option("name")
    await page.get_by_role("button", name="Check the file").click()
    await page.get_by_text("2 lines cannot be taken").wait_for()
    await page.get_by_role("button", name="Import 2 people").click()
    await page.get_by_text("Imported.").wait_for()
    await page.get_by_role("link", name="See the people").click()
    await page.get_by_role("link", name="Ana <b>").wait_for()
    assert tab.complaints == []
