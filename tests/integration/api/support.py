"""An API on a real database, a clock that tests set, and what tests need to say in one line."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import urlencode

import httpx
from litestar import Litestar
from twilio.request_validator import RequestValidator

from libs.common import catalogue, database
from libs.common.clock import utc_now
from libs.common.database import Engine
from libs.common.settings.api import ApiSettings
from services.api.app import create_app, create_context
from services.api.context import Context
from tests.support import described, servers, witness

KEY = "a-key-for-the-tests"
OTHER_KEY = "another-key-for-the-tests"
MISSIVE_SECRET = "a secret of Missive's rule"
ACCOUNT = "AC0123456789abcdef0123456789abcdef"
TWILIO_TOKEN = "a token of Twilio's account"
PUBLIC_URL = "https://texts.example.org"
FROM = "+13135550100"
OTHER_FROM = "+13135550199"
#: A Wednesday, ten in the morning in Detroit.
NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)


@dataclass(slots=True)
class Clock:
    """The time, as a test wants it."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **passed: float) -> None:
        self.now += timedelta(**passed)


@dataclass(slots=True)
class Api:
    """A client with a key, and the database behind it."""

    client: httpx.AsyncClient
    engine: Engine
    clock: Clock
    settings: ApiSettings
    #: What the API's handlers work with.
    context: Context
    numbers: int = field(default=0)

    async def get(self, path: str, **kwargs: Any) -> httpx.Response:
        return await self.client.get(path, **kwargs)

    async def post(self, path: str, body: Any = None, **kwargs: Any) -> httpx.Response:
        return await self.client.post(path, **({"json": body} if body is not None else {}), **kwargs)

    async def patch(self, path: str, body: Any) -> httpx.Response:
        return await self.client.patch(path, json=body)

    async def query(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        return await witness.query(self.settings.database_url.get_secret_value(), statement, *parameters)

    async def value(self, statement: str, *parameters: Any) -> Any:
        rows = await self.query(statement, *parameters)
        return next(iter(rows[0].values())) if rows else None

    async def column(self, statement: str, *parameters: Any) -> list[Any]:
        return [next(iter(row.values())) for row in await self.query(statement, *parameters)]

    async def counts(self) -> dict[str, int]:
        """Return how many rows each table has: what tells that nothing changed."""
        each = (f"SELECT '{table}' AS name, count(*) AS rows FROM {table}" for table in servers.TABLES)
        return {row["name"]: row["rows"] for row in await self.query(" UNION ALL ".join(each))}

    async def until_somebody_waits(self) -> None:
        """Wait until a transaction waits for another's lock."""
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while await self.value(waiting) == 0:  # noqa: ASYNC110 - it is another process that waits
            await asyncio.sleep(0.01)

    async def contact(self, *tags: str, name: str = "") -> str:
        """Add a contact and give its number."""
        self.numbers += 1
        number = f"+1313555{self.numbers:04}"
        await self.query(
            "INSERT INTO contacts (phone_number, name, tags) VALUES (%s, %s, %s)", number, name, list(tags)
        )
        return number

    async def contact_id(self, number: str) -> int:
        return int(await self.value("SELECT id FROM contacts WHERE phone_number = %s", number))

    async def segment(self, *tags: str, name: str | None = None) -> int:
        filter_ = {"any": list(tags)} if tags else {"all": []}
        answer = await self.post("/segments", {"name": name or "-".join(tags) or "all", "filter": filter_})
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    async def broadcast(self, *segments: int, **fields: Any) -> int:
        answer = await self.post("/broadcasts", wish(*segments, now=self.clock.now, **fields))
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    async def made(self, contacts: int = 3, **fields: Any) -> int:
        """Make a broadcast of so many contacts and give its id."""
        for _ in range(contacts):
            await self.contact("made")
        segment = await self.segment("made", name=f"segment {self.numbers}")
        broadcast = await self.broadcast(segment, **fields)
        answer = await self.post(f"/broadcasts/{broadcast}/send-now")
        assert answer.status_code == 200, answer.text
        return broadcast

    async def sent(self, broadcast: int, *, is_second: bool = False, sids: bool = True) -> None:
        """Let the messages of a phase have been accepted by the carrier."""
        await self.query(
            "UPDATE outgoing_messages SET state = 'accepted', attempts = 1, attempt_started_at = %s"
            " WHERE broadcast_id = %s AND is_second = %s AND state = 'pending'",
            self.clock.now, broadcast, is_second,
        )  # fmt: skip
        await self.query(
            "INSERT INTO broadcast_sent_message_status"
            " (outgoing_message_id, broadcast_id, is_second, outcome, twilio_id)"
            " SELECT id, broadcast_id, is_second, 'accepted', CASE WHEN %s THEN 'SM' || lpad(to_hex(id), 32, '0') END"
            " FROM outgoing_messages"
            " WHERE broadcast_id = %s AND is_second = %s AND state = 'accepted'",
            sids, broadcast, is_second,
        )  # fmt: skip

    async def missive(self, payload: Any, *, secret: str = MISSIVE_SECRET, path: str = "") -> httpx.Response:
        """Send a webhook as Missive signs it."""
        raw = json.dumps(payload).encode() if not isinstance(payload, bytes) else payload
        signature = "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
        return await self.client.post(
            f"/webhooks/missive{path}",
            content=raw,
            headers={"X-Hook-Signature": signature, "Content-Type": "application/json", "Authorization": ""},
        )

    async def twilio(
        self, path: str, form: dict[str, str], *, token: str = TWILIO_TOKEN, is_whole: bool = False
    ) -> httpx.Response:
        """Send a webhook as Twilio signs it, with what Twilio always sends, unless the form is whole as it is."""
        form = form if is_whole else always_sent(path, form)
        validator = RequestValidator(token)  # type: ignore[no-untyped-call]
        signature = validator.compute_signature(PUBLIC_URL + path, form)  # type: ignore[no-untyped-call]
        return await self.client.post(
            path,
            content=urlencode(form).encode(),
            headers={
                "X-Twilio-Signature": signature,
                "Content-Type": "application/x-www-form-urlencoded",
                "Authorization": "",
            },
        )


def wish(*segments: int, now: datetime = NOW, **fields: Any) -> dict[str, Any]:
    """Return what a broadcast is to be, an hour from `now`."""
    share = 100 / len(segments) if segments else 0
    return {
        "run_at": (now + timedelta(hours=1)).isoformat(),
        "first_message": 'It\'s "free" \\ $$ %s {} — ¿vienes? 🎉\nJoin us',
        "second_message": "Don't forget",
        "segments": [{"segment_id": segment, "ratio": share} for segment in segments],
        "max_recipients": 1000,
        **fields,
    }


def sid_of(name: str) -> str:
    """Return a sid as Twilio's are, the same for the same name; what is no name but an attack stays as it is."""
    if len(name) >= 34 or not name.isascii() or not name.isprintable():
        return name
    return f"SM{hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()}"


def always_sent(path: str, form: dict[str, str]) -> dict[str, str]:
    """Add to a form what Twilio sends with each (https://www.twilio.com/docs/messaging/guides/webhook-request)."""
    sid = sid_of(form.get("MessageSid", "SM1"))
    common = {"AccountSid": ACCOUNT, "ApiVersion": "2010-04-01", "To": FROM, "SmsSid": sid}
    if "status" in path:
        return {**common, "MessageStatus": "delivered", **form, "MessageSid": sid}
    received = {"SmsMessageSid": sid, "SmsStatus": "received", "NumMedia": "0", "NumSegments": "1", "Body": ""}
    return {**common, **received, **form, "MessageSid": sid}


def incoming(number: str, body: str, at: datetime, *, sid: str = "SM1", kind: str = "incoming_sms") -> dict[str, Any]:
    """Return what Missive sends when somebody writes to one of our numbers."""
    sid = sid_of(sid)
    return {
        "rule": {"id": "rule", "type": kind},
        "message": {
            "id": f"missive-{sid}",
            "external_id": sid,
            "preview": body[:100],
            "body": body,
            "delivered_at": int(at.timestamp()),
            "from_field": {"phone_number": number},
        },
    }


def settings(database_url: str, **fields: Any) -> ApiSettings:
    """Return settings for an API on a database."""
    return ApiSettings(
        **{
            "_env_file": None,
            "database_url": database_url,
            "from_number": FROM,
            "numbers": (OTHER_FROM, "+13135550111"),
            "api_keys": (KEY, OTHER_KEY),
            "public_url": PUBLIC_URL,
            "missive_webhook_secret": MISSIVE_SECRET,
            "twilio_account_sid": ACCOUNT,
            "twilio_auth_token": TWILIO_TOKEN,
            "send_hold": 0,
            **fields,
        }
    )


@asynccontextmanager
async def holding(app: Litestar) -> AsyncIterator[None]:
    """Hold an app's lifespan open in a task of its own: a fixture begins and ends in different ones."""
    started, ended = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with app.lifespan():
            started.set()
            await ended.wait()

    holding = asyncio.create_task(hold())
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait([holding, waiting], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield
    finally:
        ended.set()
        await holding
        await waiting


_idle: list[tuple[ApiSettings, Litestar]] = []


@contextmanager
def built(configuration: ApiSettings, *, now: Callable[[], datetime] = utc_now) -> Iterator[Litestar]:
    """Lend an API for the time of the block, with connections and all else that its handlers use new.

    To register its routes takes half a second, so it is one that an earlier test has used, where there is one of the
    same settings. Only the database may be another.
    """
    kind = configuration.model_copy(update={"database_url": None})
    found = next((lent for lent in _idle if lent[0] == kind), None)
    if found is None:
        app = create_app(configuration, now=now)
    else:
        _idle.remove(found)
        app = found[1]
        app.state.context = create_context(configuration, now=now)
        catalogue.speak(configuration.language)
    try:
        yield app
    finally:
        _idle.append((kind, app))


@asynccontextmanager
async def running(configuration: ApiSettings) -> AsyncIterator[Api]:
    """Run an API for the time of the block."""
    clock, url = Clock(), configuration.database_url.get_secret_value()
    with built(configuration, now=clock) as app:
        async with (
            holding(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app=cast("Any", app)),
                base_url="http://api",
                headers={"Authorization": f"Bearer {KEY}"},
                timeout=30,
                event_hooks={"response": [described.check]},
            ) as client,
            database.disposing(database.create_engine(url, size=2)) as engine,
            witness.keeping(url),
        ):
            yield Api(client=client, engine=engine, clock=clock, settings=configuration, context=app.state.context)


@asynccontextmanager
async def lifespan_only(configuration: ApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    """Run an API whose database may be away."""
    with built(configuration) as app:
        transport = httpx.ASGITransport(app=cast("Any", app))
        async with holding(app), httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            yield client
