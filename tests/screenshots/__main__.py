"""`make screenshots`: every page of the desk in light, in dark and on a phone, over a demo's data.

It runs the demo's broadcast, takes pictures before it, while it sends and after it, and follows the links of the desk
to every page that there is. `--readme` writes the pictures that README shows as well.
"""

import argparse
import asyncio
import re
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from rich.console import Console

from libs.common import settings
from libs.common.domain.states import BroadcastState
from libs.common.settings.api import ApiSettings
from libs.console import demo
from libs.console.client import Client
from libs.console.local_stack import Running
from libs.console.running import everything
from services.api.app import create_app
from tests.browser.pages import SIGN_IN, Walk, fits
from tests.screenshots import camera
from tests.screenshots.camera import DARK, LIGHT, PHONE, Camera

ROOT = Path(__file__).parents[2]
README = ROOT / "docs" / "pictures"
SEED = 7
PASSWORD = "three plain words"
#: Pages of which there is nothing to see yet before the first broadcast.
EMPTY = ("/desk", "/desk/broadcasts", "/desk/history", "/desk/replies", "/desk/people", "/desk/segments")
#: What asks for a stop in words of its own, so that somebody has to decide.
LIKELY = "please take me off your list"
PATIENCE = 120.0  # seconds


def main() -> None:
    """Take the pictures; fail if a page is wider than its window, or no link leads to it."""
    parser = argparse.ArgumentParser(prog="make screenshots", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "screenshots", help="where the pictures go")
    parser.add_argument("--readme", action="store_true", help=f"also write those of README into {README}")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(take_all(given.folder, README if given.readme else None))


async def take_all(folder: Path, readme: Path | None) -> None:
    """Run everything, and take pictures of it."""
    zone = demo.zone_of_today(datetime.now(UTC))
    given = {**demo.SETTINGS, "TIMEZONE": zone, "ORGANISATION": "The Detroit Desk"}
    async with everything(settings=given, simulator=demo.simulated(SEED), tell=_tell, fresh=True) as (running, _):
        link = await asyncio.to_thread(demo.invite, running)
        async with camera.ready(running.api_url) as pictures:
            await pictures.take(folder, "sign-in", SIGN_IN)
            await pictures.take(folder, "invitation", link.removeprefix(running.api_url))
            await pictures.sign_in(link, PASSWORD)
            for address in EMPTY:
                await pictures.take(folder, f"{_name(address)}-empty", address)
            with closing(Client(running.api_url, running.api_key)) as client:
                coming = await _broadcast(pictures, folder, client, running, readme)
                paused = await asyncio.to_thread(_add, client, running)
            await _wait_for_the_likely_opt_out(pictures)
            await pictures.take(folder, "broadcast-paused", f"/desk/broadcasts/{paused}")
            await _mistakes(pictures, folder)
            left = await _walk(pictures, folder, running, [f"/desk/compose/{coming}", "/desk/broadcasts/1"])
            if readme is not None:
                await pictures.open("/desk/compose?copy=1")
                await pictures.frame(readme / "compose.png", PHONE)
            problems = [f"wider than its window: {name}" for name in pictures.too_wide]
            problems += [f"no link leads to {page}" for page in left]
    _tell(f"the pictures are in {folder}")
    if problems:
        raise SystemExit("\n".join(problems))


async def _broadcast(pictures: Camera, folder: Path, client: Client, running: Running, readme: Path | None) -> int:
    """Send the demo's broadcast, and take pictures while it goes out; return the one that follows on it."""
    broadcast_id = await asyncio.to_thread(demo.prepare, client, running, (demo.FIRST, demo.SECOND), "")
    await pictures.open(f"/desk/broadcasts/{broadcast_id}")
    # The page follows the broadcast by itself.
    await pictures.page.locator("#sentence", has_text=re.compile(r"Sending the first message: [1-9]\d")).wait_for()
    await pictures.take(folder, "broadcast-sending")
    if readme is not None:
        await pictures.frame(readme / "broadcast.png", DARK)
    await pictures.take(folder, "today-sending", "/desk")
    if readme is not None:
        await pictures.frame(readme / "today.png", LIGHT)
    await pictures.take(folder, "stop-sending", "/desk/stop")
    await pictures.take(folder, "sidebar-sending", "/desk/sidebar")
    report = await demo.follow(client, broadcast_id)
    assert report["state"] == BroadcastState.COMPLETED, report
    return int(report["next_broadcast_id"])


async def _mistakes(pictures: Camera, folder: Path) -> None:
    """Take pictures of what somebody sees who goes wrong."""
    await pictures.open("/desk/broadcasts/999999", status=404)
    await pictures.take(folder, "not-found")
    await pictures.open("/desk/compose")
    await pictures.press("Schedule")
    await pictures.take(folder, "compose-mistakes")


def _add(client: Client, running: Running) -> int:
    """Add what a demo has not: a second broadcast to compare it with and one that is paused, somebody who may want no
    more texts, a user and a key. Return the one that is paused.
    """
    segment = client.call("GET", "/segments")["items"][0]["id"]
    asked = _send(client, segment, "What does the city get right on your block? Reply and tell us. STOP to opt out.")
    paused = _send(client, segment, "How late was your bus this morning? Reply with the line. STOP to opt out.")
    client.call("POST", f"/broadcasts/{paused}/pause")
    client.call("POST", "/users", json={"email": "ben@example.org", "name": "Ben Okafor", "role": "editor"})
    client.call("POST", "/keys", json={"name": "website", "scopes": ["read"]})
    body = {"from": _silent(client), "to": running.settings["FROM_NUMBER"], "body": LIKELY}
    httpx.post(f"{running.simulator_url}/_simulator/inbound", json=body).raise_for_status()
    ends = time.monotonic() + PATIENCE
    while client.call("GET", f"/broadcasts/{asked}")["state"] != BroadcastState.COMPLETED:
        assert time.monotonic() < ends, "the second broadcast does not end"
        time.sleep(0.5)
    return paused


def _send(client: Client, segment: int, words: str) -> int:
    """Send a broadcast to 60 people; return its number."""
    wish = {
        "run_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        "first_message": words,
        "second_message": "One more chance to tell us.",
        "segments": [{"segment_id": segment, "ratio": 100}],
        "max_recipients": 60,
        "recurring": False,
    }
    sent = int(client.call("POST", "/broadcasts", json=wish)["id"])
    client.call("POST", f"/broadcasts/{sent}/send-now")
    return sent


def _silent(client: Client) -> str:
    """Return the number of somebody who gets texts and has said nothing yet."""
    contacts: list[Mapping[str, object]] = client.call("GET", "/contacts")["items"]
    return str(next(each["phone_number"] for each in contacts if not each["opted_out"]))


async def _wait_for_the_likely_opt_out(pictures: Camera) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            await pictures.page.goto(f"{pictures.base}/desk/replies")
            if await pictures.page.get_by_text(LIKELY).count():
                return
            await asyncio.sleep(0.2)


async def _walk(pictures: Camera, folder: Path, running: Running, begins: list[str]) -> list[str]:
    """Take a picture of every page that a link leads to; return those that none leads to."""
    given = {name.lower(): value for name, value in running.settings.items()}
    fields = {name: value for name, value in given.items() if name in ApiSettings.model_fields}
    app = create_app(settings.load(ApiSettings, **fields))
    walk = Walk(app, ["/desk", *begins])
    while address := walk.next():
        template = next(page for page in walk.pages if fits(address, page))
        await pictures.take(folder, _name(template), address)
        await walk.look_around(pictures.page)
    return walk.left


def _tell(words: str) -> None:
    Console().print(f"· {words}", soft_wrap=True)


def _name(template: str) -> str:
    """Return the name of a page's pictures: `/desk/people/{contact_id}` is `people-contact`."""
    words = re.sub(r"{(\w+?)(_id)?}", r"\1", template).removeprefix("/desk").strip("/").replace("/", "-")
    return words or "today"


if __name__ == "__main__":
    main()
