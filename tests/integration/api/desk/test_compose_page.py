"""Compose over HTTP: a broadcast is written, counted, changed and copied by plain forms."""

import html
import re
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest

from libs.common.domain.roles import OF_ROLE, Permission, Role
from tests.integration.api.desk.browser import Browser, signed_in
from tests.integration.api.support import FROM, NOW, OTHER_FROM, Api, incoming, running, settings

COMPOSE = "/desk/compose"


def form(*segments: int, do: str = "schedule", **fields: Any) -> dict[str, Any]:
    """What somebody types who writes a broadcast for the next day."""
    return {
        "do": do,
        "first_message": "Road closed on Main Street. Reply STOP to stop.",
        "second_message": "Did you see it?",
        "delay": "10",
        "day": "2026-03-05",
        "clock": "10:00",
        "recipients": "100",
        "from_number": "+13135550100",
        **{f"segment-{segment}": "1" for segment in segments},
        **{f"share-{segment}": "" for segment in segments},
        **fields,
    }


def shown(answer: httpx.Response) -> str:
    """The words of a page, without its marks."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None
    return html.unescape(found[1])


async def people(api: Api, *names: str) -> int:
    for name in names:
        await api.contact("north", name=name)
    return await api.segment("north")


async def test_a_broadcast_is_scheduled_by_one_form(api: Api, editor: Browser) -> None:
    north = await people(api, "Bo")
    answer = await editor.submit(COMPOSE, COMPOSE, **form(north))
    assert answer.status_code == 303, shown(answer)
    broadcast = int(answer.headers["location"].removeprefix("/desk/broadcasts/"))
    made = (await api.get(f"/broadcasts/{broadcast}")).json()
    assert made["run_at_local"] == "2026-03-05T10:00:00-05:00"
    assert (made["second_delay"], made["max_recipients"], made["recurring"]) == (600, 100, False)
    assert [(each["segment_id"], each["ratio"]) for each in made["segments"]] == [(north, 100)]
    assert made["author"] == f"user:{editor.user_id}"


async def test_the_numbers_that_are_ticked_send_it_too(api: Api, editor: Browser) -> None:
    north = await people(api, "Bo")
    pool = {"pool-+13135550199": "1", "pool-+13135550100": "1"}
    answer = await editor.submit(COMPOSE, COMPOSE, **form(north, **pool))
    assert answer.status_code == 303, shown(answer)
    page = f"{COMPOSE}/{answer.headers['location'].removeprefix('/desk/broadcasts/')}"
    made = (await api.get(answer.headers["location"].removeprefix("/desk"))).json()
    assert (made["from_number"], made["pool"]) == ("+13135550100", ["+13135550199"])
    ticked = re.findall(r'name="(pool-[^"]+)" value="1" checked', (await editor.get(page)).text)
    assert ticked == ["pool-+13135550199"]
    version = hidden((await editor.get(page)).text, "version")
    changed = await editor.submit(page, page, **form(north, version=version))
    assert changed.status_code == 303, shown(changed)
    assert (await api.get(answer.headers["location"].removeprefix("/desk"))).json()["pool"] == []


async def test_a_broadcast_without_a_follow_up_is_one_message_on_every_page(api: Api, editor: Browser) -> None:
    north = await people(api, "Bo")
    answer = await editor.submit(COMPOSE, COMPOSE, **form(north, no_follow_up="1", delay="soon"))
    assert answer.status_code == 303, shown(answer)
    page = answer.headers["location"]
    made = (await api.get(page.removeprefix("/desk"))).json()
    assert (made["second_message"], made["second_delay"]) == (None, 600)
    assert re.search(r'name="no_follow_up" value="1" checked', (await editor.get(f"{COMPOSE}/{made['id']}")).text)
    await api.post(f"/broadcasts/{made['id']}/send-now")
    words = shown(await editor.get(page))
    assert "Sending: 0 of 1 have it" in words
    assert "ollow-up" not in words


async def test_a_test_is_texted_once_to_ones_own_phone_and_the_form_stays_as_it_was(api: Api, editor: Browser) -> None:
    me = "/desk/settings/me"
    assert (await editor.submit(f"{me}/number", me, phone_number="313 555 0177")).status_code == 303
    page = (await editor.get(COMPOSE)).text
    assert 'value="+13135550177"' in page
    typed = form(do="test", token=hidden(page, "token"), test_to="+13135550177", day="")
    answers = [await editor.submit(COMPOSE, COMPOSE, **typed) for _ in range(2)]
    assert answers[0].status_code == 200, shown(answers[0])
    assert "Not sent yet · Test: Did you see it? · +13135550177" in shown(answers[0])
    assert "Road closed on Main Street." in answers[0].text
    assert hidden(answers[0].text, "token") != typed["token"]
    assert await api.value("SELECT count(*) FROM single_messages WHERE asked_by = %s", f"user:{editor.user_id}") == 2
    assert await api.value("SELECT count(*) FROM broadcasts") == 0
    wrong = await editor.submit(COMPOSE, COMPOSE, **form(do="test", test_to="nobody"))
    assert (wrong.status_code, "The number is not a phone number" in shown(wrong)) == (422, True)


async def test_a_test_goes_to_the_colleagues_who_are_ticked_and_to_nobody_who_may_not_sign_in(
    api: Api, editor: Browser
) -> None:
    async with signed_in(api, name="Cleo Park") as cleo, signed_in(api, name="Dan Gone") as gone:
        for each, number in ((editor, "177"), (cleo, "178"), (gone, "179")):
            await api.query("UPDATE users SET phone_number = %s WHERE id = %s", f"+13135550{number}", each.user_id)
        await api.query("UPDATE users SET disabled_at = %s WHERE id = %s", api.clock.now, gone.user_id)
    page = await editor.get(COMPOSE)
    assert "Also to Cleo Park Send me a test" in shown(page)
    ticked = {f"test-user-{each.user_id}": "1" for each in (cleo, gone)}
    answer = await editor.submit(COMPOSE, COMPOSE, **form(do="test", token=hidden(page.text, "token"), **ticked))
    assert answer.status_code == 200
    assert re.search(rf'name="test-user-{cleo.user_id}" value="1" checked', answer.text)
    assert set(await api.column("SELECT phone_number FROM single_messages")) == {"+13135550178"}


async def test_a_week_of_its_own_is_typed_shown_with_what_is_left_out_and_skipped(api: Api, editor: Browser) -> None:
    north = await people(api, "Bo")
    week = {"recurring": "1", "at-0": "10:00", "at-3": "14:00"}
    preview = shown(await editor.submit(f"{COMPOSE}/audience", COMPOSE, **form(north, **week)))
    assert "Fri 6 Mar No time on this weekday Left out" in preview
    assert "Thu 12 Mar Goes out 14:00" in preview
    answer = await editor.submit(COMPOSE, COMPOSE, **form(north, **week))
    page = answer.headers["location"]
    assert "The next one, Mon 9 Mar, 10:00, stays." in shown(await editor.get(page))
    assert 'name="at-3" value="14:00"' in (await editor.get(f"{COMPOSE}/{page.rpartition('/')[2]}")).text
    await editor.submit(f"{page}/skip", page)
    assert await api.column("SELECT state FROM broadcasts ORDER BY id") == ["cancelled", "scheduled"]
    today = shown(await editor.get("/desk"))
    assert "Goes out Mon 9 Mar, 10:00" in today
    assert "Stop repeating" in today
    wrong = await editor.submit(COMPOSE, COMPOSE, **form(north, **{**week, "at-0": "ten"}))
    assert (wrong.status_code, "Give a time for each weekday" in shown(wrong)) == (422, True)


async def test_a_draft_keeps_all_that_was_typed_and_goes_to_nobody_until_it_is_scheduled(
    api: Api, editor: Browser
) -> None:
    north, south = await people(api, "Bo"), await api.segment("south")
    typed = form(north, south, **{f"share-{north}": "70"})
    answer = await editor.submit(COMPOSE, COMPOSE, **{**typed, "do": "draft"})
    page = answer.headers["location"]
    path = page.removeprefix("/desk")
    draft = (await api.get(path)).json()
    assert draft["draft"]
    assert [(each["segment_id"], each["ratio"]) for each in draft["segments"]] == [(north, 70), (south, 30)]
    assert (await api.post(f"{path}/send-now")).status_code == 409
    words = shown(await editor.get(page))
    assert "A draft. It goes to nobody until it is scheduled." in words
    assert "Ana Diaz saved it as a draft." in words
    assert "Send now" not in words
    edit = f"{COMPOSE}/{draft['id']}"
    form_again = (await editor.get(edit)).text
    assert re.search(rf'name="share-{north}"[^>]*value="70"', form_again)
    for do, is_draft in (("schedule", False), ("draft", True)):
        version = hidden((await editor.get(edit)).text, "version")
        assert (await editor.submit(edit, edit, **{**typed, "do": do, "version": version})).status_code == 303
        now = (await api.get(path)).json()
        assert (now["draft"], now["segments"]) == (is_draft, draft["segments"])
    assert "Draft" in shown(await editor.get("/desk/broadcasts"))
    await editor.submit(f"{page}/skip", page)
    assert await api.column("SELECT state FROM broadcasts") == ["cancelled"]


async def test_a_draft_whose_time_is_over_takes_another_before_it_is_scheduled(api: Api, editor: Browser) -> None:
    north = await people(api, "Bo")
    answer = await editor.submit(COMPOSE, COMPOSE, **form(north, do="draft", day="2026-03-04", clock="11:00"))
    edit = f"{COMPOSE}/{answer.headers['location'].rpartition('/')[2]}"
    api.clock.forward(hours=3)
    version = hidden((await editor.get(edit)).text, "version")
    again = await editor.submit(edit, edit, **form(north, version=version, day="2026-03-04", clock="11:00"))
    assert (again.status_code, "The time must lie in the future." in shown(again)) == (422, True)
    later = await editor.submit(edit, edit, **form(north, version=version))
    assert later.status_code == 303
    assert await api.column("SELECT draft FROM broadcasts") == [False]


async def test_the_same_form_sent_twice_makes_one_broadcast(api: Api, editor: Browser) -> None:
    north = await people(api, "Bo")
    token = hidden((await editor.get(COMPOSE)).text, "token")
    answers = [await editor.submit(COMPOSE, COMPOSE, **form(north, token=token)) for _ in range(2)]
    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert await api.value("SELECT count(*) FROM broadcasts") == 1


async def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_stays(api: Api, editor: Browser) -> None:
    answer = await editor.submit(
        COMPOSE, COMPOSE, **form(first_message="", second_message="Kept", delay="soon", day="")
    )
    assert answer.status_code == 422
    for field in ("first_message", "delay", "day", "segments"):
        assert f'<a href="#{field}">' in answer.text
        assert f'id="{field}"' in answer.text
    assert "Kept</textarea>" in answer.text
    assert await api.value("SELECT count(*) FROM broadcasts") == 0


async def test_what_the_api_refuses_is_refused_in_words(api: Api, editor: Browser) -> None:
    north = await people(api, "Bo")
    answer = await editor.submit(COMPOSE, COMPOSE, **form(north, first_message="Hi {{name", day="2026-03-01"))
    assert answer.status_code == 422
    assert "The first message is wrong at character" in shown(answer)
    assert "The time must lie in the future." in shown(answer)


async def test_what_was_taken_off_the_lists_while_the_form_was_open_is_said_in_words(api: Api, editor: Browser) -> None:
    north = await people(api, "Bo")
    answer = await editor.submit(COMPOSE, COMPOSE, **form(north, 999, from_number="+12125550100"))
    assert answer.status_code == 422
    for words in ("A group that was ticked is not there any more.", "This is none of our numbers any more."):
        assert words in shown(answer)
    answer = await editor.submit(COMPOSE, COMPOSE, **form(north, **{"pool-+12125550100": "1"}))
    assert answer.status_code == 422
    assert "A number that was ticked is none of ours any more." in shown(answer)
    assert '<a href="#pool">' in answer.text
    assert 'id="pool-wrong"' in answer.text


async def test_shares_that_are_left_empty_share_what_the_others_leave(api: Api, editor: Browser) -> None:
    north, south = await people(api, "Bo"), await api.segment("south")
    east = await api.segment("east")
    answer = await editor.submit(COMPOSE, COMPOSE, **form(north, south, east, **{f"share-{north}": "50"}))
    made = (await api.get(answer.headers["location"].removeprefix("/desk"))).json()
    assert [each["ratio"] for each in made["segments"]] == [50, 25, 25]
    answer = await editor.submit(COMPOSE, COMPOSE, **form(north, south, **{f"share-{north}": "120"}))
    assert answer.status_code == 422


async def test_who_will_get_it_is_counted_and_who_is_left_out(api: Api, editor: Browser) -> None:
    north = await people(api, "Bo", "Cy", "Di")
    number = await api.value("SELECT phone_number FROM contacts WHERE name = 'Cy'")
    await api.patch(f"/contacts/{await api.contact_id(number)}", {"opted_out": True})
    answer = await editor.submit(f"{COMPOSE}/audience", COMPOSE, **form(north))
    words = shown(answer)
    assert "Goes to 2 people" in words
    assert "Of 3 in the groups, so many do not get it: 1 has opted out" in words
    assert "Cy" not in words
    assert "Bo" in words
    assert "<html" not in answer.text


async def test_no_more_get_it_than_are_wanted(api: Api, editor: Browser) -> None:
    north = await people(api, "Bo", "Cy", "Di")
    answer = await editor.submit(f"{COMPOSE}/audience", COMPOSE, **form(north, recipients="2"))
    assert "Goes to 2 people" in shown(answer)
    assert "1 could, but is over what is wanted, by lot" in shown(answer)


async def test_who_is_in_two_groups_is_counted_once_as_it_is_drawn(api: Api, editor: Browser) -> None:
    for tags in (["north"], ["north", "east"], ["north", "east"], ["east"]):
        await api.contact(*tags)
    held, unreachable = await api.contact("east"), await api.contact("north", "east")
    await api.missive(incoming(held, "please no more of this", api.clock.now))
    await api.query(
        "INSERT INTO unreachable_numbers (phone_number, contact_id, code, since) VALUES (%s, %s, '30005', now())",
        unreachable, await api.contact_id(unreachable),
    )  # fmt: skip
    segments = await api.segment("north"), await api.segment("east")
    words = shown(await editor.submit(f"{COMPOSE}/audience", COMPOSE, **form(*segments)))
    assert "Goes to 4 people" in words
    assert "2 people are in more than one of the groups" in words
    assert "Of 6 in the groups" in words
    assert "1 has perhaps opted out" in words
    assert "1 has a number that takes no texts" in words
    broadcast = await api.broadcast(*segments, max_recipients=100)
    assert (await api.post(f"/broadcasts/{broadcast}/send-now")).status_code == 200
    assert await api.value("SELECT recipients FROM broadcasts WHERE id = %s", broadcast) == 4


async def test_parts_and_encoding_are_said_as_one_types(api: Api, editor: Browser) -> None:
    answer = await editor.submit(f"{COMPOSE}/words", COMPOSE, **form(first_message="“" + "a" * 80, second_message="b"))
    words = shown(answer)
    assert "2 parts · UCS-2" in words
    assert "1 part · GSM-7" in words
    assert "left double quotation mark" in words
    assert "Saves 1 part a person." in words
    assert "<html" not in answer.text


async def test_plain_characters_take_the_place_of_dear_ones_where_somebody_wants_it(api: Api, editor: Browser) -> None:
    answer = await editor.submit(COMPOSE, COMPOSE, **form(do="replace", first_message="“Sí” – más…"))
    assert answer.status_code == 200
    assert ">&#34;Sí&#34; - más...</textarea>" in answer.text
    assert await api.value("SELECT count(*) FROM broadcasts") == 0


async def test_one_dear_character_is_replaced_alone_where_somebody_wants_that(api: Api, editor: Browser) -> None:
    words = await editor.submit(f"{COMPOSE}/words", COMPOSE, **form(first_message="“Sí” – más…"))
    assert 'name="replace" value="…" aria-label="Replace it: horizontal ellipsis"' in words.text
    answer = await editor.submit(COMPOSE, COMPOSE, **form(do="", replace="…", first_message="“Sí” – más…"))
    assert ">“Sí” – más...</textarea>" in answer.text
    nothing = await editor.submit(COMPOSE, COMPOSE, **form(do="", replace="é", first_message="“Sí” – é"))
    assert ">“Sí” – é</textarea>" in nothing.text


async def test_a_line_break_of_a_browser_is_one_character(api: Api, editor: Browser) -> None:
    north = await people(api, "Bo")
    answer = await editor.submit(COMPOSE, COMPOSE, **form(north, first_message="One\r\nTwo"))
    made = (await api.get(answer.headers["location"].removeprefix("/desk"))).json()
    assert made["first_message"] == "One\nTwo"


async def test_a_holiday_a_weekend_and_the_quiet_hours_are_said(api: Api, editor: Browser) -> None:
    answer = await editor.submit(f"{COMPOSE}/audience", COMPOSE, **form(day="2026-07-04", clock="22:30", recurring="1"))
    words = shown(answer)
    assert "This day is a holiday (Independence Day)" in words
    assert "within the quiet hours" in words
    assert "Left out" in words


async def test_the_last_is_said_and_that_the_quiet_hours_come_before(api: Api, editor: Browser) -> None:
    north = await people(api, *(f"Reader {n}" for n in range(90)))
    answer = await editor.submit(f"{COMPOSE}/audience", COMPOSE, **form(north, day="2026-03-04", clock="20:59"))
    words = shown(answer)
    assert "At our pace the last first message leaves about tomorrow 08:00" in words
    assert "Not all get it before the quiet hours: it stops today 21:00, and goes on tomorrow 08:00." in words


async def test_a_text_that_does_not_say_how_to_stop_and_a_short_link_are_warned_of(api: Api, editor: Browser) -> None:
    answer = await editor.submit(f"{COMPOSE}/words", COMPOSE, **form(first_message="See https://bit.ly/x"))
    assert "does not say how to opt out" in shown(answer)
    assert "bit.ly" in shown(answer)


async def test_compose_says_that_nobody_who_opens_a_link_is_followed(api: Api, editor: Browser) -> None:
    for text, says in (("See https://example.org/a", True), ("See you at 5", False)):
        answer = await editor.submit(f"{COMPOSE}/words", COMPOSE, **form(first_message=text))
        assert ("Nobody who opens it is followed." in shown(answer)) is says


async def test_a_scheduled_broadcast_is_changed_and_what_was_not_touched_stays(api: Api, editor: Browser) -> None:
    north = await people(api, "Bo")
    run_at = (NOW + timedelta(hours=2, seconds=7)).isoformat()
    broadcast = await api.broadcast(north, run_at=run_at, second_delay=6)
    before = (await api.get(f"/broadcasts/{broadcast}")).json()
    page = f"{COMPOSE}/{broadcast}"
    opened = (await editor.get(page)).text
    same = form(
        north, day="2026-03-04", clock="12:00", delay="0.1", version=hidden(opened, "version"), recipients="1000"
    )
    same[f"share-{north}"] = "100"
    same |= {"first_message": "Changed. STOP to stop.", "second_message": before["second_message"], "recurring": "1"}
    answer = await editor.submit(page, page, **same)
    assert (answer.status_code, answer.headers.get("location")) == (303, f"/desk/broadcasts/{broadcast}")
    after = (await api.get(f"/broadcasts/{broadcast}")).json()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"first_message", "author"}


async def test_of_two_editors_the_second_is_told_with_both_versions(api: Api, editor: Browser) -> None:
    north = await people(api, "Bo")
    broadcast = await api.broadcast(north)
    page = f"{COMPOSE}/{broadcast}"
    version = hidden((await editor.get(page)).text, "version")
    async with signed_in(api, name="Cleo Park") as other:
        theirs = form(north, first_message="Theirs. STOP to stop.", version=version)
        assert (await other.submit(page, page, **theirs)).status_code == 303
    mine = form(north, first_message="Mine. STOP to stop.", version=version)
    answer = await editor.submit(page, page, **mine)
    assert answer.status_code == 412
    assert "Cleo Park changed it while you had it open" in shown(answer)
    assert "Mine. STOP to stop.</textarea>" in answer.text
    assert "Theirs. STOP to stop." in answer.text
    assert (await api.get(f"/broadcasts/{broadcast}")).json()["first_message"] == "Theirs. STOP to stop."
    again = await editor.submit(page, page, **{**mine, "version": hidden(answer.text, "version")})
    assert again.status_code == 303
    assert (await api.get(f"/broadcasts/{broadcast}")).json()["first_message"] == "Mine. STOP to stop."


async def test_what_they_changed_is_told_also_where_only_the_day_the_delay_or_the_number_differs(
    api: Api, editor: Browser
) -> None:
    north = await people(api, "Bo")
    made = await api.broadcast(north, recurring=False)
    page = f"{COMPOSE}/{made}"
    for changes, told in (
        (
            {"second_delay": 1200, "from_number": "+13135550199", "recurring": True},
            ("comes 20 minutes later.", "From the number +13135550199.", "again at this time on each working day."),
        ),
        ({"week": {"monday": "10:00", "thursday": "14:30"}}, ("It goes out again: Monday 10:00, Thursday 14:30",)),
        ({"recurring": False, "week": None, "second_message": None}, ("It goes out once.", "There is no follow-up.")),
    ):
        version = hidden((await editor.get(page)).text, "version")
        assert (await api.patch(f"/broadcasts/{made}", changes)).status_code == 200
        answer = await editor.submit(page, page, **form(north, version=version))
        assert answer.status_code == 412
        box = shown(answer).partition("changed it while")[2].partition("Take theirs")[0]
        for words in told:
            assert words in box


async def test_who_changes_what_has_begun_meanwhile_keeps_what_they_wrote(api: Api, editor: Browser) -> None:
    north = await people(api, "Bo")
    broadcast = await api.broadcast(north)
    page = f"{COMPOSE}/{broadcast}"
    version = hidden((await editor.get(page)).text, "version")
    assert (await api.post(f"/broadcasts/{broadcast}/send-now")).status_code == 200
    typed = form(north, first_message="Mine. STOP to stop.", version=version)
    answer = await editor.submit(page, COMPOSE, **typed)
    assert answer.status_code == 409
    assert "cannot be changed any more. It is sending the first message." in shown(answer)
    assert "Mine. STOP to stop.</textarea>" in answer.text
    assert "Save again and yours takes its place" not in shown(answer)
    # It can be saved as another one.
    assert f'action="{COMPOSE}"' in answer.text
    again = await editor.submit(COMPOSE, COMPOSE, **{**typed, "token": hidden(answer.text, "token")})
    assert again.status_code == 303
    assert again.headers["location"] != f"/desk/broadcasts/{broadcast}"


async def test_who_goes_back_to_a_form_that_was_saved_and_changes_it_changes_what_it_has_made(
    api: Api, editor: Browser
) -> None:
    north = await people(api, "Bo")
    typed = form(north, token=hidden((await editor.get(COMPOSE)).text, "token"))
    made = (await editor.submit(COMPOSE, COMPOSE, **typed)).headers["location"]
    typed["first_message"] = "Corrected. STOP to stop."
    answer = await editor.submit(COMPOSE, COMPOSE, **typed)
    assert answer.status_code == 409
    assert "This form was saved before, with something else in it" in shown(answer)
    assert "Corrected. STOP to stop.</textarea>" in answer.text
    page = made.replace("broadcasts", "compose")
    assert f'action="{page}"' in answer.text
    again = await editor.submit(page, page, **{**typed, "version": hidden(answer.text, "version")})
    assert (again.status_code, again.headers["location"]) == (303, made)
    assert await api.column("SELECT first_message FROM broadcasts") == ["Corrected. STOP to stop."]


async def test_a_copy_has_the_words_and_the_audience_or_the_words_alone(api: Api, editor: Browser) -> None:
    broadcast = await api.made(first_message="Old words")
    segment = await api.value("SELECT id FROM audience_segments")
    copy = (await editor.get(f"{COMPOSE}?copy={broadcast}")).text
    assert "Old words</textarea>" in copy
    assert f'name="segment-{segment}" value="1" checked' in copy
    bare = (await editor.get(f"{COMPOSE}?copy={broadcast}&audience=false")).text
    assert "Old words</textarea>" in bare
    assert f'name="segment-{segment}" value="1">' in bare


async def test_what_went_out_is_not_changed_but_copied(api: Api, editor: Browser) -> None:
    broadcast = await api.made()
    answer = await editor.get(f"{COMPOSE}/{broadcast}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{COMPOSE}?copy={broadcast}")
    assert (await editor.get(f"{COMPOSE}?copy=999")).status_code == 404


async def test_who_may_only_look_writes_nothing(api: Api) -> None:
    async with signed_in(api, Role.VIEWER) as viewer:
        assert (await viewer.get(COMPOSE)).status_code == 403
        assert COMPOSE not in (await viewer.get("/desk/broadcasts")).text


async def test_what_people_wrote_is_never_markup(api: Api, editor: Browser) -> None:
    answer = await editor.submit(COMPOSE, COMPOSE, **form(do="preview", first_message="</textarea><script>alert(1)"))
    assert "<script>alert" not in answer.text
    assert " style=" not in answer.text


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("day", "9999-12-31"), ("day", "0001-01-01"), ("clock", "25:00"), ("recipients", "²"),
        ("recipients", "9" * 5000), ("recipients", "NaN"), ("recipients", "1.5"),
        ("delay", "Infinity"), ("delay", "-1"), ("from_number", "none"),
    ],
)  # fmt: skip
async def test_whatever_is_typed_is_answered_with_what_is_wrong(
    api: Api, editor: Browser, field: str, typed: str
) -> None:
    north = await people(api, "Bo")
    answer = await editor.submit(COMPOSE, COMPOSE, **form(north, **{field: typed}))
    assert answer.status_code == 422
    assert 'id="errors"' in answer.text
    assert (await editor.submit(f"{COMPOSE}/audience", COMPOSE, **form(north, **{field: typed}))).status_code == 200


async def test_with_a_price_the_page_says_what_it_costs(api: Api) -> None:
    priced = settings(api.settings.database_url.get_secret_value(), part_price="0.01 USD")
    async with running(priced) as other, signed_in(other) as browser:
        north = await people(other, "Bo", "Cy")
        words = shown(await browser.submit(f"{COMPOSE}/audience", COMPOSE, **form(north)))
        assert "for up to US$0.04" in words
        words = shown(await browser.submit(f"{COMPOSE}/words", COMPOSE, **form(north)))
        assert "US$10.00 per 1,000 people" in words


async def test_where_there_is_no_group_yet_one_is_led_to_where_it_is_made(api: Api, editor: Browser) -> None:
    assert 'href="/desk/segments/new"' in (await editor.get(COMPOSE)).text
    await people(api, "Bo")
    assert 'href="/desk/segments/new"' not in (await editor.get(COMPOSE)).text


async def test_a_test_needs_leave_to_send_as_it_does_over_http(
    api: Api, editor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Send me a test" in (await editor.get(COMPOSE)).text
    monkeypatch.setitem(cast("dict[Role, Any]", OF_ROLE), Role.EDITOR, {Permission.READ, Permission.WRITE})
    assert "Send me a test" not in (await editor.get(COMPOSE)).text
    draft = f"{COMPOSE}/{await api.broadcast()}"
    for page in (COMPOSE, draft):
        answer = await editor.submit(page, COMPOSE, **form(do="test", test_to="+13135550177"))
        assert (answer.status_code, "may not" in answer.text) == (403, True)
    assert await api.value("SELECT count(*) FROM single_messages") == 0


async def test_a_number_whose_texts_came_too_fast_in_the_last_week_has_a_warning(api: Api, editor: Browser) -> None:
    broadcast = await api.made(3)
    await api.sent(broadcast)

    async def warned(number: str) -> bool:
        answer = await editor.submit(f"{COMPOSE}/audience", COMPOSE, **form(from_number=number))
        return "3 texts from this number were lost" in shown(answer)

    assert not await warned(FROM)
    await api.query("UPDATE broadcast_sent_message_status SET twilio_error_code = '30003'")
    assert not await warned(FROM)
    await api.query("UPDATE broadcast_sent_message_status SET twilio_error_code = '30022'")
    assert await warned(FROM)
    assert not await warned(OTHER_FROM)
    await api.query("UPDATE broadcasts SET made_at = %s", NOW - timedelta(days=8))
    assert not await warned(FROM)


async def test_every_kind_of_share_and_whom_it_leaves_out_is_kept_shown_and_copied(api: Api, editor: Browser) -> None:
    north = await people(api, "Bo", "Cy")
    await api.contact("north", "staff", name="Di")
    await api.contact("rest", name="Eli")
    staff, rest, east = await api.segment("staff"), await api.segment("rest"), await api.segment("east")
    given = form(
        north, east,
        **{
            f"share-{north}": "3", f"kind-{north}": "people", f"kind-{east}": "all", f"exclude-{staff}": "1",
            "fallback": str(rest), "cap_texts": "4", "cap_days": "7",
        },
    )  # fmt: skip
    words = shown(await editor.submit(f"{COMPOSE}/audience", COMPOSE, **given))
    assert "Goes to 3 people" in words
    assert "Filled up from rest 1 1 1" in words
    assert "1 is in a group that is left out" in words
    answer = await editor.submit(COMPOSE, COMPOSE, **given)
    page = answer.headers["location"]
    made = (await api.get(page.removeprefix("/desk"))).json()
    assert [(each["count"], each["all"]) for each in made["segments"]] == [(3, False), (None, True)]
    assert ([each["segment_id"] for each in made["exclude"]], made["fallback"]["segment_id"]) == ([staff], rest)
    assert made["frequency_cap"] == {"texts": 4, "days": 7}
    words = shown(await editor.get(page))
    assert "north: 3 people" in words
    assert "Without who is in: staff." in words
    assert "What they do not give is filled up from rest." in words
    assert "Nobody gets more than 4 texts in 7 days." in words

    edit = f"{COMPOSE}/{made['id']}"
    version = hidden((await editor.get(edit)).text, "version")
    same = await editor.submit(edit, edit, **{**given, "version": version})
    assert same.status_code == 303, shown(same)
    assert (await api.get(page.removeprefix("/desk"))).json()["segments"] == made["segments"]

    await api.post(f"/broadcasts/{made['id']}/send-now")
    words = shown(await editor.get(page))
    assert "Filled up from rest 1 person" in words
    assert "Without staff" in words
    assert "Of those in the groups, so many were left out: 1 is in a group that is left out" in words
    copy = (await editor.get(f"{COMPOSE}?copy={made['id']}")).text
    assert re.search(rf'name="exclude-{staff}" value="1" checked', copy)
    assert re.search(rf'value="{rest}" selected', copy)
    assert re.search(r'name="cap_texts"[^>]* value="4"', copy)
    assert re.search(r'value="people" selected', copy)
    alone = (await editor.get(f"{COMPOSE}?copy={made['id']}&audience=false")).text
    assert not re.search(rf'name="exclude-{staff}" value="1" checked', alone)
    assert re.search(r'name="cap_texts"[^>]* value=""', alone)
    assert "fills up from it" in shown(await editor.get(f"/desk/segments/{rest}"))
    assert "leaves it out" in shown(await editor.get(f"/desk/segments/{staff}"))


async def test_a_group_has_one_part_in_a_broadcast(api: Api, editor: Browser) -> None:
    north = await people(api, "Bo")
    answer = await editor.submit(COMPOSE, COMPOSE, **form(north, fallback=str(north), **{f"exclude-{north}": "1"}))
    assert answer.status_code == 422
    assert "The group that fills up is named twice" in shown(answer)
    assert "The group that is left out is named twice" in shown(answer)


async def test_what_is_no_limit_of_texts_is_said_beside_it(api: Api, editor: Browser) -> None:
    north = await people(api, "Bo")
    for texts, days in (("often", "7"), ("3", ""), ("", "7"), ("0", "7")):
        answer = await editor.submit(COMPOSE, COMPOSE, **form(north, cap_texts=texts, cap_days=days))
        assert answer.status_code == 422
        assert "Give the most texts, 1 to 1,000, and the days, 1 to 366" in shown(answer)
    answer = await editor.submit(COMPOSE, COMPOSE, **form(north, cap_texts="1", cap_days="7"))
    assert "The limit of texts lets nobody get it: with its follow-up the broadcast is two texts." in shown(answer)
