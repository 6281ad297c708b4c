"""`broadsheet erase` and `stop-now` over HTTP, against an API on a real database."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
import pytest
import uvicorn

from services.api.app import create_app
from tests.integration.api import support

NUMBER = "+13135550142"
Call = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
async def call(database_url: str) -> AsyncIterator[Call]:
    """Give a function that runs `broadsheet` with its arguments, and gives its exit status and what it said."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    api = create_app(support.settings(database_url))
    server = uvicorn.Server(uvicorn.Config(api, log_config=None, access_log=False, lifespan="on"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    environment = {
        "PATH": os.defpath,
        "BROADSHEET_API_URL": f"http://127.0.0.1:{listening.getsockname()[1]}",
        "BROADSHEET_API_KEYS": support.KEY,
    }

    async def run(*arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "libs.console.main",
            *arguments,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()

    yield run
    server.should_exit = True
    await serving


def rows(database_url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize(("option", "kept"), [((), [(NUMBER,)]), (("--no-opt-out",), [])])
async def test_who_is_erased_stays_as_an_opt_out_alone_or_not_at_all(
    call: Call, database_url: str, option: tuple[str, ...], kept: list[tuple[str]]
) -> None:
    rows(database_url, f"INSERT INTO contacts (phone_number, name) VALUES ('{NUMBER}', 'Ann')")
    status, said = await call("erase", *option, NUMBER)
    assert (status, "is erased" in said) == (0, True)
    assert rows(database_url, "SELECT phone_number, name, erased_at IS NULL FROM contacts") == [(None, "", False)]
    assert rows(database_url, "SELECT phone_number FROM opt_outs") == kept
    assert await call("erase", NUMBER) == (1, "nobody has this number\n")


async def test_who_wrote_to_us_and_is_no_contact_can_be_erased(call: Call, database_url: str) -> None:
    rows(database_url, f"INSERT INTO replies (provider_id, phone_number, body, received_at) VALUES ('S', '{NUMBER}',"
                       " 'words', now())")  # fmt: skip
    assert (await call("erase", "--no-opt-out", NUMBER))[0] == 0
    assert rows(database_url, "SELECT phone_number, body FROM replies") == [(None, "")]


async def test_stop_now_says_that_there_was_nothing_to_stop(call: Call) -> None:
    status, said = await call("stop-now")
    assert (status, "Nothing was sending or waiting." in said) == (0, True)
