"""The servers that tests use: those that the environment names, else the local stack. Never a mock.

They are chosen and started once a session, on first use. Each test gets a database of its own, cloned from one that was
migrated once; what tests leave on the broker is removed before the next one.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import aio_pika
import psycopg
from psycopg import sql

from libs.common.database.migrate import migrate
from libs.common.database.tables import Base
from libs.common.messaging import delays, topology
from libs.local import stack

ROOT = Path(__file__).parents[2]
TEMPLATE = "broadsheet_template"
TABLES = tuple(table.name for table in Base.metadata.sorted_tables)

#: A table beyond a mebibyte, if there is one: by rows, or by what was deleted before.
_HAS_GROWN = "SELECT 1 FROM pg_class WHERE relname = ANY(%s) AND relkind = 'r' AND pg_relation_size(oid) > 1048576"
_TRUNCATE = sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(map(sql.Identifier, TABLES)))
_DELETE = sql.SQL("; ").join(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)) for table in TABLES)
_RESTART = "SELECT setval(seqrelid, seqstart, false) FROM pg_sequence"

_open = ExitStack()


@cache
def _local() -> stack.Stack:
    running = stack.start(ROOT, ephemeral=True)
    _open.callback(running.stop)
    return running


@cache
def server_url() -> str:
    """Return the URL of the PostgreSQL server under test."""
    if url := os.environ.get("BROADSHEET_DATABASE_URL"):
        return url
    return _local().servers.database_url


@cache
def amqp_url() -> str:
    """Return the URL of the RabbitMQ server under test."""
    if url := os.environ.get("BROADSHEET_AMQP_URL"):
        return url
    return _local().servers.amqp_url


@cache
def template() -> str:
    """Migrate the template once and give its name; a session has one of its own."""
    name = f"{TEMPLATE}_{uuid4().hex[:8]}"
    _administer(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    _open.callback(_administer, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    with ThreadPoolExecutor(1) as pool:  # a test's own event loop may be running
        pool.submit(migrate, database_url(name)).result()
    return name


@contextmanager
def database(*, migrated: bool = True) -> Iterator[str]:
    """Yield the URL of a new database, migrated or empty, for the time of the block."""
    name = f"test_{uuid4().hex[:12]}"
    like = sql.Identifier(template()) if migrated else sql.Identifier("template0")
    # A server that does not wait for its disk copies files in a third of the time that a log of all pages takes.
    _administer(sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(name), like))
    try:
        yield database_url(name)
    finally:
        _administer(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def empty(url: str) -> None:
    """Remove all rows of a database, and begin its sequences anew.

    A test leaves few rows. To delete those takes a tenth of the time that TRUNCATE takes, which makes new files for
    each table and index: 26 ms of the server's for 281. Where a table has grown, it is the other way round.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        # Without triggers: history refuses to be deleted, and keys want their rows deleted in order.
        connection.execute("SET session_replication_role = replica")
        connection.execute(_TRUNCATE if connection.execute(_HAS_GROWN, [list(TABLES)]).fetchone() else _DELETE)
        connection.execute(_RESTART)


@contextmanager
def database_of_locale(locale: str) -> Iterator[str]:
    """Yield the URL of a new database made with a locale of the system's, migrated, for the time of the block."""
    name = f"test_{uuid4().hex[:12]}"
    made = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER libc LOCALE {}"
    _administer(sql.SQL(made).format(sql.Identifier(name), sql.Literal(locale)))
    try:
        migrate(database_url(name))
        yield database_url(name)
    finally:
        _administer(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def copied(url: str) -> Iterator[str]:
    """Yield the URL of a copy of a database, which nobody may be connected to now, for the time of the block."""
    name = f"test_{uuid4().hex[:12]}"
    source = urlsplit(url).path.lstrip("/")
    _administer(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(source)))
    try:
        yield database_url(name)
    finally:
        _administer(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def database_url(name: str) -> str:
    """Return the URL of a database on the server."""
    parts = urlsplit(server_url())
    return parts._replace(path=f"/{name}").geturl() if parts.netloc else server_url().replace(parts.path, f"/{name}", 1)


def _administer(statement: sql.Composed) -> None:
    with psycopg.connect(server_url(), autocommit=True) as connection:
        connection.execute(statement)


async def clean_broker() -> None:
    """Delete every queue and exchange of Broadsheet's."""
    connection = await aio_pika.connect(amqp_url(), timeout=30)
    try:
        channel = await connection.channel()
        queues = [topology.queue(work).name for work in topology.WORK]
        queues += [topology.dead_letters(service).name for service in topology.SERVICES]
        queues += [delays.rung_queue(rung).name for rung in range(delays.RUNGS)]
        for name in queues:
            await channel.queue_delete(name)
        exchanges = [topology.COMMANDS, topology.EVENTS, topology.DEAD, delays.LANDING, delays.PLUGIN]
        exchanges += [delays.rung_exchange(rung) for rung in range(delays.RUNGS)]
        for exchange in exchanges:
            await channel.exchange_delete(exchange.name)
    finally:
        await connection.close()


def close() -> None:
    """End what this session started."""
    _open.close()
