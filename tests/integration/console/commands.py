"""The command `broadsheet` as a process of its own, against an API on a real database."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import psycopg
import uvicorn

from tests.integration.api import support

#: Runs `broadsheet` with its arguments; gives its exit status and what it said.
Call = Callable[..., Awaitable[tuple[int, str]]]


@asynccontextmanager
async def serving(database_url: str) -> AsyncIterator[str]:
    """Serve an API for the time of the block; yield its address."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    with support.built(support.settings(database_url)) as app:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="on"))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


async def run(url: str, *arguments: str) -> tuple[int, str]:
    """Run `broadsheet` where the API has this address; return its exit status and what it said."""
    environment = {"PATH": os.defpath, "BROADSHEET_API_URL": url, "BROADSHEET_API_KEYS": support.KEY}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "libs.console.main",
        *arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


def rows(database_url: str, statement: str) -> list[tuple[object, ...]]:
    """Return what a statement gives, in a transaction of its own."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []
