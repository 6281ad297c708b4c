"""Today: what goes out now and next, what needs a person, the week; and the button that stops everything."""

import re
from datetime import timedelta

from libs.common.domain.roles import Role
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


async def test_a_draft_is_not_what_goes_out_next(api: Api, editor: Browser) -> None:
    draft = await api.broadcast(first_message="a draft of mine")
    segment = await api.segment("made")
    await api.broadcast(segment, run_at=(api.clock.now + timedelta(hours=3)).isoformat(), first_message="the real one")
    page = (await editor.get("/desk")).text
    card, _, week = page.partition('id="next-title"')[2].partition('id="week-title"')
    assert "Goes out today 13:00" in card
    assert card.index("the real one") < card.index("Draft") < card.index("a draft of mine")
    assert f'href="/desk/compose/{draft}"' in card
    assert "a draft of mine (draft)" in week
    api.clock.forward(hours=2)
    assert "Goes out today 13:00" in (await editor.get("/desk")).text.partition('id="next-title"')[2]
    async with signed_in(api, Role.VIEWER) as viewer:
        assert "Finish it" not in (await viewer.get("/desk")).text


async def test_a_draft_alone_is_no_next(api: Api, editor: Browser) -> None:
    await api.broadcast()
    for path in ("/desk", "/desk/sidebar"):
        assert "Nothing is scheduled." in (await editor.get(path)).text


async def test_what_needs_a_person_stands_first_with_one_thing_to_do(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    await likely(api)
    await editor.submit(f"/desk/broadcasts/{broadcast}/pause", f"/desk/broadcasts/{broadcast}")
    page = (await editor.get("/desk")).text
    assert page.index("Needs you") < page.index("Going out now")
    assert "1 person may have asked to be left alone." in page
    assert "Go on or cancel" in page
    assert "Paused by Ana Diaz, today 10:" in page.partition("Needs you")[2].partition("Going out now")[0]


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


def week_of(page: str) -> list[str]:
    """The seven days, each with what is said of it."""
    days = re.findall(r"<li class=[^>]*>(.*?)</li>", page.partition('<ol class="week">')[2], re.DOTALL)
    return [" ".join(re.sub(r"<.*?>", " ", day).split()) for day in days]


async def test_the_week_shows_on_which_days_a_broadcast_goes_out_again(api: Api, editor: Browser) -> None:
    segment = await api.segment("made")
    tomorrow = api.clock.now.replace(hour=19, minute=30) + timedelta(days=1)  # a Thursday, half past two
    repeating = await api.broadcast(segment, run_at=tomorrow.isoformat(), first_message="Vote", recurring=True)
    friday = tomorrow + timedelta(days=1, hours=-5)
    await api.broadcast(segment, run_at=friday.isoformat(), first_message="Once", recurring=False)
    page = (await editor.get("/desk")).text
    days = week_of(page)
    assert len(days) == 7
    assert [day.endswith("Vote") for day in days] == [False, True, True, False, False, True, True]
    assert days[1].endswith("14:30 Vote")
    assert days[2].endswith("9:30 Once 14:30 again: Vote")
    # On Sunday the clocks are put forward: it stays half past two.
    assert days[5].endswith("14:30 again: Vote")
    assert page.count(f'href="/desk/broadcasts/{repeating}"') >= 4


async def test_a_week_of_its_own_is_shown_as_it_is(api: Api, editor: Browser) -> None:
    segment = await api.segment("made")
    run_at = api.clock.now.replace(hour=19, minute=30) + timedelta(days=1)
    await api.broadcast(
        segment, run_at=run_at.isoformat(), first_message="Vote", week={"thursday": "14:30", "saturday": "11:00"}
    )
    days = week_of((await editor.get("/desk")).text)
    assert [day.endswith("Vote") for day in days] == [False, True, False, True, False, False, False]
    assert days[3].endswith("11:00 again: Vote")


async def test_stopping_everything_says_first_what_it_will_do_and_then_what_it_did(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    asked = (await editor.get("/desk/stop")).text
    assert "1 broadcast that is under way is paused at once." in asked
    answer = await editor.submit("/desk/stop", "/desk/stop")
    assert "1 broadcast is paused." in answer.text
    assert await api.value("SELECT state FROM broadcasts WHERE id = %s", broadcast) == "paused"
