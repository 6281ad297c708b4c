"""How a broadcast goes on, and what it waits for: as the planner and the sender go by it."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from libs.common import database
from libs.common.broadcasts import restore_hold, sending_numbers
from libs.common.rate_limits import rate
from services.api.broadcasts.wait_reasons import WaitReason
from tests.integration.api.support import Api


@pytest.fixture
async def broadcast(api: Api) -> int:
    """A broadcast of three that has sent nothing yet, with limits that a sender has prepared."""
    made = await api.made(3)
    number = await api.value("SELECT sending_number_id FROM broadcasts WHERE id = %s", made)
    async with database.transaction(api.engine) as connection:
        ours = await sending_numbers.one(connection, number)
        await rate.prepare(connection, [limit.key for limit in rate.limits(api.settings, ours)])
    return made


async def now(api: Api, broadcast: int) -> Any:
    answer = await api.get(f"/broadcasts/{broadcast}/pace")
    assert answer.status_code == 200, answer.text
    return answer.json()["now"]


async def test_one_that_simply_sends_says_its_limit_and_its_end(api: Api, broadcast: int) -> None:
    going = await now(api, broadcast)
    assert (going["waits_for"], going["remaining"]) == (None, 3)
    assert going["limit"] == {"carrier": None, "messages": 1.0, "seconds": 1.0}
    end = datetime.fromisoformat(going["expected_end"]) - api.clock.now
    assert timedelta(seconds=3) <= end < timedelta(seconds=4)


async def test_two_that_share_a_number_have_half_its_pace_each(api: Api, broadcast: int) -> None:
    await api.made(3)
    going = await now(api, broadcast)
    assert going["shared_by"] == 2
    assert datetime.fromisoformat(going["expected_end"]) - api.clock.now > timedelta(seconds=6)


async def test_quiet_hours_hold_it_until_they_end(api: Api, broadcast: int) -> None:
    api.clock.forward(hours=12)
    going = await now(api, broadcast)
    assert going["waits_for"] == WaitReason.QUIET_HOURS
    assert going["until"] == "2026-03-05T13:00:00Z"
    assert going["expected_end"].startswith("2026-03-05T13:00:03")


async def test_it_says_how_many_wait_for_the_morning_where_they_are(api: Api, broadcast: int) -> None:
    await api.query("UPDATE outgoing_messages SET place = 'Pacific/Honolulu US' WHERE id IN (SELECT max(id) FROM"
                    " outgoing_messages WHERE NOT is_second)")  # fmt: skip
    going = await now(api, broadcast)
    assert (going["waits_for"], going["asleep"], going["wakes_at"]) == (None, 1, "2026-03-04T18:00:00Z")
    assert going["expected_end"].startswith("2026-03-04T18:00:01")
    await api.query("UPDATE outgoing_messages SET place = 'Pacific/Honolulu US'")
    going = await now(api, broadcast)
    assert (going["waits_for"], going["until"]) == (WaitReason.QUIET_HOURS, "2026-03-04T18:00:00Z")
    # It is no fault that nothing leaves.
    api.clock.forward(hours=2)
    assert (await now(api, broadcast))["waits_for"] == WaitReason.QUIET_HOURS


async def from_another(api: Api, broadcast: int, count: int) -> int:
    """Have the broadcast's last `count` first messages leave from another number; return that."""
    other: int = await api.value("INSERT INTO sending_numbers (phone_number) VALUES ('+13135550111') RETURNING id")
    await api.query("UPDATE broadcasts SET pool = ARRAY[%s::bigint] WHERE id = %s", other, broadcast)
    await api.query(
        "UPDATE outgoing_messages SET pool_index = 1 WHERE id IN (SELECT id FROM outgoing_messages"
        " WHERE broadcast_id = %s AND NOT is_second ORDER BY id DESC LIMIT %s)", broadcast, count,
    )  # fmt: skip
    return other


async def test_of_several_numbers_each_sends_at_its_pace_and_the_last_to_end_is_the_end(api: Api) -> None:
    broadcast = await api.made(9)
    other = await from_another(api, broadcast, 3)
    end = datetime.fromisoformat((await now(api, broadcast))["expected_end"]) - api.clock.now
    assert timedelta(seconds=6) <= end < timedelta(seconds=7)
    await api.query("UPDATE sending_numbers SET rate = 0.1 WHERE id = %s", other)
    going = await now(api, broadcast)
    assert going["limit"]["messages"] == 0.1
    assert datetime.fromisoformat(going["expected_end"]) - api.clock.now >= timedelta(seconds=30)
    await api.query("UPDATE sending_numbers SET enabled = false WHERE id = %s", other)
    going = await now(api, broadcast)
    assert (going["waits_for"], going["remaining"], going["expected_end"]) == (None, 9, None)


async def test_of_several_numbers_one_whose_people_sleep_holds_nobody_else(api: Api) -> None:
    broadcast = await api.made(9)
    await from_another(api, broadcast, 6)
    await api.query("UPDATE outgoing_messages SET place = 'Pacific/Honolulu US' WHERE pool_index = 1")
    going = await now(api, broadcast)
    assert (going["waits_for"], going["asleep"], going["wakes_at"]) == (None, 6, "2026-03-04T18:00:00Z")
    assert going["expected_end"].startswith("2026-03-04T18:00:06")


async def test_what_has_not_left_before_the_second_night_is_not_expected_after_it(api: Api) -> None:
    broadcast = await api.made(20)
    api.clock.forward(hours=10, minutes=59, seconds=48)  # 20:59:48 in Detroit
    await api.query(
        "UPDATE broadcasts SET made_at = made_at - interval '5 hours', hold_until = %s WHERE id = %s",
        api.clock.now, broadcast,
    )  # fmt: skip
    going = await now(api, broadcast)
    assert (going["waits_for"], going["expected_end"]) == (None, "2026-03-05T02:00:00Z")
    assert going["cut_off_at"] == going["expected_end"]
    api.clock.forward(hours=1)
    going = await now(api, broadcast)
    assert going["waits_for"] == WaitReason.QUIET_HOURS
    assert going["expected_end"] == going["cut_off_at"] < going["until"]


async def test_a_carrier_that_fails_is_said_with_since_when_until_it_takes_one(api: Api, broadcast: int) -> None:
    async with database.transaction(api.engine) as connection:
        await rate.back_off(connection, "missive", 600)
    going = await now(api, broadcast)
    assert going["waits_for"] == WaitReason.CARRIER_ERRORS
    assert datetime.fromisoformat(going["since"]) <= api.clock.now
    assert timedelta(0) < datetime.fromisoformat(going["until"]) - api.clock.now <= timedelta(seconds=600)
    async with database.transaction(api.engine) as connection:
        await rate.release(connection, "missive")
    # It took one, and said that its window is used up with it.
    assert (await now(api, broadcast))["waits_for"] == WaitReason.CARRIER_LIMIT
    assert (await now(api, broadcast))["since"] is None


async def test_a_window_that_is_used_up_decides_and_is_named(api: Api, broadcast: int) -> None:
    await api.query("UPDATE pace SET next_at = now() + interval '10 minutes' WHERE key = 'missive:900/900'")
    going = await now(api, broadcast)
    assert going["waits_for"] == WaitReason.PACE
    assert going["limit"] == {"carrier": "missive", "messages": 900.0, "seconds": 900.0}


async def test_what_waits_for_a_person_has_no_end(api: Api, broadcast: int) -> None:
    for number in await api.column("SELECT phone_number FROM contacts"):
        await api.query(
            "INSERT INTO replies (provider_id, phone_number, body, received_at, review)"
            " VALUES (%s, %s, 'please', %s, 'waiting')",
            f"m-{number}", number, api.clock.now,
        )  # fmt: skip
    going = await now(api, broadcast)
    assert (going["waits_for"], going["about"], going["expected_end"]) == (WaitReason.REVIEW, 3, None)


async def test_a_restored_database_holds_everything(api: Api, broadcast: int) -> None:
    async with database.transaction(api.engine) as connection:
        await restore_hold.hold(connection, api.clock.now, api.clock.now)
    assert (await now(api, broadcast))["waits_for"] == WaitReason.RESTORE


async def test_one_of_which_nothing_leaves_though_it_might_is_promised_no_end(api: Api, broadcast: int) -> None:
    since = api.clock.now
    api.clock.forward(minutes=1)
    assert (await now(api, broadcast))["waits_for"] is None
    api.clock.forward(minutes=59)
    going = await now(api, broadcast)
    assert (going["waits_for"], going["expected_end"]) == (WaitReason.STUCK, None)
    assert datetime.fromisoformat(going["since"]) == since
    # Others take the number's slots, or the carrier has asked for a break that ends: it is its turn in a moment.
    await api.query("UPDATE pace SET next_at = now() WHERE key LIKE 'number:%%'")
    assert (await now(api, broadcast))["waits_for"] is None
    await api.query("UPDATE pace SET next_at = '-infinity', held_until = now()")
    assert (await now(api, broadcast))["waits_for"] is None


async def test_a_phase_that_does_not_end_is_stuck(api: Api, broadcast: int) -> None:
    await api.sent(broadcast)
    assert (await now(api, broadcast))["waits_for"] is None
    api.clock.forward(minutes=3)
    assert (await now(api, broadcast))["waits_for"] == WaitReason.STUCK


async def test_what_may_leave_only_now_is_not_stuck(api: Api, broadcast: int) -> None:
    api.clock.forward(hours=1)
    await api.query("UPDATE outgoing_messages SET not_before = %s", api.clock.now - timedelta(seconds=10))
    assert (await now(api, broadcast))["waits_for"] is None
    await api.query("UPDATE outgoing_messages SET not_before = '-infinity'")
    assert (await now(api, broadcast))["waits_for"] == WaitReason.STUCK
    for action in ("pause", "resume"):
        assert (await api.post(f"/broadcasts/{broadcast}/{action}")).status_code == 200
    assert (await now(api, broadcast))["waits_for"] is None
    api.clock.forward(hours=11, minutes=1)  # ten in the evening
    assert (await now(api, broadcast))["waits_for"] == WaitReason.QUIET_HOURS
    api.clock.forward(hours=9, minutes=59, seconds=30)  # half a minute after they have ended
    assert (await now(api, broadcast))["waits_for"] is None


async def test_one_that_does_not_send_waits_for_nothing(api: Api, broadcast: int) -> None:
    await api.post(f"/broadcasts/{broadcast}/pause")
    assert await now(api, broadcast) is None
    assert (await api.get("/broadcasts/999/pace")).status_code == 404
