"""Sending now, and calling it back before anybody has it: at the desk and over HTTP."""

from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from tests.integration.api import support
from tests.integration.api.desk.browser import Browser
from tests.integration.api.support import Api


@pytest.fixture
async def holding(api: Api) -> AsyncIterator[Api]:
    """An API, on the same database, that holds what is sent now for half a minute."""
    async with support.running(api.settings.model_copy(update={"send_hold": 30.0})) as running:
        yield running


async def one_left(api: Api, broadcast: int) -> None:
    """Let the first of the first messages have been started."""
    await api.query(
        "UPDATE outgoing_messages SET state = 'uncertain', attempts = 1, attempt_started_at = %s WHERE id ="
        " (SELECT min(id) FROM outgoing_messages WHERE broadcast_id = %s AND NOT is_second)",
        api.clock.now, broadcast,
    )  # fmt: skip


async def test_the_page_says_when_it_goes_out_and_takes_it_back_with_one_button(holding: Api, editor: Browser) -> None:
    broadcast = await holding.made(3)
    page = f"/desk/broadcasts/{broadcast}"
    until = datetime.fromisoformat((await holding.get(f"/broadcasts/{broadcast}")).json()["hold_until"])
    clock = until.astimezone(holding.settings.zone).strftime("%H:%M:%S")
    text = (await editor.get(page)).text
    assert f"Goes out at {clock} to 3 people. Until then it can be called back." in text
    assert f">{clock}</time>" in text
    assert "Call back" in (await editor.get("/desk")).text
    answer = await editor.submit(f"{page}/call-back", page)
    assert (answer.status_code, answer.headers["location"]) == (303, page)
    text = (await editor.get(page)).text
    assert "Scheduled for today 11:00." in text
    assert "Ana Diaz called it back. Nobody got it." in text
    assert "Call back" not in text


async def test_the_sidebar_takes_it_back_and_pauses_the_rest_where_one_has_left(holding: Api, editor: Browser) -> None:
    sidebar = "/desk/sidebar"
    broadcast = await holding.made(3)
    lever = f"{sidebar}/broadcasts/{broadcast}/call-back"
    page = (await editor.get(sidebar)).text
    assert f'action="{lever}"' in page
    assert "The first text leaves at" in page
    answer = await editor.submit(lever, sidebar)
    assert (answer.status_code, answer.headers["location"]) == (303, sidebar)
    assert lever not in (await editor.get(sidebar)).text
    assert (await holding.get(f"/broadcasts/{broadcast}")).json()["state"] == "scheduled"
    await holding.post(f"/broadcasts/{broadcast}/send-now")
    await one_left(holding, broadcast)
    assert (await editor.submit(lever, sidebar)).status_code == 303
    assert (await holding.get(f"/broadcasts/{broadcast}")).json()["state"] == "paused"
    assert lever not in (await editor.get(sidebar)).text


async def test_where_one_has_left_the_desk_pauses_the_rest_and_says_who_has_it(holding: Api, editor: Browser) -> None:
    broadcast = await holding.made(3)
    page = f"/desk/broadcasts/{broadcast}"
    await one_left(holding, broadcast)
    assert (await editor.submit(f"{page}/call-back", page)).status_code == 303
    text = (await editor.get(page)).text
    assert "Paused by Ana Diaz, today 10:00." in text
    assert "Call back" not in text
    assert "Will be sent: 2 first messages and 3 follow-ups." in text


async def test_a_program_is_told_that_it_comes_too_late_and_nothing_has_changed(holding: Api) -> None:
    broadcast = await holding.made(3)
    assert (await holding.get(f"/broadcasts/{broadcast}")).json()["hold_until"] is not None
    await one_left(holding, broadcast)
    answer = await holding.post(f"/broadcasts/{broadcast}/call-back")
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:broadsheet:problem:already-sent"
    assert "1 have it, or may have, and 2 do not" in answer.json()["detail"]
    assert (await holding.get(f"/broadcasts/{broadcast}")).json()["state"] == "sending_first"


async def test_a_program_calls_back_twice_and_sends_it_again(holding: Api) -> None:
    broadcast = await holding.made(3)
    for _ in range(2):
        answer = await holding.post(f"/broadcasts/{broadcast}/call-back")
        assert (answer.status_code, answer.json()["state"]) == (200, "scheduled")
    again = await holding.post(f"/broadcasts/{broadcast}/send-now")
    assert (again.json()["state"], again.json()["recipients"]) == ("sending_first", 3)


async def test_every_action_says_what_will_still_leave_and_what_will_not(holding: Api, editor: Browser) -> None:
    broadcast = await holding.made(3)
    await one_left(holding, broadcast)
    await holding.query(
        "WITH batch AS (INSERT INTO batches (id, broadcast_id, is_second, due_at)"
        "               VALUES (gen_random_uuid(), %s, false, now()) RETURNING id)"
        " UPDATE outgoing_messages m SET state = 'started', claimed_by = batch.id FROM batch WHERE state = 'uncertain'",
        broadcast,
    )
    text = (await editor.get(f"/desk/broadcasts/{broadcast}")).text
    assert "Up to 1 text is on its way and will still arrive." in text
    assert "Held until you go on: 2 first messages and 3 follow-ups." in text
    assert "Never sent: 2 first messages and 3 follow-ups. This cannot be taken back." in text
    stop = (await editor.get("/desk/stop")).text
    assert "5 texts are held back" in stop
    assert "Up to 1 text is on its way and will still arrive." in stop
