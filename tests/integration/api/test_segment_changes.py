"""Segments over HTTP: renamed, changed, deleted where no broadcast names them."""

import asyncio

from libs.common import database
from libs.common.operations import rebuild
from tests.integration.api.support import Api


async def test_a_segment_is_renamed_and_changed_with_who_did_it_on_record(api: Api) -> None:
    segment = await api.segment("a")
    answer = await api.patch(f"/segments/{segment}", {"name": "  Tenants "})
    assert (answer.status_code, answer.json()["name"], answer.json()["filter"]["any"]) == (200, "Tenants", ["a"])
    answer = await api.patch(f"/segments/{segment}", {"filter": {"all": ["b", "b"]}})
    assert answer.json()["filter"] == {"any": [], "all": ["b"], "none": []}
    await api.patch(f"/segments/{segment}", {"name": "Tenants"})  # nothing changes: nothing is on record
    rows = await api.query("SELECT data -> 'fields' AS fields, actor FROM events WHERE type = 'SegmentChanged'")
    assert [(row["fields"], row["actor"]) for row in rows] == [
        (["name"], "key:settings"), (["filter"], "key:settings")
    ]  # fmt: skip


async def test_a_name_that_another_segment_has_is_refused_and_an_old_version_too(api: Api) -> None:
    first, second = await api.segment("a"), await api.segment("b")
    assert (await api.patch(f"/segments/{second}", {"name": "a"})).json()["type"].endswith(":name-taken")
    assert (await api.patch(f"/segments/{first}", {"name": "\u200b"})).status_code == 422
    headers = {"If-Match": (await api.get(f"/segments/{first}")).headers["ETag"]}
    await api.patch(f"/segments/{first}", {"name": "c"})
    assert (await api.client.patch(f"/segments/{first}", json={"name": "d"}, headers=headers)).status_code == 412
    assert (await api.patch("/segments/999", {"name": "d"})).status_code == 404


async def test_a_segment_is_deleted_only_where_no_broadcast_names_it(api: Api) -> None:
    used, unused = await api.segment("a"), await api.segment("b")
    broadcast = await api.broadcast(used)
    refused = await api.client.delete(f"/segments/{used}")
    assert (refused.status_code, refused.json()["detail"]) == (
        409,
        f'"a" is used by the broadcast {broadcast}: it stays',
    )
    assert (await api.client.delete(f"/segments/{unused}")).status_code == 204
    assert (await api.client.delete(f"/segments/{unused}")).status_code == 404
    assert await api.column("SELECT id FROM audience_segments") == [used]
    assert await api.value("SELECT actor FROM events WHERE type = 'SegmentDeleted'") == "key:settings"


async def test_a_segment_that_is_chosen_while_it_is_deleted_is_in_one_of_the_two(api: Api) -> None:
    for n in range(5):
        segment = await api.segment("a", name=f"a{n}")
        wish = {"segments": [{"segment_id": segment, "ratio": 100}]}
        broadcast = await api.broadcast()
        deleted, chosen = await asyncio.gather(
            api.client.delete(f"/segments/{segment}"), api.patch(f"/broadcasts/{broadcast}", wish)
        )
        assert (deleted.status_code, chosen.status_code) in {(204, 422), (409, 200)}


async def test_history_is_rebuilt_also_where_a_broadcast_once_named_a_deleted_segment(api: Api) -> None:
    old, new = await api.segment("a"), await api.segment("b")
    broadcast = await api.broadcast(old)
    await api.patch(f"/broadcasts/{broadcast}", {"segments": [{"segment_id": new, "ratio": 50}]})
    assert (await api.client.delete(f"/segments/{old}")).status_code == 204
    async with database.transaction(api.engine) as connection:
        before = await rebuild.fingerprints(connection)
        await rebuild.rebuild(connection)
        assert await rebuild.fingerprints(connection) == before
