"""The pages of people: the search, and one person's story."""

import unicodedata

import pytest

from tests.integration.api.broadcasts.test_reports import halfway
from tests.integration.api.desk.browser import Browser
from tests.integration.api.desk.test_compose_page import shown
from tests.integration.api.support import Api


@pytest.mark.parametrize("find", ["ana", "Ana Di", "diaz", "+1 313 555 0001"])
async def test_somebody_is_found_by_the_beginnings_of_the_name_or_by_the_number(
    api: Api, editor: Browser, find: str
) -> None:
    await api.contact("east", name="Ana Díaz-Diaz")
    await api.contact("east", name="Bo Banana")
    page = (await editor.get("/desk/people", params={"find": find})).text
    assert "Ana Díaz-Diaz" in page
    assert "Bo Banana" not in page


@pytest.mark.parametrize("name", ["বাংলা দাস", "José Díaz", "हिन्दी", "O’Brien", "O'Brien-Smith", "J.R. Smith"])
async def test_a_name_is_found_by_itself_in_any_script_composed_or_not(api: Api, editor: Browser, name: str) -> None:
    """What marks divided into pieces found nobody."""
    await api.contact("বাংলা", name=name)
    await api.contact(name="Bo Banana")
    for form in ("NFC", "NFD"):
        find, tag = unicodedata.normalize(form, name), unicodedata.normalize(form, "বাংলা")
        for asked in ({"find": find}, {"find": find[:-1]}, {"tag": tag}):
            page = (await editor.get("/desk/people", params=asked)).text
            assert page.count('<th scope="row"><a href="/desk/people/') == 1, asked


@pytest.mark.parametrize("find", ["'", "a & b | !", ":*", "\\", "a\\", "a'", "a\0b", "\0", "<b>", "()", "%"])
async def test_a_search_is_never_read_as_anything_but_words(api: Api, editor: Browser, find: str) -> None:
    await api.contact(name="Ana")
    answer = await editor.get("/desk/people", params={"find": find, "tag": find})
    assert answer.status_code == 200


async def test_a_tag_narrows_the_search_down(api: Api, editor: Browser) -> None:
    await api.contact("east", name="Ana")
    await api.contact("west", name="Ana Maria")
    page = (await editor.get("/desk/people", params={"find": "ana", "tag": "west"})).text
    assert "Ana Maria" in page
    assert page.count('<th scope="row"><a href="/desk/people/') == 1


async def test_a_person_s_page_tells_the_story_in_order(api: Api, editor: Browser) -> None:
    await halfway(api)
    contact = await api.value("SELECT contact_id FROM replies WHERE body = 'STOP'")
    page = (await editor.get(f"/desk/people/{contact}")).text
    # The follow-up was not sent; it stands where it would have been.
    assert page.index("It&#39;s") < page.index(">STOP<") < page.index("Don&#39;t forget")
    assert "No follow-up: they replied" in page
    assert "Gets no texts: they opted out." in page
    assert "Said no" in page


async def test_a_name_and_tags_are_changed_and_the_change_names_who_made_it(api: Api, editor: Browser) -> None:
    contact = await api.contact_id(await api.contact("east", name="Ana"))
    page = f"/desk/people/{contact}"
    answer = await editor.submit(page, page, name="Ana  Diaz", tags="west, north")
    assert answer.status_code == 303
    assert await api.query("SELECT name, tags FROM contacts WHERE id = %s", contact) == [
        {"name": "Ana Diaz", "tags": ["north", "west"]}
    ]
    actor = await api.value("SELECT actor FROM events WHERE type = 'ContactChanged'")
    assert str(editor.user_id) in str(actor)


async def test_a_tag_that_cannot_be_taken_is_said_and_nothing_is_lost(api: Api, editor: Browser) -> None:
    contact = await api.contact_id(await api.contact("east", name="Ana"))
    page = f"/desk/people/{contact}"
    answer = await editor.submit(page, page, name="Somebody else", tags="x" * 500)
    assert answer.status_code == 422
    assert "There is a problem" in answer.text
    assert 'value="Somebody else"' in answer.text
    assert await api.value("SELECT name FROM contacts WHERE id = %s", contact) == "Ana"


async def test_opting_out_in_again_and_erasing(api: Api, editor: Browser) -> None:
    number = await api.contact(name="Ana")
    contact = await api.contact_id(number)
    page = f"/desk/people/{contact}"
    await editor.submit(f"{page}/opt-out", page, reason="Called <us>\x00 on  Monday")
    opted_out = (await editor.get(page)).text
    assert "Gets no texts: they opted out." in opted_out
    assert "noted by staff (Ana Diaz): “Called &lt;us&gt; on Monday”" in opted_out
    await editor.submit(f"{page}/opt-in", page)
    assert "Gets texts." in (await editor.get(page)).text
    await editor.submit(f"{page}/erase", page)
    erased = (await editor.get(page)).text
    assert "Erased on request" in erased
    assert number not in erased
    assert "Ana" not in erased.replace("Ana Diaz", "")


async def test_the_page_says_who_did_what_to_them_and_keeps_every_reason(api: Api, editor: Browser) -> None:
    contact = await api.contact_id(await api.contact("east", name="Ana"))
    page = f"/desk/people/{contact}"
    await editor.submit(page, page, name="Ana Diaz", tags="west")
    for what, reason in (("opt-out", "Called us"), ("opt-in", "Wrote a letter"), ("opt-out", "Moved away")):
        api.clock.forward(minutes=1)
        await editor.submit(f"{page}/{what}", page, reason=reason)
    text = (await editor.get(page)).text
    assert text.index("“Moved away”") < text.index("“Wrote a letter”") < text.index("“Called us”")
    assert text.count("Ana Diaz noted that they want no more texts.") == 2
    assert text.count("Ana Diaz noted that they want texts again.") == 1
    assert "Ana Diaz changed name and tags." in text


async def test_what_staff_say_twice_is_one_entry(api: Api, editor: Browser) -> None:
    contact = await api.contact_id(await api.contact("east", name="Ana"))
    page = f"/desk/people/{contact}"
    for _ in range(2):
        await editor.submit(f"{page}/opt-out", page, reason="Called us")
    assert await api.value("SELECT count(*) FROM consent_records") == 1


async def test_a_story_that_is_cut_says_so(api: Api, editor: Browser) -> None:
    number = await api.contact(name="Ana")
    page = f"/desk/people/{await api.contact_id(number)}"
    add = (
        "INSERT INTO replies (provider_id, phone_number, body, received_at) SELECT 'SM' || n, %s, 'Hello ' || n, %s"
        " FROM generate_series(%s::int, %s::int) n"
    )
    await api.query(add, number, api.clock.now, 1, 100)
    assert "there were more before" not in (await editor.get(page)).text
    await api.query(add, number, api.clock.now, 101, 101)
    assert "The newest 100 texts and replies; there were more before." in (await editor.get(page)).text


async def test_a_number_that_is_left_out_is_brought_back_with_one_button(api: Api, editor: Browser) -> None:
    number = await api.contact(name="Ana")
    contact = await api.contact_id(number)
    page = f"/desk/people/{contact}"
    await api.query(
        "INSERT INTO unreachable_numbers (phone_number, contact_id, code, since) VALUES (%s, %s, '30005', %s)",
        number, contact, api.clock.now,
    )  # fmt: skip
    text = (await editor.get(page)).text
    assert "Gets no texts: the number takes none." in text
    assert "Number does not exist any more, since" in text
    answer = await editor.submit(f"{page}/reachable", page)
    assert (answer.status_code, answer.headers["location"]) == (303, page)
    text = (await editor.get(page)).text
    assert "Gets texts." in text
    assert "Ana Diaz had texts go to their number again." in text
    assert await api.value("SELECT cleared_by FROM unreachable_numbers") == "Ana Diaz"


async def test_what_is_known_of_somebody_is_changed_on_their_page(api: Api, editor: Browser) -> None:
    contact = await api.contact_id(await api.contact("a", name="Ann"))
    await api.patch(f"/contacts/{contact}", {"attributes": {"age": 40, "member": True, "city": "Flint", "ward": "3"}})
    page = f"/desk/people/{contact}"
    typed = {
        "name": "Ann", "tags": "a", "language": "ES-mx", "time_zone": "America/Chicago", "attribute_age": "41.5",
        "attribute_member": "no", "attribute_city": "", "attribute_ward": "4",
        "new_name": "since", "new_kind": "date", "new_value": "2026-02-28",
    }  # fmt: skip
    assert (await editor.submit(page, page, **typed)).status_code == 303
    found = (await api.get(f"/contacts/{contact}")).json()
    assert found["attributes"] == {"age": 41.5, "member": False, "since": "2026-02-28", "ward": "4"}
    assert (found["language"], found["time_zone"]) == ("es-MX", "America/Chicago")
    shown_page = (await editor.get(page)).text
    assert all(value in shown_page for value in ('value="41.5"', 'value="2026-02-28"', "changed what we know of them"))


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"attribute_age": "old"}, "This is no number."),
        ({"new_name": "City", "new_value": "x"}, "The name of an attribute"),
        ({"new_name": "since", "new_kind": "date", "new_value": "soon"}, "This is no date"),
        ({"new_name": "since", "new_kind": "date", "new_value": "2026-02-30"}, "on no calendar"),
        ({"new_name": "member", "new_kind": "yes/no", "new_value": "perhaps"}, "neither yes nor no"),
        ({"new_name": "city"}, "Say what it is."),
        ({"language": "SP"}, "The language is no language"),
        ({"time_zone": "Detroit"}, "The time zone is no time zone"),
    ],
)
async def test_what_cannot_be_known_is_said_and_what_was_typed_stays(
    api: Api, editor: Browser, typed: dict[str, str], words: str
) -> None:
    contact = await api.contact_id(await api.contact("a", name="Ann"))
    await api.patch(f"/contacts/{contact}", {"attributes": {"age": 40}})
    page = f"/desk/people/{contact}"
    answer = await editor.submit(page, page, **{"name": "Other", "tags": "a", "attribute_age": "40", **typed})
    assert (answer.status_code, words in shown(answer), 'value="Other"' in answer.text) == (422, True, True)
    assert (await api.get(f"/contacts/{contact}")).json()["attributes"] == {"age": 40}
