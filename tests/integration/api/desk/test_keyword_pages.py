"""Settings › Keywords."""

from libs.common.domain.roles import Role
from tests.integration.api.desk.browser import Browser, signed_in
from tests.integration.api.support import Api

PAGE = "/desk/settings/keywords"
NEWS = {"word": "NEWS", "tag": "news", "welcome": "Welcome. Reply STOP to end", "question": ""}


async def test_a_keyword_is_added_changed_and_deleted_at_the_desk(api: Api, editor: Browser) -> None:
    assert "There is no keyword yet." in (await editor.get(PAGE)).text
    assert (await editor.submit(PAGE, PAGE, **NEWS)).status_code == 303
    keyword = await api.value("SELECT id FROM sign_up_keywords")
    one = f"{PAGE}/{keyword}"
    assert f'href="{one}">NEWS' in (await editor.get(PAGE)).text
    version = (await api.get(f"/keywords/{keyword}")).headers["ETag"]
    answer = await editor.submit(one, one, **NEWS | {"question": "Reply YES", "version": version})
    assert answer.status_code == 303
    assert await api.value("SELECT question FROM sign_up_keywords") == "Reply YES"
    assert "by a YES" in (await editor.get(PAGE)).text
    assert (await editor.submit(f"{one}/delete", one)).status_code == 303
    assert await api.value("SELECT count(*) FROM sign_up_keywords") == 0


async def test_what_is_wrong_is_said_and_what_was_typed_stays(api: Api, editor: Browser) -> None:
    wrong = await editor.submit(PAGE, PAGE, **NEWS | {"word": "STOP", "welcome": "Hello there", "tag": ";"})
    assert wrong.status_code == 422
    assert "The word means something already" in wrong.text
    assert "The welcome does not say how to get out" in wrong.text
    assert "Hello there</textarea>" in wrong.text
    assert await api.value("SELECT count(*) FROM sign_up_keywords") == 0
    await editor.submit(PAGE, PAGE, **NEWS)
    twice = await editor.submit(PAGE, PAGE, **NEWS)
    assert (twice.status_code, "There is a keyword of this word already." in twice.text) == (422, True)


async def test_a_page_that_is_old_changes_nothing(api: Api, editor: Browser) -> None:
    await editor.submit(PAGE, PAGE, **NEWS)
    keyword = await api.value("SELECT id FROM sign_up_keywords")
    one = f"{PAGE}/{keyword}"
    answer = await editor.submit(one, one, **NEWS | {"tag": "other", "version": '"old"'})
    assert (answer.status_code, "Somebody has changed it meanwhile." in answer.text) == (422, True)
    assert await api.value("SELECT tag FROM sign_up_keywords") == "news"


async def test_who_may_only_look_sees_no_form(api: Api) -> None:
    await api.post("/keywords", {**NEWS, "question": None})
    keyword = await api.value("SELECT id FROM sign_up_keywords")
    async with signed_in(api, Role.VIEWER) as viewer:
        assert "Add a keyword" not in (await viewer.get(PAGE)).text
        shown = (await viewer.get(f"{PAGE}/{keyword}")).text
        assert ("Welcome. Reply STOP to end" in shown, "<textarea" in shown) == (True, False)
        assert (await viewer.submit(PAGE, "/desk/settings/me", **NEWS)).status_code == 403
