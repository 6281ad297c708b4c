"""Every link of a page leads somewhere, and every form goes somewhere."""

import re

from libs.common.domain.roles import Role
from services.api.http import permissions
from tests.integration.api.broadcasts.test_reports import halfway
from tests.integration.api.desk import crawling
from tests.integration.api.desk.browser import signed_in
from tests.integration.api.desk.test_import_pages import ODD, columns, taken
from tests.integration.api.desk.test_reply_pages import likely
from tests.integration.api.support import Api

#: What a page follows while it is open, and what it asks for by itself.
FOLLOWED = ("/live", "/count", "/compose/tests", "/progress")


async def test_no_link_of_any_page_is_dead(api: Api) -> None:
    broadcast = await halfway(api)
    await likely(api)
    await api.broadcast(await api.segment("made", name="next"))
    await api.post("/keywords", {"word": "новости", "tag": "новости", "welcome": "STOP", "question": "Да? Sí"})
    async with signed_in(api, Role.ADMIN) as browser:
        file = await taken(browser, ODD)
        await browser.submit(f"{file}/check", file, **columns("number", "name"))
        seen = await crawling.pages(browser, ["/desk", f"/desk/broadcasts/{broadcast}", file])
    shown = {re.sub(r"\d+", "{}", address.partition("?")[0]) for address in seen}
    pages = {re.sub(r"{\w+}", "{}", route.removeprefix("GET ")) for route in permissions.NEEDED if "GET /desk" in route}
    assert {page for page in pages if "{}/{}/{}" not in page and not page.endswith(FOLLOWED)} <= shown
