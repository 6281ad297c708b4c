"""The broadcasts of a run: scheduled over the API, made by the clock or by hand, until there were enough."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid4

import httpx
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

KEY = "a key for the chaos rig alone"
NUMBERS = ("+13135550100", "+13135550101")
PATIENCE = 60.0  # seconds for which a call to the API is tried again
LEAD = 1.5  # seconds until the run_at of a broadcast that is made by the clock
EQUAL = 4  # every so many broadcasts say the same in both messages
PERSONAL = 3  # every so many broadcasts have variables, and every second of those in its follow-up, too
FINAL = ("completed", "cancelled", "missed")

CONTACTS = """
INSERT INTO contacts (phone_number, tags, name)
SELECT '+1313' || (6000000 + n)::text, '{all}', CASE WHEN n %% 3 > 0 THEN 'Ana' || n || ' Díaz' ELSE '' END
FROM generate_series(1, %s::int) AS n
"""
SEGMENT = "INSERT INTO audience_segments (name, filter) VALUES ('all', %s) RETURNING id"
STATES = """
SELECT b.id, b.state, coalesce(b.recipients, 0) AS recipients,
       EXISTS (SELECT FROM outgoing_messages m WHERE m.broadcast_id = b.id AND m.state IN ('pending', 'claimed')
               AND m.is_second = (b.state = 'sending_second')) AS waiting
FROM broadcasts b ORDER BY b.id
"""


class NotAnswered(Exception):
    """The API did not take a call in all the time that it was tried."""


@dataclass(slots=True)
class Api:
    """Staff at the API: patient, and careful to say again what may not have been heard."""

    url: str
    client: httpx.AsyncClient = field(
        default_factory=lambda: httpx.AsyncClient(
            timeout=5.0, trust_env=False, headers={"Authorization": f"Bearer {KEY}"}
        )
    )

    async def post(self, path: str, body: Any = None, *, tries: float = PATIENCE) -> httpx.Response:
        """Post until there is an answer that is not the system's failure. The same key each time: it happens once."""
        return await self._call("POST", path, body, tries=tries, headers={"Idempotency-Key": uuid4().hex})

    async def patch(self, path: str, body: Any) -> httpx.Response:
        """Change something, again and again until it was taken."""
        return await self._call("PATCH", path, body, tries=PATIENCE)

    async def _call(
        self, method: str, path: str, body: Any, *, tries: float, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        ends = asyncio.get_running_loop().time() + tries
        while True:
            with suppress(httpx.TransportError):
                answer = await self.client.request(method, self.url + path, json=body, headers=headers)
                if answer.status_code < 500:
                    return answer
            if asyncio.get_running_loop().time() > ends:
                raise NotAnswered(f"{method} {path}")
            await asyncio.sleep(0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the database says of the broadcasts."""

    at: float
    open: Sequence[int]
    #: Those of them that have something to send, or wait for it: what syncs does so beside others.
    busy: Sequence[int]
    sending: Sequence[int]
    paused: Sequence[int]
    #: How many broadcasts there are in each state that is not final.
    states: dict[str, int]
    planned: int
    #: Whether a message could be sent now.
    waiting: bool


@dataclass(slots=True)
class Traffic:
    """Keeps broadcasts going."""

    api: Api
    database_url: str
    random: Random
    seed: int
    recipients: int
    segment_id: int = 0
    #: Sampled all the time, the newest last.
    situations: list[Situation] = field(default_factory=list)
    _serial: int = 0

    def prepare(self) -> None:
        """Write contacts and a segment; people take part in several broadcasts, some at once."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(CONTACTS.encode(), [2 * self.recipients])
            row = connection.execute(SEGMENT.encode(), [Jsonb({"all": ["all"]})]).fetchone()
            assert row is not None
            self.segment_id = row[0]

    async def schedule(self, *, recipients: int | None = None, lead: float = LEAD) -> int:
        """Schedule a broadcast and give its id."""
        ends = asyncio.get_running_loop().time() + PATIENCE
        while True:
            self._serial += 1
            name = f"broadcast {self._serial} of seed {self.seed}"
            first = f'It\'s "{name}": ¿vienes? 100 % \\ $$ {{}} 🗳️'
            if self._serial % PERSONAL == 0:  # each person gets their own words
                first = f'{{{{ first_name | default: "vecina" }}}}, {first}'
            reminder = f"Reminder of {name}: don't forget\n%s"
            if self._serial % (2 * PERSONAL) == 0:
                reminder += " {{ name | default: '' }}"
            second = first if self._serial % EQUAL == 0 else reminder
            body = {
                "run_at": (datetime.now(UTC) + timedelta(seconds=lead)).isoformat(),
                "first_message": first,
                "second_message": second,
                "segments": [{"segment_id": self.segment_id, "ratio": 100}],
                "max_recipients": recipients or self.recipients,
                "from_number": NUMBERS[self._serial % len(NUMBERS)],
                "recurring": False,
            }
            # Asked for again for too long, its time has passed, and it is asked for anew.
            with suppress(NotAnswered):
                answer = await self.api.post("/broadcasts", body, tries=2 * lead)
                if answer.status_code == httpx.codes.CREATED:
                    return int(answer.json()["id"])
            if asyncio.get_running_loop().time() > ends:
                raise NotAnswered("POST /broadcasts")

    def number(self, random: Random) -> str:
        """Return somebody's phone number."""
        return f"+1313{6_000_000 + random.randint(1, 2 * self.recipients)}"

    async def make_at_once(self, callers: int) -> int:
        """Schedule a small broadcast and have several callers make it while its time comes; return how many could."""
        await self.schedule(recipients=max(5, self.recipients // 8))

        async def make() -> bool:
            with suppress(NotAnswered):
                await self.api.post("/make", tries=5.0)
                return True
            return False

        return sum(await asyncio.gather(*(make() for _ in range(callers))))

    def look(self) -> Situation:
        """Ask the database how things are. Raise OperationalError."""
        with psycopg.connect(self.database_url, autocommit=True, row_factory=dict_row, connect_timeout=2) as connection:
            at = datetime.now(UTC).timestamp()
            rows = connection.execute(STATES.encode()).fetchall()
        return Situation(
            at=at,
            open=[row["id"] for row in rows if row["state"] not in FINAL],
            busy=[row["id"] for row in rows if row["state"] not in (*FINAL, "syncing")],
            sending=[row["id"] for row in rows if row["state"] in ("sending_first", "waiting", "sending_second")],
            paused=[row["id"] for row in rows if row["state"] == "paused"],
            states=dict(Counter(row["state"] for row in rows if row["state"] not in FINAL)),
            planned=sum(2 * row["recipients"] for row in rows),
            waiting=any(row["waiting"] and row["state"] in ("sending_first", "sending_second") for row in rows),
        )

    async def sample(self, every: float) -> None:
        """Look again and again, until cancelled; while the database is away nothing is known."""
        while True:
            with suppress(psycopg.OperationalError):
                self.situations.append(await asyncio.to_thread(self.look))
            await asyncio.sleep(every)

    async def run(self, messages: int, faults_over: asyncio.Event, *, overlap: int, every: float = 0.3) -> None:
        """Have `overlap` broadcasts under way until `messages` were planned and all faults have come."""
        while True:
            now = self.situations[-1] if self.situations else None
            if now is not None and now.planned >= messages and faults_over.is_set():
                return
            if now is not None and len(now.busy) < overlap:
                await self.schedule()
                await self.until(lambda seen: True)
            await asyncio.sleep(every)

    async def until(self, condition: Callable[[Situation], bool], *, seconds: float = PATIENCE) -> bool:
        """Wait until a look from now on satisfies the condition; return whether one did in time."""
        now, ends = datetime.now(UTC).timestamp(), asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < ends:
            if self.situations and self.situations[-1].at > now and condition(self.situations[-1]):
                return True
            await asyncio.sleep(0.1)
        return False
