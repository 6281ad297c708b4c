"""A whole broadcast whose services reach PostgreSQL by PgBouncer in transaction mode alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from libs.common import database
from libs.common.migrate import migrate
from tests.containers.support import ROOT, docker, needs_docker, until
from tests.end_to_end.conftest import PLAN
from tests.end_to_end.test_broadcast import assert_once_and_every_one, completed, scheduled
from tests.support.processes import Processes

CONFIGURATION = ROOT / "deploy" / "pgbouncer" / "pgbouncer.ini"
PASSWORD = "a password for the tests alone"
#: Debian's PgBouncer, as there is no official image of it.
DOCKERFILE = """
FROM python:3.13-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends pgbouncer >/dev/null
USER postgres
CMD ["pgbouncer", "/etc/pgbouncer/pgbouncer.ini"]
"""


@dataclass(frozen=True)
class Databases:
    """The same database, reached in two ways."""

    direct: str
    pooled: str


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    needs_docker()
    name = f"broadsheet-pgbouncer-{uuid4().hex[:8]}"
    logins: Path = tmp_path_factory.mktemp("pgbouncer") / "userlist.txt"
    logins.write_text(f'"broadsheet" "{PASSWORD}"\n')
    logins.chmod(0o644)
    logins.parent.chmod(0o755)
    docker("build", "--quiet", "--tag", name, "-", stdin=DOCKERFILE)
    docker("network", "create", name)
    try:
        docker(
            "run", "--detach", "--name", f"{name}-server", "--network", name, "--network-alias", "postgres",
            "--env", "POSTGRES_USER=broadsheet", "--env", f"POSTGRES_PASSWORD={PASSWORD}",
            "--publish", "127.0.0.1::5432", "postgres:17",
        )  # fmt: skip
        docker(
            "run", "--detach", "--name", f"{name}-pooler", "--network", name, "--publish", "127.0.0.1::6432",
            "--volume", f"{CONFIGURATION}:/etc/pgbouncer/pgbouncer.ini:ro",
            "--volume", f"{logins}:/etc/pgbouncer/userlist.txt:ro", name,
        )  # fmt: skip
        found = Databases(direct=url(f"{name}-server", 5432), pooled=url(f"{name}-pooler", 6432))
        for each in (found.direct, found.pooled):
            reachable(each, f"{name}-pooler")
        # A migration holds a lock for a session, which a pool of transactions cannot give: it goes there directly.
        migrate(found.direct)
        yield found
    finally:
        docker("rm", "--force", "--volumes", f"{name}-server", f"{name}-pooler", check=False)
        docker("network", "rm", name, check=False)
        docker("image", "rm", name, check=False)


def url(container: str, port: int) -> str:
    published = docker("port", container, f"{port}/tcp").split()[0]
    return f"postgresql://broadsheet:{PASSWORD.replace(' ', '%20')}@{published}/broadsheet"


def reachable(address: str, container: str) -> None:
    def answers() -> bool:
        try:
            psycopg.connect(address, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    until(answers, what=f"{address.rpartition('@')[2]} answers {docker('logs', container, check=False)}", seconds=60)


async def test_time_outs_hold_behind_the_pooler(databases: Databases) -> None:
    async with database.create_pool(databases.pooled, size=2) as pool, pool.connection() as connection:
        for name, seconds in {
            "statement_timeout": database.STATEMENT_TIMEOUT,
            "lock_timeout": database.LOCK_TIMEOUT,
            "idle_in_transaction_session_timeout": database.IDLE_TIMEOUT,
        }.items():
            row = await (await connection.execute(f"SHOW {name}")).fetchone()
            assert row == {name: f"{seconds}s"}


@pytest.mark.timeout(300)
async def test_a_whole_broadcast_goes_by_the_pooler(databases: Databases, amqp_url: str, tmp_path: Path) -> None:
    broadsheet = Processes(tmp_path, databases.pooled, amqp_url)
    try:
        await broadsheet.start("simulator")
        await broadsheet.configure_simulator(plan=PLAN)
        # Two of each that share work: what one leaves behind in a server connection, the other would meet.
        await broadsheet.start("api", "planner", "planner2", "sender", "sender2", "twilio_sync")
        broadcast_id = await scheduled(broadsheet, run_in=2.0)
        await completed(broadsheet, broadcast_id)
        await assert_once_and_every_one(broadsheet, broadcast_id)
    finally:
        await broadsheet.close()
