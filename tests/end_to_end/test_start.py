"""How a service begins, or refuses to."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import aio_pika
import psycopg
import pytest

from libs.common.messaging import topology
from libs.common.runtime import worker
from tests.support.processes import ROOT, Processes, until

WORKERS = ("planner", "sender", "twilio_sync")
SERVICES = ("api", *WORKERS)

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("service", SERVICES)
def test_a_bad_setting_ends_a_service_at_start_with_one_line_that_names_it(service: str, tmp_path: Path) -> None:
    environment = Processes(tmp_path, "postgresql://x/y", "amqp://x/").environment
    environment["BROADSHEET_TIMEZONE"] = "Mars/Olympus"
    ended = subprocess.run(
        [sys.executable, "-m", f"services.{service}"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1
    assert "BROADSHEET_TIMEZONE" in lines[0]


async def test_a_worker_waits_for_a_broker_that_is_not_there_and_the_api_needs_none(
    tmp_path: Path, database_url: str
) -> None:
    broadsheet = Processes(tmp_path, database_url, "amqp://guest:guest@127.0.0.1:9/")
    try:
        broadsheet.launch("planner")
        await broadsheet.start("api")
        assert (await broadsheet.call("GET", "/broadcasts")).is_success

        async def waits() -> bool:
            return "waiting_for_broker" in broadsheet.log("planner")

        await until(waits)
        assert await broadsheet.end("planner") == 0
    finally:
        await broadsheet.close()


#: What makes a schema one that does not serve this release.
UNFIT = {
    "older": "UPDATE alembic_version SET version_num = '0000'",
    "too new": "UPDATE alembic_version SET version_num = '9999'; COMMENT ON TABLE alembic_version IS '9998'",
    "none": "DROP TABLE alembic_version",
}


def run(database_url: str, statements: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(statements.encode())


async def consumers(amqp_url: str) -> int:
    """Return how many there are, over all queues."""
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        queues = [await channel.declare_queue(work.name, passive=True) for work in topology.WORK]
    return sum(queue.declaration_result.consumer_count or 0 for queue in queues)


@pytest.mark.parametrize("unfit", UNFIT)
async def test_a_worker_consumes_nothing_before_there_is_a_schema_that_serves_it(
    tmp_path: Path, database_url: str, amqp_url: str, unfit: str
) -> None:
    run(database_url, f"CREATE TABLE fit AS TABLE alembic_version; {UNFIT[unfit]}")
    broadsheet = Processes(tmp_path, database_url, amqp_url)
    try:
        broadsheet.launch("planner")

        async def waits() -> bool:
            return "waiting_for_schema" in broadsheet.log("planner")

        await until(waits)
        await asyncio.sleep(2 * worker.START_WAIT)
        assert await consumers(amqp_url) == 0
        assert broadsheet.log("planner").count("waiting_for_schema") == 1
        run(database_url, "DROP TABLE IF EXISTS alembic_version; ALTER TABLE fit RENAME TO alembic_version")
        await broadsheet.ready("planner")
        assert await consumers(amqp_url) > 0
    finally:
        await broadsheet.close()


async def test_a_worker_ends_in_order_once_the_schema_does_not_serve_it_any_more(
    tmp_path: Path, database_url: str, amqp_url: str
) -> None:
    broadsheet = Processes(tmp_path, database_url, amqp_url)
    try:
        await broadsheet.start(*WORKERS)
        run(database_url, UNFIT["too new"])

        async def ended() -> bool:
            return all('"stopped"' in broadsheet.log(name) for name in WORKERS)

        await until(ended)
        for name in WORKERS:
            # Only looked at: it ended by itself, and is still to be taken leave of.
            exited = await asyncio.to_thread(os.waitid, os.P_PID, broadsheet.pid(name), os.WEXITED | os.WNOWAIT)
            assert exited is not None
            assert (exited.si_code, exited.si_status) == (os.CLD_EXITED, 0)
            assert broadsheet.log(name).count("schema_does_not_fit") == 1
            assert "Traceback" not in broadsheet.log(name)
        assert await consumers(amqp_url) == 0
    finally:
        await broadsheet.close()


async def test_a_worker_waits_at_its_start_for_a_database_that_is_away(tmp_path: Path, amqp_url: str) -> None:
    broadsheet = Processes(tmp_path, "postgresql://nobody@127.0.0.1:9/none", amqp_url)
    try:
        broadsheet.launch("sender")

        async def waits() -> bool:
            return "the database does not answer" in broadsheet.log("sender")

        await until(waits)
        assert await consumers(amqp_url) == 0
        assert await broadsheet.end("sender") == 0
    finally:
        await broadsheet.close()
