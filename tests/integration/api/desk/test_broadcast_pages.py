"""The pages of broadcasts, as HTML: what they say adds up, and every number leads to its people."""

import csv
import io
import re

import pytest

from services.api.desk import broadcasts
from tests.integration.api.broadcasts.test_reports import halfway
from tests.integration.api.desk.browser import Browser
from tests.integration.api.support import Api, incoming


def numbers(html: str, phase: str) -> dict[str, int]:
    """The figures of who did not get it, by the address that each leads to."""
    found = re.findall(rf'href="(/desk/broadcasts/\d+/{phase}/[a-z0-9_-]+)">([\d,]+)</a>', html)
    return {address: int(figure.replace(",", "")) for address, figure in found}


async def test_a_broadcast_s_page_says_how_it_stands(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    page = await editor.get(f"/desk/broadcasts/{broadcast}")
    assert page.status_code == 200
    assert "Sending the first message: 2 of 4 have it" in page.text
    await api.query("UPDATE broadcasts SET state = 'completed', completed_at = now() WHERE id = %s", broadcast)
    page = await editor.get(f"/desk/broadcasts/{broadcast}")
    assert "Done. 2 of 4 got it; of 1 there is no word; 1 did not." in page.text
    assert "2 of 4 delivered" in page.text


async def listed(editor: Browser, address: str) -> tuple[list[str], str | None]:
    """The parts and broadcasts of a page of the list, in their order, and where the next page is."""
    page = (await editor.get(address)).text
    found = re.findall(r'<h2 id="part-(\w+)"|<th scope="row"><a href="/desk/broadcasts/(\d+)"', page)
    more = re.search(r'href="(/desk/broadcasts\?cursor=[^"]+)"', page)
    return [part or number for part, number in found], more[1] if more else None


async def test_what_runs_and_what_is_to_come_stands_above_what_is_past_each_in_the_order_of_its_time(
    api: Api, editor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = await api.segment("a")
    numbers = [await api.broadcast(segment) for _ in range(8)]
    late, soon, older, newer, draft, running, paused, missed = numbers
    states = {
        late: ("scheduled", 9), soon: ("scheduled", 2), older: ("completed", -9), newer: ("cancelled", -2),
        draft: ("scheduled", 1), running: ("sending_first", -1), paused: ("paused", -3), missed: ("missed", -5),
    }  # fmt: skip
    for number, (state, days) in states.items():
        await api.query(
            "UPDATE broadcasts SET state = %s, run_at = run_at + make_interval(days => %s), draft = %s,"
            " made_at = CASE WHEN %s IN ('scheduled', 'missed') THEN NULL ELSE run_at + make_interval(days => %s) END,"
            " recipients = CASE WHEN %s IN ('scheduled', 'missed') THEN NULL ELSE 1 END,"
            " paused_from = CASE WHEN %s = 'paused' THEN 'waiting' END,"
            " pause_reason = CASE WHEN %s = 'paused' THEN 'staff' END,"
            " missed_reason = CASE WHEN %s = 'missed' THEN 'day_over' END,"
            " completed_at = CASE WHEN %s IN ('completed', 'cancelled') THEN run_at END WHERE id = %s",
            state, days, number == draft, state, days, state, state, state, state, state, number,
        )  # fmt: skip
    wanted = [
        "running", paused, running, "ahead", soon, late, "drafts", draft, "past", newer, missed, older
    ]  # fmt: skip
    assert (await listed(editor, "/desk/broadcasts"))[0] == list(map(str, wanted))
    monkeypatch.setattr(broadcasts, "PAGE", 3)
    seen: list[str] = []
    address: str | None = "/desk/broadcasts"
    while address is not None:
        page, address = await listed(editor, address)
        seen += page
        # What has moved up since it was seen is not seen again, and nothing is lost by it.
        await api.query(
            "UPDATE broadcasts SET state = 'sending_first', made_at = run_at, recipients = 1 WHERE id = %s", soon
        )
    assert [each for each in seen if each.isdecimal()] == [str(each) for each in wanted if isinstance(each, int)]
    assert (await editor.get("/desk/broadcasts?cursor=9.1.1")).status_code == 422


async def test_every_recipient_is_in_one_row_of_who_got_it_and_the_rows_add_up(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    page = (await editor.get(f"/desk/broadcasts/{broadcast}")).text
    for phase in ("first", "follow-up"):
        assert sum(numbers(page, phase).values()) == 4


async def test_what_went_wrong_is_seen_first_and_the_rest_is_folded(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    page = (await editor.get(f"/desk/broadcasts/{broadcast}")).text.partition('id="missing-title"')[2]
    refused, delivered = page.index("/first/refused-21610"), page.index("/first/delivered")
    assert refused < page.index("<details") < delivered
    assert "The other 2 of 4" in page


async def test_every_number_leads_to_as_many_people(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    page = (await editor.get(f"/desk/broadcasts/{broadcast}")).text
    for phase in ("first", "follow-up"):
        for address, figure in numbers(page, phase).items():
            people = await editor.get(address)
            assert people.status_code == 200
            assert len(re.findall(r'href="/desk/people/\d+"', people.text)) == figure


async def test_the_figures_of_each_message_lead_to_their_people(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    page = (await editor.get(f"/desk/broadcasts/{broadcast}")).text
    address = rf"/desk/broadcasts/{broadcast}/(?:first|follow-up)/kind-\w+"
    found = re.findall(rf'<li class="?[a-z]*"?><a href="({address})">(\d+) ', page) + re.findall(
        rf'<li><a href="({address})">(\d+) ', page
    )
    assert sum(int(figure) for each, figure in found if "/first/" in each) == 4
    assert sum(int(figure) for each, figure in found if "/follow-up/" in each) == 4
    for each, figure in found:
        people = (await editor.get(each)).text
        assert len(re.findall(r'href="/desk/people/\d+"', people)) == int(figure)
    assert re.search(rf'<a href="/desk/broadcasts/{broadcast}/first/kind-delivered">2 of 4 delivered</a>', page)
    assert (await editor.get(f"/desk/broadcasts/{broadcast}/first/kind-sent")).status_code == 404


async def test_a_list_of_people_is_searched_and_had_as_csv(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    number = await api.value("SELECT recipient_phone_number FROM outgoing_messages WHERE state = 'accepted' LIMIT 1")
    await api.query("UPDATE contacts SET name = 'Ána D_az' WHERE phone_number = %s", number)
    for find, people in (("", 2), ("ána d_", 1), (number[-6:], 1), ("nobody", 0), ("%", 0)):
        page = (await editor.get(f"/desk/broadcasts/{broadcast}/first/kind-delivered", params={"find": find})).text
        assert len(re.findall(r'href="/desk/people/\d+"', page)) == people, find
        link = re.search(r'href="(/desk/broadcasts/[^"]+people\.csv[^"]*)"', page)
        assert link is not None
        sheet = await editor.get(link[1].replace("&amp;", "&"))
        rows = list(csv.DictReader(io.StringIO(sheet.text, newline="")))
        assert len(rows) == people, find
    [refused] = csv.DictReader(
        io.StringIO((await editor.get(f"/desk/broadcasts/{broadcast}/first/kind-failed/people.csv")).text, newline="")
    )
    assert (refused["code"], refused["what_became_of_it"]) == (
        "21610", "They told the phone company to stop our texts"
    )  # fmt: skip
    assert (await editor.get(f"/desk/broadcasts/{broadcast}/first/nothing/people.csv")).status_code == 404


async def test_a_list_of_people_is_narrowed_down_to_those_of_a_group(
    api: Api, editor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tag in ("north", "south", "south", "south"):
        await api.contact(tag)
    north, south = await api.segment("north", name="North"), await api.segment("south", name="South")
    broadcast = await api.broadcast(north, south, max_recipients=8)
    await api.post(f"/broadcasts/{broadcast}/send-now")
    await api.query("UPDATE outgoing_messages SET state = 'skipped', skip_reason = 'quiet_hours' WHERE NOT is_second")
    await api.query("UPDATE outgoing_messages SET state = 'skipped', skip_reason = 'first_refused' WHERE is_second")
    monkeypatch.setattr(broadcasts, "PAGE", 2)
    for message, key in (("first", "skipped-quiet_hours"), ("follow-up", "skipped-first_refused")):
        address = f"/desk/broadcasts/{broadcast}/{message}/{key}"
        for segment, people in (("", 4), (north, 1), (south, 3), (999, 0)):
            page, seen = f"{address}?segment={segment}", 0
            while True:
                html = (await editor.get(page)).text
                seen += len(re.findall(r'href="/desk/people/\d+"', html))
                more = re.search(r'rel="next" href="(\?cursor=[^"]+)"', html)
                if more is None:
                    break
                page = address + more[1].replace("&amp;", "&")
            assert seen == people, segment
            link = re.search(r'href="(/desk/broadcasts/[^"]+people\.csv[^"]*)"', html)
            assert link is not None
            sheet = await editor.get(link[1].replace("&amp;", "&"))
            assert len(list(csv.DictReader(io.StringIO(sheet.text, newline="")))) == people, segment
        assert (await editor.get(f"{address}?segment=x")).status_code == 422


async def test_a_search_goes_on_over_the_next_page(api: Api, editor: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcasts, "PAGE", 1)
    broadcast = await halfway(api)
    await api.query("UPDATE contacts SET name = 'Reader'")
    page = (await editor.get(f"/desk/broadcasts/{broadcast}/first/kind-delivered?find=reader")).text
    more = re.search(r'rel="next" href="\?(cursor=\d+&amp;find=reader)"', page)
    assert more is not None
    second = (
        await editor.get(f"/desk/broadcasts/{broadcast}/first/kind-delivered?{more[1].replace('&amp;', '&')}")
    ).text
    assert len(re.findall(r'href="/desk/people/\d+"', second)) == 1


async def test_who_opted_out_in_answer_stands_behind_the_figure(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    await api.missive(incoming("+13135559999", "STOP", api.clock.now, sid="SM-z"))
    page = (await editor.get(f"/desk/broadcasts/{broadcast}")).text
    link = f"/desk/replies?only=opted-out&amp;broadcast={broadcast}"
    assert f'<a href="{link}"><strong>1</strong> opted out</a>' in page
    listed = (await editor.get(link.replace("&amp;", "&"))).text
    assert len(re.findall("data-row", listed)) == 1
    assert "STOP" in listed[listed.index("data-row") :]


async def test_the_newest_replies_stand_beside_it_each_with_a_link(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    number = await api.value("SELECT phone_number FROM replies WHERE body = 'hi'")
    for n in range(6):
        await api.missive(incoming(number, f"thought {n}", api.clock.now, sid=f"SM-t{n}"))
    page = (await editor.get(f"/desk/broadcasts/{broadcast}")).text
    listed = page[page.index('id="newest-replies"') : page.index('id="history-title"')]
    assert re.findall(r"<p>(thought \d)</p>", listed) == [f"thought {n}" for n in (5, 4, 3, 2, 1)]
    assert len(re.findall(r'href="/desk/replies/\d+\?broadcast=', listed)) == 5
    await api.missive(incoming(number, "one more", api.clock.now, sid="SM-u"))
    seen = re.findall(r"live\?seen=(\w+)", page + (await editor.get(f"/desk/broadcasts/{broadcast}")).text)
    assert seen[0] != seen[1], "who watches would not be told"


async def test_a_code_of_the_carrier_is_said_in_words(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    page = (await editor.get(f"/desk/broadcasts/{broadcast}")).text
    assert "They told the phone company to stop our texts" in page


async def test_pausing_and_going_on_are_one_button_each(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    page = f"/desk/broadcasts/{broadcast}"
    answer = await editor.submit(f"{page}/pause", page)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/desk/broadcasts/{broadcast}")
    assert "Paused by Ana Diaz, today 10:" in (await editor.get(f"/desk/broadcasts/{broadcast}")).text
    await editor.submit(f"{page}/resume", page)
    assert "Sending the first message" in (await editor.get(f"/desk/broadcasts/{broadcast}")).text


async def test_the_history_says_who_did_what(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    page = f"/desk/broadcasts/{broadcast}"
    await editor.submit(f"{page}/pause", page)
    text = (await editor.get(page)).text
    told = re.findall(r"<li[^>]*>([^<]*) <span", text[text.index('class="timeline"') :])
    assert told[0] == "Ana Diaz paused it."
    assert re.fullmatch("The program “.+” began to send it to 4 people.", told[1])
    assert re.fullmatch("The program “.+” scheduled it for .+", told[-1])


async def test_what_people_wrote_is_never_markup(api: Api, editor: Browser) -> None:
    broadcast = await api.broadcast(first_message="<script>alert(1)</script>")
    page = await editor.get(f"/desk/broadcasts/{broadcast}")
    assert "<script>alert(1)" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text


async def test_a_page_runs_our_script_alone(api: Api, editor: Browser) -> None:
    page = await editor.get("/desk/broadcasts")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert " style=" not in page.text
    assert not re.search(r"<script(?![^>]* src=)|\son\w+=", page.text)


async def test_a_broadcast_that_is_not_there_is_a_page_that_says_so(api: Api, editor: Browser) -> None:
    page = await editor.get("/desk/broadcasts/999")
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "There is nothing here." in page.text


async def test_the_script_and_the_style_may_be_kept_for_ever_and_need_no_key(api: Api, editor: Browser) -> None:
    page = (await editor.get("/desk/broadcasts")).text
    addresses = re.findall(r'(?:src|href)="(/desk/assets/[^"]+)"', page)
    assert len(addresses) == 2
    for address in addresses:
        answer = await api.client.get(address, headers={"Authorization": ""})
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]


async def test_who_may_only_look_cannot_pause(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    page = f"/desk/broadcasts/{broadcast}"
    await api.query("UPDATE users SET role = 'viewer' WHERE id = %s", editor.user_id)
    answer = await editor.submit(f"{page}/pause", "/desk/settings/me")
    assert answer.status_code == 403
    assert await api.value("SELECT state FROM broadcasts WHERE id = %s", broadcast) == "sending_first"


async def test_what_did_not_go_out_can_be_left_at_that(api: Api, editor: Browser) -> None:
    await api.contact("east")
    broadcast = await api.broadcast(await api.segment("east"))
    await api.query("UPDATE broadcasts SET state = 'missed', missed_reason = 'day_over' WHERE id = %s", broadcast)
    page = f"/desk/broadcasts/{broadcast}"
    assert "Do not send it any more" in (await editor.get(page)).text
    assert (await editor.submit(f"{page}/cancel", page)).status_code == 303
    text = (await editor.get(page)).text
    assert "Cancelled by Ana Diaz, today 10:00. Nothing had been sent." in text
    assert "Do not send it any more" not in text


async def test_nobody_sees_a_page_without_signing_in(api: Api) -> None:
    answer = await api.client.get("/desk/broadcasts")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/desk/sign-in")


async def test_sending_now_and_cancelling_the_rest_are_one_button_each(api: Api, editor: Browser) -> None:
    await api.contact("east")
    broadcast = await api.broadcast(await api.segment("east"))
    page = f"/desk/broadcasts/{broadcast}"
    for button, state in (("send-now", "sending_first"), ("cancel", "cancelled")):
        answer = await editor.submit(f"{page}/{button}", page)
        assert (answer.status_code, answer.headers["location"]) == (303, page)
        assert await api.value("SELECT state FROM broadcasts WHERE id = %s", broadcast) == state
