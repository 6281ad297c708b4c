"""ETag and If-Match: what somebody read is what they change, or nothing is."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.integration.api.support import Api

CHANGED = "urn:broadsheet:problem:changed"


async def patch(api: Api, path: str, body: Any, *tags: str) -> httpx.Response:
    headers = [(b"If-Match", tag.encode("latin-1")) for tag in tags]
    return await api.client.patch(path, json=body, headers=headers)


async def test_a_broadcast_that_was_changed_since_it_was_read_is_not_changed(api: Api) -> None:
    path = f"/broadcasts/{await api.broadcast()}"
    read = (await api.get(path)).headers["etag"]
    first = await patch(api, path, {"first_message": "theirs"}, read)
    second = await patch(api, path, {"second_message": "ours"}, read)
    assert (first.status_code, second.status_code, second.json()["type"]) == (200, 412, CHANGED)
    now = await api.get(path)
    assert (now.json()["first_message"], now.json()["second_message"]) == ("theirs", "Don't forget")
    assert now.headers["etag"] == first.headers["etag"] != read
    assert (await patch(api, path, {"second_message": "ours"}, now.headers["etag"])).status_code == 200


async def test_of_two_who_change_what_both_read_one_does(api: Api) -> None:
    for path in (f"/broadcasts/{await api.broadcast()}", f"/contacts/{await api.contact_id(await api.contact())}"):
        field = "first_message" if "broadcasts" in path else "name"
        read = (await api.get(path)).headers["etag"]
        answers = await asyncio.gather(*(patch(api, path, {field: f"number {n}"}, read) for n in range(6)))
        assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412, 412]
        [changed] = [answer for answer in answers if answer.status_code == 200]
        assert (await api.get(path)).json() == changed.json()


async def test_a_contact_who_said_stop_since_they_were_read_is_not_opted_in(api: Api) -> None:
    number = await api.contact("a")
    path = f"/contacts/{await api.contact_id(number)}"
    read = (await api.get(path)).headers["etag"]
    await patch(api, path, {"opted_out": True})
    answer = await patch(api, path, {"opted_out": False}, read)
    assert answer.status_code == 412
    assert (await api.get(path)).json()["opted_out"] is True


async def test_a_new_broadcast_and_a_new_segment_come_with_the_tag_that_get_gives(api: Api) -> None:
    segment = await api.post("/segments", {"name": "a", "filter": {"all": []}})
    assert (await api.get(segment.headers["location"])).headers["etag"] == segment.headers["etag"]
    assert (await api.get(segment.headers["location"])).json() == segment.json()
    broadcast = await api.get(f"/broadcasts/{await api.broadcast()}")
    assert (await api.get(f"/broadcasts/{broadcast.json()['id']}")).headers["etag"] == broadcast.headers["etag"]


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        ((), 200),
        (("*",), 200),
        (("{}",), 200),
        (('"a", {}',), 200),
        (('"a"', "{}"), 200),
        (("{},",), 200),
        (("W/{}",), 412),
        (('"a"',), 412),
        (('"a,{}b"',), 412),
        (('"b", W/"c"',), 412),
        (("a",), 422),
        (("",), 422),
        ((",",), 422),
        (("{}x",), 422),
        (('"a" "b"',), 422),
        (("\xff",), 422),
    ],
)
async def test_if_match_is_read_as_http_has_it(api: Api, tags: tuple[str, ...], status: int) -> None:
    path = f"/broadcasts/{await api.broadcast()}"
    tag = (await api.get(path)).headers["etag"]
    given = [each.replace("{}", tag if '"a,' not in each else tag.strip('"')) for each in tags]
    answer = await patch(api, path, {"first_message": "new"}, *given)
    assert answer.status_code == status, answer.text
    if status == 422:
        assert answer.json()["errors"][0]["field"] == "If-Match"


async def test_what_is_not_there_is_404_whatever_version_is_wanted(api: Api) -> None:
    for path in ("/broadcasts/7", "/contacts/7"):
        assert (await patch(api, path, {}, '"a"')).status_code == 404
