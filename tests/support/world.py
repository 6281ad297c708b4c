"""Broadcasts on a real database, made the way the services make them, and a clock that tests set."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import SecretStr

from libs.common import database
from libs.common.broadcasts import making, repository, scheduling
from libs.common.carriers.outcomes import Accepted, Outcome
from libs.common.clock import utc_now
from libs.common.database import Engine
from libs.common.domain import events as e
from libs.common.domain.broadcast import Broadcast
from libs.common.eventstore import store
from libs.common.settings import CarrierSettings
from libs.common.settings.planner import PlannerSettings
from services.planner.advance import advance
from services.planner.context import Planner
from services.sender import batches, outcomes
from services.sender.batches import Batch, StartedAttempt
from tests.support import servers, witness
from tests.support.processes import until

#: A Wednesday, ten in the morning in Detroit.
NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
FROM = "+13135550100"
FIRST = 'It\'s "free" \\ $$ %s {} — ¿vienes? 🎉\nJoin us'
SECOND = "Don't forget: $1 'or' \"two\"\\n"


class Clock:
    """The time, as a test wants it; without a time, the real one."""

    def __init__(self, at: datetime | None = NOW) -> None:
        self._at = at

    def __call__(self) -> datetime:
        return self._at or utc_now()

    @property
    def now(self) -> datetime:
        return self()

    @now.setter
    def now(self, at: datetime) -> None:
        self._at = at

    def forward(self, **passed: float) -> datetime:
        self.now += timedelta(**passed)
        return self.now


class WorkersSettings(CarrierSettings, PlannerSettings):
    """What all workers need together."""


def make_settings(
    database_url: str | SecretStr = "postgresql://nobody@127.0.0.1:1/none", **fields: Any
) -> WorkersSettings:
    """Return settings that no environment changes: no quiet hours, no windows, Missive."""
    return WorkersSettings(
        **{
            "_env_file": None,
            "database_url": database_url,
            "amqp_url": "amqp://nobody@127.0.0.1:1/",
            "from_number": FROM,
            "timezone": "America/Detroit",
            "holidays": "US-MI",
            "quiet_hours": "",
            "carrier": "missive",
            "missive_token": "token",
            "missive_windows": "",
            "twilio_account_sid": "AC1",
            "twilio_auth_token": "token",
            "send_rate": 1.0,
            "batch_size": 50,
            "batch_seconds": 60.0,
            "send_concurrency": 5,
            "second_delay": 600,
            "send_hold": 0,
            "settle_after": 120.0,
            "lease": 15.0,
            "request_timeout": 15.0,
            "max_attempts": 3,
            **fields,
        }
    )


#: Where the numbers are that contacts are given here.
HERE = "America/New_York US"


@dataclass(slots=True)
class World:
    """What a service has to work with, and what tests need to say in one line."""

    engine: Engine
    settings: WorkersSettings
    clock: Clock = field(default_factory=Clock)
    numbers: int = 0

    @property
    def worker(self) -> Planner:
        """A service's connections, with this clock."""
        return Planner(settings=self.settings, engine=self.engine, long_work=self.engine, clock=self.clock)

    @property
    def schedule(self) -> making.Schedule:
        return making.Schedule(
            zone=self.settings.zone,
            calendar=self.settings.calendar,
            cap=self.settings.cap,
            send_rate=self.settings.send_rate,
        )

    async def query(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        return await witness.query(self.settings.database_url.get_secret_value(), statement, *parameters)

    async def value(self, statement: str, *parameters: Any) -> Any:
        rows = await self.query(statement, *parameters)
        return next(iter(rows[0].values())) if rows else None

    async def column(self, statement: str, *parameters: Any) -> list[Any]:
        return [next(iter(row.values())) for row in await self.query(statement, *parameters)]

    async def dump(self) -> dict[str, list[str]]:
        """Return every row of every table: what tells that nothing changed."""
        each = (f"SELECT '{table}' AS name, t::text AS row FROM {table} t" for table in servers.TABLES)
        found: dict[str, list[str]] = {table: [] for table in servers.TABLES}
        for row in await self.query(f"{' UNION ALL '.join(each)} ORDER BY name, row"):
            found[row["name"]].append(row["row"])
        return found

    async def contacts(self, count: int, *tags: str) -> list[int]:
        """Add contacts and give their ids."""
        first = self.numbers + 1
        self.numbers += count
        return await self.column(
            "INSERT INTO contacts (phone_number, tags) SELECT '+1313' || (5550000 + n)::text, %s"
            " FROM generate_series(%s::int, %s::int) AS n RETURNING id",
            list(tags), first, self.numbers,
        )  # fmt: skip

    async def number_of(self, contact: int) -> str:
        return str(await self.value("SELECT phone_number FROM contacts WHERE id = %s", contact))

    async def segment(self, *tags: str, name: str | None = None, rule: Any = None) -> int:
        """Add a segment of those who have any of the tags, everybody without one; `rule` is another filter."""
        rule = rule or ({"any": list(tags)} if tags else {"all": []})
        name = name or f"segment {await self.value('SELECT count(*) FROM audience_segments')}"
        return int(
            await self.value("INSERT INTO audience_segments (name, filter) VALUES (%s, %s) RETURNING id",
                             name, Jsonb(rule))
        )  # fmt: skip

    async def sending_number(self, phone_number: str = FROM) -> int:
        await self.query("INSERT INTO sending_numbers (phone_number) VALUES (%s) ON CONFLICT DO NOTHING", phone_number)
        return int(await self.value("SELECT id FROM sending_numbers WHERE phone_number = %s", phone_number))

    async def scheduled(self, *segments: int | tuple[int, float], run_at: datetime | None = None, **fields: Any) -> int:
        """Schedule a broadcast, due now unless `run_at` is given, and give its id. Segments share it equally."""
        share = 100 / len(segments) if segments else 0
        number = await self.sending_number(fields.pop("from_number", FROM))
        async with database.transaction(self.engine) as connection:
            event = e.BroadcastScheduled(
                **{
                    "broadcast_id": await making.new_id(connection),
                    "run_at": run_at or self.clock.now,
                    "first_message": FIRST,
                    "second_message": SECOND,
                    "second_delay": 600,
                    "segments": tuple(
                        e.Segment(segment_id=item, ratio=share)
                        if isinstance(item, int)
                        else e.Segment(segment_id=item[0], ratio=item[1])
                        for item in segments
                    ),
                    "max_recipients": 1000,
                    "sending_number_id": number,
                    "recurring": False,
                    **fields,
                }
            )
            await making.create(connection, event, self.clock.now)
        return event.broadcast_id

    async def make(self, broadcast_id: int) -> making.Made:
        async with database.transaction(self.engine) as connection:
            return await making.make(
                connection, await repository.load(connection, broadcast_id), self.schedule, self.clock.now, by_hand=True
            )

    async def made(self, contacts: int = 3, **fields: Any) -> int:
        """Make a broadcast to so many new contacts, and give its id."""
        tag = f"tag{self.numbers}"
        await self.contacts(contacts, tag)
        broadcast_id = await self.scheduled(await self.segment(tag), **fields)
        await self.make(broadcast_id)
        return broadcast_id

    async def load(self, broadcast_id: int) -> Broadcast:
        async with database.transaction(self.engine) as connection:
            return await repository.load(connection, broadcast_id)

    async def apply(self, broadcast_id: int, *events: e.Event) -> None:
        """Record events of a broadcast's own."""
        async with database.transaction(self.engine) as connection:
            broadcast = await repository.load(connection, broadcast_id)
            await repository.save(connection, broadcast, events, self.clock.now)

    async def pause(self, broadcast_id: int) -> None:
        await self.apply(broadcast_id, e.BroadcastPaused(broadcast_id=broadcast_id))

    async def resume(self, broadcast_id: int) -> None:
        await self.apply(broadcast_id, e.BroadcastResumed(broadcast_id=broadcast_id))

    async def cancel(self, broadcast_id: int) -> None:
        await self.apply(broadcast_id, e.BroadcastCancelled(broadcast_id=broadcast_id, next_broadcast_id=None))

    async def advance(self, broadcast_id: int) -> str:
        """Take a broadcast as far as it can go, and give the state it is in then."""
        async with database.transaction(self.engine) as connection:
            await advance(connection, broadcast_id, self.clock.now, self.settings)
        return await self.state(broadcast_id)

    async def state(self, broadcast_id: int) -> str:
        return str(await self.value("SELECT state FROM broadcasts WHERE id = %s", broadcast_id))

    async def planned(self, type_: str) -> list[dict[str, Any]]:
        """Return the steps or events of a type that wait in the outbox."""
        return await self.query("SELECT * FROM outbox WHERE type = %s ORDER BY id", type_)

    async def happened(self, type_: str) -> list[dict[str, Any]]:
        """Return the data of the events of a type."""
        return await self.column("SELECT data FROM events WHERE type = %s ORDER BY position", type_)

    async def messages(self, broadcast_id: int, *, is_second: bool = False) -> list[dict[str, Any]]:
        return await self.query(
            "SELECT id, contact_id, segment_id, recipient_phone_number, state, processed, claimed_by, attempts,"
            " failures, attempt_started_at, nullif(not_before, '-infinity') AS not_before, skip_reason"
            " FROM outgoing_messages WHERE broadcast_id = %s AND is_second = %s ORDER BY id",
            broadcast_id, is_second,
        )  # fmt: skip

    async def states(self, broadcast_id: int, *, is_second: bool = False) -> list[str]:
        return [row["state"] for row in await self.messages(broadcast_id, is_second=is_second)]

    async def plan(self, broadcast_id: int, *, is_second: bool = False) -> UUID:
        async with database.transaction(self.engine) as connection:
            return await scheduling.plan_batch(
                connection, broadcast_id, self.clock.now, self.clock.now, is_second=is_second
            )

    async def take(self, batch_id: UUID, *, redelivered: bool = False) -> Batch | None:
        async with database.transaction(self.engine) as connection:
            return await batches.take(
                connection, batch_id, lease=self.settings.lease, redelivered=redelivered, now=self.clock.now
            )

    async def claim(self, batch: Batch, *, size: int = 50) -> int:
        async with database.transaction(self.engine) as connection:
            return await batches.claim(connection, batch, size=size, rules=self.settings.rules, now=self.clock.now)

    async def claimed(self, broadcast_id: int, *, is_second: bool = False, size: int = 50) -> Batch:
        """Plan a batch, take it and have it claim its messages."""
        batch = await self.take(await self.plan(broadcast_id, is_second=is_second))
        assert batch is not None
        await self.claim(batch, size=size)
        return batch

    async def start(self, batch: Batch, *, count: int = 50) -> list[StartedAttempt]:
        async with database.transaction(self.engine) as connection:
            windows = await batches.windows(connection, batch, self.settings.rules, self.clock.now)
            return await batches.start(connection, batch, count=count, open_=list(windows), now=self.clock.now)

    async def answer(self, started: StartedAttempt, outcome: Outcome) -> outcomes.Effect:
        async with database.transaction(self.engine) as connection:
            return await outcomes.record(
                connection, started, outcome, carrier=self.settings.carrier,
                max_attempts=self.settings.max_attempts, now=self.clock.now,
            )  # fmt: skip

    async def close(self, batch: Batch, *, started: int = 0) -> bool:
        async with database.transaction(self.engine) as connection:
            return await batches.close(connection, batch, started=started, now=self.clock.now)

    async def send(
        self, broadcast_id: int, *, is_second: bool = False, size: int = 50, sids: bool = False
    ) -> list[StartedAttempt]:
        """Have the carrier take the next messages of a phase, in a batch of their own."""
        batch = await self.claimed(broadcast_id, is_second=is_second, size=size)
        started = await self.start(batch)
        for item in started:
            sid = f"SM{item.attempt.message_id}" if sids else None
            await self.answer(item, Accepted(missive_id=f"M{item.attempt.message_id}", twilio_id=sid))
        await self.close(batch, started=len(started))
        return started

    async def opens(self, broadcast_id: int) -> list[UUID]:
        """Return the batches that are planned or under way."""
        return await self.column(
            "SELECT id FROM batches WHERE broadcast_id = %s AND closed_at IS NULL ORDER BY due_at, id", broadcast_id
        )

    async def events_of(self, stream: str) -> list[e.Event]:
        async with database.transaction(self.engine) as connection:
            recorded, _ = await store.read(connection, stream)
        return [item.event for item in recorded]

    async def until_somebody_waits(self) -> None:
        """Wait until a transaction waits for another's lock."""

        async def somebody_waits() -> Any:
            return await self.value(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )

        await until(somebody_waits, every=0.01)
