"""A database that is away for a while: it takes no connection, and those there were are cut."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from tests.support import servers

CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"


@contextmanager
def database_away(url: str) -> Iterator[None]:
    """Keep everybody from a database for the time of the block."""
    name = urlsplit(url).path.removeprefix("/")
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(servers.server_url(), autocommit=True) as connection:
        connection.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
        try:
            connection.execute(CUT, (name,))
            yield
        finally:
            connection.execute(allow.format(sql.Identifier(name), sql.SQL("true")))
