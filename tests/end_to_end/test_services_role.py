"""The services work as a role that owns nothing: what it may do is enough for all of the flow, and no more."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from tests.end_to_end.conftest import PLAN
from tests.end_to_end.test_broadcast import assert_once_and_every_one, completed, scheduled
from tests.end_to_end.test_restore import once_somebody_has_written
from tests.support import servers
from tests.support.processes import ROOT, Processes

SERVICES = ("api", "planner", "sender", "twilio_sync")
PASSWORD = "a-password-for-the-tests"

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Roles:
    """A database without any table, by the URL of who owns it and of who is to work with it."""

    owner: str
    services: str


@pytest.fixture
def roles() -> Iterator[Roles]:
    owner, services = (f"{name}_{uuid4().hex[:8]}" for name in ("owner", "services"))
    administer(servers.server_url(), "CREATE ROLE {} LOGIN PASSWORD {}", owner, services)
    try:
        with servers.database(migrated=False) as url:
            name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
            with psycopg.connect(url, autocommit=True) as connection:
                change = sql.SQL("ALTER DATABASE {} OWNER TO {}")
                connection.execute(change.format(sql.Identifier(str(name)), sql.Identifier(owner)))
                connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO pg_database_owner"))
            yield Roles(owner=as_role(url, owner), services=as_role(url, services))
    finally:
        administer(servers.server_url(), "DROP ROLE {}", owner, services)


def administer(url: str, statement: str, *names: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for name in names:
            given = sql.SQL(statement)
            values = (sql.Identifier(name), sql.Literal(PASSWORD))[: statement.count("{}")]
            connection.execute(given.format(*values))


def as_role(url: str, role: str) -> str:
    """Return a URL with another role's login."""
    return re.sub(r"^(postgres(?:ql)?://)(?:[^@/?]*@)?", rf"\g<1>{role}:{PASSWORD}@", url)


async def command(broadsheet: Processes, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "libs.console.main", *arguments, cwd=ROOT, env=broadsheet.environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    said = (await process.communicate())[0].decode()
    assert process.returncode is not None
    return process.returncode, said


async def done(broadsheet: Processes, *arguments: str) -> str:
    status, said = await command(broadsheet, *arguments)
    assert status == 0, said
    return said


async def test_a_whole_broadcast_and_every_command_work_as_a_role_that_owns_nothing(
    tmp_path: Path, roles: Roles, amqp_url: str
) -> None:
    broadsheet = Processes(tmp_path, roles.services, amqp_url)
    broadsheet.environment["BROADSHEET_MIGRATION_URL"] = roles.owner
    await done(broadsheet, "db", "upgrade")
    await done(broadsheet, "db", "upgrade")
    began = datetime.now(UTC).isoformat()
    # From here on nobody knows the owner's password.
    del broadsheet.environment["BROADSHEET_MIGRATION_URL"]
    try:
        await broadsheet.start("simulator")
        await broadsheet.configure_simulator(plan=PLAN)
        await broadsheet.start(*SERVICES)
        broadcast_id = await scheduled(broadsheet, run_in=2.0)
        await completed(broadsheet, broadcast_id)
        await assert_once_and_every_one(broadsheet, broadcast_id)
        metrics = (await broadsheet.call("GET", "/metrics")).text
        assert 'status_code="500"' not in metrics
        await done(broadsheet, "rebuild", "--yes")
        await done(broadsheet, "prune", "--older-than", "30", "--yes")
        erased = {"phone_number": "+13135552001", "opt_out": "true"}
        assert (await broadsheet.call("DELETE", "/contacts", params=erased)).is_success
        await done(broadsheet, "restored", "--to", began)
        assert "Broadcasts go on." in await once_somebody_has_written(broadsheet, "reconcile", "--since", began)
        for name in SERVICES:
            assert "permission denied" not in broadsheet.log(name), name
            assert "InsufficientPrivilege" not in broadsheet.log(name), name
    finally:
        await broadsheet.close()

    #: What somebody might want who got hold of a service's password.
    refused = (
        "UPDATE events SET data = data",
        "DELETE FROM events",
        "TRUNCATE events CASCADE",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "DROP TABLE contacts",
        "CREATE TABLE mine (id int)",
        "UPDATE alembic_version SET version_num = '0001'",
        "COPY contacts TO PROGRAM 'cat'",
        "CREATE ROLE another SUPERUSER",
    )
    with psycopg.connect(roles.services, autocommit=True) as connection:
        for statement in refused:
            with pytest.raises(InsufficientPrivilege):
                connection.execute(statement.encode())


async def test_a_role_that_is_not_there_is_said_in_a_line(tmp_path: Path, roles: Roles) -> None:
    broadsheet = Processes(tmp_path, as_role(roles.services, "nobody_at_all"), "amqp://x/")
    broadsheet.environment["BROADSHEET_MIGRATION_URL"] = roles.owner
    status, said = await command(broadsheet, "db", "upgrade")
    assert (status, said.strip()) == (2, "PostgreSQL has no role nobody_at_all: create it (docs/postgresql.md)")
