"""The sidebar: who may frame it, what its cookies are, and what a session that was begun in a frame opens."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest

from libs.common.domain.roles import Role
from tests.integration.api import support
from tests.integration.api.broadcasts.test_reports import halfway
from tests.integration.api.desk.browser import Browser, signed_in
from tests.integration.api.desk.test_compose_page import shown
from tests.integration.api.support import Api

SIDEBAR, SIGN_IN = "/desk/sidebar", "/desk/sign-in"
MISSIVE = "https://mail.missiveapp.com"
PASSWORD = "three plain words"
#: What a browser sends from a frame of another site's, and from a form within it.
IN_FRAME = {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"}
FORM_IN_FRAME = {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "same-origin"}


@asynccontextmanager
async def framing(url: str, *hosts: str) -> AsyncIterator[Api]:
    async with support.running(support.settings(url, frame_ancestors=hosts)) as running:
        yield running


@asynccontextmanager
async def frame(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    """A frame of Missive's, in which a new user has signed in by the form."""
    link = (await api.post("/users", {"email": "ana@example.org", "name": "Ana", "role": "editor"})).json()["link"]
    path = link.removeprefix(api.settings.public_url)
    transport = api.client._transport
    async with httpx.AsyncClient(transport=transport, base_url="https://desk.example.org") as tab:
        await Browser(tab, 0).submit(path, path, password=PASSWORD)
    async with httpx.AsyncClient(transport=transport, base_url="https://desk.example.org") as client:
        page = await client.get(f"{SIGN_IN}?then={SIDEBAR}", headers=IN_FRAME)
        answer = await client.post(
            SIGN_IN,
            data={"_csrf_token": token(page), "email": "ana@example.org", "password": PASSWORD, "then": SIDEBAR},
            headers=FORM_IN_FRAME,
        )
        assert answer.headers["location"] == SIDEBAR
        yield client


def token(page: httpx.Response) -> str:
    found = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


async def test_only_who_the_settings_name_may_frame_the_sidebar_and_nobody_anything_else(database_url: str) -> None:
    async with framing(database_url, MISSIVE, "https://*.example.com") as api, signed_in(api) as browser:
        for answer in (await browser.get(SIDEBAR), await api.get(SIGN_IN)):
            headers = answer.headers
            assert headers["content-security-policy"].endswith(f"frame-ancestors {MISSIVE} https://*.example.com")
            assert "x-frame-options" not in headers
        for path in ("/desk", "/desk/stop", "/schema", "/desk/sidebars"):
            headers = (await browser.get(path)).headers
            assert headers["content-security-policy"].endswith("frame-ancestors 'none'")
            assert headers["x-frame-options"] == "DENY"


async def test_where_no_setting_says_so_nobody_frames_anything(api: Api, editor: Browser) -> None:
    answer = await editor.get(SIDEBAR, headers=IN_FRAME)
    assert answer.headers["content-security-policy"].endswith("frame-ancestors 'none'")
    assert answer.headers["x-frame-options"] == "DENY"
    assert "partitioned" not in str(answer.headers.get_list("set-cookie")).lower()


async def test_cookies_are_a_frames_only_in_a_frame(database_url: str) -> None:
    async with framing(database_url, MISSIVE) as api:
        async with frame(api) as inside:
            page = await inside.get(SIDEBAR, headers=IN_FRAME)
            assert page.status_code == 200
            transport = api.client._transport
        async with httpx.AsyncClient(transport=transport, base_url="https://desk.example.org") as new:
            for headers, marks in (({}, "SameSite=lax"), (IN_FRAME, "SameSite=none; Secure; Partitioned")):
                new.cookies.clear()
                [cookie] = (await new.get(SIGN_IN, headers=headers)).headers.get_list("set-cookie")
                assert ("Partitioned" in cookie) == (headers == IN_FRAME)
                assert set(marks.split("; ")) <= set(cookie.split("; "))
                assert cookie.startswith("__Host-csrf=")


async def test_a_session_that_was_begun_in_a_frame_opens_the_sidebar_alone(database_url: str) -> None:
    async with framing(database_url, MISSIVE) as api, frame(api) as inside:
        assert (await inside.get(SIDEBAR, headers=IN_FRAME)).status_code == 200
        for path in ("/desk", "/desk/people", "/desk/settings/me"):
            answer = await inside.get(path)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith(SIGN_IN)
        page = await inside.get(SIDEBAR, headers=IN_FRAME)
        refused = await inside.post("/desk/stop", data={"_csrf_token": token(page)}, headers=FORM_IN_FRAME)
        assert refused.status_code == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_what_another_site_asks_for_is_refused_whatever_it_holds(database_url: str, site: str) -> None:
    async with framing(database_url, MISSIVE) as api, frame(api) as inside:
        broadcast = await halfway(api)
        page = await inside.get(SIDEBAR, headers=IN_FRAME)
        pause = f"{SIDEBAR}/broadcasts/{broadcast}/pause"
        forged = await inside.post(
            pause, data={"_csrf_token": token(page)}, headers={**IN_FRAME, "Sec-Fetch-Site": site}
        )
        assert forged.status_code == 403
        assert (await inside.post(pause, data={}, headers=FORM_IN_FRAME)).status_code == 403
        assert await api.value("SELECT state FROM broadcasts WHERE id = %s", broadcast) == "sending_first"


async def test_the_sidebar_says_what_is_now_next_and_last_and_pauses_and_stops(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    await api.broadcast(first_message="a draft", run_at=(api.clock() + timedelta(minutes=5)).isoformat())
    await api.broadcast(await api.segment("made", name="next"), first_message="the next one")
    page = (await editor.get(SIDEBAR)).text
    assert "Sending the first message" in page
    pauses = [shown(await editor.get(each)) for each in (SIDEBAR, f"/desk/broadcasts/{broadcast}")]
    for words in pauses:
        assert "Pause No text is on its way. Held until you go on: 2 follow-ups." in words
    assert "Goes out" in page
    assert "the next one" in page
    assert "a draft" not in page
    assert "Nothing was sent in the last month." in page
    answer = await editor.submit(f"{SIDEBAR}/broadcasts/{broadcast}/pause", SIDEBAR)
    assert (answer.status_code, answer.headers["location"]) == (303, SIDEBAR)
    assert "Paused by Ana Diaz" in (await editor.get(SIDEBAR)).text
    await api.post(f"/broadcasts/{broadcast}/resume")
    await editor.submit(f"{SIDEBAR}/stop", SIDEBAR)
    assert await api.value("SELECT state FROM broadcasts WHERE id = %s", broadcast) == "paused"


async def test_a_viewer_sees_no_button_in_the_sidebar(api: Api) -> None:
    broadcast = await halfway(api)
    async with signed_in(api, Role.VIEWER) as viewer:
        page = await viewer.get(SIDEBAR)
        assert "<button" not in page.text
        refused = await viewer.submit(f"{SIDEBAR}/broadcasts/{broadcast}/pause", "/desk/settings/me")
        assert refused.status_code == 403


async def test_the_last_broadcast_is_of_when_it_went_out_also_where_it_was_sent_before_its_time(
    api: Api, editor: Browser
) -> None:
    early = await api.broadcast(await api.segment("early"), run_at=str(api.clock() + timedelta(days=2)))
    await api.query(
        f"UPDATE broadcasts SET state = 'completed', made_at = '{api.clock() - timedelta(hours=1)}' WHERE id = {early}"
    )
    last = (await editor.get(SIDEBAR)).text.partition('id="last-title"')[2]
    assert f"/desk/broadcasts/{early}" in last
    assert "2026-03-04T09:00:00-05:00" in last
