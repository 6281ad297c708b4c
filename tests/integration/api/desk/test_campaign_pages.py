"""A broadcast to a file at the desk: uploaded, matched, written to, sent."""

from tests.integration.api.desk.browser import Browser
from tests.integration.api.desk.test_compose_page import COMPOSE, form, hidden, shown
from tests.integration.api.desk.test_import_pages import columns, ended, taken
from tests.integration.api.support import Api

FILE = "phone,words,again\n313 555 0101,Hi Ana,Ana?\n313 555 0102,Hi Bo,Bo?\n313 555 0103,,Cy?\n"


async def imported(browser: Browser, raw: str, *roles: str) -> str:
    page = await taken(browser, raw)
    answer = await browser.submit(f"{page}/check", page, **columns(*roles))
    assert answer.status_code == 303, answer.text
    await browser.submit(f"{page}/start", page)
    await ended(browser, page)
    return page


def to_file(file: str, **fields: str) -> dict[str, str]:
    given = form(**{"do": "draft", **fields})
    return {**{name: value for name, value in given.items() if not name.startswith("segment-")}, "file": file}


async def test_a_file_of_messages_is_matched_checked_and_sent(api: Api, editor: Browser) -> None:
    page = await taken(editor, FILE)
    assert (await editor.submit(f"{page}/check", page, **columns("number", "message", "follow_up"))).status_code == 303
    words = shown(await editor.get(page))
    assert "2 people can be imported. 1 line cannot be taken." in words
    assert "Everybody has their own message, and a follow-up." in words
    assert "is empty" in words
    await editor.submit(f"{page}/start", page)
    assert "Send these messages" in await ended(editor, page)
    file = page.rpartition("/")[2]
    opened = await editor.get(f"{COMPOSE}?file={file}")
    assert "{{ message }}" in opened.text
    assert "{{ follow_up }}" in opened.text
    assert "people.csv: 2 people, each with their own message" in shown(opened)
    counted = shown(await editor.submit(f"{COMPOSE}/audience", COMPOSE, **to_file(file, first_message="{{ message }}")))
    assert "Goes to 2 people" in counted
    answer = await editor.submit(COMPOSE, COMPOSE, **to_file(file, first_message="", second_message="", do="schedule"))
    assert answer.status_code == 303, shown(answer)
    [row] = await api.query("SELECT first_message, second_message, max_recipients, recurring FROM broadcasts")
    assert tuple(row.values()) == ("{{ message }}", "{{ follow_up }}", 2, False)
    assert f"Everybody in people.csv ({file})" in shown(await editor.get(answer.headers["location"]))


async def test_a_file_of_numbers_says_who_of_it_gets_nothing_and_why(api: Api, editor: Browser) -> None:
    page = await imported(editor, "phone,name\n313 555 0101,Ana\n313 555 0102,Bo\n", "number", "name")
    await api.query(
        "INSERT INTO opt_outs (phone_number, contact_id, source, opted_out_at, actor)"
        " SELECT phone_number, id, 'staff', now(), 'x' FROM contacts WHERE name = 'Bo'"
    )
    file = page.rpartition("/")[2]
    counted = shown(await editor.submit(f"{COMPOSE}/audience", COMPOSE, **to_file(file)))
    assert "Goes to 1 person" in counted
    assert "Of 2 in the file, so many do not get it" in counted


async def test_it_goes_to_groups_or_to_a_file_and_once(api: Api, editor: Browser) -> None:
    page = await imported(editor, "phone,name\n313 555 0101,Ana\n", "number", "name")
    segment = await api.segment("x")
    file = page.rpartition("/")[2]
    both = {**to_file(file, do="schedule"), f"segment-{segment}": "1"}
    assert "Choose groups or a file, not both." in shown(await editor.submit(COMPOSE, COMPOSE, **both))
    again = {**to_file(file, do="schedule"), "recurring": "1"}
    assert "A broadcast to a file goes out once" in shown(await editor.submit(COMPOSE, COMPOSE, **again))


async def test_a_broadcast_keeps_its_file_and_label_when_it_is_changed_and_copied(api: Api, editor: Browser) -> None:
    page = await imported(editor, "phone,name\n313 555 0101,Ana\n", "number", "name")
    file = page.rpartition("/")[2]
    answer = await editor.submit(COMPOSE, COMPOSE, **to_file(file, label="Schools  2026"))
    broadcast = answer.headers["location"].rpartition("/")[2]
    page = f"{COMPOSE}/{broadcast}"
    version = hidden((await editor.get(page)).text, "version")
    changed = await editor.submit(page, page, **to_file(file, label="Schools", first_message="Other", version=version))
    assert changed.status_code == 303, shown(changed)
    found = (await api.get(f"/broadcasts/{broadcast}")).json()
    assert (found["file"], found["first_message"], found["label"]) == (int(file), "Other", "Schools")
    copied = (await editor.get(f"{COMPOSE}?copy={broadcast}")).text
    assert f'<option value="{file}" selected>' in copied
    assert 'value="Schools"' in copied
    version = hidden((await editor.get(page)).text, "version")
    back = await editor.submit(page, page, **to_file("", version=version))
    assert back.status_code == 303, shown(back)
    assert (await api.get(f"/broadcasts/{broadcast}")).json()["file"] is None
