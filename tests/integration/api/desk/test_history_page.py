"""How past broadcasts were answered: of a hundred who got them, by group and by hour, and how sure that is."""

import html
import re

from services.api.broadcasts import responses
from tests.integration.api.desk.browser import Browser
from tests.integration.api.support import NOW, Api, incoming

PAGE = "/desk/history"


async def over(api: Api, people: int, replied: int, *, stopped: int = 0, hour: int = 15) -> int:
    """Have a broadcast delivered to so many people at an hour (UTC), answered by some, and over."""
    api.clock.now = NOW.replace(hour=hour)
    broadcast = await api.made(people, max_recipients=people)
    await api.sent(broadcast)
    await api.query("UPDATE broadcast_sent_message_status SET twilio_sent_status = 'delivered'")
    await api.query(
        "UPDATE outgoing_messages SET attempt_started_at = %s WHERE broadcast_id = %s AND NOT is_second",
        api.clock.now, broadcast,
    )  # fmt: skip
    api.clock.forward(seconds=60)
    numbers = await api.column(
        "SELECT recipient_phone_number FROM outgoing_messages WHERE broadcast_id = %s AND NOT is_second ORDER BY id"
        " LIMIT %s", broadcast, replied + stopped,
    )  # fmt: skip
    for place, number in enumerate(numbers):
        body = "yes" if place < replied else "STOP"
        await api.missive(incoming(number, body, api.clock.now, sid=f"SM-{broadcast}-{place}"))
    await api.query("UPDATE broadcasts SET state = 'completed', completed_at = %s WHERE id = %s", NOW, broadcast)
    return broadcast


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
