"""A whole broadcast whose services reach PostgreSQL by PgBouncer in transaction mode alone."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from libs.common import database
from libs.common.database.engine import IDLE_TIMEOUT, LOCK_TIMEOUT, STATEMENT_TIMEOUT
from libs.common.database.migrate import migrate
from tests.containers.support import ROOT, docker, needs_docker, until
from tests.end_to_end.conftest import PLAN
from tests.end_to_end.test_broadcast import assert_once_and_every_one, completed, scheduled
from tests.support.processes import Processes

CONFIGURATION = ROOT / "deploy" / "pgbouncer" / "pgbouncer.ini"
PASSWORD = "a password for the tests alone"
CLIENTS = 30  # more than PgBouncer has connections to the server
#: Debian's PgBouncer, as there is no official image of it. Each release of Debian has one version of PgBouncer.
DOCKERFILE = r"""
FROM python:3.13-slim
ARG RELEASE
RUN apt-get update -qq \
 && site=$(apt-get indextargets --format '$(SITE)' | grep --invert-match security | head --lines=1) \
 && key=/usr/share/keyrings/debian-archive-keyring.gpg \
 && echo "deb [signed-by=$key] $site $RELEASE main" > /etc/apt/sources.list.d/of-pgbouncer.list \
 && apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends "pgbouncer/$RELEASE" \
    "postgresql-common/$RELEASE" "postgresql-client-common/$RELEASE" >/dev/null
USER postgres
CMD ["pgbouncer", "/etc/pgbouncer/pgbouncer.ini"]
"""
#: Releases of Debian, and the version of their PgBouncer. From 1.21 on it can keep prepared statements by itself.
VERSIONS = {"bookworm": "1.18.", "trixie": "1.24."}


@dataclass(frozen=True)
class Databases:
    """The same database, reached in two ways."""

    direct: str
    pooled: str


@pytest.fixture(scope="module", params=VERSIONS)
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    needs_docker()
    release = str(request.param)
    name = f"broadsheet-pgbouncer-{uuid4().hex[:8]}"
    logins: Path = tmp_path_factory.mktemp("pgbouncer") / "userlist.txt"
    logins.write_text(f'"broadsheet" "{PASSWORD}"\n')
    logins.chmod(0o644)
    logins.parent.chmod(0o755)
    docker("build", "--quiet", "--build-arg", f"RELEASE={release}", "--tag", name, "-", stdin=DOCKERFILE)
    assert f"PgBouncer {VERSIONS[release]}" in docker("run", "--rm", name, "pgbouncer", "--version")
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
    async with (
        database.disposing(database.create_engine(databases.pooled, size=2, pooler="transaction")) as engine,
        database.transaction(engine) as connection,
    ):
        for name, seconds in {
            "statement_timeout": STATEMENT_TIMEOUT,
            "lock_timeout": LOCK_TIMEOUT,
            "idle_in_transaction_session_timeout": IDLE_TIMEOUT,
        }.items():
            row = (await connection.execute(text(f"SHOW {name}"))).mappings().first()
            assert dict(row or {}) == {name: f"{int(seconds)}s"}


async def test_statements_of_many_transactions_at_once_meet_no_others_and_leave_nothing_behind(
    databases: Databases,
) -> None:
    engine = database.create_engine(databases.pooled, size=CLIENTS, pooler="transaction")
    statements = [text(f"SELECT CAST(:n AS int) + {added}") for added in range(20)]

    async def work(client: int) -> None:
        for n in range(50):
            async with database.transaction(engine) as connection:
                for added, statement in enumerate(statements[client % 10 :][:5]):
                    row = await connection.execute(statement, {"n": n})
                    assert row.scalar_one() == n + added + client % 10

    async with database.disposing(engine):
        await asyncio.gather(*(work(client) for client in range(CLIENTS)))
        async with database.transaction(engine) as connection:
            kept = await connection.execute(text("SELECT count(*) FROM pg_prepared_statements"))
            assert kept.scalar_one() == 0


@pytest.mark.timeout(600)
async def test_a_whole_broadcast_goes_by_the_pooler(databases: Databases, amqp_url: str, tmp_path: Path) -> None:
    broadsheet = Processes(tmp_path, databases.pooled, amqp_url, DATABASE_POOLER="transaction")
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
