"""Sending an uncertain message again all the same: by name, on record, and never over a no."""

import asyncio

import pytest

from libs.common import database
from libs.common.broadcasts import repository
from libs.common.database import Connection
from libs.common.domain import events as e
from libs.common.eventstore import store
from tests.integration.api.support import NOW, Api, incoming

WHO = {"by": "Ann Arbor", "reason": "She says that she got nothing"}


async def uncertain(api: Api) -> tuple[int, int, str]:
    """Make a broadcast whose only first message is uncertain; return it, the message and its number."""
    broadcast = await api.made(1)
    await api.query(
        "UPDATE outgoing_messages SET state = 'uncertain', attempts = 1, attempt_started_at = %s WHERE NOT is_second",
        NOW,
    )
    [row] = await api.query("SELECT id, recipient_phone_number AS number FROM outgoing_messages WHERE NOT is_second")
    return broadcast, row["id"], row["number"]


async def states(api: Api) -> list[str]:
    return [row["state"] for row in await api.query("SELECT state FROM outgoing_messages ORDER BY is_second")]


async def test_staff_have_an_uncertain_message_sent_again_and_it_is_on_record_who_said_so(api: Api) -> None:
    broadcast, message, _ = await uncertain(api)
    answer = await api.post(f"/broadcasts/{broadcast}/messages/{message}/send-again", WHO)
    assert answer.status_code == 200
    assert answer.json() == {
        "broadcast_id": broadcast, "message_id": message, "state": "pending", "by": "Ann Arbor"
    }  # fmt: skip
    assert (await states(api))[0] == "pending"
    data = await api.value("SELECT data FROM events WHERE type = 'MessageSentAgain'")
    assert (data["message_id"], data["by"], data["reason"]) == (message, "Ann Arbor", "She says that she got nothing")
    assert await api.value("SELECT count(*) FROM outbox WHERE type = 'MessageSentAgain'") == 1


async def test_pressed_twice_it_goes_once_more_at_the_most(api: Api) -> None:
    broadcast, message, _ = await uncertain(api)
    path = f"/broadcasts/{broadcast}/messages/{message}/send-again"
    answers = await asyncio.gather(*(api.post(path, WHO) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert await api.value("SELECT count(*) FROM events WHERE type = 'MessageSentAgain'") == 1


@pytest.mark.parametrize("state", ["pending", "accepted", "refused", "skipped"])
async def test_only_what_is_uncertain_is_sent_again(api: Api, state: str) -> None:
    broadcast, message, _ = await uncertain(api)
    reason = "'cancelled'" if state == "skipped" else "NULL"
    await api.query(f"UPDATE outgoing_messages SET state = '{state}', skip_reason = {reason} WHERE NOT is_second")
    answer = await api.post(f"/broadcasts/{broadcast}/messages/{message}/send-again", WHO)
    assert (answer.status_code, (await states(api))[0]) == (409, state)


async def test_not_once_its_phase_is_over_but_while_it_is_paused(api: Api) -> None:
    broadcast, message, _ = await uncertain(api)
    path = f"/broadcasts/{broadcast}/messages/{message}/send-again"

    async def finish(connection: Connection) -> None:
        sending = await repository.load(connection, broadcast)
        over = e.PhaseFinished(broadcast_id=broadcast, is_second=False, second_due_at=NOW, uncertain=1)
        await repository.save(connection, sending, [over], NOW)

    async with database.transaction(api.engine) as connection:
        await finish(connection)
    assert (await api.post(path, WHO)).status_code == 409
    assert (await states(api))[0] == "uncertain"
    other, message, _ = await uncertain_again(api)
    await api.post(f"/broadcasts/{other}/pause")
    assert (await api.post(f"/broadcasts/{other}/messages/{message}/send-again", WHO)).status_code == 200


async def uncertain_again(api: Api) -> tuple[int, int, str]:
    broadcast = await api.made(1)
    where = "WHERE broadcast_id = %s AND NOT is_second"
    await api.query(
        f"UPDATE outgoing_messages SET state = 'uncertain', attempts = 1, attempt_started_at = %s {where}",
        NOW, broadcast,
    )  # fmt: skip
    return broadcast, await api.value(f"SELECT id FROM outgoing_messages {where}", broadcast), ""


async def test_never_after_an_opt_out(api: Api) -> None:
    broadcast, message, number = await uncertain(api)
    await api.missive(incoming(number, "STOP", api.clock.now))
    answer = await api.post(f"/broadcasts/{broadcast}/messages/{message}/send-again", WHO)
    assert answer.status_code == 409
    assert "opted out" in answer.json()["detail"]
    assert (await states(api))[0] == "uncertain"


@pytest.mark.parametrize("body", [{}, {"by": ""}, {"by": "  "}, {"by": 7}, {"by": "Ann", "why": "?"}])
async def test_nobody_sends_again_without_a_name(api: Api, body: dict[str, object]) -> None:
    broadcast, message, _ = await uncertain(api)
    answer = await api.post(f"/broadcasts/{broadcast}/messages/{message}/send-again", body)
    assert (answer.status_code, (await states(api))[0]) == (422, "uncertain")


async def test_a_message_of_another_broadcast_is_not_found(api: Api) -> None:
    broadcast, message, _ = await uncertain(api)
    for path in (f"/broadcasts/{broadcast}/messages/{message + 99}", f"/broadcasts/{broadcast + 1}/messages/{message}"):
        assert (await api.post(f"{path}/send-again", WHO)).status_code == 404


async def test_a_number_in_the_reason_is_not_kept(api: Api) -> None:
    """Invariant 8: events hold no phone number, whoever writes it."""
    broadcast, message, number = await uncertain(api)
    body = {"by": "Ann", "reason": f"{number} called"}
    await api.post(f"/broadcasts/{broadcast}/messages/{message}/send-again", body)
    async with database.transaction(api.engine) as connection:
        recorded, _ = await store.read(connection, store.stream(broadcast, "messages"))
    assert number not in str([item.event for item in recorded])
