"""A file of people at the desk: looked at, matched, tried, imported."""

import asyncio
from typing import Any

import httpx

from libs.common.domain.roles import Role
from tests.integration.api.desk.browser import TOKEN, Browser, signed_in
from tests.integration.api.desk.test_compose_page import shown
from tests.integration.api.support import Api
from tests.support.workbooks import Rows, xlsx

IMPORT = "/desk/people/import"
#: Columns whose headings nobody understands, and one that tells about consent.
ODD = (
    "Handy;Who;Opted out;=cmd;=x\r\n"
    "313 555 0101;Ana <b>;no;1\r\n"
    "313 555 0102;Bo;yes;2\r\n"
    "12;Cy;no;3\r\n"
    "313 555 0104;Di;perhaps;4\r\n"
)


async def chosen(browser: Browser, raw: str | bytes, name: str = "people.csv") -> httpx.Response:
    """Send a file by the form."""
    token = TOKEN.search((await browser.get(IMPORT)).text)
    assert token is not None
    return await browser.client.post(IMPORT, data={"_csrf_token": token[1]}, files={"file": (name, raw, "text/csv")})


async def taken(browser: Browser, raw: str | bytes, name: str = "people.csv") -> str:
    """Send a file that is taken in; give the address of its page."""
    answer = await chosen(browser, raw, name)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def ended(browser: Browser, page: str) -> str:
    """Wait until an import came to its end; give the words of its page."""
    async with asyncio.timeout(30):
        while "Imported." not in (words := shown(await browser.get(f"{page}/progress"))):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return words


def columns(*roles: str) -> dict[str, Any]:
    return {f"column-{place}": role for place, role in enumerate(roles)}


async def test_a_file_is_looked_at_tried_and_imported_with_who_did_it(api: Api, editor: Browser) -> None:
    page = await taken(editor, "phone,name,tags\n313 555 0101,Ana,north\n313 555 0102,Bo,\n1,Cy,\n")
    before = await api.counts()
    answer = await editor.submit(f"{page}/check", page, **columns("number", "name", "tags"))
    assert answer.status_code == 303
    words = shown(await editor.get(page))
    assert "2 people can be imported. 1 line cannot be taken." in words
    assert await api.counts() == before, "a trial changes nothing"
    assert (await editor.submit(f"{page}/start", page)).status_code == 303
    assert "2 people are new" in await ended(editor, page)
    assert await api.column("SELECT name FROM contacts ORDER BY phone_number") == ["Ana", "Bo"]
    assert await api.value("SELECT actor FROM events WHERE type = 'ContactsImported'") == f"user:{editor.user_id}"
    assert await api.value("SELECT count(*) FROM contact_import_chunks") == 0
    await editor.submit(f"{page}/start", IMPORT)  # pressed again: once is enough
    assert await api.value("SELECT count(*) FROM events WHERE type = 'ContactsImported'") == 1


async def test_columns_are_matched_by_hand_and_a_no_is_heard_whatever_was_said(api: Api, editor: Browser) -> None:
    page = await taken(editor, ODD)
    looked = await editor.get(page)
    assert "Ana &lt;b&gt;" in looked.text
    assert "tells who wants no texts" in shown(looked)
    unmatched = await editor.submit(f"{page}/check", page, **columns("", "name", "", "", ""))
    assert (unmatched.status_code, "No column is chosen for the phone number" in shown(unmatched)) == (422, True)
    await editor.submit(f"{page}/check", page, **columns("number", "name", "", "", ""))
    rejected = await editor.get(f"{page}/rejected.csv")
    assert [line.split(",")[0] for line in rejected.text.splitlines()] == ["line", "4", "5"]
    await editor.submit(f"{page}/start", page)
    assert "1 opted out by what the file says" in await ended(editor, page)
    assert await api.column("SELECT name FROM contacts ORDER BY phone_number") == ["Ana <b>", "Bo"]
    assert await api.value("SELECT c.name FROM opt_outs o JOIN contacts c USING (phone_number)") == "Bo"


async def test_what_is_no_file_of_people_is_refused_in_words_and_not_kept(api: Api, editor: Browser) -> None:
    for raw, words in (
        (b"%PDF-1.7", "is a PDF, not CSV"),
        (b"", "The file is empty"),
        ("a,é\n".encode() + b"\xff", "not UTF-8"),
    ):
        answer = await chosen(editor, raw)
        assert (answer.status_code, words in shown(answer)) == (422, True), shown(answer)
    assert (await editor.submit(IMPORT, IMPORT)).status_code == 422
    assert await api.value("SELECT count(*) FROM contact_imports") == 0


async def test_a_workbook_is_looked_at_matched_tried_and_imported(api: Api, editor: Browser) -> None:
    rows: Rows = [
        ["Handy", "Who", "Opted out", "Ward"], [3135550101.0, "José", "no", 5.0], [None], [12.0, "Cy", "no", 6.0]
    ]  # fmt: skip
    page = await taken(editor, xlsx({"Notes": [], "People": rows, "More": [["x"]]}), "people.xls")
    looked = shown(await editor.get(page))
    assert "Read from the sheet “People”, the first that has rows. Not read: Notes, More." in looked
    assert "3135550101" in looked
    await editor.submit(f"{page}/check", page, **columns("number", "name", "", "attribute"))
    assert "Fields that people get: ward (numbers)." in shown(await editor.get(page))
    rejected = (await editor.get(f"{page}/rejected.csv")).text.splitlines()
    assert rejected[0] == "line,reason,phone_number"
    assert [line.split(",")[0] for line in rejected[1:]] == ["4"]
    assert rejected[1].endswith(",12")
    await editor.submit(f"{page}/start", page)
    assert "1 person is new" in await ended(editor, page)
    assert await api.query("SELECT name, attributes FROM contacts") == [{"name": "José", "attributes": {"ward": 5}}]


async def test_a_text_in_another_encoding_says_so(api: Api, editor: Browser) -> None:
    page = await taken(editor, "phone;name\n313 555 0101;José\n".encode("cp1252"))
    looked = shown(await editor.get(page))
    assert "Read as Windows-1252: look whether letters with accents are right." in looked
    assert "José" in looked
    await editor.submit(f"{page}/check", page, **columns("number", "name"))
    await editor.submit(f"{page}/start", page)
    await ended(editor, page)
    assert await api.column("SELECT name FROM contacts") == ["José"]


async def test_an_import_of_a_program_that_was_cut_off_cannot_go_on_without_its_file(api: Api, editor: Browser) -> None:
    text = "phone\n313 555 0101\n"
    told = (await api.client.post("/contacts/import", content=text, headers={"Content-Type": "text/csv"})).json()
    await api.query("UPDATE contact_imports SET state = 'running', moved_at = %s", api.clock.now)
    api.clock.forward(seconds=90)
    page = f"{IMPORT}/{told['import_id']}"
    assert "the same file again does the rest" in shown(await editor.get(page))
    await editor.submit(f"{page}/start", IMPORT)
    assert await api.value("SELECT state FROM contact_imports") == "running"


async def test_an_import_that_was_cut_off_is_said_to_be_and_goes_on(api: Api, editor: Browser) -> None:
    page = await taken(editor, "phone\n313 555 0101\n")
    await editor.submit(f"{page}/check", page, **columns("number"))
    await api.query("UPDATE contact_imports SET state = 'running', moved_at = %s", api.clock.now)
    await editor.submit(f"{page}/start", IMPORT)
    assert await api.value("SELECT count(*) FROM contacts") == 0, "another process is at it"
    api.clock.forward(seconds=90)
    assert "It was cut off" in shown(await editor.get(page))
    await editor.submit(f"{page}/start", page)
    assert "1 person is new" in await ended(editor, page)


async def test_a_file_that_nobody_imports_is_forgotten(api: Api, editor: Browser) -> None:
    thrown, old = await taken(editor, "phone\n313 555 0101\n"), await taken(editor, "phone\n313 555 0102\n")
    await editor.submit(f"{thrown}/discard", thrown)
    assert (await editor.get(thrown)).status_code == 404
    api.clock.forward(days=1, seconds=1)
    async with signed_in(api) as later:
        await taken(later, "phone\n313 555 0103\n")
        assert (await later.get(old)).status_code == 404


async def test_who_may_only_look_imports_nothing(api: Api) -> None:
    async with signed_in(api, Role.VIEWER) as viewer:
        assert (await viewer.get(IMPORT)).status_code == 403
        assert IMPORT not in (await viewer.get("/desk/people")).text


async def test_an_import_is_taken_back_of_all_whom_nothing_else_has_touched(api: Api, editor: Browser) -> None:
    here = await api.contact("old", name="Ana Before")
    changed_since = await api.contact("old", name="Bo")
    text = (
        f"phone,name,tags,opted_out\n{here},Ana,new,no\n{changed_since},Bo,new,no\n"
        "313 555 0201,Cy,,no\n313 555 0202,Di,,no\n313 555 0203,Ed,,yes\n"
    )
    imported = (await api.client.post("/contacts/import", content=text, headers={"Content-Type": "text/csv"})).json()
    used = await api.contact_id("+13135550202")
    await api.patch(f"/contacts/{used}", {"name": "Di Dee"})
    await api.patch(f"/contacts/{await api.contact_id(changed_since)}", {"tags": ["else"]})
    page = f"{IMPORT}/{imported['import_id']}"
    assert page in (await editor.get(IMPORT)).text
    assert (await editor.submit(f"{page}/undo", page)).status_code == 303
    assert "1 person is erased again. 1 is as before. 3 stay" in shown(await editor.get(page))
    assert (await editor.submit(f"{page}/undo", IMPORT)).status_code == 303  # pressed twice
    rows = await api.query("SELECT name, tags FROM contacts WHERE erased_at IS NULL ORDER BY phone_number")
    assert [(row["name"], row["tags"]) for row in rows] == [
        ("Ana Before", ["old"]), ("Bo", ["else"]), ("Di Dee", []), ("Ed", [])
    ]  # fmt: skip
    assert await api.value("SELECT count(*) FROM opt_outs") == 1, "a no is never taken back"
    assert await api.value("SELECT actor FROM events WHERE type = 'ImportUndone'") == f"user:{editor.user_id}"
    again = await api.post(f"/contacts/imports/{imported['import_id']}/undo")
    assert (again.status_code, again.json()["type"]) == (409, "urn:broadsheet:problem:conflict")
    assert (await api.post("/contacts/imports/999/undo")).status_code == 404


async def test_what_an_import_has_made_of_somebody_is_forgotten_when_they_are_erased(api: Api) -> None:
    text = "phone,name\n313 555 0201,Cy\n313 555 0202,Di\n"
    imported = (await api.client.post("/contacts/import", content=text, headers={"Content-Type": "text/csv"})).json()
    await api.client.delete(f"/contacts/{await api.contact_id('+13135550201')}")
    assert await api.column("SELECT name_after FROM contact_import_changes") == ["Di"]
    undone = await api.post(f"/contacts/imports/{imported['import_id']}/undo")
    assert undone.json() == {"import_id": imported["import_id"], "removed": 1, "restored": 0, "kept": 0}
