"""A broadcast's page while it is watched: what changed comes as HTML, counted once for all who watch."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy.pool import QueuePool

from libs.common.domain.states import BroadcastState
from services.api.broadcasts import snapshot
from services.api.broadcasts.snapshot import Snapshot
from services.api.http import lasting
from tests.integration.api.desk.browser import Browser, signed_in
from tests.integration.api.support import Api

PATIENCE = 90.0


def events(answer: httpx.Response) -> list[dict[str, str]]:
    """The events of a stream, without its comments."""
    found = []
    for block in answer.text.split("\r\n\r\n"):
        lines = [line.partition(": ") for line in block.split("\r\n") if line and not line.startswith((":", "retry"))]
        if lines:
            joined: dict[str, str] = {}
            for name, _, value in lines:
                joined[name] = f"{joined[name]}\n{value}" if name in joined else value
            found.append(joined)
    return found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - others change it
            await asyncio.sleep(0.01)


async def until_told(api: Api, broadcast: int, state: str) -> None:
    """Wait until those who follow a broadcast have been told of a state."""
    hub = api.context.hub

    def told() -> bool:
        latest = hub.latest(broadcast)
        return latest is not None and latest.broadcast.state == state

    await until(told)


@pytest.fixture
async def broadcast(api: Api) -> int:
    return await api.made(3)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Snapshot]:
    """Every count of a broadcast, as it is made."""
    found: list[Snapshot] = []
    read = snapshot.read

    async def recorded(*arguments: Any) -> Snapshot:
        found.append(await read(*arguments))
        return found[-1]

    monkeypatch.setattr(snapshot, "read", recorded)
    return found


def address(page: str) -> str:
    found = re.search(r'sse-connect="([^"]+)"', page)
    assert found is not None
    return found[1]


async def test_a_page_is_told_what_changed_in_its_own_words_until_it_is_over(
    api: Api, editor: Browser, broadcast: int
) -> None:
    page = f"/desk/broadcasts/{broadcast}"
    watching = asyncio.create_task(editor.get(address((await editor.get(page)).text)))
    await until_told(api, broadcast, "sending_first")
    await editor.submit(f"{page}/pause", page)
    await until_told(api, broadcast, "paused")
    await api.post(f"/broadcasts/{broadcast}/cancel")
    answer = await asyncio.wait_for(watching, PATIENCE)
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events(answer)
    paused = [each for each in told if "Paused by Ana Diaz, " in each["data"]]
    assert told[0] == paused[0], "nothing is sent that the page shows already"
    assert paused[0]["event"] == "state"
    levers = next(each for each in told if each["event"] == "levers")
    assert f'action="{page}/resume"' in levers["data"]
    assert re.search(r'name="_csrf_token" value="[^"]{20,}"', levers["data"])
    assert told[-1]["event"] == "end"


async def test_who_comes_back_with_what_they_have_seen_is_sent_nothing_twice(
    api: Api, editor: Browser, broadcast: int
) -> None:
    await api.post(f"/broadcasts/{broadcast}/cancel")
    first = events(await editor.get(f"/desk/broadcasts/{broadcast}/live"))
    assert [each["event"] for each in first] == ["state", "levers", "figures", "beside", "end"]
    # A browser that was cut off between two parts has no id yet, and gets all of them.
    assert [each["event"] for each in first if "id" in each] == ["beside"]
    version = first[3]["id"]
    again = await editor.get(f"/desk/broadcasts/{broadcast}/live?seen=old", headers={"Last-Event-ID": version})
    assert [each["event"] for each in events(again)] == ["end"]


async def test_however_many_watch_it_is_counted_once_a_change_and_nobody_holds_a_connection(
    api: Api, editor: Browser, broadcast: int, counted: list[Snapshot]
) -> None:
    paths = [f"/desk/broadcasts/{broadcast}/live", f"/broadcasts/{broadcast}/stream"] * 10
    watching = [asyncio.create_task((editor if "desk" in path else api).get(path)) for path in paths]
    hub = api.context.hub

    await until(lambda: hub.followers(broadcast) == len(paths))
    await until_told(api, broadcast, "sending_first")
    pool = api.engine.sync_engine.pool
    assert isinstance(pool, QueuePool)
    await until(lambda: pool.checkedout() == 0)
    await api.post(f"/broadcasts/{broadcast}/cancel")
    answers = await asyncio.wait_for(asyncio.gather(*watching), PATIENCE)
    assert all("cancelled" in answer.text.lower() for answer in answers)
    # A count without news comes every few seconds, however many watch.
    assert len(counted) < len(paths)
    assert [each.broadcast.state for each in counted].count(BroadcastState.CANCELLED) == 1
    assert hub.followers(broadcast) == 0


async def test_who_is_shut_out_meanwhile_is_told_nothing_more(
    api: Api, editor: Browser, broadcast: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lasting, "EVERY", 0)
    made = (await api.post("/keys", {"name": "website", "scopes": ["read"]})).json()
    by_key = {"Authorization": f"Bearer {made['secret']}"}
    async with signed_in(api, name="Cleo Park") as disabled:
        watching = [
            asyncio.create_task(editor.get(f"/desk/broadcasts/{broadcast}/live")),
            asyncio.create_task(disabled.get(f"/desk/broadcasts/{broadcast}/live")),
            asyncio.create_task(api.client.get(f"/broadcasts/{broadcast}/stream", headers=by_key)),
            asyncio.create_task(api.get(f"/broadcasts/{broadcast}/stream")),  # stays, by a key of the settings
        ]
        await until(lambda: api.context.hub.followers(broadcast) == len(watching))
        await until_told(api, broadcast, "sending_first")
        await api.query("DELETE FROM sessions WHERE user_id = %s", editor.user_id)
        await api.query("UPDATE users SET disabled_at = now() WHERE id = %s", disabled.user_id)
        assert (await api.client.delete(f"/keys/{made['key']['id']}")).is_success
        await api.post(f"/broadcasts/{broadcast}/cancel")
        answers = await asyncio.wait_for(asyncio.gather(*watching), PATIENCE)
    assert ["cancelled" in answer.text.lower() for answer in answers] == [False, False, False, True]


async def test_who_has_left_is_watched_for_no_more(api: Api, broadcast: int) -> None:
    hub = api.context.hub
    following = hub.follow(broadcast)
    first = await anext(following)
    assert first is not None
    assert first.broadcast.state == "sending_first"
    [task] = hub._tasks
    await following.aclose()
    await asyncio.wait_for(task, PATIENCE)
    assert hub.followers(broadcast) == 0


async def test_a_page_of_a_broadcast_that_is_over_watches_nothing(api: Api, editor: Browser, broadcast: int) -> None:
    await api.post(f"/broadcasts/{broadcast}/cancel")
    assert "sse-connect" not in (await editor.get(f"/desk/broadcasts/{broadcast}")).text


async def test_what_is_not_there_cannot_be_watched(api: Api, editor: Browser) -> None:
    assert (await editor.get("/desk/broadcasts/999/live")).status_code == 404
