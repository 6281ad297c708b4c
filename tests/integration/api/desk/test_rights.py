"""What each role is shown, and what it is refused when it asks all the same."""

import re

import pytest

from libs.common.domain.roles import OF_ROLE, Permission, Role
from services.api.http import permissions
from tests.integration.api.broadcasts.test_reports import halfway
from tests.integration.api.desk import crawling
from tests.integration.api.desk.browser import signed_in
from tests.integration.api.desk.test_reply_pages import likely
from tests.integration.api.support import Api

POSTS = {
    route.removeprefix("POST "): permission
    for route, permission in permissions.NEEDED.items()
    if route.startswith("POST /desk")
}
FORM = re.compile(r'<form method="post" action="(/desk[^"]*)"')
COMPOSE = re.compile(r'href="/desk/compose')


def needed(address: str) -> Permission:
    """What sending a form there takes. Signing out is for everybody."""
    for template, permission in POSTS.items():
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), address.partition("?")[0]):
            return permission
    assert address == "/desk/sign-out", address
    return Permission.READ


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
async def test_nobody_is_shown_a_button_that_would_be_refused(api: Api, role: Role) -> None:
    sending = await halfway(api)
    paused = await api.made(1)
    await api.post(f"/broadcasts/{paused}/pause")
    await likely(api)
    scheduled = await api.broadcast(await api.segment("made", name="next"))
    begins = ["/desk", *(f"/desk/broadcasts/{each}" for each in (sending, paused, scheduled))]
    async with signed_in(api, role) as browser:
        pages = await crawling.pages(browser, begins)
    shown = {action for page in pages.values() for action in FORM.findall(page)}
    refused = {action for action in shown if needed(action) not in OF_ROLE[role]}
    assert refused == set()
    # What a role may do, it finds.
    may_send = Permission.SEND in OF_ROLE[role]
    wanted = {f"/desk/broadcasts/{sending}/pause", f"/desk/broadcasts/{paused}/resume", "/desk/stop"}
    assert (wanted <= shown) == may_send
    assert any(COMPOSE.search(page) for page in pages.values()) == may_send


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR, Role.APPROVER])
async def test_what_a_role_may_not_do_is_refused_and_changes_nothing(api: Api, role: Role) -> None:
    broadcast = await api.made(1)
    async with signed_in(api, role) as browser:
        before = await api.counts()
        for template in (each for each, permission in POSTS.items() if permission not in OF_ROLE[role]):
            address = template.replace("{broadcast_id}", str(broadcast))
            answer = await browser.submit(re.sub(r"{\w+}", "1", address), "/desk/settings/me")
            assert answer.status_code == 403, template
            assert "may not" in answer.text, template
        assert await api.counts() == before
    assert (await api.get(f"/broadcasts/{broadcast}")).json()["state"] == "sending_first"
