"""The service around the calls: health, metrics, documentation, a clean end."""

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import httpx
import psycopg
import pytest
from sqlalchemy import QueuePool

from libs.common import database
from services.api.app import create_app
from services.api.context import Context
from tests.integration.api import support
from tests.integration.api.support import KEY, Api
from tests.support.ports import free_port
from tests.support.processes import until

CHECKOUT = Path(__file__).parents[3]


async def test_health_metrics_and_documentation_need_no_key(api: Api) -> None:
    for path, status in (
        ("/health/live", 204),
        ("/health/ready", 204),
        ("/metrics", 200),
        ("/schema/openapi.json", 200),
    ):
        answer = await api.get(path, headers={"Authorization": ""})
        assert answer.status_code == status, path


async def test_the_metrics_count_requests_by_route_not_by_id(api: Api) -> None:
    await api.get("/broadcasts/123456")
    text = (await api.get("/metrics")).text
    assert "broadsheet_http_requests_total" in text
    assert "123456" not in text


async def test_the_documentation_names_every_call_and_its_fields(api: Api) -> None:
    schema = (await api.get("/schema/openapi.json")).json()
    for path in ("/make", "/broadcasts", "/broadcasts/{broadcast_id}/report", "/contacts/import", "/webhooks/missive"):
        assert path in schema["paths"]
    properties = schema["components"]["schemas"]["NewBroadcast"]["properties"]
    assert {"run_at", "first_message", "segments", "second_delay"} <= properties.keys()


async def test_the_api_lives_without_its_database_and_says_that_it_is_not_ready() -> None:
    configuration = support.settings("postgresql://nobody@127.0.0.1:1/none")
    async with support.lifespan_only(configuration) as client:
        live, ready = await client.get("/health/live"), await client.get("/health/ready")
    assert live.status_code == 204
    assert (ready.status_code, ready.json()["detail"]) == (503, "the database does not answer")


async def test_an_api_whose_connections_are_all_in_use_is_busy_not_without_a_database(
    api: Api, shared_database: str
) -> None:
    configuration = support.settings(shared_database)
    busy = create_app(configuration)
    context: Context = busy.state.context
    transport = httpx.ASGITransport(app=cast("Any", busy))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(support.holding(busy))
        client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://api"))
        for _ in range(cast("QueuePool", context.engine.pool).size()):
            await stack.enter_async_context(database.transaction(context.engine))
        before = await connections(api)
        answers = await asyncio.gather(*(client.get("/health/ready") for _ in range(20)))
        assert {answer.status_code for answer in answers} == {204}
        assert len(await connections(api) - before) == 1, "one connection, however many ask"


async def connections(api: Api) -> set[int]:
    """Return the server's processes for the API's database, but the one that asks."""
    rows = await api.query(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return {row["pid"] for row in rows}


async def test_a_server_that_closed_the_connection_of_the_last_look_is_ready(api: Api) -> None:
    assert (await api.get("/health/ready")).status_code == 204
    await api.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert (await api.get("/health/ready")).status_code == 204


async def test_a_database_without_a_schema_is_not_ready(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP TABLE alembic_version")
    async with support.running(support.settings(database_url)) as api:
        ready = await api.get("/health/ready")
    assert ready.status_code == 503
    assert "broadsheet db upgrade" in ready.json()["detail"]


async def test_what_goes_wrong_inside_is_not_told_outside(database_url: str) -> None:
    async with support.running(support.settings(database_url)) as api:
        await api.query("ALTER TABLE audience_segments RENAME COLUMN filter TO broken")
        answer = await api.get("/segments")
    assert answer.status_code == 500
    assert answer.json() == {
        "type": "urn:broadsheet:problem:internal", "title": "Something went wrong in Broadsheet", "status": 500
    }  # fmt: skip


async def test_every_event_of_a_request_carries_its_correlation_id(api: Api) -> None:
    await api.broadcast()
    assert await api.value("SELECT count(DISTINCT correlation_id) FROM events") == 1
    assert await api.value("SELECT count(*) FROM outbox o JOIN events e USING (correlation_id)") == 2


def environment(database_url: str, port: int, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "BROADSHEET_DATABASE_URL": database_url,
        "BROADSHEET_AMQP_URL": "amqp://nobody@127.0.0.1:1/",
        "BROADSHEET_FROM_NUMBER": support.FROM,
        "BROADSHEET_API_KEYS": KEY,
        "BROADSHEET_API_PORT": str(port),
        **more,
    }


async def process(tmp_path: Path, variables: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.api", cwd=tmp_path, env={**variables, "PYTHONPATH": str(CHECKOUT)},
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def test_the_process_serves_and_ends_cleanly_on_sigterm_though_someone_watches(
    database_url: str, tmp_path: Path
) -> None:
    port = free_port()
    running = await process(tmp_path, environment(database_url, port))
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:

        async def ready() -> bool:
            try:
                return (await client.get("/health/ready")).status_code == 204
            except httpx.ConnectError:
                return False

        await until(ready)
        body = support.wish(run_at="2099-01-01T00:00:00Z")
        assert (await client.post("/broadcasts", json=body)).status_code == 422
        broadcast = await client.post("/broadcasts", json=support.wish(run_at=soon()))
        async with client.stream("GET", broadcast.headers["location"] + "/stream") as stream:
            chunks = stream.aiter_text()
            assert "scheduled" in await anext(chunks)
            running.send_signal(signal.SIGTERM)
            assert [chunk async for chunk in chunks] == []
    _, errors = await asyncio.wait_for(running.communicate(), 90)
    assert running.returncode == 0, errors.decode()
    assert b"Traceback" not in errors


def soon() -> str:
    from datetime import UTC, datetime, timedelta

    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


@pytest.mark.parametrize(
    ("name", "value"), [("API_KEYS", "short"), ("API_KEYS", ""), ("FROM_NUMBER", "x"), ("API_PORT", "high")]
)
async def test_a_bad_setting_ends_the_process_with_one_line_that_names_it(
    tmp_path: Path, name: str, value: str
) -> None:
    variables = environment("postgresql://nobody@127.0.0.1:1/none", 0, **{f"BROADSHEET_{name}": value})
    running = await process(tmp_path, variables)
    _, errors = await asyncio.wait_for(running.communicate(), 90)
    assert running.returncode == 2
    assert f"BROADSHEET_{name}" in errors.decode()
    assert errors.decode().count("\n") == 1
