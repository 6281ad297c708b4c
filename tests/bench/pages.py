"""How long each page of the desk takes on the server, in a newsroom's database, for an admin who is signed in.

One process of the API answers one request after another, over a connection that stays open. What a page loads after
itself (htmx) is measured as well, and says so by its name. The processor time is that of the API and of its connections
to PostgreSQL: it says what a page costs on a machine that has other work as well. What PostgreSQL gives to parallel
workers is not in it.
"""

import re
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]
import psycopg
from rich.table import Table

from libs.common import settings
from libs.common.settings.api import ApiSettings
from services.api.app import create_app
from services.api.broadcasts.listing import Part, Place
from tests.bench import newsroom
from tests.bench.checkouts import KEY, SETTINGS, THIS, Service
from tests.bench.newsroom import ADMIN, COMMON, FIRST_NUMBER, NEWEST, RARE, Newsroom
from tests.browser.pages import INVITATION, NO_PAGES, SIGN_IN, fits, templates

TIMES = 30  # requests of each page
WARM_UP = 3  # requests of each page before those
PASSWORD = "three plain words"
#: The API's connections to the database.
CONNECTIONS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'broadsheet' AND datname = current_database()"
TOKEN = re.compile(r'name="_csrf_token" value="([^"]+)"')
#: What is not measured: files of all lines, what is followed, and what is for who is not signed in.
NOT_MEASURED = {
    SIGN_IN, INVITATION, "/desk/sign-in/provider", "/desk/sign-in/provider/callback",
    "/desk/broadcasts/{broadcast_id}/live", "/desk/people/import/{import_id}/progress",
    "/desk/broadcasts/{broadcast_id}/report.csv", "/desk/broadcasts/{broadcast_id}/{message}/{key}/people.csv",
    "/desk/replies/export.csv", "/desk/replies/export-with-numbers.csv",
    "/desk/settings/consent/export.csv", "/desk/settings/consent/export.jsonl",
    "/desk/people/import/{import_id}/rejected.csv",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Something that a browser asks for."""

    name: str
    address: str
    #: What a form sends; None for a page that is only opened.
    form: Mapping[str, str] | None = None
    #: Whether a page that is there already loads it.
    is_part: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How long a page took, in milliseconds."""

    page: Page
    took: list[float]
    #: Milliseconds of processor time of one request.
    cpu: float

    @property
    def p50(self) -> float:
        return statistics.median(self.took)

    @property
    def p95(self) -> float:
        return sorted(self.took)[min(len(self.took) - 1, int(len(self.took) * 0.95))]


def pages(room: Newsroom) -> list[Page]:
    """Return all that is measured."""
    number = f"+1{FIRST_NUMBER + room.people // 2}"
    audience = {"segment-1": "1", "share-1": "60", "segment-2": "1", "share-2": "40", "recipients": "2000"}
    words = {"first_message": "What should we look into?", "second_message": "Still there?", "delay": "60"}
    oldest = Place(Part.PAST, -int((datetime.now(UTC) - room.ago(26)).timestamp() * 1_000_000), -26)
    found = {
        "Today": "/desk",
        "Sidebar": "/desk/sidebar",
        "Broadcasts": "/desk/broadcasts",
        "Broadcasts, the oldest": f"/desk/broadcasts?cursor={oldest}",
        "Broadcast of some hundreds": f"/desk/broadcasts/{room.past - 1}",
        "Broadcast of 50,000, over": f"/desk/broadcasts/{room.large}",
        "Broadcast of 50,000, under way": f"/desk/broadcasts/{room.under_way}",
        "Broadcast's people, delivered": f"/desk/broadcasts/{room.large}/first/delivered",
        "Broadcast's people, delivered, the last": f"/desk/broadcasts/{room.large}/first/delivered?cursor="
        f"{room.people - room.people // 1000}",
        "Broadcast's people, not delivered": f"/desk/broadcasts/{room.large}/first/undelivered-30007",
        "Broadcast's people, replied": f"/desk/broadcasts/{room.large}/follow-up/skipped-replied",
        "Stop everything": "/desk/stop",
        "Compose": "/desk/compose",
        "Compose, a copy": f"/desk/compose?copy={room.past}",
        "Compose, change": f"/desk/compose/{room.scheduled}",
        "Replies": "/desk/replies",
        "Replies, unread": "/desk/replies?only=unread",
        "Replies, mine": "/desk/replies?only=mine",
        "Replies, open": "/desk/replies?only=open",
        "Replies, done": "/desk/replies?only=done",
        "Replies, likely opt-outs": "/desk/replies?only=likely-opt-outs",
        "Replies to a broadcast": f"/desk/replies?broadcast={room.large}",
        "Replies of a phase": "/desk/replies?phase=second",
        "Replies of a group": "/desk/replies?segment=5",
        "Replies, words found": "/desk/replies?find=bus",
        "Replies, words not found": "/desk/replies?find=zeppelin",
        "Replies, a number": f"/desk/replies?find={httpx.QueryParams(find=number)['find'].replace('+', '%2B')}",
        "Reply": "/desk/replies/1",
        "People": "/desk/people",
        "People, far on": f"/desk/people?cursor={room.people // 2}",
        "People by number": f"/desk/people?find={number.replace('+', '%2B')}",
        "People by the beginning of a name": "/desk/people?find=mar",
        "People by a whole name": "/desk/people?find=Ana+Garcia",
        "People by a rare name": "/desk/people?find=zebr",
        "People by a name of nobody": "/desk/people?find=zzyzx",
        "People by a common tag": f"/desk/people?tag={COMMON}",
        "People by a rare tag": f"/desk/people?tag={RARE}",
        "People by a tag of the newest": f"/desk/people?tag={NEWEST}",
        "People by a tag of nobody": "/desk/people?tag=nobody",
        "Person": f"/desk/people/{room.people // 2}",
        "Import": "/desk/people/import",
        "Import of a file": "/desk/people/import/1",
        "Groups": "/desk/segments",
        "Group, new": "/desk/segments/new",
        "Group of everybody": "/desk/segments/1",
        "Group of a district": "/desk/segments/5",
        "History": "/desk/history",
        "History, with a broadcast of 50,000": f"/desk/history?cursor={room.large + 1}",
        "Settings": "/desk/settings",
        "Settings, me": "/desk/settings/me",
        "Settings, users": "/desk/settings/users",
        "Settings, numbers": "/desk/settings/numbers",
        "Settings, keys": "/desk/settings/keys",
        "Settings, notices": "/desk/settings/notices",
        "Settings, keywords": "/desk/settings/keywords",
        "One keyword": "/desk/settings/keywords/1",
        "The API's page": "/schema/page",
        "Consent on record": "/desk/settings/consent",
        "Audit": "/desk/settings/audit",
        "Audit, the oldest": "/desk/settings/audit?cursor=2300",
    }
    parts = {
        "Groups: how many are in everybody": "/desk/segments/1/count",
        "Groups: how many are in a district": "/desk/segments/5/count",
        "Compose: tests": "/desk/compose/tests",
    }
    forms = {
        "Compose: words": ("/desk/compose/words", words),
        "Compose: audience": ("/desk/compose/audience", {**words, **audience}),
        "Group: who is in it": ("/desk/segments/preview", {"what_0": "any_tag", "value_0": "district-4"}),
        "Group: who is in everybody": ("/desk/segments/preview", {}),
    }
    return [
        *(Page(name=name, address=address) for name, address in found.items()),
        *(Page(name=name, address=address, is_part=True) for name, address in parts.items()),
        *(Page(name=name, address=address, form=form, is_part=True) for name, (address, form) in forms.items()),
    ]


def measure(room: Newsroom, tell: Callable[[str], None], *, times: int = TIMES) -> list[Measured]:
    """Fill a database, and ask for all pages; return the slowest first."""
    wanted = pages(room)
    check_whole(wanted)
    with THIS.database() as url, TemporaryDirectory() as folder:
        began = time.perf_counter()
        newsroom.fill(url, room)
        tell(f"{room.people:,} people and {room.past:,} past broadcasts, filled in {time.perf_counter() - began:.0f} s")
        with THIS.service("api", Path(folder), DATABASE_URL=url) as api, closing(signed_in(api)) as client:
            token = TOKEN.search(client.get("/desk/compose").text)
            assert token is not None
            with psycopg.connect(url, autocommit=True) as connection:
                found = [
                    _ask(client, page, token[1], lambda: _processor_time(api, connection), times) for page in wanted
                ]
    return sorted(found, key=lambda each: -each.p95)


def check_whole(wanted: list[Page]) -> None:
    """Raise AssertionError if the desk has a page that is not measured."""
    app = create_app(settings.load(ApiSettings, database_url="postgresql://nobody@127.0.0.1:1/none", **_given()))
    known = {*templates(app), *NO_PAGES} - NOT_MEASURED
    left = [each for each in known if not any(fits(page.address.partition("?")[0], each) for page in wanted)]
    assert not left, f"not measured: {left}"


def _given() -> dict[str, str]:
    return {name.lower(): value for name, value in SETTINGS.items() if name.lower() in ApiSettings.model_fields}


def signed_in(api: Service) -> httpx.Client:
    """Return a client in which the admin is signed in, by the link of an invitation."""
    client = httpx.Client(base_url=f"http://127.0.0.1:{api.port}", timeout=60)
    made = client.post(f"/users/{ADMIN}/invitation", headers={"Authorization": f"Bearer {KEY}"}).raise_for_status()
    path = httpx.URL(made.json()["link"]).path
    token = TOKEN.search(client.get(path).raise_for_status().text)
    assert token is not None
    answer = client.post(path, data={"_csrf_token": token[1], "password": PASSWORD})
    assert answer.status_code == httpx.codes.SEE_OTHER, answer.text
    return client


def _processor_time(api: Service, connection: psycopg.Connection[Any]) -> float:
    pids = connection.execute(CONNECTIONS).fetchall()
    return api.processor_time() + sum(sum(psutil.Process(pid).cpu_times()[:2]) for (pid,) in pids)


def _ask(client: httpx.Client, page: Page, token: str, processor_time: Callable[[], float], times: int) -> Measured:
    """Ask for a page, again and again."""
    took: list[float] = []
    before = 0.0
    for n in range(WARM_UP + times):
        if n == WARM_UP:
            before = processor_time()
        began = time.perf_counter()
        if page.form is None:
            answer = client.get(page.address)
        else:
            answer = client.post(page.address, data={"_csrf_token": token, **page.form})
        assert answer.status_code == httpx.codes.OK, f"{page.address} is answered with {answer.status_code}"
        if n >= WARM_UP:
            took.append((time.perf_counter() - began) * 1000)
    return Measured(page=page, took=took, cpu=(processor_time() - before) / times * 1000)


def table(measured: list[Measured]) -> Table:
    """Return the figures as a table."""
    made = Table("page", "p50, ms", "p95, ms", "processor, ms")
    for each in measured:
        name = f"{each.page.name} (after the page)" if each.page.is_part else each.page.name
        made.add_row(name, f"{each.p50:.0f}", f"{each.p95:.0f}", f"{each.cpu:.0f}")
    return made
