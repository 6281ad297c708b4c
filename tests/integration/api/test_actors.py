"""Every change names who made it."""

from datetime import timedelta
from typing import Any

import pytest

from libs.common import database
from libs.common.domain.roles import Scope
from services.api.accounts import api_keys
from tests.integration.api.support import FROM, Api, incoming


async def key(api: Api, *scopes: Scope, name: str = "website") -> dict[str, str]:
    """Return the header of a new key."""
    async with database.transaction(api.engine) as connection:
        _, shown = await api_keys.add(connection, name=name, scopes=scopes, now=api.clock())
    return {"Authorization": f"Bearer {shown}"}


async def actors(api: Api) -> list[Any]:
    return await api.column("SELECT DISTINCT actor FROM events ORDER BY actor")


@pytest.mark.parametrize(
    ("headers", "actor"),
    [
        ({}, "key:settings"),
        ({"Broadsheet-User": "ana"}, "console:ana"),
        ({"Broadsheet-User": "Jos%C3%A9"}, "console:José"),
    ],
)
async def test_what_a_key_of_the_settings_does_names_the_key_or_whoever_is_at_the_command_line(
    api: Api, headers: dict[str, str], actor: str
) -> None:
    broadcast = await api.broadcast()
    await api.query("TRUNCATE outbox")
    assert (await api.post(f"/broadcasts/{broadcast}/cancel", headers=headers)).status_code == 200
    assert await api.column("SELECT actor FROM events WHERE type = 'BroadcastCancelled'") == [actor]
    assert set(await api.column("SELECT actor FROM outbox")) == {actor}


async def test_a_key_of_a_program_is_named_and_cannot_take_another_name(api: Api) -> None:
    broadcast = await api.broadcast()
    headers = {**await key(api, Scope.SEND), "Broadsheet-User": "ana"}
    assert (await api.post(f"/broadcasts/{broadcast}/cancel", headers=headers)).status_code == 200
    assert "key:website" in await actors(api)
    assert "console:ana" not in await actors(api)


async def test_the_events_of_a_broadcast_say_who_did_it(api: Api) -> None:
    broadcast = await api.broadcast()
    found: list[dict[str, Any]] = []
    while not found:  # what other transactions hold up comes later
        found = (await api.get(f"/broadcasts/{broadcast}/events")).json()["items"]
    assert (found[0]["actor"], found[0]["actor_name"]) == ("key:settings", None)


async def test_what_a_webhook_tells_is_told_by_its_carrier(api: Api) -> None:
    number = await api.contact()
    await api.missive(incoming(number, "STOP", api.clock.now))
    assert await actors(api) == ["carrier:missive"]
    other = await api.contact()
    await api.twilio("/webhooks/twilio/sms", {"MessageSid": "SM2", "From": other, "To": FROM, "Body": "STOP"})
    assert await actors(api) == ["carrier:missive", "carrier:twilio"]


@pytest.mark.parametrize("scope", Scope)
async def test_a_key_may_do_what_its_scopes_say_and_nothing_else(api: Api, scope: Scope) -> None:
    broadcast = await api.broadcast()
    headers = await key(api, scope)
    assert (await api.get("/broadcasts", headers=headers)).status_code == 200
    changed = await api.client.patch(f"/broadcasts/{broadcast}", json={"recurring": False}, headers=headers)
    paused = await api.post(f"/broadcasts/{broadcast}/cancel", headers=headers)
    assert changed.status_code == (200 if scope is Scope.WRITE else 403)
    assert paused.status_code == (200 if scope is Scope.SEND else 403)
    if changed.status_code == 403:
        assert changed.json()["type"].endswith(":forbidden")


async def test_a_key_that_was_taken_back_opens_nothing_at_once(api: Api) -> None:
    headers = await key(api, Scope.READ)
    assert (await api.get("/broadcasts", headers=headers)).status_code == 200
    async with database.transaction(api.engine) as connection:
        await api_keys.revoke(connection, 1, api.clock())
    assert (await api.get("/broadcasts", headers=headers)).status_code == 401


async def test_the_last_use_of_a_key_is_known_to_the_minute(api: Api) -> None:
    headers = await key(api, Scope.READ)
    first = api.clock.now
    await api.get("/broadcasts", headers=headers)
    api.clock.now += timedelta(seconds=30)
    await api.get("/broadcasts", headers=headers)
    assert await api.value("SELECT used_at FROM api_keys") == first
    api.clock.now += timedelta(seconds=31)
    await api.get("/broadcasts", headers=headers)
    assert await api.value("SELECT used_at FROM api_keys") == api.clock.now


async def test_a_key_that_looks_like_one_and_is_none_opens_nothing(api: Api) -> None:
    answer = await api.get("/broadcasts", headers={"Authorization": f"Bearer {api_keys.PREFIX}{'a' * 43}"})
    assert answer.status_code == 401


async def test_the_table_does_not_hold_the_key(api: Api) -> None:
    shown = (await key(api, Scope.READ))["Authorization"].removeprefix("Bearer ")
    assert api_keys.FORM.fullmatch(shown)
    assert shown not in str(await api.query("SELECT name, encode(hash, 'escape') FROM api_keys"))
