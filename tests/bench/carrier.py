"""A carrier that answers at once: as much of Twilio's interface as the sender uses."""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate

SENT = '{"sid": "SM%032x", "status": "queued"}'
LOG = '{"messages": [], "next_page_uri": null}'


@contextmanager
def answering() -> Iterator[str]:
    """Run the carrier for the time of the block, and yield its address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(_listen(), loop).result()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listen() -> asyncio.Server:
    numbers = itertools.count(1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0))
                sends = head.startswith(b"post")
                body = SENT % next(numbers) if sends else LOG
                writer.write(
                    f"HTTP/1.1 {'201 Created' if sends else '200 OK'}\r\nDate: {formatdate(usegmt=True)}\r\n"
                    f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
