"""The rule of two: a broadcast goes once somebody who did not write it has approved it."""

from collections.abc import AsyncIterator

import pytest

from libs.common.domain.roles import Role
from tests.integration.api import support
from tests.integration.api.desk.browser import signed_in
from tests.integration.api.support import Api


@pytest.fixture
async def strict(api: Api) -> AsyncIterator[Api]:
    """An API, on the same database, that asks for approval."""
    async with support.running(api.settings.model_copy(update={"approval_required": True})) as running:
        yield running


async def broadcast(api: Api) -> int:
    await api.contact("a")
    return await api.broadcast(await api.segment("a"))


async def approved_by(api: Api, broadcast_id: int) -> str | None:
    found: str | None = (await api.get(f"/broadcasts/{broadcast_id}")).json()["approved_by"]
    return found


@pytest.mark.parametrize("path", ["/make", "/broadcasts/1/send-now"])
async def test_a_broadcast_that_nobody_approved_is_not_made(strict: Api, path: str) -> None:
    assert await broadcast(strict) == 1
    answer = await strict.post(path)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:broadsheet:problem:not-approved")
    assert await strict.value("SELECT count(*) FROM outgoing_messages") == 0
    async with signed_in(strict, Role.APPROVER) as approver:
        await approver.submit("/desk/broadcasts/1/approve", "/desk/broadcasts/1")
        assert await approved_by(strict, 1) == f"user:{approver.user_id}"
    assert (await strict.post(path)).is_success


async def test_a_change_takes_the_approval_back(strict: Api) -> None:
    made = await broadcast(strict)
    async with signed_in(strict, Role.ADMIN) as admin:
        await admin.submit(f"/desk/broadcasts/{made}/approve", f"/desk/broadcasts/{made}")
    assert await approved_by(strict, made) is not None
    await strict.patch(f"/broadcasts/{made}", {"first_message": "other words"})
    assert await approved_by(strict, made) is None
    assert (await strict.post(f"/broadcasts/{made}/send-now")).status_code == 409


async def test_an_editor_approves_nothing_and_is_told_who_can(strict: Api) -> None:
    made = await broadcast(strict)
    async with signed_in(strict, Role.EDITOR) as editor:
        page = await editor.get(f"/desk/broadcasts/{made}")
        assert "It needs the approval of an approver or admin who did not write it." in page.text
        answer = await editor.submit(f"/desk/broadcasts/{made}/approve", f"/desk/broadcasts/{made}")
        assert answer.status_code == 403
    assert await approved_by(strict, made) is None


async def test_whoever_wrote_it_cannot_approve_it(strict: Api) -> None:
    made = await broadcast(strict)
    async with signed_in(strict, Role.APPROVER) as approver:
        await strict.query("UPDATE streams SET version = version + 1 WHERE stream = %s", f"broadcast-{made}")
        await strict.query(
            "INSERT INTO events (stream, version, id, type, schema_version, broadcast_id, data, occurred_at,"
            " correlation_id, actor)"
            " SELECT stream, 2, gen_random_uuid(), 'BroadcastEdited', 1, broadcast_id,"
            " data - 'previous_id' || jsonb_build_object('author', %s::text), now(), gen_random_uuid(), %s"
            " FROM events WHERE stream = %s",
            f"user:{approver.user_id}", f"user:{approver.user_id}", f"broadcast-{made}",
        )  # fmt: skip
        answer = await approver.submit(f"/desk/broadcasts/{made}/approve", f"/desk/broadcasts/{made}")
        assert answer.status_code == 409
        assert "somebody else has to" in answer.text


async def test_the_author_is_who_created_or_changed_it(strict: Api) -> None:
    made = await broadcast(strict)
    assert (await strict.get(f"/broadcasts/{made}")).json()["author"] == "key:settings"
    await strict.client.patch(
        f"/broadcasts/{made}", json={"first_message": "other"}, headers={"Broadsheet-User": "ana"}
    )
    assert (await strict.get(f"/broadcasts/{made}")).json()["author"] == "console:ana"


async def test_where_no_approval_is_asked_for_a_broadcast_goes_without(api: Api) -> None:
    made = await broadcast(api)
    assert (await api.post(f"/broadcasts/{made}/send-now")).status_code == 200


async def test_what_nobody_has_approved_is_not_said_to_go_out_and_waits_on_today_for_who_may(strict: Api) -> None:
    made = await broadcast(strict)
    for role, said in ((Role.EDITOR, "Look"), (Role.APPROVER, "Read and approve")):
        async with signed_in(strict, role) as browser:
            today, sidebar = (await browser.get("/desk")).text, (await browser.get("/desk/sidebar")).text
        for page in (today, sidebar):
            assert "Waits for approval. Without it, it does not go out today 11:00." in page
            assert "Goes out today 11:00" not in page
        needs, _, rest = today.partition('id="now-title"')
        assert f'href="/desk/broadcasts/{made}">{said}</a>' in needs
        assert "send now" not in rest
    async with signed_in(strict, Role.ADMIN) as admin:
        await admin.submit(f"/desk/broadcasts/{made}/approve", f"/desk/broadcasts/{made}")
        for path in ("/desk", "/desk/sidebar"):
            page = (await admin.get(path)).text
            assert "Goes out today 11:00 to up to 1,000 people." in page
            assert "Waits for approval" not in page
