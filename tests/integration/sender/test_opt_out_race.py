"""Invariant 3 at full rate: opt-outs come in by the hundred a second while a phase goes out; nothing starts after them.

The senders, the carriers' clients, PostgreSQL and what records a STOP are the real ones; the carriers are simulated. It
is judged by what is on record: an attempt that began after the transaction of its recipient's opt-out had committed is
one too many. Two things stand against that, and each holds alone: the opt-out takes out what was not sent, and the
statement that starts an attempt looks at opt-outs itself. Without both, the test sees texts after a no.
"""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random

import pytest

from libs.common import carriers, database
from libs.common.broadcasts import opt_outs, replies, suppression, unwanted_messages
from libs.common.broadcasts.inbound import Inbound
from libs.common.clock import utc_now
from libs.common.domain.commands import SendBatch
from services.sender import batches
from services.sender.batch_sender import Sender
from tests.integration.simulator.running import ACCOUNT, SECRET, TOKEN, Simulator, simulator
from tests.support.deliveries import delivery
from tests.support.world import FROM, Clock, World, make_settings

PEOPLE = 400
RATE = 100.0  # messages a second: the phase takes four seconds
OPT_OUTS_A_SECOND = 200
#: How many say STOP, while the phase goes out.
OPT_OUTS = 300
SENDERS = 3
WAYS = 8  # by which opt-outs come in at once

#: Whether somebody is still to be texted.
REMAINING = (
    "SELECT EXISTS (SELECT FROM outgoing_messages m WHERE NOT is_second AND state = 'pending'"
    " AND NOT EXISTS (SELECT FROM opt_outs o WHERE o.phone_number = m.recipient_phone_number))"
)

CARRIERS = pytest.mark.parametrize("carrier", ["missive", "twilio"])


@dataclass(frozen=True, slots=True)
class Race:
    """What was on record at the end."""

    #: How many attempts there were, and of how many people who opted out meanwhile.
    attempts: int
    attempts_before_an_opt_out: int
    #: How many attempts began after their recipients' opt-outs had committed.
    after_an_opt_out: int
    opt_outs: int
    #: What the carrier took.
    texts: int


async def race(world: World, carrier: str) -> Race:
    """Send a phase over a carrier while people opt out, and return what is on record of it."""
    async with simulator(limits={"concurrent": 100, "windows": []}) as running:
        settings = make_settings(
            world.settings.database_url,
            carrier=carrier,
            send_rate=RATE,
            send_concurrency=40,
            missive_url=running.url,
            missive_token=TOKEN,
            twilio_url=running.url,
            twilio_account_sid=ACCOUNT,
            twilio_auth_token=SECRET,
        )
        here = replace(world, settings=settings, clock=Clock(None))
        broadcast = await here.made(PEOPLE)
        numbers = await here.column("SELECT recipient_phone_number FROM outgoing_messages WHERE NOT is_second")
        Random(7).shuffle(numbers)
        sending = asyncio.gather(*(send_all(here, broadcast) for _ in range(SENDERS)))
        committed = await pour(here, numbers[:OPT_OUTS])
        await sending
        return await judge(here, running, broadcast, committed)


async def send_all(world: World, broadcast: int) -> None:
    """Send batch after batch until none has a message."""
    clients = carriers.create(world.settings)
    try:
        sender = Sender(world.worker, world.settings, *clients)
        while await world.value(REMAINING):
            batch = await world.plan(broadcast)
            await sender.send_batch(SendBatch(broadcast_id=broadcast, batch_id=batch, is_second=False), delivery())
    finally:
        for client in clients:
            await client.aclose()


async def pour(world: World, numbers: Sequence[str]) -> dict[str, datetime]:
    """Have people opt out, so many a second; return when each opt-out was known to have committed."""
    committed: dict[str, datetime] = {}
    began, places = time.monotonic(), itertools.count()

    async def say_stop() -> None:
        while (place := next(places)) < len(numbers):
            await asyncio.sleep(began + place / OPT_OUTS_A_SECOND - time.monotonic())
            number = numbers[place]
            said = Inbound(
                provider_id=f"stop-{place}", phone_number=number, body="STOP", received_at=utc_now(), to=FROM
            )
            async with database.transaction(world.engine) as connection:
                assert await replies.receive(connection, said, utc_now())
            committed[number] = utc_now()

    await asyncio.gather(*(say_stop() for _ in range(WAYS)))
    return committed


async def judge(world: World, running: Simulator, broadcast: int, committed: dict[str, datetime]) -> Race:
    """Compare the times of attempts with those of opt-outs."""
    rows = await world.query(
        "SELECT recipient_phone_number, attempt_started_at FROM outgoing_messages"
        " WHERE broadcast_id = %s AND NOT is_second AND attempts > 0", broadcast,
    )  # fmt: skip
    started = {row["recipient_phone_number"]: row["attempt_started_at"] for row in rows}
    after = [number for number, at in started.items() if number in committed and at > committed[number]]
    ledger = await running.control("GET", "/ledger")
    return Race(
        attempts=len(started),
        attempts_before_an_opt_out=len(started.keys() & committed.keys()) - len(after),
        after_an_opt_out=len(after),
        opt_outs=int(await world.value("SELECT count(*) FROM opt_outs")),
        texts=len(ledger["messages"]),
    )


def holds(found: Race) -> None:
    """Check that it was a race, and that nothing began after a no."""
    assert found.opt_outs == OPT_OUTS
    # Some were texted before they opted out, and some were not texted at all.
    assert found.attempts_before_an_opt_out > 0
    assert PEOPLE - OPT_OUTS <= found.attempts < PEOPLE
    # One whose slot was lost is tried again, unless its recipient is out by then.
    assert 0 < found.texts <= found.attempts
    assert found.after_an_opt_out == 0


@CARRIERS
async def test_nothing_starts_after_an_opt_out_however_many_come_in(world: World, carrier: str) -> None:
    holds(await race(world, carrier))


def without_skipping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an opt-out take out nothing."""

    async def nothing(*_: object, **__: object) -> int:
        return 0

    monkeypatch.setattr(opt_outs, "skip_unsent_to", nothing)
    monkeypatch.setattr(unwanted_messages, "skip_unwanted", nothing)


@CARRIERS
async def test_the_statement_that_starts_an_attempt_holds_alone(
    world: World, carrier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_skipping(monkeypatch)
    holds(await race(world, carrier))


async def test_without_both_checks_texts_begin_after_an_opt_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can fail."""
    without_skipping(monkeypatch)
    checks = suppression.may_start("m")
    blind = checks.replace(f"NOT {suppression.opted_out('m.recipient_phone_number')} AND ", "")
    assert blind != checks
    monkeypatch.setattr(batches, "START", batches._start("CAST(NULL AS text)", blind))
    found = await race(world, "missive")
    assert found.opt_outs == OPT_OUTS
    assert found.after_an_opt_out > 0
