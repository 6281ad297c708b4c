"""Segments over HTTP: renamed, changed, deleted where no broadcast names them."""

import asyncio

import pytest

from libs.common import database
from libs.common.operations import rebuild
from tests.integration.api.support import Api


async def test_a_segment_is_renamed_and_changed_with_who_did_it_on_record(api: Api) -> None:
    segment = await api.segment("a")
    answer = await api.patch(f"/segments/{segment}", {"name": "  Tenants "})
    assert (answer.status_code, answer.json()["name"], answer.json()["filter"]) == (
        200,
        "Tenants",
        {"any": [{"tag": "a"}]},
    )
    answer = await api.patch(f"/segments/{segment}", {"filter": {"all": ["b", "b"]}})
    assert answer.json()["filter"] == {"all": [{"tag": "b"}, {"tag": "b"}]}
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


async def test_a_segment_that_a_broadcast_leaves_out_or_that_fills_it_up_stays(api: Api) -> None:
    used, staff, rest = [await api.segment(each) for each in ("a", "staff", "rest")]
    wish = {"exclude": [{"segment_id": staff}], "fallback": {"segment_id": rest}}
    broadcast = await api.broadcast(used, **wish)
    for segment in (staff, rest):
        assert (await api.client.delete(f"/segments/{segment}")).status_code == 409
    assert (await api.patch(f"/broadcasts/{broadcast}", {"exclude": [], "fallback": None})).status_code == 200
    for segment in (staff, rest):
        assert (await api.client.delete(f"/segments/{segment}")).status_code == 204


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


async def test_a_mistake_in_a_filter_is_told_by_its_json_pointer(api: Api) -> None:
    given = {"any": ["a", "b", {"attribute": "X", "eq": 1}]}
    for answer in (
        await api.post("/segments", {"name": "a", "filter": given}),
        await api.post("/segments/preview", {"filter": given}),
        await api.patch(f"/segments/{await api.segment('a')}", {"filter": given}),
    ):
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "filter/any/2/attribute")


@pytest.mark.parametrize("depth", [21, 300, 900, 5000])
async def test_a_filter_that_is_nested_too_deep_is_refused(api: Api, depth: int) -> None:
    body = b'{"name": "a", "filter": ' + b'{"not":' * depth + b'"a"' + b"}" * depth + b"}"
    answer = await api.client.post("/segments", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, "deep" in answer.text) == (422, True)


async def test_what_a_filter_names_has_to_be_there(api: Api) -> None:
    there = await api.segment("a")
    filter_ = {"all": [{"segment": there}, {"segment": 99}, {"not": {"import": 5}}]}
    answer = await api.post("/segments", {"name": "b", "filter": filter_})
    assert [error["field"] for error in answer.json()["errors"]] == ["filter/all/1/segment", "filter/all/2/not/import"]


async def test_segments_in_a_circle_are_refused_at_whichever_is_changed_last(api: Api) -> None:
    first = await api.segment("a")
    second = (await api.post("/segments", {"name": "b", "filter": {"any": ["b", {"segment": first}]}})).json()["id"]
    third = (await api.post("/segments", {"name": "c", "filter": {"not": {"segment": second}}})).json()["id"]
    for given, place in (
        ({"segment": first}, "filter/segment"),
        ({"all": ["a", {"segment": third}]}, "filter/all/1/segment"),
    ):
        answer = await api.patch(f"/segments/{first}", {"filter": given})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, place)
        assert "in itself" in answer.json()["errors"][0]["message"]


async def test_two_who_put_two_segments_into_each_other_at_once_do_not_both_succeed(api: Api) -> None:
    first, second = await api.segment("a"), await api.segment("b")
    answers = await asyncio.gather(
        api.patch(f"/segments/{first}", {"filter": {"segment": second}}),
        api.patch(f"/segments/{second}", {"filter": {"segment": first}}),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 422]


async def test_a_change_that_makes_too_much_of_a_segment_around_it_is_refused(api: Api) -> None:
    inner = await api.segment("a")
    around = {"any": [{"segment": inner}] * 20}
    await api.post("/segments", {"name": "around", "filter": around})
    many = {"any": [{"attribute": "age", "eq": number} for number in range(150)]}
    answer = await api.patch(f"/segments/{inner}", {"filter": many})
    assert (answer.status_code, "is around it" in answer.text) == (422, True)
    assert (await api.get(f"/segments/{inner}")).json()["filter"] == {"any": [{"tag": "a"}]}


async def test_a_segment_that_another_names_is_not_deleted(api: Api) -> None:
    inner = await api.segment("a", name="inner")
    outer = (await api.post("/segments", {"name": "outer", "filter": {"not": {"segment": inner}}})).json()["id"]
    refused = await api.client.delete(f"/segments/{inner}")
    assert (refused.status_code, '"outer"' in refused.json()["detail"]) == (409, True)
    assert (await api.client.delete(f"/segments/{outer}")).status_code == 204
    assert (await api.client.delete(f"/segments/{inner}")).status_code == 204


async def test_who_is_in_another_segment_or_a_file_is_counted(api: Api) -> None:
    await api.client.post(
        "/contacts/import", content="phone,tags\n3135550101,a\n3135550102,b\n", headers={"Content-Type": "text/csv"}
    )
    await api.contact("a")
    segment = await api.segment("a")
    for filter_, count in (
        ({"segment": segment}, 2),
        ({"import": 1}, 2),
        ({"all": [{"import": 1}, {"segment": segment}]}, 1),
        ({"not": {"import": 1}}, 1),
    ):
        assert (await api.post("/segments/preview", {"filter": filter_})).json()["count"] == count


async def test_a_broadcast_shows_whom_its_segment_took_in_when_it_was_made(api: Api) -> None:
    await api.contact("a")
    segment = await api.segment("a")
    broadcast = await api.broadcast(segment)
    assert (await api.get(f"/broadcasts/{broadcast}")).json()["segments"][0]["filter"] is None
    await api.post(f"/broadcasts/{broadcast}/send-now")
    await api.patch(f"/segments/{segment}", {"filter": "b"})
    [made] = (await api.get(f"/broadcasts/{broadcast}")).json()["segments"]
    assert made["filter"] == {"any": [{"tag": "a"}]}
