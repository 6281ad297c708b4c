"""One run: real services on real servers, a plan of faults, broadcasts all the while, and the verdict at the end."""

import asyncio
import json
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate, count, islice
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
from psycopg import sql

from libs import local
from libs.common.database.migrate import migrate
from libs.common.domain.rate_windows import parse_windows
from tests.chaos import evidence, messages
from tests.chaos.fault_injection import UNAVAILABLE, Breaker
from tests.chaos.plan import SERVICES, SETTLE_AFTER, USERS, Fault
from tests.chaos.proxy import Link, to_socket, to_tcp
from tests.chaos.report import Result, judge
from tests.chaos.service_processes import Children, clean_environment
from tests.chaos.silences import Clocks
from tests.chaos.traffic import KEY, NUMBERS, Api, NotAnswered, Situation, Traffic
from tests.support.ports import HOST, free_port

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
SECRETS = {"MISSIVE_TOKEN": "missive-token", "MISSIVE_WEBHOOK_SECRET": "webhook-secret", "TWILIO_AUTH_TOKEN": "twilio"}
CONCURRENT = 5
LEASE = 2.0
REQUEST_TIMEOUT = 1.5
SYNC_INTERVAL = 1
SETTINGS = {
    "SEND_CONCURRENCY": CONCURRENT,
    "LEASE": LEASE,
    "REQUEST_TIMEOUT": REQUEST_TIMEOUT,
    "SETTLE_AFTER": SETTLE_AFTER,
    "WATCHDOG_INTERVAL": 0.5,
    "SYNC_INTERVAL": SYNC_INTERVAL,
    # What Missive took and never handed over is in no log, nor is what it took and whose answer was lost.
    "HANDOVER_AFTER": 8,
    "SYNC_DEADLINE": 20,
    "SECOND_DELAY": 3,
    "SEND_HOLD": 0,
    "QUIET_HOURS": "",
    "HOLIDAYS": "",
    "TIMEZONE": "UTC",
    "BATCH_SIZE": 20,
    "LOG_FORMAT": "json",
}
HANDSETS = {
    "reply": 0.2,
    "stop": 0.03,
    "unreachable": 0.03,
    "invalid": 0.03,
    "hand_over_delay": [0.02, 0.3],
    "delivery_delay": [0.1, 1.0],
    "reply_delay": [0.1, 4.0],
    "conversation_gap": 5.0,
}
SAMPLE_EVERY = 0.2  # seconds between two looks at the database
WATCH_EVERY = 1.0  # seconds between two looks whether copies of messages are kept
#: Which services run without the protection that is taken away.
BROKEN = {
    "fence": ("sender",),
    "settling": ("twilio_sync",),
    "witness": ("twilio_sync",),
    "clocks": ("twilio_sync",),
    "outbox": ("planner",),
    "pace": ("sender",),
    "consent": ("sender", "planner", "api"),
}
STRANGER = "+13137999999"
WRITES_EVERY = 2.0  # seconds
ROUNDS = 10  # in which faults are made up for that hit nothing
FIRES_WITHIN = 3.0  # seconds in which the carriers come to do what they were told last


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a run is."""

    seed: int
    faults: Sequence[Fault]
    messages: int
    #: How many faults have to happen, and where more come from when some of the plan's hit nothing.
    least: int = 0
    more: Iterator[Fault] = field(default_factory=lambda: iter(()))
    #: Messages a second a sending number; there are two.
    rate: float = 60.0
    recipients: int = 150
    #: Broadcasts under way at once.
    overlap: int = 2
    #: The protection that is taken away.
    broken: str | None = None
    #: How messages leave: by way of `missive`, or straight to `twilio`.
    carrier: str = "missive"
    #: Missive's windows, as in `MISSIVE_WINDOWS`; the simulator holds the services to them.
    windows: str = ""
    #: Seconds within which every broadcast has to be over when there were enough faults and messages.
    patience: float = 150.0
    #: Settings that replace those of the rig, and what its handsets do.
    settings: dict[str, object] = field(default_factory=dict)
    handsets: dict[str, object] = field(default_factory=dict)


async def run(
    stack: local.Stack, conditions: Conditions, tell: Callable[[str], None], keep: Path | None = None
) -> Result:
    """Do a run on these servers, which have to be the run's alone, and judge it. `keep` is where the logs stay."""
    async with AsyncExitStack() as cleaning:
        logs = keep or Path(cleaning.enter_context(tempfile.TemporaryDirectory(prefix="broadsheet-chaos-")))
        logs.mkdir(parents=True, exist_ok=True)
        rig = await cleaning.enter_async_context(_standing(stack, conditions, logs))
        tell(f"seed {conditions.seed}: {len(conditions.faults)} faults, at least {conditions.messages} messages")
        began = time.monotonic()
        is_over = await rig.go(tell)
        await rig.calm()
        return await rig.verdict(is_over, time.monotonic() - began, logs)


@asynccontextmanager
async def _standing(stack: local.Stack, conditions: Conditions, logs: Path) -> AsyncIterator["Rig"]:
    """Start everything, and end all that was started."""
    async with AsyncExitStack() as cleaning:
        direct = await asyncio.to_thread(_fresh_database, stack)
        # What remains of the run before would speak of broadcasts that this database never had.
        await asyncio.to_thread(_fresh_broker, stack)
        links = {
            "database": Link("database", to_socket(_socket_of(direct))),
            "broker": Link("broker", to_tcp(urlsplit(stack.servers.amqp_url).port or 0)),
        }
        simulator_port, api_port = free_port(), free_port()
        links["carrier"] = Link("carrier", to_tcp(simulator_port))
        for link in links.values():
            cleaning.push_async_callback(link.close)
            for user in USERS[link.name]:
                await link.listen(user)
        children = Children(logs)
        cleaning.push_async_callback(children.stop)
        simulator, api_url = f"http://{HOST}:{simulator_port}", f"http://{HOST}:{api_port}"
        config = logs / "simulator.json"
        clocks = Clocks(Random(f"clocks of {conditions.seed}"), time.time)
        config.write_text(json.dumps(_simulator(conditions, api_url, clocks)))
        await children.start(
            "simulator",
            ["-m", "libs.simulator", "--port", str(simulator_port), "--config", str(config)],
            environment=clean_environment(),
            ready_url=f"{simulator}/health/live",
        )
        name = urlsplit(direct).path.lstrip("/")
        for service in SERVICES:
            health = api_port if service == "api" else free_port()
            environment = _environment(conditions, links, service, name, api_url) | {
                "BROADSHEET_HEALTH_PORT": str(health),
                "BROADSHEET_API_PORT": str(api_port),
            }
            await children.start(
                service,
                _arguments(service, conditions.broken),
                environment=clean_environment() | environment,
                ready_url=f"http://{HOST}:{health}/health/ready",
            )
        await children.ready()
        api = Api(api_url)
        cleaning.push_async_callback(api.client.aclose)
        random = Random(conditions.seed)
        traffic = Traffic(api, direct, random, conditions.seed, conditions.recipients)
        await asyncio.to_thread(traffic.prepare)
        breaker = Breaker(
            stack=stack,
            children=children,
            links=links,
            simulator_url=simulator,
            api=api,
            traffic=traffic,
            random=random,
            clocks=clocks,
        )
        cleaning.push_async_callback(breaker.settle)
        yield Rig(conditions, stack, breaker, traffic, direct)


@dataclass(slots=True)
class Rig:
    """A run that stands."""

    conditions: Conditions
    stack: local.Stack
    breaker: Breaker
    traffic: Traffic
    database_url: str

    async def go(self, tell: Callable[[str], None]) -> bool:
        """Have broadcasts and faults go on until there were enough of both; return whether all broadcasts ended."""
        faults_over = asyncio.Event()
        background = [
            asyncio.create_task(self.traffic.sample(SAMPLE_EVERY)),
            asyncio.create_task(self._watch()),
            asyncio.create_task(self._tell(tell)),
        ]
        work = [
            asyncio.create_task(self._faults(faults_over)),
            asyncio.create_task(
                self.traffic.run(self.conditions.messages, faults_over, overlap=self.conditions.overlap)
            ),
        ]
        # More than twice the time that faults and messages take: what stands still then stands still for good.
        last = max((fault.at for fault in self.conditions.faults), default=0.0)
        longest = 60 + 2 * (last + self.conditions.messages / self.conditions.rate)
        try:
            async with asyncio.timeout(longest + self.conditions.patience):
                await asyncio.gather(*work)
            return await self._over()
        except TimeoutError:
            return False
        finally:
            for task in (*work, *background):
                task.cancel()
            await asyncio.gather(*work, *background, return_exceptions=True)

    async def _faults(self, over: asyncio.Event) -> None:
        """Make the faults at their times; one that lasts does not keep the next one from coming.

        What hit nothing is made up for, as far as there are more.
        """
        await self.traffic.until(lambda seen: bool(seen.sending))
        await self._make(self.conditions.faults)
        for _ in range(ROUNDS):
            missing = await self._missing()
            faults = accumulate(islice(self.conditions.more, missing), _after)
            if not missing or not await self._make(faults):
                break
        await self.breaker.heal()
        over.set()

    async def _make(self, faults: Iterable[Fault]) -> int:
        """Make faults, and give how many there were. Raise RuntimeError if the phase of one does not come."""
        loop, made = asyncio.get_running_loop(), 0
        began = loop.time()
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                made += 1
                await asyncio.sleep(began + fault.at - loop.time())
                if fault.phase and not await self.traffic.until(partial(_is_in, fault.phase)):
                    raise RuntimeError(f"no broadcast came to be {fault.phase}")
                group.create_task(self.breaker.make(fault, time.time))
        return made

    async def _missing(self) -> int:
        """Return how many faults have yet to happen, once the carriers have had time for theirs."""
        ends = asyncio.get_running_loop().time() + FIRES_WITHIN
        while self.breaker.armed and asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(0.2)
            await self.breaker.tally()
        return max(0, self.conditions.least - self.breaker.done.total())

    async def _over(self) -> bool:
        """Wait until every broadcast has ended; what a fault left paused goes on, and strangers write.

        Where nobody wrote or was texted after a message whose answer was lost, the log could not tell that it was never
        sent.
        """
        strangers = asyncio.create_task(self._strangers())
        try:
            return await self._ended()
        finally:
            strangers.cancel()
            await asyncio.gather(strangers, return_exceptions=True)

    async def _strangers(self) -> None:
        """Have somebody whom nobody knows write now and then, to one number or the other."""
        for place in count():
            with suppress(httpx.HTTPError):
                words = {"from": STRANGER, "to": NUMBERS[place % len(NUMBERS)], "body": f"Is this the paper? ({place})"}
                await self.breaker.simulate("/inbound", words)
            await asyncio.sleep(WRITES_EVERY)

    async def _ended(self) -> bool:
        ends = asyncio.get_running_loop().time() + self.conditions.patience
        while asyncio.get_running_loop().time() < ends:
            if await self.traffic.until(lambda seen: not seen.open, seconds=5.0):
                return True
            for broadcast_id in self.traffic.situations[-1].paused:
                with suppress(NotAnswered):
                    await self.traffic.api.post(f"/broadcasts/{broadcast_id}/resume", tries=5.0)
        return False

    async def calm(self) -> None:
        """Wait until the last webhooks have come."""
        await asyncio.sleep(2.0)

    async def verdict(self, is_over: bool, seconds: float, logs: Path) -> Result:
        """Collect the evidence and judge it."""
        await self.breaker.settle()
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
            ledger = (await client.get(f"{self.breaker.simulator_url}/_simulator/ledger")).json()
            requests = (await client.get(f"{self.breaker.simulator_url}/_simulator/requests")).json()
        # Nothing may write any more while the tables are compared with history.
        await self.breaker.children.stop()
        found = await asyncio.to_thread(evidence.collect, self.database_url, ledger, requests)
        return judge(
            found,
            seed=self.conditions.seed,
            rate=self.conditions.rate,
            windows=parse_windows(self.conditions.windows),
            interval=SYNC_INTERVAL,
            least=self.conditions.least,
            grace=LEASE + REQUEST_TIMEOUT + 1.0,
            is_over=is_over,
            seconds=seconds,
            done=self.breaker.done,
            left_out=self.breaker.left_out,
            times=self.breaker.times,
            waiting=[(seen.at, seen.waiting) for seen in self.traffic.situations],
            deaths=self.breaker.children.deaths,
            poisoned=self.breaker.poisoned,
            alarms=evidence.alarms(logs),
            not_rebuilt=await evidence.not_rebuilt(self.database_url),
        )

    async def _watch(self) -> None:
        """Have copies of messages kept whenever the broker is there."""
        while True:
            with suppress(*UNAVAILABLE):
                await messages.watch(self.stack.servers.amqp_url)
            await asyncio.sleep(WATCH_EVERY)

    async def _tell(self, tell: Callable[[str], None], every: float = 10.0) -> None:
        while True:
            await asyncio.sleep(every)
            seen, done = self.traffic.situations[-1], self.breaker.done.total()
            tell(f"  {done} faults, {seen.planned} messages planned, broadcasts under way: {seen.states or 'none'}")


def _after(before: Fault, fault: Fault) -> Fault:
    return replace(fault, at=before.at + fault.at)


def _is_in(phase: str, seen: Situation) -> bool:
    return phase in seen.states


def _fresh_database(stack: local.Stack) -> str:
    """Create and migrate a database, on a server that notes when each transaction was committed; return its URL."""
    assert stack.postgres is not None
    server = stack.servers.database_url
    with psycopg.connect(server, autocommit=True) as connection:
        row = connection.execute("SHOW track_commit_timestamp").fetchone()
        if row is None or row[0] != "on":
            connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
            connection.close()
            stack.postgres.restart()
    name = f"chaos_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = server.replace("/broadsheet?", f"/{name}?", 1)
    migrate(url)
    return url


def _fresh_broker(stack: local.Stack) -> None:
    assert stack.rabbitmq is not None
    stack.rabbitmq.wipe()
    stack.rabbitmq.start()


def _socket_of(url: str) -> str:
    return str(Path(parse_qs(urlsplit(url).query)["host"][0]) / ".s.PGSQL.5432")


def _arguments(service: str, broken: str | None) -> list[str]:
    kind = service.rstrip("0123456789")
    if broken is not None and kind in BROKEN[broken]:
        return ["-m", "tests.chaos.broken", broken, f"services.{kind}"]
    return ["-m", f"services.{kind}"]


def _environment(
    conditions: Conditions, links: dict[str, Link], service: str, database: str, api_url: str
) -> dict[str, str]:
    ports = {name: link.ports.get(service, 9) for name, link in links.items()}
    carrier = f"http://{HOST}:{ports['carrier']}"
    settings: dict[str, object] = {
        "DATABASE_URL": f"postgresql://postgres@{HOST}:{ports['database']}/{database}?sslmode=disable",
        "AMQP_URL": f"amqp://guest:guest@{HOST}:{ports['broker']}/",
        "CARRIER": conditions.carrier,
        "MISSIVE_URL": carrier,
        "TWILIO_URL": carrier,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "PUBLIC_URL": api_url,
        "API_KEYS": KEY,
        "FROM_NUMBER": NUMBERS[0],
        "NUMBERS": ",".join(NUMBERS),
        "SEND_RATE": conditions.rate,
        "MISSIVE_WINDOWS": conditions.windows,
        **SECRETS,
        **SETTINGS,
        **conditions.settings,
    }
    return {f"BROADSHEET_{name}": str(value) for name, value in settings.items()}


def _simulator(conditions: Conditions, api_url: str, clocks: Clocks) -> dict[str, Any]:
    return {
        "missive_token": SECRETS["MISSIVE_TOKEN"],
        "missive_webhook_url": f"{api_url}/webhooks/missive",
        "missive_webhook_secret": SECRETS["MISSIVE_WEBHOOK_SECRET"],
        "twilio_account_sid": ACCOUNT,
        "twilio_auth_token": SECRETS["TWILIO_AUTH_TOKEN"],
        "twilio_sms_webhook_url": f"{api_url}/webhooks/twilio/sms",
        "twilio_status_callback_url": f"{api_url}/webhooks/twilio/status",
        "limits": {
            "concurrent": CONCURRENT,
            "windows": [[window.requests, window.seconds] for window in parse_windows(conditions.windows)],
        },
        "clocks": clocks.settings(),
        "plan": {"seed": conditions.seed, **HANDSETS, **conditions.handsets},
    }
