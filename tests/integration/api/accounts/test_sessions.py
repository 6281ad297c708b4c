"""Browsers in which somebody is signed in, over an app that has nothing but sessions."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar, Request, get, post
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from libs.common import database
from services.api.accounts import sessions
from services.api.accounts.sessions import SEEN_EVERY
from tests.integration.api.support import Api, Clock

AnyRequest = Request[Any, Any, Any]


@post("/in/{user_id:int}")
async def enter(request: AnyRequest, user_id: FromPath[int]) -> None:
    sessions.sign_in(request, user_id)


@post("/out")
async def leave(request: AnyRequest) -> None:
    request.clear_session()


@get("/who")
async def who(request: AnyRequest) -> dict[str, Any]:
    return request.session


@post("/note/{word:str}")
async def note(request: AnyRequest, word: FromPath[str]) -> None:
    request.session["word"] = word


@dataclass(slots=True)
class Browser:
    client: httpx.AsyncClient
    clock: Clock

    async def who(self) -> Any:
        return (await self.client.get("/who")).json()

    async def sign_in(self, user_id: int) -> httpx.Response:
        return await self.client.post(f"/in/{user_id}", headers={"User-Agent": "Browser 1"})


@pytest.fixture
async def user(api: Api) -> int:
    return int(
        await api.value(
            "INSERT INTO users (email, name, role) VALUES ('ana@example.org', 'Ana', 'editor') RETURNING id"
        )
    )


def client(api: Api, *handlers: HTTPRouteHandler, secure: bool = False) -> httpx.AsyncClient:
    """Return a browser that sees an app of these handlers."""
    app = Litestar(
        [enter, leave, who, note, *handlers],
        middleware=[sessions.middleware(secure=secure)],
        state=State({"context": api.context}),
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=cast("Any", app)), base_url="https://desk")


@pytest.fixture
async def browser(api: Api) -> AsyncIterator[Browser]:
    async with client(api) as made:
        yield Browser(made, api.clock)


async def test_who_signs_in_stays_so_until_signing_out(api: Api, browser: Browser, user: int) -> None:
    assert await browser.who() == {}
    await browser.sign_in(user)
    assert await browser.who() == {"user_id": user, "agent": "Browser 1"}
    await browser.client.post("/out")
    assert await browser.who() == {}
    assert await api.value("SELECT count(*) FROM sessions") == 0


async def test_a_session_that_holds_nothing_is_not_kept_and_sets_no_cookie(api: Api, browser: Browser) -> None:
    answer = await browser.client.get("/who")
    assert "set-cookie" not in answer.headers
    assert await api.value("SELECT count(*) FROM sessions") == 0


async def test_the_table_does_not_hold_what_the_cookie_holds(api: Api, browser: Browser, user: int) -> None:
    await browser.sign_in(user)
    token = browser.client.cookies["session"]
    assert len(token) >= 43
    assert token not in str(await api.query("SELECT encode(id, 'hex'), encode(id, 'escape'), data FROM sessions"))


async def test_a_number_that_somebody_put_into_the_browser_is_not_taken(browser: Browser, user: int) -> None:
    given = {"Cookie": "session=chosen-by-somebody-else"}
    answer = await browser.client.post(f"/in/{user}", headers=given)
    assert "chosen-by-somebody-else" not in answer.headers["set-cookie"]
    browser.client.cookies.clear()
    assert (await browser.client.get("/who", headers=given)).json() == {}


async def test_whoever_signs_in_over_a_session_that_is_there_gets_another_number_and_the_old_one_is_worth_nothing(
    api: Api, browser: Browser, user: int
) -> None:
    await browser.client.post("/note/anything")
    before = browser.client.cookies["session"]
    await browser.sign_in(user)
    assert browser.client.cookies["session"] != before
    assert await api.column("SELECT user_id FROM sessions") == [user]


async def test_a_session_that_was_revoked_while_a_request_was_under_way_does_not_come_back(api: Api, user: int) -> None:
    @post("/revoked-meanwhile")
    async def revoked_meanwhile(request: AnyRequest) -> None:
        async with database.transaction(api.engine) as connection:
            await sessions.revoke_all(connection, user, api.clock.now)
        request.session["word"] = "changed"

    async with client(api, revoked_meanwhile) as made:
        await made.post(f"/in/{user}")
        await made.post("/revoked-meanwhile")
        assert (await made.get("/who")).json() == {}
    assert await api.value("SELECT count(*) FROM sessions") == 0


async def test_a_session_ends_when_it_was_not_used_for_long_and_lives_on_when_it_was(
    api: Api, browser: Browser, user: int
) -> None:
    await browser.sign_in(user)
    browser.clock.forward(days=13)
    assert (await browser.who())["user_id"] == user
    browser.clock.forward(days=13)
    assert (await browser.who())["user_id"] == user
    browser.clock.forward(days=14, seconds=1)
    assert await browser.who() == {}


async def test_a_page_writes_nothing_unless_the_session_has_changed_or_a_minute_is_over(
    api: Api, browser: Browser, user: int
) -> None:
    async def written() -> Any:
        return await api.value("SELECT xmin::text FROM sessions")

    await browser.sign_in(user)
    first = await written()
    await browser.who()
    assert await written() == first
    await browser.client.post("/note/new")
    second = await written()
    assert second != first
    browser.clock.forward(seconds=SEEN_EVERY.total_seconds() + 1)
    await browser.who()
    assert await written() != second


async def test_a_users_sessions_are_listed_and_each_can_be_ended(api: Api, browser: Browser, user: int) -> None:
    await browser.sign_in(user)
    now = browser.clock.now
    async with database.transaction(api.engine) as connection:
        [found] = await sessions.of_user(connection, user, now)
        assert (found.agent, found.created_at) == ("Browser 1", now)
        assert await sessions.of_user(connection, user, now + timedelta(days=15)) == []
        assert not await sessions.revoke(connection, user + 1, found.id, browser.clock.now)
        assert await sessions.revoke(connection, user, found.id, browser.clock.now)
    assert await browser.who() == {}


async def test_all_sessions_but_one_are_ended(api: Api, browser: Browser, user: int) -> None:
    await browser.sign_in(user)
    browser.client.cookies.clear()
    await browser.sign_in(user)
    kept = bytes(await api.value("SELECT id FROM sessions ORDER BY created_at DESC LIMIT 1"))
    async with database.transaction(api.engine) as connection:
        await sessions.revoke_all(connection, user, browser.clock.now, but=kept)
    assert await api.column("SELECT id FROM sessions") == [kept]


async def test_sessions_that_are_over_are_forgotten(api: Api, browser: Browser, user: int) -> None:
    await browser.sign_in(user)
    async with database.transaction(api.engine) as connection:
        await sessions.prune(connection, browser.clock.now + timedelta(days=13))
        assert len(await sessions.of_user(connection, user, browser.clock.now)) == 1
        await sessions.prune(connection, browser.clock.now + timedelta(days=14))
        assert await sessions.of_user(connection, user, browser.clock.now) == []


@pytest.mark.parametrize("secure", [True, False])
async def test_the_cookie_is_for_this_host_and_no_script_and_over_tls_where_there_is_tls(
    api: Api, user: int, *, secure: bool
) -> None:
    async with client(api, secure=secure) as made:
        cookie = (await made.post(f"/in/{user}")).headers["set-cookie"]
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert ("Secure" in cookie.split("; ")) == secure
    assert cookie.startswith("__Host-session=") == secure
