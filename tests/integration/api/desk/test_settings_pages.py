"""Settings on the desk: how it is set, my browsers, users and keys."""

import re
from collections.abc import AsyncIterator

import pytest

from libs.common.domain.roles import Role
from services.api.desk import own_numbers
from tests.integration.api.desk.browser import Browser, signed_in
from tests.integration.api.support import Api, incoming, running, settings

ADMIN_PAGES = ("/desk/settings/users", "/desk/settings/numbers", "/desk/settings/keys")


@pytest.fixture
async def admin(api: Api) -> AsyncIterator[Browser]:
    async with signed_in(api, Role.ADMIN, "Ada Admin") as browser:
        yield browser


async def test_the_settings_are_said_in_words(editor: Browser) -> None:
    page = (await editor.get("/desk/settings")).text
    assert "1 from each number that has no pace of its own" in page
    assert "10 minutes after the last first message" in page
    assert "is answered by Twilio at once, not by Broadsheet" in page


async def test_all_holidays_of_the_coming_year_have_their_names(editor: Browser) -> None:
    page = (await editor.get("/desk/settings")).text
    for name in ("Memorial Day", "Thanksgiving", "Christmas Day", "New Year"):
        assert name in page


async def test_each_of_our_numbers_is_there_with_how_it_is(api: Api, editor: Browser) -> None:
    broadcast = await api.made(2)
    await api.sent(broadcast)
    page = (await editor.get("/desk/settings")).text
    numbers = page[page.index("What goes out") : page.index("What comes in")]
    rows = {each: numbers.split(each)[1].split("</tr>")[0] for each in api.settings.own_numbers}
    first, *others = rows.values()
    assert "Works" in first
    assert "today 10:0" in first
    assert all("Nothing was sent from it yet" in other for other in others)
    await api.query(
        "INSERT INTO pace (key, failures, failing_since) SELECT 'number:' || id, 1, now() FROM sending_numbers"
    )
    assert "The carrier answers with errors" in (await editor.get("/desk/settings")).text


async def test_what_comes_in_is_there_with_when_it_came(api: Api, editor: Browser) -> None:
    page = (await editor.get("/desk/settings")).text
    assert page.count("Nothing has come yet") == 3
    assert "Nobody has written to us yet." in page
    await api.missive(incoming(await api.contact("made"), "Hello", api.clock.now))
    await api.twilio("/webhooks/twilio/status", {}, token="wrong")
    await api.context.webhook_sources.write(api.engine)
    page = (await editor.get("/desk/settings")).text
    rows = page[page.index("What comes in") :].split("</tr>")
    missive, replies, reports = (next(row for row in rows if source in row) for source in own_numbers.SOURCES.values())
    assert "Works" in missive
    assert "Nothing has come yet" in replies
    assert "Not signed as agreed, since" in reports
    assert "The last reply was written" in page


@pytest.mark.parametrize("page", ADMIN_PAGES)
async def test_users_and_keys_are_for_admins(editor: Browser, page: str) -> None:
    assert (await editor.get(page)).status_code == 403
    assert page not in (await editor.get("/desk/settings")).text


async def test_a_user_is_invited_by_a_link_that_is_shown_once(api: Api, admin: Browser) -> None:
    page = "/desk/settings/users"
    shown = await admin.submit(page, page, name="Bo", email="bo@example.org", role="viewer")
    assert re.search(r"<code>https://[^<]+/desk/invitation/[^<]+</code>", shown.text)
    assert await api.value("SELECT role FROM users WHERE email = 'bo@example.org'") == "viewer"
    assert "/desk/invitation/" not in (await admin.get(page)).text


async def test_who_is_invited_is_said_to_be_so_while_the_link_works(api: Api, admin: Browser) -> None:
    page = "/desk/settings/users"
    await admin.submit(page, page, name="Bo", email="bo@example.org", role="viewer")
    await api.query("UPDATE users SET password_hash = 'x' WHERE email <> 'bo@example.org'")
    with_link = (await admin.get(page)).text
    await api.query("UPDATE invitations SET expires_at = %s", api.clock.now)
    without = (await admin.get(page)).text
    assert ("Invited" in with_link, "The link is over" in with_link) == (True, False)
    assert ("Invited" in without, "The link is over" in without) == (False, True)
    provider = {"oidc_issuer": "https://accounts.example.org", "oidc_client_id": "id", "oidc_client_secret": "secret"}
    url = api.settings.database_url.get_secret_value()
    async with running(settings(url, **provider)) as other, signed_in(other, Role.ADMIN) as with_account:
        page = (await with_account.get(page)).text
    assert "Bo" in page
    assert ("Invited" in page, "The link is over" in page) == (False, False)


async def test_an_address_that_is_none_or_taken_is_said_and_what_was_typed_stays(admin: Browser) -> None:
    page = "/desk/settings/users"
    for email in ("bo", "bo@example.org", "bo@example.org"):
        answer = await admin.submit(page, page, name="Bo", email=email, role="viewer")
    assert answer.status_code == 422
    assert "is a user already" in answer.text
    assert 'value="bo@example.org"' in answer.text


@pytest.mark.parametrize("name", ["a\0b", "x" * 101, "  "])
async def test_a_name_that_cannot_be_kept_is_said(admin: Browser, name: str) -> None:
    page = "/desk/settings/users"
    answer = await admin.submit(page, page, name=name, email="bo@example.org", role="viewer")
    assert answer.status_code == 422


async def test_the_only_admin_cannot_be_disabled(api: Api, admin: Browser) -> None:
    page = "/desk/settings/users"
    answer = await admin.submit(f"{page}/{admin.user_id}", page, do="disable")
    assert answer.status_code == 409
    assert await api.value("SELECT disabled_at FROM users WHERE id = %s", admin.user_id) is None


async def test_a_key_is_shown_once_opens_what_it_may_and_is_taken_back(api: Api, admin: Browser) -> None:
    page = "/desk/settings/keys"
    shown = await admin.submit(page, page, name="the sheet", **{"scope-read": "yes"})
    secret = re.search(r"<code>(broadsheet_[^<]+)</code>", shown.text)
    assert secret is not None
    bearer = {"Authorization": f"Bearer {secret[1]}"}
    assert (await api.client.get("/broadcasts", headers=bearer)).status_code == 200
    assert secret[1] not in (await admin.get(page)).text
    key = await api.value("SELECT id FROM api_keys")
    await admin.submit(f"{page}/{key}/revoke", page)
    assert (await api.client.get("/broadcasts", headers=bearer)).status_code == 401


async def test_i_can_sign_out_another_browser_of_mine(api: Api, editor: Browser) -> None:
    page = "/desk/settings/me"
    async with signed_in(api) as other:
        await api.query(
            "UPDATE sessions SET data = jsonb_set(data, '{user_id}', to_jsonb(%s::bigint)) WHERE user_id = %s",
            editor.user_id, other.user_id,
        )  # fmt: skip
        session = re.search(r"/me/sessions/([0-9a-f]{64})/end", (await editor.get(page)).text)
        assert session is not None
        await editor.submit(f"{page}/sessions/{session[1]}/end", page)
        assert (await other.get(page)).status_code == 303
    assert (await editor.get(page)).status_code == 200
