"""How past broadcasts were answered: of a hundred who got them, by group and by hour, and how sure that is."""

import html
import re

from services.api.broadcasts import responses
from tests.integration.api.desk.browser import Browser
from tests.integration.api.past import over
from tests.integration.api.support import Api

PAGE = "/desk/history"


def shown(page: str) -> list[list[str]]:
    """The cells of the tables' rows, without what is only a picture."""
    rows = re.findall(r"<tr>(.*?)</tr>", page.partition("<main")[2], re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    plain = [[" ".join(html.unescape(re.sub(r"<.*?>", " ", cell)).split()) for cell in row] for row in cells]
    return [[cell for cell in row if cell] for row in plain]


async def test_before_the_first_is_over_it_says_what_will_be_here(api: Api, editor: Browser) -> None:
    await api.made(1)
    assert "No broadcast is over yet" in (await editor.get(PAGE)).text


async def test_of_a_hundred_who_got_it_so_many_replied_and_a_stop_is_no_reply(api: Api, editor: Browser) -> None:
    broadcast = await over(api, 25, 5, stopped=2)
    page = (await editor.get(PAGE)).text
    assert "Of 100 people who got a text, 20 replied." in page
    rows = shown(page)
    # In Detroit it was ten o'clock.
    for first in ("segment", "10:00 – 11:00"):
        [row] = [row for row in rows if row[0].startswith(first)]
        assert row[1:] == ["25", "5", "20", "between 9 and 39"]
    assert f'href="/desk/replies?broadcast={broadcast}">5</a>' in page
    assert page.count('<svg class="spread"') == 3


async def test_two_are_compared_and_what_may_be_chance_is_called_so(api: Api, editor: Browser) -> None:
    first = await over(api, 20, 2)
    second = await over(api, 20, 18, hour=16)
    both = (await editor.get(PAGE)).text
    assert "90 of 100 against 10 of 100. The first was answered more often" in both
    turned = (await editor.get(PAGE, params={"one": first, "other": second})).text
    assert "10 of 100 against 90 of 100. The first was answered less often" in turned
    same = (await editor.get(PAGE, params={"one": first, "other": first})).text
    assert "may be chance" in same


async def test_a_page_counts_no_more_people_than_it_may(api: Api, editor: Browser) -> None:
    small = await over(api, 3, 1)
    large = await over(api, 3, 1)
    await api.query("UPDATE broadcasts SET recipients = %s WHERE id = %s", responses.MOST, large)
    page = (await editor.get(PAGE)).text
    assert f"/desk/broadcasts/{large}/first/delivered" in page
    assert f"/desk/broadcasts/{small}/first/delivered" not in page
    assert "too many people to count here" in page


async def test_a_broadcast_that_does_not_exist_is_compared_with_nothing(api: Api, editor: Browser) -> None:
    await over(api, 3, 1)
    assert (await editor.get(PAGE, params={"one": 999})).status_code == 200
    assert (await editor.get(PAGE, params={"one": "x"})).status_code == 422
