"""Lists and counts of many people: what is found beyond those who are looked at first, and what is counted late."""

import re

from services.api.broadcasts import outcomes
from services.api.contacts import queries
from tests.integration.api.desk.browser import Browser
from tests.integration.api.desk.test_compose_page import COMPOSE, shown
from tests.integration.api.support import Api

PEOPLE = re.compile(r'href="/desk/people/(\d+)"')
ADD = """
INSERT INTO contacts (phone_number, tags, name)
SELECT '+1313' || 5000000 + n, '{many}', 'Many' FROM generate_series(1, %s::int) n
"""


async def found(browser: Browser, address: str) -> list[str]:
    return list(dict.fromkeys(PEOPLE.findall((await browser.get(address)).text)))


async def test_people_are_found_by_a_tag_or_a_name_however_many_stand_before_them(api: Api, editor: Browser) -> None:
    await api.query(ADD, queries.LOOKED_AT + 30)
    numbers = [await api.contact("few", name="Zoe") for _ in range(30)]
    few = [str(await api.contact_id(number)) for number in numbers]
    for asked in ("tag=few", "find=zo"):
        first = await found(editor, f"/desk/people?{asked}")
        assert first == few[:25]
        assert await found(editor, f"/desk/people?{asked}&cursor={first[-1]}") == few[25:]
    assert len(await found(editor, "/desk/people?tag=many")) == 25
    assert await found(editor, "/desk/people?tag=nobody") == []


async def test_a_broadcasts_people_are_found_however_many_stand_before_them(api: Api, editor: Browser) -> None:
    await api.query(ADD, outcomes.LOOKED_AT + 30)
    broadcast = await api.broadcast(await api.segment("many"), max_recipients=5000)
    await api.post(f"/broadcasts/{broadcast}/send-now")
    last = await api.column(
        "SELECT contact_id FROM outgoing_messages WHERE broadcast_id = %s AND NOT is_second"
        " ORDER BY contact_id DESC LIMIT 2", broadcast,
    )  # fmt: skip
    await api.query(
        "UPDATE outgoing_messages SET state = 'skipped', skip_reason = 'erased'"
        " WHERE contact_id = %s AND NOT is_second", last[1],
    )  # fmt: skip
    await api.sent(broadcast)
    await api.query(
        "UPDATE broadcast_sent_message_status SET twilio_sent_status = 'undelivered', twilio_error_code = '30007'"
        " WHERE outgoing_message_id = (SELECT id FROM outgoing_messages WHERE contact_id = %s AND NOT is_second)",
        last[0],
    )  # fmt: skip
    page = f"/desk/broadcasts/{broadcast}/first"
    assert await found(editor, f"{page}/undelivered-30007") == [str(last[0])]
    assert await found(editor, f"{page}/skipped-erased") == [str(last[1])]
    sent = await found(editor, f"{page}/sent")
    assert len(sent) == 25
    assert await found(editor, f"{page}/sent?cursor={sent[-1]}") > sent


async def test_a_group_that_is_opened_is_counted_after_the_page(api: Api, editor: Browser) -> None:
    await api.contact("north")
    for page in (f"/desk/segments/{await api.segment('north')}", "/desk/segments/new"):
        opened = await editor.get(page)
        assert "1 person can get texts." not in shown(opened)
        address = re.search(r'hx-get="([^"]+)" hx-trigger="load" hx-select="#count"', opened.text)
        assert address is not None
        assert f'<a href="{address[1]}">' in opened.text, "without a script there is a link"
        counted = await editor.get(address[1])
        assert "1 person can get texts." in shown(counted)
        assert "hx-get" not in counted.text


async def test_the_audience_of_a_form_that_is_opened_is_counted_after_the_page(api: Api, editor: Browser) -> None:
    await api.contact("north")
    broadcast = await api.broadcast(await api.segment("north"))
    for page in (f"{COMPOSE}/{broadcast}", f"{COMPOSE}?copy={broadcast}"):
        opened = await editor.get(page)
        assert "Goes to 1 person" not in shown(opened)
        assert re.search(r'id="audience"[^>]+hx-post="/desk/compose/audience" hx-trigger="load"', opened.text)
    assert 'hx-trigger="load"' not in (await editor.get(COMPOSE)).text, "nobody is chosen: there is nothing to count"
