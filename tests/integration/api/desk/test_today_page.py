"""Today: what goes out now and next, what needs a person, the week; and the button that stops everything."""

from datetime import timedelta

from tests.integration.api.broadcasts.test_reports import halfway
from tests.integration.api.desk.browser import Browser, signed_in
from tests.integration.api.desk.test_reply_pages import likely
from tests.integration.api.support import Api


async def test_with_nothing_at_all_it_says_so(editor: Browser) -> None:
    page = (await editor.get("/desk")).text
    assert "Nothing is being sent." in page
    assert "Nothing is scheduled." in page
    assert "Needs you" not in page


async def test_what_goes_out_now_and_next_is_said_in_sentences(api: Api, editor: Browser) -> None:
    await halfway(api)
    segment = await api.segment("made", name="another")
    await api.broadcast(segment, run_at=(api.clock.now + timedelta(days=1)).isoformat(), max_recipients=1200)
    page = (await editor.get("/desk")).text
    assert "Sending the first message: 2 of 4 have it" in page
    assert "Goes out tomorrow 10:01 to up to 1,200 people." in page


async def test_what_is_over_its_time_is_said_so_and_not_to_go_out(api: Api, editor: Browser) -> None:
    await api.broadcast(await api.segment("made"))
    api.clock.forward(hours=2)
    page = (await editor.get("/desk")).text
    assert "It should have begun today 11:00, and has not. Ask whoever runs Broadsheet." in page
    assert "Goes out today" not in page


async def test_what_needs_a_person_stands_first_with_one_thing_to_do(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    await likely(api)
    await editor.submit(f"/desk/broadcasts/{broadcast}/pause", f"/desk/broadcasts/{broadcast}")
    page = (await editor.get("/desk")).text
    assert page.index("Needs you") < page.index("Going out now")
    assert "1 person may have asked to be left alone." in page
    assert "Go on or cancel" in page


async def test_a_message_nobody_knows_about_is_a_person_s_after_a_quarter_of_an_hour(api: Api, editor: Browser) -> None:
    await halfway(api)
    assert "nobody knows whether it arrived" not in (await editor.get("/desk")).text
    api.clock.forward(minutes=20)
    assert "Of 1 text nobody knows whether it arrived." in (await editor.get("/desk")).text


async def test_the_week_names_weekends_and_holidays(api: Api) -> None:
    api.clock.now = api.clock.now.replace(month=7, day=1)  # a Wednesday
    async with signed_in(api) as editor:
        page = (await editor.get("/desk")).text
    assert "Independence Day" in page
    assert "Weekend" in page


async def test_stopping_everything_says_first_what_it_will_do_and_then_what_it_did(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    asked = (await editor.get("/desk/stop")).text
    assert "1 broadcast that is under way is paused at once." in asked
    answer = await editor.submit("/desk/stop", "/desk/stop")
    assert "1 broadcast is paused." in answer.text
    assert await api.value("SELECT state FROM broadcasts WHERE id = %s", broadcast) == "paused"
