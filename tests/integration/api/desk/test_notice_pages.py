"""Choosing notices: each for themselves, an admin for everybody."""

import re

import pytest

from libs.common.domain.roles import Role
from tests.integration.api.desk.browser import Browser, signed_in
from tests.integration.api.support import Api

PAGE = "/desk/settings/notices"
CONVERSATION = "00f78fe9-f11a-4b4e-a502-67e6138d3b0f"


async def chosen(api: Api) -> list[tuple[object, ...]]:
    rows = await api.query("SELECT user_id, channel, address, kinds FROM notice_targets ORDER BY id")
    return [tuple(row.values()) for row in rows]


async def test_a_user_chooses_letters_to_their_own_address_and_takes_that_back(api: Api, editor: Browser) -> None:
    answer = await editor.submit(f"{PAGE}/me/email", PAGE, address="else@example.org", **{"kind-paused": "yes"})
    assert answer.status_code == 303
    assert await chosen(api) == [(editor.user_id, "email", "", ["paused"])]
    assert re.search(r'id="me-email-paused"[^>]* checked', (await editor.get(PAGE)).text)
    await editor.submit(f"{PAGE}/me/email", PAGE)
    assert await chosen(api) == []
    events = await api.query("SELECT stream, actor, data FROM events WHERE type = 'NoticesChosen' ORDER BY position")
    assert {(each["stream"], each["actor"]) for each in events} == {
        (f"user-{editor.user_id}", f"user:{editor.user_id}")
    }
    assert [each["data"]["kinds"] for each in events] == [["paused"], []]
    assert "chose the notices of" in (await editor.get("/desk/settings/audit")).text


async def test_the_secret_of_a_webhook_is_shown_once_and_stays_as_long_as_its_address(api: Api) -> None:
    async with signed_in(api, Role.ADMIN) as admin:
        hook = {"address": "http://127.0.0.1:9000/hook", "kind-finished": "yes"}
        shown = await admin.submit(f"{PAGE}/all/webhook", PAGE, **hook)
        secret = re.search(r"<code>(whsec_[^<]+)</code>", shown.text)
        assert secret is not None
        again = await admin.submit(f"{PAGE}/all/webhook", PAGE, **hook, **{"kind-missed": "yes"})
        assert again.status_code == 303
        assert "whsec_" not in (await admin.get(PAGE)).text
        assert await api.column("SELECT secret FROM notice_targets") == [secret[1].replace("&#43;", "+")]
        other = await admin.submit(f"{PAGE}/all/webhook", PAGE, **{**hook, "address": "https://hooks.example.org/"})
        assert "whsec_" in other.text
        assert secret[1] not in other.text


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        ("webhook", "http://hooks.example.org/"),
        ("webhook", "https://127.0.0.1/"),
        ("webhook", "http://localhost:15672/"),
        ("webhook", "https://user:password@hooks.example.org/"),
        ("webhook", "https://[nowhere/"),
        ("webhook", "javascript:alert(1)"),
        ("missive", "the newsroom"),
        ("missive", ""),
    ],
)
async def test_an_address_that_notices_do_not_go_to_is_said_and_nothing_is_kept(
    api: Api, editor: Browser, channel: str, address: str
) -> None:
    answer = await editor.submit(f"{PAGE}/me/{channel}", PAGE, address=address, **{"kind-paused": "yes"})
    assert answer.status_code == 422
    assert f'href="#me-{channel}-address"' in answer.text
    assert await chosen(api) == []


async def test_a_conversation_is_known_by_its_link(api: Api, editor: Browser) -> None:
    link = f"https://mail.missiveapp.com/#inbox/conversations/{CONVERSATION}"
    await editor.submit(f"{PAGE}/me/missive", PAGE, address=link, **{"kind-paused": "yes"})
    assert await chosen(api) == [(editor.user_id, "missive", CONVERSATION, ["paused"])]


async def test_only_an_admin_chooses_for_everybody(api: Api, editor: Browser) -> None:
    assert "For everybody" not in (await editor.get(PAGE)).text
    answer = await editor.submit(f"{PAGE}/all/missive", PAGE, address=CONVERSATION, **{"kind-paused": "yes"})
    assert answer.status_code == 403
    assert await chosen(api) == []


async def test_the_page_says_why_the_last_notice_was_not_delivered(api: Api, editor: Browser) -> None:
    await editor.submit(f"{PAGE}/me/email", PAGE, **{"kind-paused": "yes"})
    await api.query(
        "INSERT INTO notices (target_id, kind, about, actor, happened_at, due_at, attempts, failure)"
        " SELECT id, 'paused', 1, 'service:planner', now(), now(), 1, 'no mail server is set' FROM notice_targets"
    )
    assert "It is tried again: no mail server is set." in (await editor.get(PAGE)).text


async def test_a_test_notice_is_asked_for_once_and_the_page_says_what_became_of_it(api: Api, editor: Browser) -> None:
    button = f'action="{PAGE}/me/email/test"'
    assert button not in (await editor.get(PAGE)).text, "there is no way to try yet"
    await editor.submit(f"{PAGE}/me/email/test", PAGE)
    assert await api.value("SELECT count(*) FROM notices") == 0
    await editor.submit(f"{PAGE}/me/email", PAGE, **{"kind-paused": "yes"})
    assert button in (await editor.get(PAGE)).text
    answer = await editor.submit(f"{PAGE}/me/email/test", PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}#me-email")
    await editor.submit(f"{PAGE}/me/email/test", PAGE)
    assert await api.query("SELECT kind, actor FROM notices") == [{"kind": "test", "actor": f"user:{editor.user_id}"}]
    assert "A test notice is on its way." in (await editor.get(PAGE)).text
    await api.query(
        "UPDATE notices SET attempts = 1, outcome = 'given_up', failure = 'no mail server is set', ended_at = now()"
    )
    assert "The test notice was not delivered: no mail server is set." in (await editor.get(PAGE)).text
    await api.query("UPDATE notices SET outcome = 'sent', failure = NULL")
    assert "The test notice was delivered" in (await editor.get(PAGE)).text
    assert (await editor.submit(f"{PAGE}/me/pigeon/test", PAGE)).status_code == 404


async def test_only_an_admin_tries_what_is_everybodys(api: Api, editor: Browser) -> None:
    async with signed_in(api, Role.ADMIN) as admin:
        await admin.submit(f"{PAGE}/all/missive", PAGE, address=CONVERSATION, **{"kind-paused": "yes"})
        assert (await editor.submit(f"{PAGE}/all/missive/test", PAGE)).status_code == 403
        assert (await admin.submit(f"{PAGE}/all/missive/test", PAGE)).status_code == 303
    assert await api.column("SELECT kind FROM notices") == ["test"]
