"""The API behind a real socket, served as in production, and a client that sends whatever bytes it likes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import uvicorn

from libs.common.settings.api import ApiSettings
from services.api import server
from tests.integration.api import support

PATIENCE = 90.0  # seconds for an answer


@asynccontextmanager
async def serving(configuration: ApiSettings, clock: support.Clock | None = None) -> AsyncIterator[int]:
    """Serve an API for the time of the block; return its port."""
    with support.built(configuration, now=clock or support.Clock()) as app:
        running = uvicorn.Server(server.config(app, configuration.model_copy(update={"api_port": 0})))
        running.capture_signals = suppress  # type: ignore[method-assign, assignment] # signals are pytest's
        task = asyncio.create_task(running.serve())
        while not running.started:
            assert not task.done()
            await asyncio.sleep(0.01)
        try:
            yield running.servers[0].sockets[0].getsockname()[1]
        finally:
            app.state.context.stopping.set()  # else streams would go on until they are broken off
            running.should_exit = True
            await asyncio.wait_for(task, PATIENCE)


async def exchange(port: int, raw: bytes, *, waits: float = PATIENCE) -> bytes:
    """Send bytes and give all that comes back; where nothing comes for `waits` seconds, break off and look again."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        with suppress(ConnectionError):
            await writer.drain()
            with suppress(TimeoutError):
                return await asyncio.wait_for(reader.read(), waits)
            writer.write_eof()
            return await asyncio.wait_for(reader.read(), PATIENCE)
        return b""
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def status(answer: bytes) -> int | None:
    """Return the status of the last answer in the bytes; None where there is none."""
    lines = [line for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    return int(lines[-1].split()[1]) if lines else None
