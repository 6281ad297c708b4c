"""A text of which nobody knows whether it went out: what can be done about it stands beside each person."""

import pytest

from libs.common.domain.roles import Role
from tests.integration.api.desk.browser import Browser, signed_in
from tests.integration.api.support import Api
from tests.integration.api.test_send_again import states, uncertain


async def test_one_button_sends_it_again_by_name_and_with_the_reason(api: Api, editor: Browser) -> None:
    broadcast, message, _ = await uncertain(api)
    page = f"/desk/broadcasts/{broadcast}/first/uncertain"
    text = (await editor.get(page)).text
    action = f"/desk/broadcasts/{broadcast}/messages/{message}/send-again"
    assert f'action="{action}"' in text
    assert "Send it again to those who tell you" in text
    answer = await editor.submit(action, page, reason=" She has\0 nothing ")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/desk/broadcasts/{broadcast}")
    assert (await states(api))[0] == "pending"
    data = await api.value("SELECT data FROM events WHERE type = 'MessageSentAgain'")
    assert (data["message_id"], data["by"], data["reason"]) == (message, "Ana Diaz", "She has nothing")


@pytest.mark.parametrize("paused", [False, True])
async def test_once_its_message_is_over_there_is_no_button_and_other_advice(
    api: Api, editor: Browser, paused: bool
) -> None:
    broadcast, _, _ = await uncertain(api)
    state = (
        "state = 'paused', pause_reason = 'staff', paused_from = 'waiting'"
        if paused
        else "state = 'waiting', second_due_at = now()"
    )
    await api.query(f"UPDATE broadcasts SET {state} WHERE id = %s", broadcast)
    text = (await editor.get(f"/desk/broadcasts/{broadcast}/first/uncertain")).text
    assert "/send-again" not in text
    assert "It is too late to send it again" in text


async def test_while_it_is_paused_it_can_be_sent_again(api: Api, editor: Browser) -> None:
    broadcast, _, _ = await uncertain(api)
    await api.post(f"/broadcasts/{broadcast}/pause")
    assert "/send-again" in (await editor.get(f"/desk/broadcasts/{broadcast}/first/uncertain")).text


async def test_who_may_not_send_sees_no_button(api: Api) -> None:
    broadcast, _, _ = await uncertain(api)
    async with signed_in(api, Role.VIEWER) as viewer:
        assert "/send-again" not in (await viewer.get(f"/desk/broadcasts/{broadcast}/first/uncertain")).text


async def test_today_leads_to_the_people_themselves(api: Api, editor: Browser) -> None:
    broadcast, _, _ = await uncertain(api)
    api.clock.forward(minutes=20)
    assert f'href="/desk/broadcasts/{broadcast}/first/uncertain"' in (await editor.get("/desk")).text


async def test_the_history_says_who_had_it_sent_again_and_who_asked_for_tests(api: Api, editor: Browser) -> None:
    broadcast, message, _ = await uncertain(api)
    api.clock.forward(minutes=1)
    await api.post(f"/broadcasts/{broadcast}/test", {"to": ["+13135550177"]})
    api.clock.forward(minutes=1)
    address = f"/desk/broadcasts/{broadcast}"
    again = f"{address}/messages/{message}/send-again"
    await editor.submit(again, f"{address}/first/uncertain", reason="She has nothing")
    page = (await editor.get(address)).text
    history = page[page.index('class="timeline"') :]
    sent = history.index("Ana Diaz sent a text again of which nobody knew whether it went out: “She has nothing”.")
    tried = history.index("asked for 2 tests of it.")
    assert sent < tried < history.index("scheduled it for")
