"""Signing in and out at the desk, and choosing a password by a link."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.api.accounts import limits
from tests.integration.api.desk.browser import Browser
from tests.integration.api.support import Api

PASSWORD = "correct horse battery staple"
EMAIL = "ana@example.org"


@pytest.fixture
async def stranger(api: Api) -> AsyncIterator[Browser]:
    """A browser in which nobody is signed in."""
    async with httpx.AsyncClient(transport=api.client._transport, base_url="https://desk.example.org") as client:
        yield Browser(client, 0)


async def invited(api: Api, role: str = "editor") -> str:
    """Invite Ana; return the path of her link."""
    answer = await api.post("/users", {"email": EMAIL, "name": "Ana Diaz", "role": role})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["link"]).partition("example.org")[2]


async def with_password(api: Api, browser: Browser) -> None:
    """Let Ana have a password, and be signed in nowhere."""
    path = await invited(api)
    assert (await browser.submit(path, path, password=PASSWORD)).status_code == 303
    browser.client.cookies.clear()
    await api.query("TRUNCATE sessions")


async def sign_in(browser: Browser, password: str = PASSWORD, email: str = EMAIL, **fields: Any) -> httpx.Response:
    return await browser.submit("/desk/sign-in", "/desk/sign-in", email=email, password=password, **fields)


async def is_signed_in(browser: Browser) -> bool:
    return (await browser.get("/desk/broadcasts")).status_code == 200


async def test_a_page_leads_whoever_is_not_signed_in_to_the_form_and_from_there_back(
    api: Api, stranger: Browser
) -> None:
    await with_password(api, stranger)
    answer = await stranger.get("/desk/broadcasts?cursor=7")
    assert (answer.status_code, answer.headers["location"]) == (
        303, "/desk/sign-in?then=%2Fdesk%2Fbroadcasts%3Fcursor%3D7"
    )  # fmt: skip
    form = await stranger.get(answer.headers["location"])
    assert 'name="then" value="/desk/broadcasts?cursor=7"' in form.text
    answer = await sign_in(stranger, then="/desk/broadcasts?cursor=7")
    assert (answer.status_code, answer.headers["location"]) == (303, "/desk/broadcasts?cursor=7")
    assert await is_signed_in(stranger)


async def test_an_address_of_the_desk_that_is_none_is_answered_as_a_page(stranger: Browser) -> None:
    for path in ("/desk/nothing", "/desk/broadcasts/one/two/three/four"):
        answer = await stranger.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
        assert "There is nothing here." in answer.text
    assert (await stranger.get("/nothing")).headers["content-type"].startswith("application/problem+json")


async def test_a_part_of_a_page_is_refused_to_whoever_is_signed_out(stranger: Browser) -> None:
    answer = await stranger.get("/desk/broadcasts", headers={"HX-Request": "true"})
    assert (answer.status_code, "hx-redirect" in answer.headers) == (401, False)  # the page keeps what was typed


@pytest.mark.parametrize(("page", "then"), [("/desk", ""), ("/desk/sidebar", "?then=%2Fdesk%2Fsidebar")])
async def test_who_sends_a_form_when_signed_out_is_told_that_nothing_was_done(
    api: Api, stranger: Browser, page: str, then: str
) -> None:
    await with_password(api, stranger)
    await sign_in(stranger)
    token = stranger.client.cookies["__Host-csrf"]
    await api.query("DELETE FROM sessions")
    answer = await stranger.client.post(f"{page}/stop", data={"_csrf_token": token})
    assert answer.status_code == 401
    assert "What you asked for was not done." in answer.text
    assert f'href="/desk/sign-in{then}"' in answer.text


async def test_who_signs_out_is_signed_out(api: Api, stranger: Browser) -> None:
    await with_password(api, stranger)
    await sign_in(stranger)
    page = await stranger.get("/desk/broadcasts")
    assert "Ana Diaz" in page.text
    token = stranger.client.cookies["__Host-csrf"]
    assert (await stranger.client.post("/desk/sign-out", data={"_csrf_token": token})).status_code == 303
    assert not await is_signed_in(stranger)
    assert await api.value("SELECT count(*) FROM sessions") == 0


@pytest.mark.parametrize(
    ("email", "password"),
    [(EMAIL, "another password"), ("nobody@example.org", PASSWORD), ("no address", PASSWORD), ("", ""), (EMAIL, "")],
)
async def test_whatever_is_wrong_the_answer_is_the_same(api: Api, stranger: Browser, email: str, password: str) -> None:
    await with_password(api, stranger)
    answer = await sign_in(stranger, password, email)
    assert answer.status_code == 422
    assert "The address or the password is not right." in answer.text
    assert not await is_signed_in(stranger)


async def test_the_address_is_taken_in_whatever_letters(api: Api, stranger: Browser) -> None:
    await with_password(api, stranger)
    assert (await sign_in(stranger, email=f"  {EMAIL.upper()} ")).status_code == 303


@pytest.mark.parametrize(
    "then",
    [
        "https://evil.example",
        "//evil.example/desk",
        "/desk//evil.example",
        "/desk\\evil",
        "/broadcasts",
        "/desk/../x",
        "",
    ],
)
async def test_nobody_is_led_elsewhere_by_signing_in(api: Api, stranger: Browser, then: str) -> None:
    await with_password(api, stranger)
    assert (await sign_in(stranger, then=then)).headers["location"] == "/desk"


async def test_too_many_attempts_for_an_account_are_refused_even_with_the_password(api: Api, stranger: Browser) -> None:
    await with_password(api, stranger)
    for _ in range(limits.FOR_ACCOUNT):
        assert (await sign_in(stranger, "wrong password")).status_code == 422
    answer = await sign_in(stranger)
    assert answer.status_code == 429
    assert "Try again in 15 minutes." in answer.text
    api.clock.forward(minutes=15)
    assert (await sign_in(stranger)).status_code == 303


async def test_who_signs_in_begins_to_count_anew(api: Api, stranger: Browser) -> None:
    await with_password(api, stranger)
    for _ in range(3):
        for _ in range(limits.FOR_ACCOUNT - 1):
            await sign_in(stranger, "wrong password")
        assert (await sign_in(stranger)).status_code == 303
        stranger.client.cookies.clear()


async def test_too_many_attempts_from_an_address_are_refused_for_every_account(api: Api, stranger: Browser) -> None:
    await with_password(api, stranger)
    digest = await api.column("SELECT encode(key, 'hex') FROM sign_in_attempts")
    assert digest == []
    await sign_in(stranger, email="somebody@example.org")
    await api.query("UPDATE sign_in_attempts SET attempts = %s", limits.FOR_ADDRESS)
    assert (await sign_in(stranger)).status_code == 429


async def test_a_form_without_its_token_changes_nothing(api: Api, stranger: Browser) -> None:
    await with_password(api, stranger)
    await stranger.get("/desk/sign-in")
    for token in ({}, {"_csrf_token": "0" * 128}):
        answer = await stranger.client.post("/desk/sign-in", data={"email": EMAIL, "password": PASSWORD, **token})
        assert answer.status_code == 403
        assert "This page is too old" in answer.text
        assert "An admin can give you the right" not in answer.text
    assert await api.value("SELECT count(*) FROM sessions") == 0


@pytest.mark.parametrize("token", ["é" * 128, "é", "", "0" * 128])
async def test_a_token_that_is_none_is_the_callers_fault(stranger: Browser, token: str) -> None:
    """Beyond ASCII tokens could not be compared: 500, for everybody on the internet."""
    cookie, header = (b"Cookie", b"__Host-csrf=" + token.encode("latin-1")), (b"X-CSRFToken", token.encode("latin-1"))
    form: Any = {"_csrf_token": token}
    post = stranger.client.post
    for answer in (
        await post("/desk/sign-in", headers=[cookie], data=form),
        await post("/desk/sign-in", headers=[cookie, header]),
    ):
        assert answer.status_code == 403


async def test_a_link_works_once_and_the_password_from_then_on(api: Api, stranger: Browser) -> None:
    path = await invited(api)
    assert "Ana Diaz" in (await stranger.get(path)).text
    answer = await stranger.submit(path, path, password=PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/desk")
    assert await is_signed_in(stranger)
    assert (await stranger.get(path)).status_code == 404
    assert await api.column("SELECT actor FROM events WHERE type = 'PasswordChosen'") == ["user:1"]


async def test_a_link_is_over_after_three_days(api: Api, stranger: Browser) -> None:
    path = await invited(api)
    api.clock.forward(days=3)
    assert (await stranger.get(path)).status_code == 404


async def test_a_new_link_takes_the_place_of_the_one_before_and_ends_all_sessions_when_it_is_used(
    api: Api, stranger: Browser
) -> None:
    first = await invited(api)
    answer = await api.post("/users/1/invitation")
    second = str(answer.json()["link"]).partition("example.org")[2]
    assert (await stranger.get(first)).status_code == 404
    await stranger.submit(second, second, password=PASSWORD)
    third = str((await api.post("/users/1/invitation")).json()["link"]).partition("example.org")[2]
    before = dict(stranger.client.cookies)
    await stranger.submit(third, third, password=f"{PASSWORD} 2")
    assert await api.value("SELECT count(*) FROM sessions") == 1
    stranger.client.cookies.clear()
    stranger.client.cookies.update(before)
    assert not await is_signed_in(stranger)


async def test_a_password_that_is_too_short_is_refused_and_the_link_stays(api: Api, stranger: Browser) -> None:
    path = await invited(api)
    answer = await stranger.submit(path, path, password="short")
    assert answer.status_code == 422
    assert "12 characters" in answer.text
    assert (await stranger.submit(path, path, password=PASSWORD)).status_code == 303


async def test_who_is_disabled_is_signed_in_nowhere_at_once(api: Api, stranger: Browser) -> None:
    await with_password(api, stranger)
    await sign_in(stranger)
    assert await is_signed_in(stranger)
    assert (await api.patch("/users/1", {"disabled": True})).status_code == 200
    assert not await is_signed_in(stranger)
    assert (await sign_in(stranger)).status_code == 422


async def test_the_desk_takes_no_key_and_the_api_no_session(api: Api, stranger: Browser) -> None:
    await with_password(api, stranger)
    await sign_in(stranger)
    assert (await stranger.get("/broadcasts")).status_code == 401
    stranger.client.cookies.clear()
    answer = await stranger.get("/desk/broadcasts", headers={"Authorization": api.client.headers["authorization"]})
    assert answer.status_code == 303


async def test_neither_password_nor_link_is_stored_as_it_is(api: Api, stranger: Browser) -> None:
    path = await invited(api)
    token = path.rpartition("/")[2]
    assert token not in str(await api.query("SELECT encode(token, 'escape') FROM invitations"))
    await stranger.submit(path, path, password=PASSWORD)
    assert PASSWORD not in str(await api.query("SELECT * FROM users"))
