"""One's own account at the desk, and who did what."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.integration.api.desk.browser import Browser
from tests.integration.api.desk.test_sign_in import PASSWORD, invited, is_signed_in, sign_in
from tests.integration.api.support import FROM, Api

ME = "/desk/settings/me"


@pytest.fixture
async def ana(api: Api) -> AsyncIterator[Browser]:
    """Ana's browser: she has a password, and is signed in."""
    async with httpx.AsyncClient(transport=api.client._transport, base_url="https://desk.example.org") as client:
        browser = Browser(client, 1)
        path = await invited(api)
        await browser.submit(path, path, password=PASSWORD)
        yield browser


async def test_who_changes_the_password_stays_signed_in_here_and_nowhere_else(api: Api, ana: Browser) -> None:
    elsewhere = httpx.AsyncClient(transport=api.client._transport, base_url="https://desk.example.org")
    async with elsewhere:
        other = Browser(elsewhere, 1)
        await sign_in(other)
        assert (await ana.get(ME)).text.count("Sign out there") == 1
        answer = await ana.submit(f"{ME}/password", ME, current=PASSWORD, password=f"{PASSWORD} 2")
        assert answer.status_code == 303
        assert await is_signed_in(ana)
        assert not await is_signed_in(other)
        assert (await sign_in(other)).status_code == 422
        assert (await sign_in(other, f"{PASSWORD} 2")).status_code == 303


@pytest.mark.parametrize(
    ("current", "password", "words"),
    [("wrong password", PASSWORD, "This is not your password."), (PASSWORD, "short", "12 characters")],
)
async def test_a_password_is_not_changed_without_the_one_before_or_for_a_short_one(
    api: Api, ana: Browser, current: str, password: str, words: str
) -> None:
    before = await api.value("SELECT password_hash FROM users")
    answer = await ana.submit(f"{ME}/password", ME, current=current, password=password)
    assert (answer.status_code, words in answer.text) == (422, True)
    assert await api.value("SELECT password_hash FROM users") == before


async def test_one_ends_ones_own_sessions_alone(api: Api, ana: Browser, editor: Browser) -> None:
    theirs = await api.value("SELECT encode(id, 'hex') FROM sessions WHERE user_id = %s", editor.user_id)
    for other in (theirs, "no number"):
        assert (await ana.submit(f"{ME}/sessions/{other}/end", ME)).status_code == 303
    assert await is_signed_in(editor)
    own = await api.value("SELECT encode(id, 'hex') FROM sessions WHERE user_id <> %s", editor.user_id)
    await ana.submit(f"{ME}/sessions/{own}/end", ME)
    assert not await is_signed_in(ana)
    assert (await ana.get("/desk/sign-in")).status_code == 200


async def test_a_number_of_ours_is_nobodys_phone(api: Api, ana: Browser) -> None:
    answer = await ana.submit(f"{ME}/number", ME, phone_number=FROM)
    assert (answer.status_code, "This is one of our own numbers." in answer.text) == (422, True)
    assert await api.value("SELECT phone_number FROM users WHERE email = 'ana@example.org'") is None


async def test_who_did_what_is_said_by_name(api: Api, ana: Browser) -> None:
    await ana.submit(f"{ME}/password", ME, current=PASSWORD, password=f"{PASSWORD} 2")
    page = await ana.get("/desk/settings/audit")
    assert "<strong>Ana Diaz</strong> chose a password for Ana Diaz" in page.text
    assert "<strong>settings (a program)</strong> invited Ana Diaz" in page.text
